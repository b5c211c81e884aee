"""How far two histograms are apart, and what of that one run against another can prove.

In: the buckets of the same calls in two runs. Out: a ratio with an interval that holds the true one with a given confidence.
Pure computation.

The interval is analytic, not bootstrapped: a bootstrap draws calls as if each were a trial of its own, while the calls of one
run share a machine, a heap and a cache, so its intervals come out far too narrow; a diff must also be quick, and must give
the same answer twice. Three things make an interval here. First the sampling error, of the geometric mean by Student's t and
of a quantile by its ranks, in both with at most MOST_COUNTED calls: 10,000 calls of one run say less about the next run than
one would think (measured: the spread of means between runs did not go below a tenth of the spread within one). The two sides
are joined by the method of variance estimates recovery (Zou and Donner 2008). Then, added on both ends, what runs differ by
as a whole, which `machine` finds. And the confidence is that of all rows together (Bonferroni).
"""

from __future__ import annotations

from functools import cache
from math import ceil, exp, expm1, log, sqrt
from statistics import NormalDist

from hookmon.core.histogram import OCTAVES, SUB_BUCKETS, buckets_at, middle_ns
from hookmon.core.record import Record

CONFIDENCE = 0.95
MOST_COUNTED = 200
FEWEST_CALLS = 10
FEWEST_FOR_TAIL = 100
TAIL = 0.95

_BUCKET = log(2) / SUB_BUCKETS

Buckets = dict[int, int]


class Ratio(Record, frozen=True, slots=True):
    """B divided by A: 1.0 is no change. The true ratio lies between `low` and `high`.

    Of that, `band_low` to `band_high` around 1.0 is what the runs may differ by as a whole; the rest is the scatter of the calls.
    """

    value: float
    low: float
    high: float
    band_low: float
    band_high: float

    @property
    def is_real(self) -> bool:
        """Say whether no change at all is ruled out."""
        return self.low > 1.0 or self.high < 1.0


class Allowance(Record, frozen=True, slots=True):
    """By what the calls of one name may seem slower or faster in B with nothing changed in the program, as logarithms."""

    slower: float
    faster: float
    tail_slower: float
    tail_faster: float


class Durations:
    """The calls of one name in one run: their histogram, how many they are, and the mean of their durations' logarithms."""

    __slots__ = ("buckets", "calls", "mean")

    def __init__(self, buckets: Buckets) -> None:
        self.buckets = buckets
        self.calls = sum(buckets.values())
        self.mean = sum([_LOGS[bucket] * count for bucket, count in buckets.items()]) / self.calls if self.calls else 0.0

    @property
    def geometric_mean_ns(self) -> int:
        """The typical duration, 0 for no calls. Like a median it is not moved by a few long calls, but moves smoothly."""
        return round(exp(self.mean)) if self.calls else 0

    def tail_ns(self, min_ns: int, max_ns: int) -> int:
        """Return the 95th percentile as `Counters` do, of calls that took so long at least and at most."""
        if not self.calls:
            return 0
        if TAIL * self.calls - 1e-9 > self.calls - 1:
            return max_ns
        middle = round(_MIDDLES[self._tail_bucket()])
        return max(min_ns, min(max_ns, middle))

    def _tail_bucket(self) -> int:
        """Return the bucket of that percentile. Those above it are few, so it is looked for from the longest calls on."""
        above, most = 0, self.calls - ceil(TAIL * self.calls - 1e-9)
        for bucket in sorted(self.buckets, reverse=True):
            above += self.buckets[bucket]
            if above > most:
                break
        return bucket


def typical(a: Durations, b: Durations, tests: int, allowed: Allowance) -> Ratio | None:
    """Compare geometric means; None when there are too few calls. `tests` is how many comparisons share the confidence."""
    if min(a.calls, b.calls) < FEWEST_CALLS:
        return None
    half = sqrt(_half_width(a, tests) ** 2 + _half_width(b, tests) ** 2)
    return _ratio(b.mean - a.mean, half, half, allowed.slower, allowed.faster)


def tail(a: Durations, b: Durations, tests: int, allowed: Allowance) -> Ratio | None:
    """Compare the 95th percentiles; None when there are too few calls."""
    if min(a.calls, b.calls) < FEWEST_FOR_TAIL:
        return None
    (low_a, at_a, high_a), (low_b, at_b, high_b) = _quantile(a, tests), _quantile(b, tests)
    down = sqrt((at_b - low_b) ** 2 + (high_a - at_a) ** 2)
    up = sqrt((high_b - at_b) ** 2 + (at_a - low_a) ** 2)
    return _ratio(at_b - at_a, down, up, allowed.tail_slower, allowed.tail_faster)


def _ratio(change: float, down: float, up: float, slower: float, faster: float) -> Ratio:
    low, high = change - down - slower, change + up + faster
    return Ratio(_exp(change), _exp(low), _exp(high), _exp(-faster), _exp(slower))


def _exp(value: float) -> float:
    return expm1(min(value, 700.0)) + 1.0


_MIDDLES = [middle_ns(bucket) for bucket in range(OCTAVES * SUB_BUCKETS)]
_LOGS = [log(middle) for middle in _MIDDLES]
"""The middle of each bucket and its logarithm: a diff of 20,000 names asks for half a million of them."""


def _half_width(durations: Durations, tests: int) -> float:
    """Return the half width of the interval of the mean of the logarithms."""
    calls, mean = durations.calls, durations.mean
    squares = sum([(apart := _LOGS[bucket] - mean) * apart * count for bucket, count in durations.buckets.items()])
    variance = squares / (calls - 1) + _BUCKET**2 / 12  # a bucket says only that a duration lies somewhere in it
    counted = min(calls, MOST_COUNTED)
    return student(tests, counted - 1) * sqrt(variance / counted)


def _quantile(durations: Durations, tests: int) -> tuple[float, float, float]:
    """Return the logarithm of the 95th percentile between its bounds."""
    calls = durations.calls
    half = normal(tests) * sqrt(TAIL * (1 - TAIL) / min(calls, MOST_COUNTED))
    shares = (max(0.0, TAIL - half), TAIL, min(1.0, TAIL + half))
    low, at, high = buckets_at(shares, calls, sorted(durations.buckets.items()))
    return _LOGS[low], _LOGS[at], _LOGS[high]


@cache
def normal(tests: int) -> float:
    """Return the two-sided critical value of the normal distribution for one of `tests` comparisons."""
    return NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * max(1, tests)))


@cache
def student(tests: int, freedom: int) -> float:
    """Return that of Student's t: the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5).

    Within 0.5 % from 9 degrees of freedom on for up to 10,000 tests; there are 10 calls at least.
    """
    z = normal(tests)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(freedom**power) for power, term in enumerate(terms, 1))
