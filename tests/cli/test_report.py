"""`hookmon report`, on real run files."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hookmon.collector.store import Node, Run, Store
from hookmon.config.find import find_project

pytestmark = pytest.mark.process

RUN_COMMAND = [sys.executable, "-m", "hookmon", "report"]


def report(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR")}
    return subprocess.run(
        [*RUN_COMMAND, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=60, encoding="utf-8"
    )


def save(project: Path, name: str = "") -> int:
    """Keep a run with one call whose name tells the run."""
    run_file = Store.of_project(project).reserve()
    number = int(run_file.path.stem.removeprefix("run-"))
    node = Node(-1, f"call of {number}", "function", "app:f", calls=1, total_ns=5, self_ns=5, min_ns=5, max_ns=5, buckets={38: 1})
    run_file.save(Run(number, name, ["python", "app.py"], "2025-03-04T05:06:07+00:00", "0.1.0", state="finished", nodes=[node]))
    return number


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with runs 1 to 4, of which 2 and 3 are called nightly, and 1 is gone."""
    (tmp_path / "hookmon.toml").touch()
    for name in ("", "nightly", "nightly", "smoke"):
        save(tmp_path, name)
    Store.of_project(tmp_path).run_file(1).path.unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("which", "number"),
    [([], 4), (["last"], 4), (["2"], 2), (["0002"], 2), (["nightly"], 3), ([".hookmon/run-0002.sqlite"], 2)],
    ids=["nothing", "last", "number", "padded", "name", "path"],
)
def test_a_run_is_found(project: Path, which: list[str], number: int):
    """By number, name or path; the newest where there is a choice."""
    done = report(project, *which)
    assert done.stderr == ""
    assert done.returncode == 0
    assert f"call of {number} " in done.stdout


def test_a_run_is_found_from_a_folder_inside(project: Path):
    """The project is the nearest folder upwards that looks like one."""
    inside = project / "a" / "b"
    inside.mkdir(parents=True)
    assert "call of 4" in report(inside).stdout
    assert find_project(inside) == project


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("9", "there is no run 9; runs 2 to 4 are kept [no-such-run]"),
        ("nihgtly", "there is no run named nihgtly; did you mean nightly? (runs 2 to 4 are kept) [no-such-run]"),
        ("xyz", "there is no run named xyz (runs 2 to 4 are kept) [no-such-run]"),
        ("gone.sqlite", "gone.sqlite: there is no such run file [no-such-run]"),
        ("hookmon.toml", "hookmon.toml: not a run file of hookmon [not-a-run-file]"),
        ("foreign.sqlite", "foreign.sqlite: not a run file of hookmon [not-a-run-file]"),
        ("random.sqlite", "random.sqlite: not a readable run file: file is not a database [not-a-run-file]"),
        ("/dev/null", "/dev/null: not a run file (not a regular file) [not-a-run-file]"),
    ],
    ids=["number", "near name", "far name", "no file", "empty file", "foreign", "random", "device"],
)
def test_a_run_that_cannot_be_shown_is_one_line(project: Path, which: str, message: str):
    """What is wrong and what is there, on stderr, with exit code 2."""
    with sqlite3.connect(project / "foreign.sqlite") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    (project / "random.sqlite").write_bytes(b"\x00\x01random" * 1_000)
    done = report(project, which)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"hookmon: {message}\n")


def test_before_the_first_run_it_says_how_to_make_one(tmp_path: Path):
    """One line."""
    (tmp_path / ".git").mkdir()
    done = report(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == f"hookmon: there is no run yet in {tmp_path / '.hookmon'}; hookmon run COMMAND makes one [no-such-run]\n"
    )


def test_a_run_that_is_just_starting_is_named(project: Path):
    """Its file is there before anything is in it."""
    Store.of_project(project).reserve()
    done = report(project)
    assert done.returncode == 2
    assert "run-0005.sqlite: nothing is saved of this run" in done.stderr


def test_gaps_between_kept_runs_are_named(project: Path):
    """Runs need not be in a row."""
    save(project)
    Store.of_project(project).run_file(3).path.unlink()
    assert "runs 2 and 4 to 5 are kept" in report(project, "7").stderr


def test_a_report_goes_to_a_file(project: Path):
    """As asked for, and nothing to stdout."""
    done = report(project, "--format", "json", "--output", "out.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((project / "out.json").read_text())["run"]["id"] == 4


def test_a_file_that_cannot_be_written_is_one_line(project: Path):
    """With the file's name."""
    done = report(project, "--output", "missing/out.txt")
    assert done.returncode == 2
    assert done.stderr == "hookmon: missing/out.txt: the report cannot be written: No such file or directory [output]\n"


def test_a_closed_pipe_ends_quietly(project: Path):
    """`hookmon report | head -1` says nothing about it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(RUN_COMMAND, cwd=project, stdout=write_end, stderr=subprocess.PIPE, timeout=60)
    os.close(write_end)
    assert done.stderr == b""


@pytest.mark.parametrize("told", ["", "kept"], ids=["none", "another"])
def test_a_run_file_cannot_make_us_delete_a_folder(project: Path, told: str):
    """It says that it was running, in a folder that is no run folder: nothing is recovered from there, and nothing goes."""
    (project / "kept").mkdir()
    (project / "kept" / "letter").touch()
    run_file = Store.of_project(project).reserve()
    run_file.save(Run(5, "", ["python"], "2025-03-04T05:06:07+00:00", "0.1.0", state="running", run_folder=told))
    assert report(project, "5").returncode == 0
    assert (project / "kept" / "letter").exists()
    assert (project / "hookmon.toml").exists()
