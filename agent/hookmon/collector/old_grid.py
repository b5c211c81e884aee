"""Buckets of run files of before, whose bounds were powers of 2**(1/16) of a nanosecond, as those of now: of a second.

In: the rows of a run file of an older version. Out: the same rows in today's buckets. Each old bucket lies across two of now; its
calls are shared out between them as evenly spread ones would lie, so that no call is lost. Percentiles are at most 4 % off then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import floor, log2

from hookmon.collector.columns import parse
from hookmon.core.histogram import COARSE_SUB_BUCKETS, FIRST_BUCKET, LAST_BUCKET, SECOND, SUB_BUCKETS

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.collector.store import Run


def convert_run(run: Run) -> None:
    """Put what was read of an older run file into the buckets of now. Raises ValueError for a series that is none."""
    for node in run.nodes:
        node.buckets = to_seconds(node.buckets.items())
    for signal in run.signals:
        if signal.unit == "s":
            signal.buckets = to_seconds(signal.buckets.items())
    for series in run.series:
        series.points = json.dumps([_point(*point) for point in parse(series.points)], separators=(",", ":"))


def to_seconds(buckets: Iterable[tuple[int, int]], sub_buckets: int = SUB_BUCKETS) -> dict[int, int]:
    """Return {bucket: calls} of old (bucket, calls), where there are `sub_buckets` in an octave."""
    shift = SECOND * sub_buckets // SUB_BUCKETS - log2(1e9) * sub_buckets
    lower, share = floor(shift), shift - floor(shift)
    width = SUB_BUCKETS // sub_buckets
    first, last = -(-FIRST_BUCKET // width), -(-LAST_BUCKET // width)
    found: dict[int, int] = {}
    for bucket, calls in buckets:
        above = floor(calls * share + 0.5) if bucket > 0 else 0
        for place, part in ((bucket + lower, calls - above), (bucket + lower + 1, above)):
            if part:
                place = max(first, min(last, place))
                found[place] = found.get(place, 0) + part
    return found


def _point(index: int, calls: int, errors: int, total_ns: int, buckets: list[int]) -> list[Any]:
    found = to_seconds(zip(buckets[::2], buckets[1::2], strict=True), COARSE_SUB_BUCKETS)
    return [index, calls, errors, total_ns, [value for pair in sorted(found.items()) for value in pair]]
