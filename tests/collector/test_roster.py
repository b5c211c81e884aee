"""The processes of a run as rows: forks with a title of their own, and very many that have ended."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from support.runs import wait_until

from hookmon.collector.births import Birth
from hookmon.collector.identity import Identity, look_at
from hookmon.collector.roster import Roster
from hookmon.collector.store import Run


def new_run(folder: Path) -> Run:
    """Return a run that has just begun."""
    return Run(1, "", ["app"], "", "0", run_folder=str(folder), started_ns=time.monotonic_ns())


def birth(identity: Identity, image: int, *, status: str = "", started_ns: int = 0) -> Birth:
    """Return the note of a process."""
    return Birth(identity, 1, started_ns or time.monotonic_ns(), status, "3.12.4", sys.executable, ["python", "app.py"], image)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells one image of a process from the next")
def test_a_fork_that_gave_itself_a_title_is_watched(tmp_path: Path):
    """The title is written over the environment too, as gunicorn's workers do it: nothing was replaced."""
    code = """
import ctypes, os, sys, time
pid = os.fork()
if not pid:
    fields = open("/proc/self/stat").read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[48])
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, b"worker: idle", 12)
    open("titled", "w").close()
sys.stdin.read()
"""
    roster = Roster(new_run(tmp_path))
    reader, writer = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r})\n{code}"],
        {"HOOKMON_RUN": str(tmp_path), "PYTHONPATH": "/bootstrap"},
        file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_CLOSE, writer)],
    )
    try:
        os.close(reader)
        wait_until((tmp_path / "titled").exists, "the fork")
        watcher = roster.processes.add(pid, time.monotonic_ns())
        assert watcher is not None
        roster.note(birth(watcher.identity, watcher.image), time.monotonic_ns())
        time.sleep(0.45)  # longer than what may be too short
        roster.processes.discover(time.monotonic_ns())
        roster.processes.sample(time.monotonic_ns())
        run = new_run(tmp_path)
        roster.list_into(run, time.monotonic_ns())
        assert [row.command for row in run.processes if row.pid != pid] == [["worker: idle"]]
        assert [row.reason for row in run.processes] == ["", ""]
        assert roster.blind_spots() == []
    finally:
        os.close(writer)
        os.waitpid(pid, 0)


def test_very_many_ended_processes_are_rows_and_sums(tmp_path: Path):
    """Those with the most calls have a row; of the others it is known how many, what they did, and why they were not watched."""
    roster, run = Roster(new_run(tmp_path)), new_run(tmp_path)
    for number in range(1, 5001):
        identity = Identity(7, number, 100 + number)
        roster.note(birth(identity, 0, status="" if number % 2 else "Python 3.9 is older than 3.11"), number)
        watcher = roster.processes.known[identity]
        watcher.row.calls, watcher.row.cpu_ns = number, 10
        roster.forget_ended(number + 1)
        assert len(roster.processes.known) <= 2501
    roster.list_into(run, 6000)
    assert len(run.processes) == 2000
    assert (run.more["processes"], run.more["watched"]) == (3000, 1500)
    assert min(row.calls for row in run.processes) == 3001
    assert (run.total("calls"), run.total("cpu_ns")) == (5000 * 5001 // 2, 50_000)
    (spot,) = roster.blind_spots()
    assert " and 2499 more (python app.py): Python 3.9 is older than 3.11" in spot.detail


def test_what_was_forgotten_is_still_counted_by_a_later_launcher(tmp_path: Path):
    """It begins with the sums of the run that it takes over."""
    before = new_run(tmp_path)
    before.more = {"processes": 30, "watched": 20, "calls": 10, "errors": 0, "cpu_ns": 5, "ran_ns": 4, "waited_ns": 3}
    roster, run = Roster(before), new_run(tmp_path)
    roster.note(birth(Identity(7, 1, 1), 0), 1)
    roster.list_into(run, 2)
    assert run.more == before.more
    assert len(run.processes) == 1


def test_a_note_that_came_after_the_last_look_is_of_what_the_process_is(tmp_path: Path):
    """A process may exec and end between two looks: the later note counts."""
    stat = look_at(os.getpid())
    assert stat is not None
    roster = Roster(new_run(tmp_path))
    watcher = roster.processes.add(os.getpid(), time.monotonic_ns())
    assert watcher is not None
    roster.note(birth(watcher.identity, stat.image + 16, status="Python 3.9 is older than 3.11"), time.monotonic_ns())
    (spot,) = roster.blind_spots()
    assert spot.detail.endswith("Python 3.9 is older than 3.11")
