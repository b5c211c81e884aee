"""Windows are asked for from outside while a real program runs: the snapshots have the slowest and the first failures of each."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from support.runs import hookmon_start, wait_until, write

from hookmon.collector.control import Control, page
from hookmon.collector.examples import LiveExample
from hookmon.collector.live import LiveRun, find_running
from hookmon.collector.store import Store
from hookmon.core import layout

WINDOW_NS = 300_000_000

CONFIG = """
[[watch]]
module = "__main__"
calls = ["page"]
span = "GET /page"
kind = "request"
entry = true
entry_status = "{result}"

[[watch]]
module = "__main__"
calls = ["query"]
"""

PROGRAM = """
import os, time
def query(number): time.sleep(0.001 * number)
def page(number, status):
    query(number)
    return status

for _ in range(4): page(40, 200)
open("ready", "w")
number = 0
while not os.path.exists("end"):
    number += 1
    page(1 + number % 3, 503 if number % 4 == 0 else 200)
"""


def words(path: Path) -> tuple[int, ...]:
    return tuple(memoryview(path.read_bytes()).cast("Q")[: layout.CONTROL_UNTIL_NS + 1])


@pytest.mark.process
def test_each_window_has_its_slowest_and_its_first_failure(tmp_path: Path):
    """Though the run has had slower ones. When nobody asks any more, the run as a whole is what counts."""
    write(tmp_path, {"app.py": PROGRAM})
    (tmp_path / ".git").mkdir()
    run = hookmon_start([sys.executable, "app.py"], cwd=tmp_path, config=CONFIG)
    try:
        wait_until(lambda: find_running(Store.of_project(tmp_path)) and (tmp_path / "ready").exists(), "the run")
        run_file, found = find_running(Store.of_project(tmp_path))[0]
        live = LiveRun(run_file, found, with_examples=True)
        seen: dict[str, LiveExample] = {}
        end = time.monotonic() + 60
        while len({example.row.window for example in seen.values()}) < 5:
            assert time.monotonic() < end, seen
            live.ask_for_windows(time.monotonic_ns(), WINDOW_NS)
            for example in live.look(time.monotonic_ns()).examples:
                if example.row.window:
                    seen[example.row.span_id] = example
            time.sleep(0.05)
        live.close()
        (tmp_path / "end").touch()
        done = run.finish()
    finally:
        if run.process.poll() is None:
            run.kill()
    windows = sorted({example.row.window for example in seen.values()})[1:-1]  # of the outer ones not all was seen
    for window in windows:
        own = [example.row for example in seen.values() if example.row.window == window]
        assert {row.status for row in own if row.is_first_failed} <= {503}
        slowest = max(own, key=lambda row: row.duration_ns)
        assert slowest.window_ns == WINDOW_NS
        assert slowest.duration_ns >= 1_000_000
        assert all((row.started_ns + row.duration_ns) // WINDOW_NS == window for row in own)
        spans = seen[slowest.span_id].spans()
        assert [(span.name, span.parent_id) for span in spans] == [("query", slowest.span_id)]
    assert any(example.row.is_first_failed for example in seen.values())
    (row,) = [row for row in done.report["transactions"] if row["kind"] == "request"]
    kept = [example for example in row["examples"] if example["window_ns"]]
    assert {example["span_id"] for example in kept} & set(seen)
    assert sum(example["duration_ns"] >= 40_000_000 for example in row["examples"]) >= 3


FORKING = """
import os, time
def query(number): pass
def page(number, status): return status
for _ in range(3):
    if os.fork() == 0:
        page(1, 503)
        os._exit(0)
    os.wait()
page(1, 200)
open("ready", "w")
while not os.path.exists("end"): time.sleep(0.01)
"""


@pytest.mark.process
def test_examples_of_processes_that_have_ended_are_seen(tmp_path: Path):
    """By who looks on from outside and wants them, also when the run is over; each once."""
    write(tmp_path, {"app.py": FORKING})
    (tmp_path / ".git").mkdir()
    run = hookmon_start([sys.executable, "app.py"], cwd=tmp_path, config=CONFIG)
    try:
        wait_until(lambda: find_running(Store.of_project(tmp_path)) and (tmp_path / "ready").exists(), "the run")
        run_file, found = find_running(Store.of_project(tmp_path))[0]
        live = LiveRun(run_file, found, with_examples=True)

        def statuses() -> list[int]:
            examples = live.look(time.monotonic_ns()).examples
            return sorted({example.row.span_id: example.row.status for example in examples}.values())

        wait_until(lambda: statuses() == [200, 503, 503, 503], "all examples")
        (tmp_path / "end").touch()
        run.finish()
        assert 3 <= len(statuses()) <= 4  # the three slowest of the run, and the first that failed
        live.close()
    finally:
        if run.process.poll() is None:
            run.kill()


def test_the_shorter_windows_hold(tmp_path: Path):
    """Of two who look on; for as long as the one asks who wants them."""
    path = tmp_path / layout.CONTROL_NAME
    path.write_bytes(page())
    Control(tmp_path).ask_for_windows(1_000, 60)
    Control(tmp_path).ask_for_windows(1_010, 20)
    Control(tmp_path).ask_for_windows(1_020, 60)
    assert words(path) == (layout.CONTROL_IS_OURS, 20, 1_180)
    Control(tmp_path).ask_for_windows(2_000, 60)
    assert words(path) == (layout.CONTROL_IS_OURS, 60, 2_180)


def test_the_launcher_asks_in_a_long_run_only(tmp_path: Path):
    """What an hour's run shows of today is kept by itself; a short one is kept as a whole. Without a page nothing happens."""
    path = tmp_path / layout.CONTROL_NAME
    Control(tmp_path).ask_for_windows(1)
    path.write_bytes(page())
    minute = 60_000_000_000
    control = Control(tmp_path, started_ns=minute)
    control.renew(10 * minute)
    assert words(path)[1] == 0
    control.renew(12 * minute)
    assert words(path)[1:] == (minute, 15 * minute)
    assert path.stat().st_size == layout.PAGE_BYTES


def test_nothing_is_written_to_what_is_no_page(tmp_path: Path):
    """A link, another file: it stays as it is."""
    other = tmp_path / "other"
    other.write_bytes(bytes(layout.PAGE_BYTES))
    (tmp_path / layout.CONTROL_NAME).symlink_to(other)
    Control(tmp_path).ask_for_windows(1)
    (tmp_path / layout.CONTROL_NAME).unlink()
    (tmp_path / layout.CONTROL_NAME).write_bytes(bytes(layout.PAGE_BYTES))
    Control(tmp_path).ask_for_windows(1)
    assert other.read_bytes() == (tmp_path / layout.CONTROL_NAME).read_bytes() == bytes(layout.PAGE_BYTES)
