"""The run over time: how the counters of each call grew, in intervals that double as the run goes on.

In: snapshots of all counters, as an observer gets them. Out: a CallSeries for each name. Runs in the launcher. An interval holds
the difference between two snapshots, so the sum over all intervals is the last snapshot, exactly: with forks, with killed
workers, and with a launcher that took over from a killed one.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.feed import Snapshot
from hookmon.collector.store import CallSeries, Run
from hookmon.core.histogram import coarsen

SHORTEST_NS = 250_000_000
MOST_INTERVALS = 240
_MOST_OF_SHORTEST = 40  # a program of ten seconds has enough of them, and beside a longer one the launcher sleeps for longer
MOST_NAMES = 128
OTHER = CallKey("(other)", "", "")
"""The key of all names beyond MOST_NAMES, those with the least time."""

_SLOWEST_LOOK_NS = 2_000_000_000


class Series:
    """All series of a run."""

    def __init__(self, run: Run) -> None:
        """Begin with those of an earlier state of the run, if there are any."""
        self._run = run
        self.interval_ns = run.interval_ns or SHORTEST_NS
        self._points: dict[CallKey, dict[int, Counters]] = {
            CallKey(row.name, row.kind, row.target): _points(row) for row in run.series
        }
        self._known: dict[CallKey, Counters] = {}  # the sum of the points
        for key, points in self._points.items():
            self._known[key] = Counters.sum_of(points.values())
        self.has_grown = False  # since `store`
        self._pooled: set[CallKey] = set()
        self._is_continued = bool(run.series)
        self._takes_names = OTHER not in self._points  # names that an earlier launcher pooled cannot be told from new ones
        self._last = max((index for points in self._points.values() for index in points), default=0)
        self._noted_ns = self._last * self.interval_ns  # the moment of the last snapshot, from the start of the run

    @property
    def every_ns(self) -> int:
        """How often a look is worth it: at the end of each interval, or every two seconds."""
        return min(self.interval_ns, _SLOWEST_LOOK_NS)

    def observe(self, snapshot: Snapshot) -> None:
        """Put what came since the last snapshot into one interval: that in the middle between the two moments.

        What nobody saw coming stands in the last interval that was seen. A look may fall into the moment in which a transaction
        gets its name and its counters move, and see them twice: the next looks wait until that is over. What is left of it in the
        last snapshot is taken from the newest points. Intervals are never shorter than the time between two snapshots.
        """
        while self.interval_ns < snapshot.pace_ns:
            self._double()
        if not snapshot.is_late:
            at_ns = max(self._noted_ns, snapshot.at_ns - self._run.started_ns)
            middle_ns = (self._noted_ns + at_ns) // 2
            self._noted_ns = at_ns
            while at_ns // self.interval_ns >= (MOST_INTERVALS if self.interval_ns > SHORTEST_NS else _MOST_OF_SHORTEST):
                self._double()
            self._last = middle_ns // self.interval_ns
        for key, now in self._grown(snapshot).items():
            snapshot.look()
            self.has_grown = True
            known = self._known.get(key)
            growth = now.less(known) if known is not None else Counters.sum_of((now,))
            self._known[key] = now
            points = self._points.setdefault(key, {})
            at = self._last
            while growth.calls < 0 and points:
                at = max(points)
                growth.add(points.pop(at))
            points.setdefault(at, Counters()).add(growth)
        if len(self._points) > MOST_NAMES:
            self._pool(snapshot.look)

    def _grown(self, snapshot: Snapshot) -> dict[CallKey, Counters]:
        """Return the sums of all names that differ from what is known, with coarse histograms."""
        parts: dict[CallKey, list[Counters]] = {}
        for key, counters in snapshot.totals.by_key.items():
            own = OTHER if key in self._pooled or (key not in self._known and not self._takes_names) else key
            parts.setdefault(own, []).append(counters)
        for key in self._known:
            parts.setdefault(key, [])
        is_last = snapshot.ended
        grown = {}
        for name, counted in parts.items():
            if self._differs(name, counted, is_last=is_last):
                grown[name] = _coarse_sum(counted)
                snapshot.look()
        return grown

    def _differs(self, key: CallKey, parts: list[Counters], *, is_last: bool) -> bool:
        known = self._known.get(key)
        calls = sum(part.calls for part in parts)
        if known is None:
            return calls > 0
        if calls < known.calls and (self._is_continued or not is_last):
            return False  # or a shard was lost that another launcher had read: what is known of it stands
        now = (calls, sum(part.errors for part in parts), sum(part.total_ns for part in parts))
        return now != (known.calls, known.errors, known.total_ns)

    def _pool(self, look: Callable[[], None]) -> None:
        """Put the half of the names that has the least time into one."""
        names = sorted((key for key in self._known if key != OTHER), key=lambda key: (-self._known[key].total_ns, key))
        pool = self._points.setdefault(OTHER, {})
        known = self._known.setdefault(OTHER, Counters())
        for key in names[MOST_NAMES // 2 :]:
            look()
            self._pooled.add(key)
            known.add(self._known.pop(key))
            for index, point in self._points.pop(key).items():
                pool.setdefault(index, Counters()).add(point)

    def _double(self) -> None:
        self.interval_ns *= 2
        self._last //= 2
        for key, points in self._points.items():
            wide: dict[int, Counters] = {}
            for index, point in points.items():
                wide.setdefault(index // 2, Counters()).add(point)
            self._points[key] = wide

    def end(self, run: Run) -> str:  # noqa: ARG002  # that is the one it began with
        """Put the series into the run."""
        self.store()
        return ""

    def store(self) -> None:
        """Put the series into the run."""
        self.has_grown = False
        self._run.interval_ns = self.interval_ns
        self._run.series = [
            CallSeries(*key, points_text(points)) for key, points in self._points.items() if self._known[key].calls
        ]


def _coarse_sum(parts: list[Counters]) -> Counters:
    whole = Counters.sum_of(parts)
    return Counters(whole.calls, whole.errors, whole.total_ns, histograms=[coarsen(whole.buckets)])


def points_text(points: dict[int, Counters]) -> str:
    """Return points by their interval, with coarse histograms, as a CallSeries has them."""
    rows = []
    for index, point in sorted(points.items()):
        buckets = [value for pair in sorted(point.buckets.items()) if pair[1] for value in pair]
        rows.append([index, point.calls, point.errors, point.total_ns, buckets])
    return json.dumps(rows, separators=(",", ":"))


def _points(row: CallSeries) -> dict[int, Counters]:
    """Return the points of a saved series, none when they cannot be read."""
    points: dict[int, Counters] = {}
    try:
        for index, calls, errors, total_ns, buckets in json.loads(row.points):
            histogram = dict(zip(buckets[::2], buckets[1::2], strict=True))
            points[index] = Counters(calls, errors, total_ns, histograms=[histogram])
    except (ValueError, TypeError):
        return {}
    return points
