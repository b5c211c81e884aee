"""Intervals hold what they promise on histograms whose truth is known: made of random durations, without a machine."""

from __future__ import annotations

from math import exp
from random import Random

import pytest

from hookmon.collector.counters import Counters
from hookmon.core.histogram import bucket_of
from hookmon.report.diff import intervals
from hookmon.report.diff.intervals import Allowance, Buckets, Durations
from hookmon.report.diff.machine import Machine

QUIET = Machine({}, (10**9, 10**9), (0.0, 0.0)).allowance(("x", "function", "app:x"))
NOTHING = Allowance(0.0, 0.0, 0.0, 0.0)
ROWS = 20


def histogram(draw: Random, calls: int, middle_ns: float, spread: float, slow_share: float = 0.0) -> Durations:
    """Return lognormal durations, some of them twenty times as long."""
    found: Buckets = {}
    for _ in range(calls):
        duration_ns = draw.lognormvariate(0, spread) * middle_ns * (20 if draw.random() < slow_share else 1)
        bucket = bucket_of(round(duration_ns))
        found[bucket] = found.get(bucket, 0) + 1
    return Durations(found)


def count_changed(draw: Random, *, shift: float, drift: float, calls: int, spread: float, slow_share: float) -> int:
    """Return how many rows of one diff of ROWS rows are called changed; each run as a whole is off by `drift`."""
    tests = 2 * ROWS
    off_a, off_b = exp(draw.gauss(0, drift)), exp(draw.gauss(0, drift))
    found = 0
    for _ in range(ROWS):
        a = histogram(draw, calls, 1e6 * off_a, spread, slow_share)
        b = histogram(draw, calls, 1e6 * off_b * shift, spread, slow_share)
        ratios = (intervals.typical(a, b, tests, QUIET), intervals.tail(a, b, tests, QUIET))
        found += any(ratio is not None and ratio.is_real for ratio in ratios)
    return found


@pytest.mark.parametrize("calls", [10, 100, 1_000])
@pytest.mark.parametrize(
    ("spread", "slow_share"), [(0.05, 0.0), (0.5, 0.0), (1.5, 0.0), (0.3, 0.05)], ids=["even", "usual", "wild", "two humps"]
)
def test_runs_of_an_unchanged_program_have_not_changed(calls: int, spread: float, slow_share: float):
    """At most 5 of 100 diffs have a false row, of 20 rows, with runs that differ by 3 % as a whole."""
    draw = Random(f"{calls} {spread} {slow_share}")
    diffs = 100 if calls < 1_000 else 20
    false = sum(
        count_changed(draw, shift=1.0, drift=0.03, calls=calls, spread=spread, slow_share=slow_share) > 0 for _ in range(diffs)
    )
    assert false <= diffs * 0.05


@pytest.mark.parametrize(("shift", "spread", "calls"), [(1.35, 0.2, 200), (2.0, 0.5, 100), (0.5, 0.5, 100), (10.0, 1.0, 20)])
def test_a_change_that_matters_is_seen(shift: float, spread: float, calls: int):
    """In every row: an interval that holds everything would be no use."""
    assert count_changed(Random(1), shift=shift, drift=0.02, calls=calls, spread=spread, slow_share=0.0) == ROWS


def test_a_tail_that_grows_is_seen():
    """Eight calls of a hundred take twenty times as long; most take as long as before."""
    draw = Random(2)
    a, b = (histogram(draw, 2_000, 1e6, 0.2, share) for share in (0.0, 0.12))
    tail = intervals.tail(a, b, 2, QUIET)
    assert tail is not None
    assert tail.low > 2


def test_the_interval_holds_the_true_ratio_as_often_as_promised():
    """95 of 100 for a single row, without allowance for the run: sampling alone."""
    draw = Random(3)
    held = 0
    for _ in range(400):
        ratio = intervals.typical(histogram(draw, 50, 1e6, 0.8), histogram(draw, 50, 1.7e6, 0.8), 1, NOTHING)
        assert ratio is not None
        held += ratio.low <= 1.7 <= ratio.high
    assert 0.92 <= held / 400 <= 0.98


def test_few_calls_are_not_judged():
    """Nine say nothing about a mean, 99 nothing about a percentile."""
    draw = Random(4)
    few, some = histogram(draw, 9, 1e6, 0.1), histogram(draw, 99, 1e6, 0.1)
    assert intervals.typical(few, some, 1, NOTHING) is None
    assert intervals.typical(some, some, 1, NOTHING) is not None
    assert intervals.tail(some, some, 1, NOTHING) is None


def test_more_calls_of_one_run_make_no_interval_narrow():
    """They are correlated: 100,000 calls count as MOST_COUNTED."""
    draw = Random(5)
    some = histogram(draw, intervals.MOST_COUNTED, 1e6, 0.5)
    many = Durations({bucket: calls * 500 for bucket, calls in some.buckets.items()})
    one, other = intervals.typical(some, some, 1, NOTHING), intervals.typical(many, many, 1, NOTHING)
    assert one is not None
    assert other is not None
    assert other.high == pytest.approx(one.high, rel=0.01)


@pytest.mark.parametrize(
    ("tests", "freedom", "exact"),
    [(1, 9, 2.2622), (1, 30, 2.0423), (10, 9, 3.6897), (100, 19, 4.1869), (1000, 49, 4.4469), (1, 199, 1.9720)],
)
def test_student_is_that_of_the_tables(tests: int, freedom: int, exact: float):
    """Within half a percent, from 9 degrees of freedom on."""
    assert intervals.student(tests, freedom) == pytest.approx(exact, rel=0.005)


def test_one_bucket_is_no_certainty():
    """All calls in one bucket may still differ by its width."""
    ratio = intervals.typical(Durations({300: 50}), Durations({300: 50}), 1, NOTHING)
    assert ratio is not None
    assert ratio.low < 1.0 < ratio.high
    assert Durations({}).geometric_mean_ns == 0


@pytest.mark.parametrize("calls", [1, 2, 19, 20, 21, 100, 101, 5_000])
def test_the_tail_in_nanoseconds_is_that_of_the_counters(calls: int):
    """Whatever the buckets, and where the least and the most of the calls lie."""
    dice = Random(calls)
    for _ in range(50):
        counters = Counters(calls, min_ns=dice.randrange(1, 5_000), max_ns=dice.randrange(5_000, 10**9))
        buckets: dict[int, int] = {}
        for _ in range(calls):
            bucket = dice.randrange(300, 320)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        counters.histograms = [buckets]
        assert Durations(buckets).tail_ns(counters.min_ns, counters.max_ns) == counters.p95_ns
