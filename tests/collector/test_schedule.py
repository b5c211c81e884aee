"""What the scheduler says of threads, against what a program says of itself; and how long threads may have been side by side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hookmon.collector.overlap import Overlap
from hookmon.collector.proc_files import ProcFiles
from hookmon.collector.schedule import Schedule, Turn

S = 1_000_000_000

THREADS = """
import sys, threading, time

def work(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass

def stay(go, seconds):
    work(seconds)
    done.release()
    go.wait()

done, go = threading.Semaphore(0), threading.Event()
threads = [threading.Thread(target=stay, args=(go, 0.1)) for _ in range(3)]
[thread.start() for thread in threads]
[done.acquire() for _ in threads]
print("there", flush=True)
sys.stdin.readline()
go.set()
[thread.join() for thread in threads]
print("gone", flush=True)
sys.stdin.readline()
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="the scheduler's figures are Linux's")
def test_every_thread_is_read_and_stays_counted_when_it_has_ended():
    """Each once, however often they are read."""
    program = subprocess.Popen([sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdin is not None
        assert program.stdout is not None
        schedule, files = Schedule(), ProcFiles(program.pid)
        program.stdout.readline()
        for _ in range(3):
            schedule.read(files, 4)
        others = [turn.ran_ns for thread, turn in schedule.turns.items() if thread != program.pid]
        assert len(others) == 3
        assert all(ran_ns >= 100_000_000 for ran_ns in others)
        before = schedule.total
        assert before.ran_ns >= sum(others)
        program.stdin.write("\n")
        program.stdin.flush()
        program.stdout.readline()
        for _ in range(3):
            schedule.read(files, 1)
        assert list(schedule.turns) == [program.pid]
        whole_ns = sum(map(int, Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[11:13])) * 10_000_000
        assert before.ran_ns <= schedule.total.ran_ns <= whole_ns + 20_000_000  # ticks of 10 ms
        assert schedule.total.waited_ns >= before.waited_ns >= 0
    finally:
        program.communicate("\n")


@pytest.mark.process
def test_a_process_that_has_gone_keeps_what_was_read():
    """Nothing more, nothing less."""
    schedule = Schedule()
    schedule.turns = {2**22 - 1: Turn(5, 3)}
    schedule.read(ProcFiles(2**22 - 1), 1)
    schedule.read(ProcFiles(2**22 - 1), 7)
    assert schedule.total == Turn(5, 3)


def test_another_thread_with_the_number_of_one_that_has_ended_is_another(monkeypatch: pytest.MonkeyPatch):
    """Numbers are given again; what a thread has had only grows."""
    said = iter([b"50 5 1\n", b"10 1 2\n", b"30 2 3\n"])
    monkeypatch.setattr("hookmon.collector.schedule._said_of", lambda files, thread: next(said))
    schedule = Schedule()
    for _ in range(3):
        schedule.read(ProcFiles(7), 1)
    assert schedule.total == Turn(80, 7)


OVERLAPS = {
    "one thread": ([{1: {11: (1 * S, 1)}}, {1: {11: (2 * S, 1)}}], 0),
    "one after the other": ([{1: {11: (1 * S, 1)}, 2: {}}, {1: {11: (1 * S, 1)}, 2: {22: (1 * S, 1)}}], 0),
    "side by side": ([{1: {11: (1 * S, 1)}, 2: {22: (1 * S, 1)}}, {1: {11: (2 * S, 1)}, 2: {22: (2 * S, 1)}}], 2 * S),
    "perhaps side by side": ([{1: {11: (S // 2, 1), 12: (S // 4, 1)}}], S // 4),
    "known together only": ([{1: {0: (S, 4)}}], 3 * S // 4),
    "more than time has passed": ([{1: {0: (2 * S, 1)}}], 1 * S),
    "one that has ended": ([{1: {11: (S, 1)}}, {}], 0),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_what_may_have_been_side_by_side_is_what_the_busiest_did_not_do(name: str):
    """In each interval of a second."""
    looks, expected = OVERLAPS[name]
    overlap = Overlap()
    for at, look in enumerate(looks, 1):
        overlap.add(look, at * S)
    assert overlap.ns == expected
