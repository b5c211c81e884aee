"""Durations in the buckets of OpenTelemetry's exponential histogram at scale 4, in seconds.

With `base = 2**(1/16)`, bucket `i` holds the durations in `(base**(i-1-SECOND), base**(i-SECOND)]` seconds: a whole second is
the largest duration of bucket SECOND. OpenTelemetry (data model, "Exponential Histogram") numbers it `i - 1 - SECOND`, so nothing
is lost on the way there. The lowest bucket is that of 1 ns, which also takes the 0 ns of a coarse clock. The middle of a bucket
is at most 2.2 % away from any value in it. Buckets of two histograms are added one by one. Amounts that are no durations have
buckets of their own, which begin with one. Shared by both sides of the process boundary; the standard library's `math` only.
"""

from __future__ import annotations

from math import ceil, log2

TYPE_CHECKING = False  # type checkers read it as true; importing typing would cost the watched program 2 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SUB_BUCKETS = 16
"""Buckets in one octave (scale 4)."""

COARSE_SUB_BUCKETS = 4
"""Buckets in one octave of a histogram that is drawn or kept for each interval (scale 2): at most 9 % off."""

OCTAVES = 48
"""Octaves that are kept: the last bucket has what takes longer than 66 hours."""

LAST_BUCKET = OCTAVES * SUB_BUCKETS - 1

FIRST_BUCKET = 2
"""That of 1 ns."""

SECOND = 30 * SUB_BUCKETS
"""The bucket whose largest duration is one second; a multiple of SUB_BUCKETS, so that coarse buckets end there too."""

SMALL_NS = 4096
"""Durations below this are looked up in `SMALL_BUCKETS` instead of being computed."""

_SHIFT = SECOND - log2(1e9) * SUB_BUCKETS - 2e-13  # the last is for the rounding of log2 at whole seconds: see bucket_of


def bucket_of(duration_ns: int) -> int:
    """Return the bucket of a duration.

    A double is exact enough up to 2**42 ns, which is 73 minutes; beyond, a duration within a few nanoseconds of a boundary may
    land in the neighbour. Only powers of two of a second lie on a boundary, all others are irrational.
    """
    if duration_ns <= 1:
        return FIRST_BUCKET
    bucket = ceil(log2(duration_ns) * SUB_BUCKETS + _SHIFT)
    return bucket if bucket < LAST_BUCKET else LAST_BUCKET


SMALL_BUCKETS = tuple(bucket_of(duration_ns) for duration_ns in range(SMALL_NS))


def bucket_of_amount(amount: int) -> int:
    """Return the bucket of what is no duration: bucket `i` has `(2**((i-1)/16), 2**(i/16)]`, bucket 0 one and less."""
    if amount <= 1:
        return 0
    bucket = ceil(log2(amount) * SUB_BUCKETS)
    return bucket if bucket < LAST_BUCKET else LAST_BUCKET


def upper_bound_ns(bucket: int) -> float:
    """Return the largest duration of a bucket, in nanoseconds."""
    return float(1e9 * 2.0 ** ((bucket - SECOND) / SUB_BUCKETS))


def middle_ns(bucket: int, sub_buckets: int = SUB_BUCKETS) -> float:
    """Return the geometric middle of a bucket, in nanoseconds: what a percentile answers with."""
    return float(1e9 * 2.0 ** ((bucket - 0.5) / sub_buckets - SECOND / SUB_BUCKETS))


def middle_of_amounts(bucket: int) -> float:
    """Return the geometric middle of a bucket of `bucket_of_amount`."""
    return float(2.0 ** ((bucket - 0.5) / SUB_BUCKETS)) if bucket > 0 else 1.0


def add(buckets: dict[int, int], others: dict[int, int]) -> None:
    """Add the counts of another histogram of the same scale to `buckets`."""
    for bucket, count in others.items():
        buckets[bucket] = buckets.get(bucket, 0) + count


def coarsen(buckets: dict[int, int], width: int = SUB_BUCKETS // COARSE_SUB_BUCKETS) -> dict[int, int]:
    """Return a histogram in which `width` buckets are one."""
    coarse: dict[int, int] = {}
    for bucket, count in buckets.items():
        place = -(-bucket // width)
        coarse[place] = coarse.get(place, 0) + count
    return coarse


def buckets_at(shares: tuple[float, ...], count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return the buckets in which the nearest ranks of quantiles lie.

    `shares` are 0.0 to 1.0, in ascending order. `pairs` are (bucket, calls), the shortest durations first, `count` is the sum of
    their calls.
    """
    found: list[int] = []
    bucket = seen = 0
    left = iter(shares)
    rank = max(1, ceil(next(left) * count - 1e-9))
    for bucket, calls in pairs:
        seen += calls
        while seen >= rank:
            found.append(bucket)
            share = next(left, None)
            if share is None:
                return found
            rank = ceil(share * count - 1e-9)
    return found + [bucket] * (len(shares) - len(found))  # the calls are fewer than `count`: a damaged file


def quantiles_ns(
    buckets: dict[int, int],
    shares: tuple[float, ...],
    min_ns: int,
    max_ns: int,
    middle: Callable[[int], float] = middle_ns,
) -> list[int]:
    """Return the nearest-rank quantiles of a histogram, 0 for an empty one.

    `buckets` is {bucket: count}; `shares` are 0.0 to 1.0, in ascending order. An answer is the middle of the bucket that holds
    the rank, kept between the smallest and the largest duration that were seen. `middle` is that of the buckets' grid.
    """
    count = sum(buckets.values())
    if not count:
        return [0] * len(shares)
    found = buckets_at(shares, count, sorted(buckets.items()))
    return [
        max_ns if share * count - 1e-9 > count - 1 else max(min_ns, min(max_ns, round(middle(bucket))))
        for share, bucket in zip(shares, found, strict=True)
    ]
