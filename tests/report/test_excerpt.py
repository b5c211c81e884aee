"""A part of a run, by its series: made of a run by hand, so that the moments are known."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from hookmon.collector.rows import CallSeries
from hookmon.collector.store import Run
from hookmon.core.errors import RunFileError
from hookmon.report.excerpt import excerpt

BEGAN = "2026-11-30T14:00:00+00:00"
BEGAN_S = datetime.fromisoformat(BEGAN).timestamp()


def run_of_ten_seconds() -> Run:
    """Return a run with 40 calls in its first second and 5 in its tenth, in steps of a second."""
    points = json.dumps([[0, 40, 1, 40_000, [100, 40]], [9, 5, 0, 5_000, [100, 5]]])
    run = Run(id=1, name="", command=["app.py"], started_at=BEGAN, hookmon="0.1")
    run.state, run.duration_ns, run.interval_ns = "finished", 10 * 10**9, 10**9
    run.series = [CallSeries("work", "function", "app:work", points)]
    return run


@pytest.mark.parametrize(
    ("since_s", "until_s", "calls"),
    [(0, 10, 45), (0, 1, 40), (9, 10, 5), (1, 10, 5), (0.5, 0.6, 40), (-100, 100, 45), (8.5, 9.5, 5)],
)
def test_whole_steps_are_added_up(since_s: float, until_s: float, calls: int):
    """Those in which a part begins and ends are whole."""
    part = excerpt(run_of_ten_seconds(), BEGAN_S + since_s, BEGAN_S + until_s)
    assert [(row.name, row.calls) for row in part.rows] == [("work", calls)]
    assert part.since_s <= max(BEGAN_S, BEGAN_S + since_s)
    assert part.until_s >= min(BEGAN_S + 10, BEGAN_S + until_s)


def test_a_part_in_which_nothing_was_called_is_empty():
    """And one outside the run is refused."""
    assert excerpt(run_of_ten_seconds(), BEGAN_S + 3, BEGAN_S + 5).rows == []
    with pytest.raises(RunFileError, match="nothing of it is in that time"):
        excerpt(run_of_ten_seconds(), BEGAN_S + 20, BEGAN_S + 30)
