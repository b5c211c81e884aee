"""Buckets against exact arithmetic, quantiles against sorted lists."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from hookmon.core.histogram import (
    FIRST_BUCKET,
    LAST_BUCKET,
    SECOND,
    SMALL_BUCKETS,
    SMALL_NS,
    add,
    bucket_of,
    bucket_of_amount,
    buckets_at,
    coarsen,
    middle_ns,
    middle_of_amounts,
    quantiles_ns,
    upper_bound_ns,
)


def exact_bucket(duration_ns: int) -> int:
    """Return the smallest i with duration**16 <= 10**144 * 2**(i - 480): the definition, in integers."""
    return min((((max(duration_ns, 1) ** 16 << 480) - 1) // 10**144).bit_length(), LAST_BUCKET)


def boundary(bucket: int) -> int:
    """Return the largest integer whose 16th power is at most 10**144 * 2**(bucket - 480)."""
    low, high = 1, 2 ** (bucket // 16 + 2)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**16 << 480 <= 10**144 << bucket else (low, middle - 1)
    return low


def test_every_boundary_is_exact_up_to_an_hour():
    """The largest duration of a bucket is in it, the next nanosecond is not."""
    for bucket in range(FIRST_BUCKET, 42 * 16):
        last = boundary(bucket)
        for duration_ns in (last - 1, last, last + 1):
            assert bucket_of(duration_ns) == exact_bucket(duration_ns), duration_ns


def test_no_boundary_is_off_by_more_than_the_rounding_of_a_double():
    """Above an hour a duration may land one bucket away, when it is within 1e-12 of the boundary."""
    for bucket in range(42 * 16, LAST_BUCKET):
        last = boundary(bucket)
        for duration_ns in (last - 2, last - 1, last, last + 1, last + 2, last + last // 10**12, last - last // 10**12):
            if abs(duration_ns - last) > 2:
                assert bucket_of(duration_ns) == exact_bucket(duration_ns), duration_ns
            else:
                assert abs(bucket_of(duration_ns) - exact_bucket(duration_ns)) <= 1, duration_ns


@pytest.mark.parametrize("power", range(-9, 12))
def test_powers_of_two_of_a_second_close_their_octave(power: int):
    """No rounding moves them up: the only bounds that are whole nanoseconds."""
    duration_ns = int(10**9 * 2.0**power)
    assert bucket_of(duration_ns) == SECOND + 16 * power == exact_bucket(duration_ns)
    assert bucket_of(duration_ns + 1) == SECOND + 16 * power + 1 == exact_bucket(duration_ns + 1)


def test_random_durations_are_exact():
    """From nanoseconds to days."""
    chance = random.Random(20)
    for _ in range(5_000):
        duration_ns = int(2 ** chance.uniform(0, 49))
        assert bucket_of(duration_ns) == exact_bucket(duration_ns)


def test_the_table_of_small_durations_agrees():
    """What is looked up is what would be computed."""
    assert [exact_bucket(duration_ns) for duration_ns in range(SMALL_NS)] == list(SMALL_BUCKETS)


@pytest.mark.parametrize(
    ("duration_ns", "bucket"), [(-5, 2), (0, 2), (1, 2), (2, 18), (10**9, 480), (2**48, LAST_BUCKET), (2**63, LAST_BUCKET)]
)
def test_what_lies_outside_goes_to_the_ends(duration_ns: int, bucket: int):
    """A coarse clock says 0, and a call may last for days."""
    assert bucket_of(duration_ns) == bucket


def test_bounds_and_middles_are_those_of_opentelemetry():
    """Scale 4, in seconds: bucket i is (2**((i-481)/16), 2**((i-480)/16)], which OpenTelemetry numbers i - 481."""
    for bucket in range(FIRST_BUCKET, LAST_BUCKET):
        assert upper_bound_ns(bucket) == pytest.approx(1e9 * 2.0 ** ((bucket - 480) / 16), rel=1e-12)
        assert upper_bound_ns(bucket - 1) < middle_ns(bucket) < upper_bound_ns(bucket)
        assert upper_bound_ns(bucket) / middle_ns(bucket) <= 1.022


def test_the_index_is_that_of_the_opentelemetry_specification():
    """Their index is ceil(log(value) * scale factor) - 1, with 2**scale / ln 2 for the factor."""
    chance = random.Random(4)
    for _ in range(2_000):
        value = chance.randrange(3, 10**12)
        assert bucket_of(value) - 1 - SECOND == math.ceil(math.log(value / 1e9) * (16 / math.log(2))) - 1


def test_amounts_that_are_no_durations_begin_with_one():
    """Bucket i is (2**((i-1)/16), 2**(i/16)] bytes, rows or what it is, which OpenTelemetry numbers i - 1."""
    assert [bucket_of_amount(amount) for amount in (-1, 0, 1, 2, 4, 5, 2**40, 2**60)] == [0, 0, 0, 16, 32, 38, 640, LAST_BUCKET]
    for amount in (2, 3, 1_000, 10**9):
        assert abs(middle_of_amounts(bucket_of_amount(amount)) / amount - 1) <= 0.022
    amounts = dict(Counter(map(bucket_of_amount, range(1, 1_001))))
    assert quantiles_ns(amounts, (0.5,), 0, 10**6, middle_of_amounts)[0] == pytest.approx(500, rel=0.022)


DISTRIBUTIONS = {
    "even": lambda chance: chance.randrange(1, 10_000_000),
    "long tail": lambda chance: int(chance.lognormvariate(13, 2)) + 1,
    "two humps": lambda chance: chance.choice([40_000, 9_000_000]) + chance.randrange(500),
    "tiny": lambda chance: chance.randrange(0, 40),
}


@pytest.mark.parametrize("shape", DISTRIBUTIONS)
@pytest.mark.parametrize("count", [1, 2, 3, 100, 4_001])
def test_quantiles_are_within_two_percent_of_the_sorted_list(shape: str, count: int):
    """2.2 %, and half a nanosecond for rounding."""
    chance = random.Random(count)
    durations = sorted(DISTRIBUTIONS[shape](chance) for _ in range(count))
    buckets = dict(Counter(map(bucket_of, durations)))
    for share in (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        exact = durations[max(1, math.ceil(share * count - 1e-9)) - 1]
        (found,) = quantiles_ns(buckets, (share,), durations[0], durations[-1])
        assert abs(found - exact) <= 0.022 * exact + 1, (share, exact)


def test_an_empty_histogram_has_quantiles_of_zero():
    """And raises nothing."""
    assert quantiles_ns({}, (0.5, 0.99), 0, 0) == [0, 0]


def test_histograms_add_up_by_adding():
    """Two processes' buckets, added, are those of all their calls."""
    chance = random.Random(1)
    first = [chance.randrange(10**9) for _ in range(500)]
    second = [chance.randrange(10**4) for _ in range(500)]
    added = Counter(map(bucket_of, first)) + Counter(map(bucket_of, second))
    assert added == Counter(map(bucket_of, first + second))


def test_histograms_are_added_bucket_by_bucket():
    """The second one stays as it is."""
    first, second = {3: 1, 5: 2}, {5: 4, 9: 1}
    add(first, second)
    assert (first, second) == ({3: 1, 5: 6, 9: 1}, {5: 4, 9: 1})


def test_a_coarse_bucket_holds_what_four_fine_ones_held():
    """Both end at the same duration: bucket 4 of the fine ones is the last in bucket 1 of the coarse ones."""
    assert coarsen({0: 1, 1: 2, 4: 3, 5: 4, 8: 5, 9: 6}) == {0: 1, 1: 5, 2: 9, 3: 6}
    assert coarsen({1: 1, 8: 2, 9: 3}, 8) == {1: 3, 2: 3}


@pytest.mark.parametrize(
    ("shares", "found"), [((0.0,), [2]), ((0.6,), [2]), ((0.61,), [7]), ((0.2, 0.6, 0.8, 1.0), [2, 2, 7, 7])], ids=str
)
def test_a_rank_lies_in_the_bucket_that_reaches_it(shares: tuple[float, ...], found: list[int]):
    """The third of five is the last one of a bucket of three."""
    assert buckets_at(shares, 5, [(2, 3), (7, 2)]) == found


def test_a_rank_beyond_all_calls_lies_in_the_last_bucket():
    """A damaged file may say that there were more."""
    assert buckets_at((0.1, 0.99), 9, [(2, 3), (7, 2)]) == [2, 7]
