"""Durations in the buckets of OpenTelemetry's exponential histogram at scale 4.

Bucket `i` holds the durations in `(base**(i-1), base**i]` nanoseconds with `base = 2**(1/16)`; in OpenTelemetry's counting
(data model, "Exponential Histogram") it is the bucket `i - 1`. Bucket 0 holds 1 ns, which also takes the 0 ns of a
coarse clock. The middle of a bucket is at most 2.2 % away from any value in it. Buckets of two histograms are added one
by one. Shared by both sides of the process boundary; the standard library's `math` only.
"""

from __future__ import annotations

from math import ceil, log2

TYPE_CHECKING = False  # type checkers read it as true; importing typing would cost the watched program 2 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

SUB_BUCKETS = 16
"""Buckets in one octave (scale 4)."""

COARSE_SUB_BUCKETS = 4
"""Buckets in one octave of a histogram that is drawn or kept for each interval (scale 2): at most 9 % off."""

OCTAVES = 48
"""Octaves that are kept: 2**47 ns is 39 hours, longer calls go into the last bucket."""

LAST_BUCKET = OCTAVES * SUB_BUCKETS - 1

SMALL_NS = 4096
"""Durations below this are looked up in `SMALL_BUCKETS` instead of being computed."""


def bucket_of(duration_ns: int) -> int:
    """Return the bucket of a duration.

    `log2` of a double is exact at powers of two, and elsewhere good enough up to 2**42 ns, which is 73 minutes; beyond, a
    duration within a few nanoseconds of a boundary may land in the neighbour.
    """
    if duration_ns <= 1:
        return 0
    bucket = ceil(log2(duration_ns) * SUB_BUCKETS)
    return bucket if bucket < LAST_BUCKET else LAST_BUCKET


SMALL_BUCKETS = tuple(bucket_of(duration_ns) for duration_ns in range(SMALL_NS))


def upper_bound_ns(bucket: int) -> float:
    """Return the largest duration of a bucket, in nanoseconds."""
    return float(2.0 ** (bucket / SUB_BUCKETS))


def middle_ns(bucket: int, sub_buckets: int = SUB_BUCKETS) -> float:
    """Return the geometric middle of a bucket, in nanoseconds: what a percentile answers with."""
    return float(2.0 ** ((bucket - 0.5) / sub_buckets)) if bucket > 0 else 1.0


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


def quantiles_ns(buckets: dict[int, int], shares: tuple[float, ...], min_ns: int, max_ns: int) -> list[int]:
    """Return the nearest-rank quantiles of a histogram, 0 for an empty one.

    `buckets` is {bucket: count}; `shares` are 0.0 to 1.0, in ascending order. An answer is the middle of the bucket that holds
    the rank, kept between the smallest and the largest duration that were seen.
    """
    count = sum(buckets.values())
    if not count:
        return [0] * len(shares)
    found = buckets_at(shares, count, sorted(buckets.items()))
    return [
        max_ns if share * count - 1e-9 > count - 1 else max(min_ns, min(max_ns, round(middle_ns(bucket))))
        for share, bucket in zip(shares, found, strict=True)
    ]
