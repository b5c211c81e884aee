"""A window over time: how often each name was called in each minute or hour of it, and what the starts used.

In: the rows of a window, one of each minute of a start or of an hour. Out: series and samples of a Run, as the collector
makes them. Pure computation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.rows import CallSeries, Sample
from hookmon.collector.series import MOST_INTERVALS, MOST_NAMES, points_text
from hookmon.core.histogram import coarsen
from hookmon.core.record import Record
from hookmon.services.clock import HOUR_S, MINUTE_S
from hookmon.services.places import STATUS, SUMS, WHOLE, Counts, Place

_CALLS, _ERRORS, _TOTAL_NS = (SUMS.index(name) for name in ("calls", "errors", "total_ns"))


class Piece(Record, frozen=True, slots=True):
    """One row of a window. `start` is 0 for an hour, which is of all starts together."""

    at_s: int
    length_s: int
    start: int
    counts: dict[int, Counts]  # by the ids of places
    cpu_ns: int
    rss_bytes: int
    processes: int


def interval_s(since_s: int, until_s: int, pieces: Iterable[Piece]) -> int:
    """Return how long the intervals of a window are: minutes, or as many as give MOST_INTERVALS; hours where there are hours."""
    if any(piece.length_s > MINUTE_S for piece in pieces):
        hours = -(-(until_s - since_s) // HOUR_S)
        return HOUR_S * max(1, -(-hours // MOST_INTERVALS))
    minutes = -(-(until_s - since_s) // MINUTE_S)
    return MINUTE_S * max(1, -(-minutes // MOST_INTERVALS))


def series_of(since_s: int, every_s: int, pieces: Iterable[Piece], places: Mapping[int, Place]) -> list[CallSeries]:
    """Return the series of the names with the most time."""
    keys: dict[int, CallKey] = {}
    outermost: dict[int, bool] = {}
    for number, place in places.items():
        if place.kind not in (STATUS, WHOLE):
            keys[number] = CallKey(place.name, place.kind, place.target)
            above = places.get(place.parent)
            outermost[number] = above is None or (above.name, above.target) != (place.name, place.target)
    points: dict[CallKey, dict[int, Counters]] = {}
    totals: dict[CallKey, int] = {}
    for piece in pieces:
        index = max(0, (piece.at_s - since_s) // every_s)
        for number, counts in piece.counts.items():
            key = keys.get(number)
            if key is None:
                continue
            total_ns = counts.sums[_TOTAL_NS] if outermost[number] else 0
            totals[key] = totals.get(key, 0) + total_ns
            point = points.setdefault(key, {}).setdefault(index, Counters())
            point.add(Counters(counts.sums[_CALLS], counts.sums[_ERRORS], total_ns, histograms=[coarsen(counts.buckets)]))
    shown = sorted(points, key=lambda key: (-totals[key], key))[:MOST_NAMES]
    return [CallSeries(*key, points_text(points[key])) for key in shown]


def samples_of(since_s: int, pieces: Iterable[Piece], pids: Mapping[int, int]) -> list[Sample]:
    """Return what each start used, as one sample in the middle of each minute; `pids` are those of the starts."""
    used: dict[int, int] = {}
    found = []
    for piece in sorted(pieces, key=lambda piece: piece.at_s):
        used[piece.start] = used.get(piece.start, 0) + piece.cpu_ns
        at_ns = max(0, piece.at_s + piece.length_s // 2 - since_s) * 10**9
        pid = pids.get(piece.start, 0)
        found.append(Sample(at_ns, pid, used[piece.start], piece.rss_bytes, 0, 0, 0, 0, 0))
    return found
