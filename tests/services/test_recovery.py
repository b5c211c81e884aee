"""What becomes of starts that never said that they ended."""

from __future__ import annotations

from pathlib import Path

from support.moved_services import BEGINNING_S, Moved, MovedStart, Program, store_in, sums_of_hours

from hookmon.services import reading
from hookmon.services.recovery import settle
from hookmon.services.windows import window

HOUR_S = 3_600


def killed(folder: Path, *, minutes: int = 3) -> tuple[MovedStart, Moved]:
    """Return a start whose launcher wrote some minutes, and then counted on without writing."""
    clock, program = Moved(), Program(2, 1, 1)
    start = MovedStart(store_in(folder), "web", clock, program)
    for _ in range(minutes):
        clock.pass_time(60)
        program.work(1.0)
        start.look()
    clock.pass_time(30)
    program.work(1.0)
    return start, clock


def test_the_rest_stands_in_the_minute_of_the_last_moment(tmp_path: Path):
    """Whoever looks before it is written sees the same."""
    start, clock = killed(tmp_path)
    store = store_in(tmp_path)
    expected = start.kill()
    before = window(store, "web", BEGINNING_S - 60, clock.now_s() + HOUR_S, clock=clock)
    settle(store, clock.now_s())
    after = window(store, "web", BEGINNING_S - 60, clock.now_s() + HOUR_S, clock=clock)
    assert sums_of_hours(store, "web") == expected
    for name in ("calls", "errors", "total_ns", "self_ns", "max_ns", "min_ns", "buckets"):
        assert [getattr(node, name) for node in before.nodes if node.calls] == [
            getattr(node, name) for node in after.nodes if node.calls
        ]
    (row,) = reading.starts(store, "web")
    assert (row.state, row.ended_s) == (reading.RECOVERED, clock.now_s())
    points = [point for point in reading.curve(store, "web", BEGINNING_S - 60, clock.now_s() + 60) if point.counters.calls]
    assert points[-1].at_s <= clock.now_s() < points[-1].at_s + 60
    narrow = window(store, "web", clock.now_s() - 1, clock.now_s(), clock=clock)
    assert sum(node.calls for node in narrow.nodes if node.entry) == points[-1].counters.calls


def test_a_start_of_which_nothing_is_left_is_lost_in_the_end(tmp_path: Path):
    """Its run file was deleted: it may be one that lives elsewhere, so it is given ten minutes."""
    start, clock = killed(tmp_path)
    store = store_in(tmp_path)
    written = sums_of_hours(store, "web")
    start.run_file.path.unlink()
    for seconds, state in ((300, reading.RUNNING), (700, reading.LOST)):
        settle(store, clock.now_s() + seconds)
        assert [row.state for row in reading.starts(store, "web")] == [state]
    assert "of 1 start the last minute is lost" in reading.services(store)[0].limits[0]
    run = window(store, "web", BEGINNING_S - 60, clock.now_s(), clock=clock)
    assert [spot.detail for spot in run.blind_spots] == reading.services(store)[0].limits
    assert sums_of_hours(store, "web") == written
    start.look()  # it lives after all
    assert [row.state for row in reading.starts(store, "web")] == [reading.RUNNING]
    assert start.end() == sums_of_hours(store, "web")


def test_a_run_file_of_another_run_is_not_taken_for_it(tmp_path: Path):
    """Numbers of runs are given again when somebody deletes all of them."""
    start, clock = killed(tmp_path)
    store = store_in(tmp_path)
    written = sums_of_hours(store, "web")
    start.run.run_key = "f" * 32
    start.kill()
    settle(store, clock.now_s())
    assert sums_of_hours(store, "web") == written
    assert window(store, "web", BEGINNING_S - 60, clock.now_s(), clock=clock).nodes


def test_what_was_saved_of_a_run_whose_folder_is_gone_takes_nothing_back(tmp_path: Path):
    """The run file has the processes that had ended, the minutes had all that was seen."""
    start, clock = killed(tmp_path)
    store = store_in(tmp_path)
    written = sums_of_hours(store, "web")
    start.run.nodes = []
    start.run.state = "running"
    start.run_file.save(start.run)
    settle(store, clock.now_s() + 700)
    assert sums_of_hours(store, "web") == written
    assert [row.state for row in reading.starts(store, "web")] == [reading.LOST]


def test_settling_twice_or_together_is_the_same(tmp_path: Path):
    """Each holds what it sees against what is there."""
    start, clock = killed(tmp_path)
    store = store_in(tmp_path)
    expected = start.kill()
    for _ in range(3):
        settle(store, clock.now_s())
    assert sums_of_hours(store, "web") == expected
    assert reading.services(store)[0].starts == 1
