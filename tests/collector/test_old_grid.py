"""Run files of before, whose buckets were of nanoseconds: no call is lost, and percentiles stay where they were."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from math import ceil
from pathlib import Path

import pytest

from hookmon.collector.old_grid import to_seconds
from hookmon.collector.store import CallSeries, Node, Run, RunFile, Signal
from hookmon.core.histogram import FIRST_BUCKET, LAST_BUCKET, bucket_of_amount, coarsen, middle_ns, quantiles_ns

CHANCE = random.Random(7)
DURATIONS = sorted(int(CHANCE.lognormvariate(15, 1.5)) + 1 for _ in range(20_000))
OLD = dict(Counter(map(bucket_of_amount, DURATIONS)))  # a nanosecond was an amount like any other


def old_file(folder: Path) -> RunFile:
    """Return a run file as it was before: of version 3."""
    found = RunFile(folder / "run-0007.sqlite")
    points = [value for pair in sorted(coarsen(OLD).items()) for value in pair]
    series = CallSeries("f", "function", "app:f", json.dumps([[3, len(DURATIONS), 0, sum(DURATIONS), points]]))
    signals = [Signal(name, unit, "histogram", 1.0, 1, 0, 1, buckets={160: 9}) for name, unit in (("lag", "s"), ("rows", "1"))]
    node = Node(-1, "f", "function", "app:f", calls=len(DURATIONS), min_ns=DURATIONS[0], max_ns=DURATIONS[-1], buckets=OLD)
    found.save(Run(7, "", ["python"], "", "0.1.0", nodes=[node], signals=signals, series=[series]))
    connection = sqlite3.connect(found.path)
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()
    return found


def truth(share: float) -> int:
    """Return the quantile of the list."""
    return DURATIONS[ceil(share * len(DURATIONS)) - 1]


def test_a_run_file_of_the_old_grid_has_all_calls_and_their_percentiles(tmp_path: Path):
    """As `hookmon report` reads it; what is saved again is of the new grid and is not converted twice."""
    run_file = old_file(tmp_path)
    run = run_file.load()
    (node,) = run.nodes
    assert sum(node.buckets.values()) == len(DURATIONS)
    shares = (0.5, 0.95, 0.99)
    for share, found in zip(shares, quantiles_ns(node.buckets, shares, node.min_ns, node.max_ns), strict=True):
        assert found == pytest.approx(truth(share), rel=0.04)
    run_file.save(run)
    assert run_file.load().nodes[0].buckets == node.buckets


def test_only_durations_are_converted(tmp_path: Path):
    """Amounts have the buckets that they had."""
    lag, rows = old_file(tmp_path).load().signals
    assert (sum(lag.buckets.values()), rows.buckets) == (9, {160: 9})
    assert lag.buckets == {161: 3, 162: 6}


def test_series_of_the_old_grid_have_their_percentiles(tmp_path: Path):
    """Four buckets an octave, within their 9 %, and what the conversion adds to that."""
    ((index, calls, _, _, packed),) = json.loads(old_file(tmp_path).load().series[0].points)
    buckets = dict(zip(packed[::2], packed[1::2], strict=True))
    assert (index, calls, sum(buckets.values())) == (3, len(DURATIONS), len(DURATIONS))
    (found,) = quantiles_ns(buckets, (0.5,), 0, 2**60, lambda bucket: middle_ns(bucket, 4))
    assert found == pytest.approx(truth(0.5), rel=0.15)


def test_the_ends_stay_the_ends():
    """The bucket of no time at all, and the one of hours."""
    assert to_seconds([(0, 5), (LAST_BUCKET, 7)]) == {FIRST_BUCKET: 5, LAST_BUCKET: 7}
    assert to_seconds([(0, 5), (192, 7)], 4) == {1: 5, 192: 7}


def test_no_call_is_lost_and_counts_grow_with_their_bucket():
    """Whatever a bucket has."""
    before: dict[int, int] = {}
    for calls in range(200):
        now = to_seconds([(300, calls)])
        assert sum(now.values()) == calls
        assert all(now.get(bucket, 0) >= before[bucket] for bucket in before)
        before = now
