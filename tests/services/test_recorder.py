"""When the recorder looks, and what it does with what it cannot write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.moved_services import Moved, MovedStart, Program, store_in, sums_of_hours
from support.runs import wait_until

from hookmon.services import reading

BEGINNING_S = 1_800_000_000


def test_a_look_is_due_when_the_minute_is_over(tmp_path: Path):
    """However long the one before it has taken: not a moment earlier, or the minute would have two rows."""
    clock, program = Moved(BEGINNING_S + 13), Program(1, 1, 1)
    start = MovedStart(store_in(tmp_path), "web", clock, program)
    asked_ns = clock.monotonic_ns()
    clock.pass_time(2)  # the look
    due_ns = start._recorder.next_ns(asked_ns)
    clock.pass_time((due_ns - clock.monotonic_ns()) / 1e9)
    assert 0 < clock.now_s() % 60 < 0.1
    assert clock.now_s() // 60 == BEGINNING_S // 60 + 1
    start.end()


def test_minutes_that_cannot_be_written_are_written_later_each_as_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of many, the last ones become one."""
    monkeypatch.setattr("hookmon.services.store._BUSY_S", 0.001)
    store, clock, program = store_in(tmp_path), Moved(BEGINNING_S), Program(1, 1, 1)
    start = MovedStart(store, "web", clock, program)
    start._waits = False
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(20):
            clock.pass_time(60)
            program.work(1.0)
            start.look()
        wait_until(lambda: start._recorder._worker._failures, "a failure")
        other.execute("ROLLBACK")
    start._waits = True
    clock.pass_time(60)
    program.work(1.0)
    start.look()
    points = reading.curve(store, "web", BEGINNING_S, clock.now_s())
    counted = [(point.at_s - BEGINNING_S) // 60 for point in points if point.counters.calls]
    assert counted[:9] == list(range(9))
    assert len(counted) == 10
    assert start.finish().startswith("services failed")
    expected = sum(node.calls for node in program.nodes if node.kind == "request")
    assert sum(point.counters.calls for point in points) == expected
    assert sums_of_hours(store, "web")["GET /page/0"][0] == expected


def test_processes_that_come_and_go_keep_their_cpu_time(tmp_path: Path):
    """Each counts as it was seen last, also where another one has its pid."""
    from hookmon.collector.feed import LiveProcess
    from hookmon.services.recorder import _Cpu

    cpu = _Cpu()
    assert cpu.add([LiveProcess(1, [], "", cpu_ns=50), LiveProcess(2, [], "", cpu_ns=10)]) == 60
    assert cpu.add([LiveProcess(1, [], "", cpu_ns=70)]) == 80
    assert cpu.add([LiveProcess(1, [], "", cpu_ns=5)]) == 85
    assert cpu.add([]) == cpu.ns == 85
