"""The rows of a run at one moment: cumulative, and never less than what was exported before.

In: snapshots, in rising time. Out: rows of a bounded number. A series that was exported keeps its place to the end of the run,
and what is beyond the budget is added up in one row of its instrument. Counters of a snapshot can shrink for a moment, as while a
transaction gets its name; a backend would take that for a new start, so the largest value stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic_ns, time_ns

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.metrics import Signal
from hookmon.core import layout
from hookmon.core.histogram import SECOND
from hookmon.export import names
from hookmon.export.rows import OVERFLOW, Attributes, Export, Instrument, Resource, Row, Spread

MOST_HISTOGRAMS = 200
MOST_COUNTERS = 2_000
_MOST_PROCESSES = 64
_LOOKS = 8  # snapshots in which a request has to be without a status
_LEAST_STATUS = 100

CPU = Instrument("process.cpu.time", "s", "counter", "CPU time that processes of the run have used.")
MEMORY = Instrument("process.memory.usage", "By", "gauge", "Physical memory in use.")
THREADS = Instrument("process.thread.count", "{thread}", "gauge", "Threads of a process.")
PROCESSES = Instrument("hookmon.process.count", "{process}", "gauge", "Processes of the run that are running.")
PAUSE = Instrument("hookmon.signal.duration", "s", "histogram", "What signals have measured in seconds.")
AMOUNT = Instrument("hookmon.signal.amount", "1", "histogram", "What signals have measured in units of their own.")
TOTAL = Instrument("hookmon.signal.total", "1", "counter", "What signals have added up.")
VALUE = Instrument("hookmon.signal.value", "1", "gauge", "What signals have set last.")


class _Sum:
    """What belongs into one row: counters of several names that have the same attributes."""

    __slots__ = ("buckets", "max", "min", "sum")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.sum: float = 0  # whole nanoseconds, as long as all calls were timed
        self.min = float("inf")
        self.max = 0.0

    def add(self, counters: Counters) -> None:
        """Add timed calls: durations in nanoseconds."""
        timed = 0
        for bucket, count in counters.buckets.items():
            index = bucket - 1 - SECOND
            self.buckets[index] = self.buckets.get(index, 0) + count
            timed += count
        if timed:
            every = counters.spent_calls or timed
            self.sum += counters.spent_ns if timed >= every else counters.spent_ns * timed / every
            self.min = min(self.min, counters.min_ns / 1e9)
            self.max = max(self.max, counters.max_ns / 1e9)


class Metrics:
    """The series of one run. Used by one thread at a time."""

    def __init__(
        self,
        resource: Resource,
        systems: Mapping[str, str],
        *,
        keep: Callable[[list[Row]], list[Row]] = list,
        histograms: int = MOST_HISTOGRAMS,
        counters: int = MOST_COUNTERS,
    ) -> None:
        """Begin with a run of which nothing was exported; `histograms` and `counters` are how many series there may be.

        `systems` are those of `names.name_call`. `keep` is what the user's filter makes of rows.
        """
        self._keep = keep
        self._resource = resource
        self._systems = systems
        self._histograms = histograms
        self._room = {"histogram": histograms, "counter": counters, "gauge": counters}
        self._admitted: set[tuple[str, Attributes]] = set()
        self._values: dict[tuple[str, Attributes], float] = {}
        self._spreads: dict[tuple[str, Attributes], Spread] = {}
        self._without_status: dict[CallKey, deque[Counters]] = {}
        self._pids: set[int] = set()
        self._last_ns = 0

    def export(self, snapshot: Snapshot) -> Export:
        """Return the rows of a snapshot. Those of processes that have ended since the last one are marked as over."""
        at_ns = time_ns() - (monotonic_ns() - snapshot.at_ns)
        self._last_ns = max(self._last_ns + 1_000_000, at_ns, self._resource.started_ns + 1_000_000)
        rows = [*self._durations(snapshot), *self._counts(snapshot), *self._signals(snapshot.signals)]
        rows += self._processes(snapshot.processes)
        return Export(self._resource, self._last_ns, self._keep(rows), snapshot.ended)

    def _durations(self, snapshot: Snapshot) -> Iterable[Row]:
        """Yield the histograms: of transactions first, then of calls of others."""
        sums: dict[tuple[Instrument, Attributes], _Sum] = {}
        for key, status, counters in self._transactions(snapshot):
            instrument, attributes = names.name_transaction(key, status)
            if status >= _LEAST_STATUS and not self._has_room_for((instrument.name, attributes)):
                instrument, attributes = names.name_transaction(key, status // _LEAST_STATUS)
            sums.setdefault((instrument, self._place(instrument, attributes)), _Sum()).add(counters)
        for key, counters in snapshot.totals.by_key.items():
            wanted, attributes = names.name_call(key, self._systems)
            if wanted is not None:
                sums.setdefault((wanted, self._place(wanted, attributes)), _Sum()).add(counters)
        for (instrument, attributes), found in sums.items():
            yield self._spread(instrument, attributes, found.buckets, found.sum / 1e9, found.min, found.max)

    def _transactions(self, snapshot: Snapshot) -> Iterator[tuple[CallKey, int, Counters]]:
        """Yield transactions, requests by the status of their responses, 0 for those without one.

        A request is counted first, and its status a moment later. So a request counts as one without a status when it was one in
        several snapshots, or in the last one of the run; at once only where the run knows of no status at all.
        """
        totals = snapshot.totals
        known: dict[CallKey, list[Counters]] = {}
        for (key, status), counters in totals.by_status.items():
            if status and key in totals.by_transaction:
                known.setdefault(key, []).append(counters)
                yield key, status, counters
        for key, counters in totals.by_transaction.items():
            rest = counters.since(Counters.sum_of(known[key])) if key in known else counters
            without = totals.by_status.get((key, 0))
            if without is not None and without.calls == rest.calls:
                rest = without  # the same requests, and the least and the longest of these
            if known and key.kind == "request":
                looks = self._without_status.setdefault(key, deque([Counters()], _LOOKS))
                looks.append(rest)
                rest = rest if snapshot.ended else min(looks, key=lambda found: found.calls)
            if rest.calls:
                yield key, 0, rest

    def _counts(self, snapshot: Snapshot) -> Iterable[Row]:
        sums: dict[tuple[Instrument, Attributes], float] = {}

        def add(instrument: Instrument, attributes: Attributes, value: float) -> None:
            if value:
                place = (instrument, self._place(instrument, attributes))
                sums[place] = sums.get(place, 0) + value

        for key, counters in snapshot.totals.by_transaction.items():
            _, attributes = names.name_transaction(key)
            add(names.TRANSACTIONS, attributes, counters.calls)
            add(names.FAILED, attributes, counters.errors)
        for key, counters in snapshot.totals.by_key.items():
            wanted, attributes = names.name_call(key, self._systems)
            attributes = names.count_attributes(wanted, key, attributes)
            add(names.CALLS, attributes, counters.calls)
            add(names.ERRORS, attributes, counters.errors)
            add(names.SELF_TIME, attributes, counters.self_ns)
        for (instrument, attributes), value in sums.items():
            yield self._count(instrument, attributes, value / 1e9 if instrument.unit == "s" else value)

    def _signals(self, signals: Iterable[Signal]) -> Iterable[Row]:
        """Yield what is no call. Of a name " at file:line" the place is left out: a path is no attribute."""
        spreads: dict[tuple[Instrument, Attributes], _Sum] = {}
        values: dict[tuple[Instrument, Attributes], float] = {}
        for signal in signals:
            name = signal.name.rpartition(" at ")[0] or signal.name
            is_time = signal.unit in layout.METRIC_SCALES
            found: Attributes = (("hookmon.signal.name", names.clean(name)),)
            if not is_time:
                found = (*found, ("hookmon.signal.unit", names.clean(signal.unit)))
            if signal.kind == "histogram":
                instrument = PAUSE if is_time else AMOUNT
                whole = spreads.setdefault((instrument, self._place(instrument, found)), _Sum())
                for bucket, count in signal.buckets.items():
                    index = bucket - 1 - (SECOND if is_time else 0)
                    whole.buckets[index] = whole.buckets.get(index, 0) + count
                whole.sum += signal.value
                whole.min, whole.max = min(whole.min, signal.min), max(whole.max, signal.max)
            else:
                instrument = TOTAL if signal.kind == "counter" else VALUE
                place = (instrument, self._place(instrument, found))
                values[place] = values.get(place, 0) + signal.value if signal.kind == "counter" else signal.value
        for (instrument, attributes), whole in spreads.items():
            yield self._spread(instrument, attributes, whole.buckets, whole.sum, whole.min, whole.max)
        for (instrument, attributes), value in values.items():
            yield self._count(instrument, attributes, value)

    def _processes(self, processes: list[LiveProcess]) -> Iterable[Row]:
        """Yield the rows of each process, and once more those of processes that are gone; beyond 64, the rest added up."""
        pids = {process.pid for process in processes}
        yield Row(PROCESSES, (), len(processes))
        for pid in self._pids - pids:
            for instrument in (CPU, MEMORY, THREADS):
                yield Row(instrument, (("process.pid", pid),), is_over=True)
        self._pids &= pids
        rest = [0.0, 0.0, 0.0]
        for process in processes:
            figures = (process.cpu_ns / 1e9, process.rss_bytes, process.threads)
            if process.pid in self._pids or len(self._pids) < _MOST_PROCESSES:
                self._pids.add(process.pid)
                for instrument, value in zip((CPU, MEMORY, THREADS), figures, strict=True):
                    yield Row(instrument, (("process.pid", process.pid),), value)
            else:
                rest = [sum(pair) for pair in zip(rest, figures, strict=True)]
        for instrument, value in zip((MEMORY, THREADS), rest[1:], strict=True):
            if value:
                yield Row(instrument, OVERFLOW, value)

    def _has_room_for(self, key: tuple[str, Attributes]) -> bool:
        """Say whether a status has a series of its own: while a quarter of the budget is left. Others are counted by class."""
        return key in self._admitted or self._room["histogram"] > self._histograms // 4

    def _place(self, instrument: Instrument, attributes: Attributes) -> Attributes:
        """Return the attributes of the series that something belongs to: its own, or those of the rest."""
        key = (instrument.name, attributes)
        if attributes == OVERFLOW or key in self._admitted:
            return attributes
        if self._room[instrument.kind] <= 0:
            return OVERFLOW
        self._room[instrument.kind] -= 1
        self._admitted.add(key)
        return attributes

    def _count(self, instrument: Instrument, attributes: Attributes, value: float) -> Row:
        if instrument.kind == "counter":
            key = (instrument.name, attributes)
            value = self._values[key] = max(value, self._values.get(key, value))
        return Row(instrument, attributes, value)

    def _spread(
        self, instrument: Instrument, attributes: Attributes, buckets: dict[int, int], total: float, low: float, high: float
    ) -> Row:
        key = (instrument.name, attributes)
        before = self._spreads.get(key)
        if before is not None:
            if any(buckets.get(index, 0) < count for index, count in before.buckets.items()):
                buckets = {**buckets, **{index: max(count, buckets.get(index, 0)) for index, count in before.buckets.items()}}
            total, low, high = max(total, before.sum), min(low, before.min), max(high, before.max)
        count = sum(buckets.values())
        spread = self._spreads[key] = Spread(buckets, count, total, low if count else 0.0, high)
        return Row(instrument, attributes, spread=spread)
