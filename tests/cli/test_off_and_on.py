"""`hookmon off` and `on` beside a real run: what they take for a name, what they say, what top and the report say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.runs import HOOKMON, Started, environment, hookmon, hookmon_start, wait_until, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

PROGRAM = """
import os, sqlite3
database = sqlite3.connect(":memory:")
def quote(number): return database.execute("SELECT ?", (number,)).fetchone()
def ask(number): return quote(number)
done = 0
def wait_for(name):
    while not os.path.exists(name): pass
for step in range(int(os.environ["STEPS"])):
    wait_for(f"go{step}")
    for number in range(10): ask(number)
    open(f"done{step}", "w")
wait_for("end")
"""


class Program:
    """A program that calls `ask` ten times at each step."""

    def __init__(self, folder: Path, run: Started) -> None:
        self.folder = folder
        self.run = run
        self._steps = 0

    def step(self) -> None:
        (self.folder / f"go{self._steps}").touch()
        wait_until((self.folder / f"done{self._steps}").exists, "a step")
        self._steps += 1

    def tell(self, *words: str, code: int = 0) -> str:
        done = hookmon(list(words), cwd=self.folder)
        assert done.exit_code == code, done.stderr
        return done.stderr

    def top(self) -> dict[str, Any]:
        words = [HOOKMON, "top", "--json"]
        process = subprocess.Popen(words, cwd=self.folder, env=environment(self.folder), stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process, process.stdout:
            line: dict[str, Any] = json.loads(process.stdout.readline())
            process.terminate()
        return line

    def end(self) -> dict[str, Any]:
        (self.folder / "end").touch()
        done = self.run.finish()
        assert done.exit_code == 0, done.stderr
        return done.report


@contextmanager
def started(folder: Path, steps: int, *, state: Path | None = None, options: tuple[str, ...] = ()) -> Iterator[Program]:
    write(folder, {"app.py": PROGRAM})
    (folder / ".git").mkdir(parents=True)
    config = watch("__main__", "ask", "quote")
    env: dict[str, str | None] = {"STEPS": str(steps)} | ({"XDG_STATE_HOME": str(state)} if state else {})
    run = hookmon_start([sys.executable, "app.py"], cwd=folder, config=config, env=env, options=list(options))
    try:
        program = Program(folder, run)
        program.step()
        yield program
    finally:
        if run.process.poll() is None:
            run.kill()


def calls(report: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["calls"] for row in report["calls"] if row["name"] in ("ask", "quote", "SELECT ?")}


def spots(report: dict[str, Any]) -> list[str]:
    return [spot["detail"].partition(" from ")[0] for spot in report["blind_spots"] if spot["kind"] == "off"]


@pytest.mark.process
def test_a_run_is_off_as_a_whole_or_in_parts(tmp_path: Path):
    """By module:call, a glob, a name in the report and a pack; the report says what was off, and counts the rest exactly."""
    with started(tmp_path, 8) as program:
        assert "run 1: everything is off" in program.tell("off")
        program.step()
        assert program.tell("on", "1") == "hookmon: run 1: everything is on\n"
        program.step()
        for names, shown in (
            (["__main__:quote,ask"], "__main__:quote, __main__:ask are off"),
            (["quote"], "__main__:quote is off"),
            (["SELECT ?"], "is off"),
            (["sqlite3"], "sqlite3 is off"),
            (["__main__:*"], "__main__:* is off"),
        ):
            told = program.tell("off", *[word for name in names for word in ("--watch", name)])
            assert shown in told
            program.step()
            program.tell("on")
        report = program.end()
    assert calls(report) == {"ask": 80 - 10 - 10 - 10, "quote": 80 - 10 - 10 - 10 - 10, "SELECT ?": 80 - 10 - 10 - 10}
    assert len(spots(report)) == 6
    assert {"everything was off", "sqlite3 was off", "__main__:* was off"} <= set(spots(report))
    assert any(spot.startswith("__main__:quote was off 2 times") for spot in spots(report))


@pytest.mark.process
def test_what_is_off_stands_in_top_and_what_is_not_known_is_refused(tmp_path: Path):
    """With what may have been meant; a part of what is off can be switched on, and not while everything is off."""
    with started(tmp_path, 2) as program:
        assert "did you mean quote?" in program.tell("off", "--watch", "quot", code=2)
        assert "module:call" in program.tell("off", "--watch", "nowhere:nothing_like_it", code=2)
        program.tell("off", "--watch", "quote", "--watch", "sqlite3")
        live = program.top()
        assert [row["what"] for row in live["off"]] == ["__main__:quote", "sqlite3"]
        program.step()
        assert "not off; off is: __main__:quote, sqlite3" in program.tell("on", "--watch", "ask", code=2)
        assert "sqlite3 is off still" in program.tell("on", "--watch", "quote")
        shown = hookmon(["on", "--watch", "sqlite3", "--json"], cwd=tmp_path)
        assert json.loads(shown.stdout) == [{"run": 1, "name": "", "all_off": False, "off": []}]
        program.tell("off")
        assert "as a whole" in program.tell("on", "--watch", "quote", code=2)
        report = program.end()
    assert calls(report) == {"ask": 20, "quote": 10, "SELECT ?": 10}
    assert "everything was off" in spots(report)
    assert "nothing runs" in program.tell("off", code=1)
    assert "run 1 is not running" in program.tell("off", "1", code=1)


@pytest.mark.process
def test_a_page_of_an_older_launcher_refuses(tmp_path: Path):
    """It is told that it cannot be switched, and the run goes on as it was."""
    from hookmon.collector.store import Store

    with started(tmp_path, 2) as program:
        folder = Path(Store.of_project(tmp_path).run_file(1).head().run_folder)
        (folder / "control").unlink()
        assert "cannot be switched" in program.tell("off", code=2)
        program.step()
        report = program.end()
    assert calls(report)["ask"] == 20
    assert spots(report) == []


@pytest.mark.process
def test_all_that_runs_of_a_service_is_switched(tmp_path: Path):
    """From whatever project; a run of another service, and one of none, go on."""
    state = tmp_path / "state"
    of_web = ("--service", "web")
    with (
        started(tmp_path / "one", 3, state=state, options=of_web) as one,
        started(tmp_path / "two", 3, state=state, options=of_web) as two,
        started(tmp_path / "three", 3, state=state, options=("--service", "jobs", "--name", "web")) as three,
    ):
        programs = (one, two, three)
        wait_until(lambda: len(json.loads(switched(one.folder, state, "on"))) == 2, "the starts of the service")
        assert [row["all_off"] for row in json.loads(switched(one.folder, state, "off"))] == [True, True]
        for program in programs:
            program.step()
        assert [row["all_off"] for row in json.loads(switched(two.folder, state, "on"))] == [False, False]
        for program in programs:
            program.step()
        found = [calls(program.end())["quote"] for program in programs]
    assert found == [20, 20, 30]


def switched(folder: Path, state: Path, verb: str) -> str:
    done = hookmon([verb, "web", "--json"], cwd=folder, env={"XDG_STATE_HOME": str(state)})
    assert done.exit_code == 0, done.stderr
    return done.stdout
