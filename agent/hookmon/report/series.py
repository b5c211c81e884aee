"""The run over time, for whoever draws it: how often each name was called in each interval, and what the processes used.

In: the series and samples of a run. Out: points in the order of time. Intervals in which nothing happened are left out.
"""

from __future__ import annotations

import json

from hookmon.collector.store import CallSeries, Sample
from hookmon.core.errors import RunFileError
from hookmon.core.histogram import COARSE_SUB_BUCKETS, buckets_at, middle_ns
from hookmon.core.record import Record


class Point(Record, slots=True):
    """What ended within one interval. `at_ns` is its beginning, from the start of the run; percentiles are within 9 %."""

    at_ns: int
    calls: int
    errors: int
    total_ns: int
    p50_ns: int
    p95_ns: int
    p99_ns: int


class CallPoints(Record, slots=True):
    """The points of one name; `(other)` stands for all that have no row of their own."""

    name: str
    kind: str
    target: str
    points: list[Point]


class Usage(Record, slots=True):
    """What all processes used together in one interval; `rss_bytes` is the most at any moment of it."""

    at_ns: int
    cpu_ns: int
    rss_bytes: int
    processes: int


def over_time(series: list[CallSeries], interval_ns: int) -> list[CallPoints]:
    """Return one row for each series. Raises RunFileError when one cannot be read."""
    try:
        return [CallPoints(row.name, row.kind, row.target, _points(row.points, interval_ns)) for row in series]
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise RunFileError(f"the series of this run cannot be read: {error}", code="not-a-run-file") from error


def _points(text: str, interval_ns: int) -> list[Point]:
    points = []
    for index, calls, errors, total_ns, buckets in json.loads(text):
        points.append(Point(index * interval_ns, calls, errors, total_ns, *_percentiles_ns(buckets)))
    return points


def _percentiles_ns(buckets: list[int]) -> list[int]:
    """Return the middles of the buckets of three percentiles, 0 for no call; `buckets` is [bucket, calls, bucket, calls, …]."""
    counts = buckets[1::2]
    count = sum(counts)
    if count <= 0:
        return [0, 0, 0]
    found = buckets_at((0.50, 0.95, 0.99), count, zip(buckets[::2], counts, strict=False))
    return [round(middle_ns(bucket, COARSE_SUB_BUCKETS)) for bucket in found]


def usage(samples: list[Sample], interval_ns: int) -> list[Usage]:
    """Return what the processes used in each interval in which they were sampled.

    CPU time between two samples of a process belongs to the interval of the second.
    """
    moments: dict[int, tuple[int, int]] = {}  # at_ns: (memory, processes)
    spent: dict[int, int] = {}  # interval: CPU time
    before: dict[int, int] = {}  # pid: CPU time
    for sample in sorted(samples, key=lambda sample: sample.at_ns):
        rss_bytes, processes = moments.get(sample.at_ns, (0, 0))
        moments[sample.at_ns] = (rss_bytes + sample.rss_bytes, processes + 1)
        index = sample.at_ns // interval_ns if interval_ns else 0
        spent[index] = spent.get(index, 0) + max(0, sample.cpu_ns - before.get(sample.pid, 0))
        before[sample.pid] = sample.cpu_ns
    rows: dict[int, Usage] = {}
    for at_ns, (rss_bytes, processes) in moments.items():
        index = at_ns // interval_ns if interval_ns else 0
        row = rows.setdefault(index, Usage(index * interval_ns, spent[index], 0, 0))
        row.rss_bytes = max(row.rss_bytes, rss_bytes)
        row.processes = max(row.processes, processes)
    return [rows[index] for index in sorted(rows)]
