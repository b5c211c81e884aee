"""The compiled engine puts each duration into the bucket that exact arithmetic says."""

from __future__ import annotations

import random

import pytest

from hookmon.core.histogram import FIRST_BUCKET, LAST_BUCKET

engine = pytest.importorskip("hookmon.probe._engine", reason="the compiled engine was not built")


def exact(duration_ns: int) -> int:
    """Return the smallest i with duration**16 <= 10**144 * 2**(i - 480)."""
    return min((((max(duration_ns, 1) ** 16 << 480) - 1) // 10**144).bit_length(), LAST_BUCKET)


def boundary(bucket: int) -> int:
    """Return the largest duration of a bucket."""
    low, high = 1, 2**49
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if exact(middle) <= bucket else (low, middle - 1)
    return low


def test_every_boundary_is_exact():
    """The largest duration of a bucket is in it, the next nanosecond is not; up to 39 hours."""
    for bucket in range(FIRST_BUCKET, 752):
        last = boundary(bucket)
        for duration_ns in (last - 1, last, last + 1):
            assert engine.bucket_of(max(0, duration_ns)) == exact(duration_ns), duration_ns


@pytest.mark.parametrize("power", range(-9, 17))
def test_powers_of_two_of_a_second_belong_below(power: int):
    """As in OpenTelemetry, a bound is in the bucket that it closes."""
    duration_ns = int(10**9 * 2.0**power)
    assert [engine.bucket_of(duration_ns), engine.bucket_of(duration_ns + 1)] == [480 + 16 * power, 481 + 16 * power]


def test_what_lies_outside_goes_to_the_ends():
    """No time at all, and days."""
    assert [engine.bucket_of(duration_ns) for duration_ns in (0, 1, 2, 2**48, 2**63)] == [2, 2, 18, LAST_BUCKET, LAST_BUCKET]


def test_random_durations_are_exact():
    """From nanoseconds to days."""
    chance = random.Random(20)
    for _ in range(20_000):
        duration_ns = int(2 ** chance.uniform(0, 47))
        assert engine.bucket_of(duration_ns) == exact(duration_ns)
