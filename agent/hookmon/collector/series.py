"""The run over time: how the counters of each call grew, in intervals that double as the run goes on.

In: what the shards hold, as often as reading them is cheap. Out: a CallSeries for each name. Runs in the launcher. An interval
holds the difference between two looks at all counters, so the sum over all intervals is the last look, exactly: with forks,
with killed workers, and with a launcher that took over from a killed one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import thread_time_ns
from zlib import crc32

from hookmon.collector.counters import CallKey, Counters, by_key
from hookmon.collector.merge import measure
from hookmon.collector.shards import RawNode, ShardData, ShardReader
from hookmon.collector.store import CallSeries, Node, Run
from hookmon.core.errors import ShardError
from hookmon.core.histogram import coarsen

SHORTEST_NS = 250_000_000
MOST_INTERVALS = 240
MOST_NAMES = 128
OTHER = CallKey("(other)", "", "")
"""The key of all names beyond MOST_NAMES, those with the least time."""

_SLOWEST_LOOK_NS = 1_000_000_000
_REST = 16  # looks may take a 16th of one CPU: a shard of 5,000 places takes 80 ms, so it is read every 1.3 s

_Sums = dict[CallKey, Counters]  # their histograms are coarse ones


class Series:
    """All series of a run."""

    def __init__(self, run: Run) -> None:
        """Begin with those of an earlier state of the run, if there are any."""
        self._run = run
        self.interval_ns = run.interval_ns or SHORTEST_NS
        self._points: dict[CallKey, dict[int, Counters]] = {
            CallKey(row.name, row.kind, row.target): _points(row) for row in run.series
        }
        self._known: _Sums = {}  # the sum of the points
        for key, points in self._points.items():
            self._known[key] = Counters.sum_of(points.values())
        self._pooled: set[CallKey] = set()
        self._is_continued = bool(run.series)
        self._takes_names = OTHER not in self._points  # names that an earlier launcher pooled cannot be told from new ones
        self._ended = _sums_of(run.nodes)  # shards that are folded
        self._shards: dict[str, _Sums] = {}  # shards that still grow, as they were read last
        self._contents: dict[str, int] = {}
        self._is_last = False
        self._last = max((index for points in self._points.values() for index in points), default=0)
        self._next_ns = 0
        self._cost_ns = 0  # of the last look
        self._noted_ns = self._last * self.interval_ns  # when `note` was called last, from the start of the run

    def is_due(self, now_ns: int) -> bool:
        """Say whether it is time for a look: at the end of an interval, or of a second, and not right after a long look."""
        return now_ns >= self._next_ns

    def look(self, readers: dict[str, ShardReader], now_ns: int) -> None:
        """Read the shards and note how they have grown."""
        began_ns = thread_time_ns()
        for name, reader in readers.items():
            try:
                content = reader.content()
                check = crc32(content.body)
                if self._contents.get(name) != check:
                    self._contents[name] = check
                    self.take(name, content.parsed(), is_measured=False)
            except ShardError:
                continue  # the collector names it
        self.note(now_ns)
        cost_ns = thread_time_ns() - began_ns
        pace_ns = min(cost_ns, self._cost_ns) * _REST  # one long look is chance, and an interval never becomes short again
        self._cost_ns = cost_ns
        while self.interval_ns < pace_ns:
            self._double()
        beat_ns = min(self.interval_ns, _SLOWEST_LOOK_NS)
        started_ns = self._run.started_ns
        self._next_ns = max(now_ns + pace_ns, started_ns + ((now_ns - started_ns) // beat_ns + 1) * beat_ns)

    def take(self, name: str, data: ShardData, *, is_measured: bool) -> None:
        """Take over what a shard holds; `note` tells the difference."""
        if not is_measured:
            measure(data, 0)
        self._shards[name] = _sums_of(data.nodes)

    def fold(self, name: str) -> None:
        """Keep a shard that will not grow any more."""
        self._contents.pop(name, None)
        for key, total in self._shards.pop(name, {}).items():
            if key not in self._ended:
                self._ended[key] = Counters()
            self._ended[key].add(total)

    def note(self, now_ns: int, *, unattended: bool = False, is_last: bool = False) -> None:
        """Put what came since the last time into one interval: that in the middle between the two times.

        `unattended`: nobody knows when it came, so it stands in the last interval that was seen. `is_last`: nothing will come
        any more. A look may fall into the moment in which a transaction gets its name and its counters move, and see
        them twice; that is waited out, and what is left of it at the end is taken from the newest points.
        """
        self._is_last = is_last
        if not unattended:
            at_ns = max(self._noted_ns, now_ns - self._run.started_ns)
            middle_ns = (self._noted_ns + at_ns) // 2
            self._noted_ns = at_ns
            while at_ns // self.interval_ns >= MOST_INTERVALS:
                self._double()
            self._last = middle_ns // self.interval_ns
        for key, parts in self._grown().items():
            now = Counters.sum_of(parts)
            growth = now.less(self._known.get(key) or Counters())
            self._known[key] = now
            points = self._points.setdefault(key, {})
            at = self._last
            while growth.calls < 0 and points:
                at = max(points)
                growth.add(points.pop(at))
            points.setdefault(at, Counters()).add(growth)
        if len(self._points) > MOST_NAMES:
            self._pool()

    def _grown(self) -> dict[CallKey, list[Counters]]:
        """Return the sums of all names that differ from what is known."""
        parts: dict[CallKey, list[Counters]] = {}
        for sums in (self._ended, *self._shards.values()):
            for key, total in sums.items():
                own = OTHER if key in self._pooled or (key not in self._known and not self._takes_names) else key
                parts.setdefault(own, []).append(total)
        return {key: each for key, each in parts.items() if self._differs(key, each)}

    def _differs(self, key: CallKey, parts: list[Counters]) -> bool:
        known = self._known.get(key)
        calls = sum(part.calls for part in parts)
        if known is None:
            return calls > 0
        if calls < known.calls and (self._is_continued or not self._is_last):
            return False  # or a shard was lost that another launcher had read: what is known of it stands
        now = (calls, sum(part.errors for part in parts), sum(part.total_ns for part in parts))
        return now != (known.calls, known.errors, known.total_ns)

    def _pool(self) -> None:
        """Put the half of the names that has the least time into one."""
        names = sorted((key for key in self._known if key != OTHER), key=lambda key: (-self._known[key].total_ns, key))
        pool = self._points.setdefault(OTHER, {})
        known = self._known.setdefault(OTHER, Counters())
        for key in names[MOST_NAMES // 2 :]:
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

    def store(self) -> None:
        """Put the series into the run."""
        self._run.interval_ns = self.interval_ns
        self._run.series = [CallSeries(*key, _text(points)) for key, points in self._points.items() if self._known[key].calls]


def _sums_of(nodes: Sequence[Node | RawNode]) -> _Sums:
    sums = by_key(nodes)
    for counters in sums.values():
        counters.histograms = [coarsen(counters.buckets)]
    return sums


def _text(points: dict[int, Counters]) -> str:
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
