"""`hookmon runs`, on real run files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.runs import Result, hookmon, hookmon_start, wait_until, watch

from hookmon.collector.store import Node, Run, RunFile, Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

STARTED = "2025-03-04T05:06:07+00:00"


def save(project: Path, name: str = "", **more: Any) -> RunFile:
    run_file = Store.of_project(project).reserve()
    number = int(run_file.path.stem.removeprefix("run-"))
    plain: dict[str, Any] = {"state": "finished", "duration_ns": 1_500_000_000, "exit_code": 0}
    nodes = [Node(-1, "f", "function", "app:f", calls=3, total_ns=9, self_ns=9, min_ns=3, max_ns=3, buckets={26: 3})]
    run_file.save(Run(number, name, ["python", "app.py"], STARTED, "0.1.0", nodes=nodes, **plain | more))
    return run_file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three runs, of which 2 is called nightly."""
    (tmp_path / "hookmon.toml").touch()
    for name in ("", "nightly", ""):
        save(tmp_path, name)
    return tmp_path


def runs(project: Path, *arguments: str) -> Result:
    return hookmon(["runs", *arguments], cwd=project)


def list_runs(project: Path) -> list[tuple[int, str]]:
    return [(row["run"], row["name"]) for row in json.loads(runs(project, "--json").stdout)]


def test_runs_are_listed_newest_first(project: Path):
    """With what tells them apart."""
    done = runs(project)
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["run", "name", "started", "time", "end", "command"]
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert lines[1].split() == ["2", "nightly", "2025-03-04", "05:06", "1.50", "s", "exit", "0", "python", "app.py"]
    assert done.stderr == ""


def test_a_list_for_programs_has_every_run(project: Path):
    """One object each."""
    (_, row, _) = json.loads(runs(project, "--json").stdout)
    assert row == {
        "run": 2,
        "name": "nightly",
        "started_at": STARTED,
        "state": "finished",
        "duration_ns": 1_500_000_000,
        "exit_code": 0,
        "command": "python app.py",
        "path": str(project / ".hookmon" / "run-0002.sqlite"),
        "owner": "",
        "problem": "",
    }


def test_a_damaged_run_is_listed_as_such(project: Path):
    """And can be removed by its number."""
    Store.of_project(project).run_file(2).path.write_bytes(b"\x1b[31mnothing")
    assert "damaged" in runs(project).stdout
    assert runs(project, "remove", "2").exit_code == 0
    assert list_runs(project) == [(3, ""), (1, "")]


def test_without_any_run_it_says_how_to_make_one(tmp_path: Path):
    """On stderr; the list for programs is empty."""
    (tmp_path / "hookmon.toml").touch()
    assert "hookmon run COMMAND makes one" in runs(tmp_path).stderr
    assert runs(tmp_path).exit_code == 2
    assert json.loads(runs(tmp_path, "--json").stdout) == []


def test_a_run_gets_a_name_and_loses_it(project: Path):
    """By which it is found again."""
    assert runs(project, "name", "1", "before").stdout == "run 1 is called before\n"
    assert hookmon(["report", "before", "--json"], cwd=project).exit_code == 0
    assert runs(project, "name", "before", "").stdout == "run 1 has no name now\n"
    assert list_runs(project) == [(3, ""), (2, "nightly"), (1, "")]


@pytest.mark.parametrize("name", ["7", "last", "a/b", "x.sqlite"])
def test_a_name_that_means_something_else_is_refused(project: Path, name: str):
    """The run could never be found by it."""
    done = runs(project, "name", "1", name)
    assert (done.exit_code, done.stderr.split()[-1]) == (2, "[not-a-name]")


def test_runs_are_removed_all_or_none(project: Path):
    """One that is not there leaves the others alone."""
    assert runs(project, "remove", "1", "9").exit_code == 2
    assert len(list_runs(project)) == 3
    assert runs(project, "remove", "1", "nightly").stdout == "run 1 is removed\nrun 2 is removed\n"
    assert list_runs(project) == [(3, "")]


def test_a_run_is_carried_in_one_file(project: Path, tmp_path_factory: pytest.TempPathFactory):
    """Exported here, imported there, the same figures."""
    other = tmp_path_factory.mktemp("other")
    (other / "hookmon.toml").touch()
    assert runs(project, "export", "nightly", "night.hookmon").exit_code == 0
    assert os.listdir(project).count("night.hookmon") == 1
    save(other)
    done = runs(other, "import", str(project / "night.hookmon"))
    assert (done.stdout, done.exit_code) == ("run 2\n", 0)
    here, there = (json.loads(hookmon(["report", "nightly", "--json"], cwd=folder).stdout) for folder in (project, other))
    assert here == there
    assert hookmon(["report", str(project / "night.hookmon")], cwd=other).exit_code == 0


def test_an_export_overwrites_nothing(project: Path):
    """Not even another export."""
    (project / "mine").write_text("mine")
    done = runs(project, "export", "last", "mine")
    assert (done.exit_code, done.stderr) == (2, "hookmon: mine: there is such a file already [file-exists]\n")
    assert (project / "mine").read_text() == "mine"


def test_what_is_no_run_is_not_imported(project: Path):
    """And leaves no number behind."""
    done = runs(project, "import", "hookmon.toml")
    assert (done.exit_code, done.stderr.split()[-1]) == (2, "[not-a-run-file]")
    assert len(list_runs(project)) == 3


def test_an_imported_run_names_no_folder_to_be_deleted(project: Path, tmp_path: Path):
    """The next hookmon run deletes what killed launchers left behind: never what a foreign file says."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    RunFile(tmp_path / "evil").save(Run(1, "evil", [], "", "0.1.0", state="running", run_folder=str(victim), launcher_pid=2**22))
    assert runs(project, "import", str(tmp_path / "evil")).exit_code == 0
    save(project, run_folder=str(victim))  # one that was copied into the store by hand
    assert hookmon(["run", "--quiet", sys.executable, "-c", "pass"], cwd=project).exit_code == 0
    assert (victim / "precious").exists()


def test_a_run_that_goes_on_is_neither_removed_nor_exported(project: Path):
    """It is still written to."""
    code = "import time; open('there', 'w'); time.sleep(30)"
    started = hookmon_start([sys.executable, "-c", code], cwd=project, config=watch("a", "b"))
    try:
        wait_until((project / "there").exists, "the program")
        for verb in (["remove", "last"], ["export", "last", "x"]):
            done = runs(project, *verb)
            assert (done.exit_code, done.stderr.split()[-1]) == (2, "[still-running]")
        assert json.loads(runs(project, "--json").stdout)[0]["state"] == "running"
    finally:
        for child in psutil.Process(started.process.pid).children():
            child.terminate()
        started.finish()
