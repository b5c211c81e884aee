"""Odd things in `.hookmon/`: listed or refused in one line, and never counted as runs that they are not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.runs import Started, environment, hookmon
from support.users import ALICE, as_user, common, folder_of, hookmon_of_others

from hookmon.collector.store import Run, RunFile, Store
from hookmon.core.errors import RunFileError

__all__ = ["common"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store of a project with one run."""
    (tmp_path / "hookmon.toml").touch()
    found = Store.of_project(tmp_path)
    found.reserve().save(Run(1, "", ["python"], "", "0.1.0", state="finished"))
    return found


NO_NAMES = (
    "run--5.sqlite", "run-0010 .sqlite", "run-١٢٣٤.sqlite", "run-5.sqlite", "run-00010.sqlite", "run-+005.sqlite",
    "run-1_00.sqlite",
    "run-99999999999999999999999.sqlite", "run-1000000000.sqlite", "run-0005.sqlite.bak", "Run-0005.sqlite", "run-0005.sqlite\n",
)  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_a_name_that_hookmon_never_gives_is_no_run(name: str, store: Store):
    """Neither shown nor counted on from."""
    (store.folder / name).touch()
    assert store.numbers() == [1]
    assert store.reserve().path.name == "run-0002.sqlite"


def test_numbers_go_beyond_four_digits(store: Store):
    """And find the file again."""
    store.run_file(9_999).path.touch()
    assert store.reserve().path.name == "run-10000.sqlite"
    assert store.numbers() == [1, 9_999, 10_000]


def test_the_last_number_is_the_last(store: Store):
    """Somebody put it there; what to do is said."""
    store.run_file(999_999_999).path.touch()
    with pytest.raises(RunFileError, match="is the last there can be; remove it"):
        store.reserve()


@pytest.mark.usefixtures("warm_launcher")
@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_named(kind: str, store: Store, tmp_path: Path):
    """In the list, by a report, and when it is removed."""
    path = store.run_file(2).path
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    rows = json.loads(hookmon(["runs", "--json"], cwd=tmp_path).stdout)
    assert [row["problem"].partition(": ")[2] for row in rows] == ["not a run file (not a regular file)", ""]
    shown = hookmon(["report"], cwd=tmp_path)
    assert (shown.exit_code, shown.stderr) == (2, f"hookmon: {path}: not a run file (not a regular file) [not-a-run-file]\n")
    removed = hookmon(["runs", "remove", "2"], cwd=tmp_path)
    if kind == "folder":
        assert removed.stderr == f"hookmon: {path}: the run cannot be removed: Is a directory [run-file]\n"
    else:
        assert (removed.exit_code, store.numbers()) == (0, [1])


@pytest.mark.usefixtures("warm_launcher")
def test_a_run_of_another_user_is_named_as_such(common: Path):
    """To somebody who cannot read it, and to root, who can; it is not obeyed."""
    project = folder_of(ALICE, common / "project")
    (project / "hookmon.toml").touch()
    run_file = RunFile(folder_of(ALICE, project / ".hookmon") / "run-0001.sqlite")
    run_file.save(Run(1, "", ["python"], "", "0.1.0", state="running"))
    run_file.path.chmod(0o600)
    command = hookmon_of_others()
    done = Started([*command, "runs", "--json"], cwd=project, **as_user(ALICE)).finish()
    (row,) = json.loads(done.stdout)
    assert (row["owner"], row["problem"].endswith("it belongs to root")) == ("root", True)
    done = Started([*command, "report"], cwd=project, **as_user(ALICE)).finish()
    assert done.stderr == f"hookmon: {run_file.path}: it belongs to root [run-file]\n"
    os.chown(run_file.path, ALICE, ALICE)
    listed = hookmon(["runs"], cwd=project)
    assert f"belongs to {ALICE}" in listed.stdout
    assert "damaged" not in listed.stdout
    assert environment(project)["XDG_STATE_HOME"]
