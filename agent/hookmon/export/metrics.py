"""The rows of a run at one moment: cumulative, and never less than what was exported before.

In: snapshots, in rising time. Out: rows of a bounded number. A series that was exported keeps its place to the end of the run,
and what is beyond the budget is added up in one row of its instrument.

A shard is read while its process counts. While a transaction gets its name its calls move, and who reads in between finds one of
them twice, or not at all. A backend would keep the first for good and take the second for a new start. So what is exported is the
state of the snapshot before, less what the newest one does not confirm, and never less than before. The last state of a run is
final and exported as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic_ns, time_ns

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.metrics import Signal
from hookmon.core import layout
from hookmon.core.histogram import SECOND
from hookmon.core.record import Record, field, replace
from hookmon.export import names
from hookmon.export.exemplars import Exemplars
from hookmon.export.rows import OVERFLOW, Attributes, Exemplar, Export, Instrument, Resource, Row, Spread

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
        self.sum: float = 0  # whole nanoseconds of durations, as long as all calls were timed
        self.min = float("inf")
        self.max = 0.0

    def add(self, counters: Counters) -> None:
        """Add timed calls: durations in nanoseconds."""
        timed = self._add_buckets(counters.buckets, SECOND)
        if timed:
            every = counters.spent_calls or timed
            self.sum += counters.spent_ns if timed >= every else counters.spent_ns * timed / every
            self.min = min(self.min, counters.min_ns / 1e9)
            self.max = max(self.max, counters.max_ns / 1e9)

    def add_signal(self, signal: Signal, *, is_time: bool) -> None:
        """Add what a signal has measured: seconds, or amounts of its unit."""
        self._add_buckets(signal.buckets, SECOND if is_time else 0)
        self.sum += signal.value * (1e9 if is_time else 1)
        self.min, self.max = min(self.min, signal.min), max(self.max, signal.max)

    def confirmed_by(self, later: _Sum) -> _Sum:
        """Return what is in both."""
        found = _Sum()
        found.buckets = {
            index: both for index, count in self.buckets.items() if (both := min(count, later.buckets.get(index, 0))) > 0
        }
        found.sum, found.min, found.max = min(self.sum, later.sum), self.min, self.max
        return found

    def _add_buckets(self, buckets: dict[int, int], first: int) -> int:
        """Add buckets, by OpenTelemetry's numbers; `first` is the one that ends with one. Return how many values they have."""
        whole = 0
        for bucket, count in buckets.items():
            index = bucket - 1 - first
            self.buckets[index] = self.buckets.get(index, 0) + count
            whole += count
        return whole


_Place = tuple[Instrument, Attributes]
_NOTHING = Spread({}, 0, 0.0, 0.0, 0.0)


class _State(Record, slots=True):
    """What a snapshot says of each series. `rows` are those that say how something is, and need no confirmation."""

    at_ns: int
    sums: dict[_Place, _Sum] = field(default_factory=dict)
    counts: dict[_Place, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    exemplars: dict[_Place, Exemplar] = field(default_factory=dict)

    def confirmed_by(self, later: _State) -> _State:
        """Return what is in both, as it was at the earlier moment."""
        sums = {place: found.confirmed_by(later.sums[place]) for place, found in self.sums.items() if place in later.sums}
        counts = {place: min(count, later.counts[place]) for place, count in self.counts.items() if place in later.counts}
        return _State(self.at_ns, sums, counts, self.rows, self.exemplars)


class Metrics:
    """The series of one run. Used by one thread at a time."""

    def __init__(
        self,
        resource: Resource,
        systems: Mapping[str, str],
        *,
        keep: Callable[[list[Row]], list[Row]] = list,
        exemplars: Exemplars | None = None,
        is_first: bool = False,
        tell_full: Callable[[], None] = lambda: None,
        histograms: int = MOST_HISTOGRAMS,
        counters: int = MOST_COUNTERS,
    ) -> None:
        """Begin with a run of which nothing was exported; `histograms` and `counters` are how many series there may be.

        `systems` are those of `names.name_call`. `keep` is what the user's filter makes of rows. `is_first` says that nobody can
        have exported the run before. `tell_full` is called when there is no room for a series.
        """
        self._keep = keep
        self._is_first = is_first
        self._tell_full = tell_full
        self._exemplars = exemplars or Exemplars()
        self._resource = resource
        self._systems = systems
        self._histograms = histograms
        self._room = {"histogram": histograms, "counter": counters, "gauge": counters}
        self._admitted: set[tuple[str, Attributes]] = set()
        self._values: dict[_Place, float] = {}
        self._spreads: dict[_Place, Spread] = {}
        self._without_status: dict[CallKey, deque[Counters]] = {}
        self._pids: set[int] = set()
        self._names: dict[CallKey, tuple[Instrument | None, Attributes]] = {}
        self._before: _State | None = None
        self.found: frozenset[tuple[str, Attributes]] = frozenset()
        """The series that were there when this began: another exporter may have sent them."""
        self._last_ns = 0

    def export(self, snapshot: Snapshot) -> Export:
        """Return the rows of the snapshot before this one, as far as this one confirms them; of the last one, its own.

        Those of processes that have ended are marked as over, once.
        """
        now = self._read(snapshot)
        before, self._before = self._before, now
        if before is None and not self._is_first:
            rows = [Row(instrument, attributes, spread=_NOTHING) for instrument, attributes in now.sums]
            rows += [Row(instrument, attributes) for instrument, attributes in now.counts]
            self.found = frozenset(row.key for row in self._keep(rows))
        if snapshot.ended:
            state = now
            now.rows += [row for row in before.rows if row.is_over] if before is not None else []
        else:
            state = before.confirmed_by(now) if before is not None else _State(now.at_ns, rows=now.rows)
        self._last_ns = max(self._last_ns + 1_000_000, state.at_ns, self._resource.started_ns + 1_000_000)
        rows = [
            replace(self._spread(place, found), exemplars=(state.exemplars[place],))
            if place in state.exemplars
            else self._spread(place, found)
            for place, found in state.sums.items()
        ]
        rows += [self._count(place, value) for place, value in state.counts.items()]
        return Export(self._resource, self._last_ns, self._keep(rows + state.rows), snapshot.ended)

    def _read(self, snapshot: Snapshot) -> _State:
        """Return what a snapshot says. Transactions come first: they get what room there is."""
        state = _State(time_ns() - (monotonic_ns() - snapshot.at_ns))
        self._read_durations(snapshot, state)
        self._read_counts(snapshot.totals, state)
        self._read_signals(snapshot.signals, state)
        state.rows += self._processes([] if snapshot.ended else snapshot.processes)
        return state

    def _read_durations(self, snapshot: Snapshot, state: _State) -> None:
        for key, status, counters in self._transactions(snapshot):
            instrument, attributes = names.name_transaction(key, status)
            if status >= _LEAST_STATUS and not self._has_room_for((instrument.name, attributes)):
                instrument, attributes = names.name_transaction(key, status // _LEAST_STATUS)
            place = (instrument, self._place(instrument, attributes))
            state.sums.setdefault(place, _Sum()).add(counters)
            exemplar = self._exemplars.of(key, status)
            if exemplar is not None and (place not in state.exemplars or exemplar.at_ns > state.exemplars[place].at_ns):
                state.exemplars[place] = exemplar
        for key, counters in snapshot.totals.by_key.items():
            wanted, attributes = self._name(key)
            if wanted is not None:
                state.sums.setdefault((wanted, self._place(wanted, attributes)), _Sum()).add(counters)

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

    def _read_counts(self, totals: Totals, state: _State) -> None:
        def add(instrument: Instrument, attributes: Attributes, value: float) -> None:
            if value:
                place = (instrument, self._place(instrument, attributes))
                state.counts[place] = state.counts.get(place, 0) + value

        for key, counters in totals.by_transaction.items():
            _, attributes = names.name_transaction(key)
            add(names.TRANSACTIONS, attributes, counters.calls)
            add(names.FAILED, attributes, counters.errors)
        for key, counters in totals.by_key.items():
            wanted, attributes = self._name(key)
            attributes = names.count_attributes(wanted, key, attributes)
            add(names.CALLS, attributes, counters.calls)
            add(names.ERRORS, attributes, counters.errors)
            add(names.SELF_TIME, attributes, counters.self_ns / 1e9)

    def _read_signals(self, signals: Iterable[Signal], state: _State) -> None:
        """Read what is no call. Of a name " at file:line" the place is left out: a path is no attribute."""
        for signal in signals:
            name = signal.name.rpartition(" at ")[0] or signal.name
            is_time = signal.unit in layout.METRIC_SCALES
            found: Attributes = (("hookmon.signal.name", names.clean(name)),)
            if not is_time:
                found = (*found, ("hookmon.signal.unit", names.clean(signal.unit)))
            if signal.kind == "histogram":
                instrument = PAUSE if is_time else AMOUNT
                whole = state.sums.setdefault((instrument, self._place(instrument, found)), _Sum())
                whole.add_signal(signal, is_time=is_time)
            elif signal.kind == "counter":
                place = (TOTAL, self._place(TOTAL, found))
                state.counts[place] = state.counts.get(place, 0) + signal.value
            else:
                state.rows.append(Row(VALUE, self._place(VALUE, found), signal.value))

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

    def _name(self, key: CallKey) -> tuple[Instrument | None, Attributes]:
        """Return under what calls are exported; it is found out once."""
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = names.name_call(key, self._systems)
        return found

    def _has_room_for(self, key: tuple[str, Attributes]) -> bool:
        """Say whether a status has a series of its own: while a quarter of the budget is left. Others are counted by class."""
        return key in self._admitted or self._room["histogram"] > self._histograms // 4

    def _place(self, instrument: Instrument, attributes: Attributes) -> Attributes:
        """Return the attributes of the series that something belongs to: its own, or those of the rest."""
        key = (instrument.name, attributes)
        if attributes == OVERFLOW or key in self._admitted:
            return attributes
        if self._room[instrument.kind] <= 0:
            self._tell_full()
            return OVERFLOW
        self._room[instrument.kind] -= 1
        self._admitted.add(key)
        return attributes

    def _count(self, place: _Place, value: float) -> Row:
        value = self._values[place] = max(value, self._values.get(place, value))
        return Row(*place, value)

    def _spread(self, place: _Place, found: _Sum) -> Row:
        buckets, low, high = found.buckets, found.min, found.max
        total = found.sum / 1e9 if place[0].unit == "s" else found.sum
        before = self._spreads.get(place)
        if before is not None:
            if any(buckets.get(index, 0) < count for index, count in before.buckets.items()):
                buckets = {**buckets, **{index: max(count, buckets.get(index, 0)) for index, count in before.buckets.items()}}
            total, high = max(total, before.sum), max(high, before.max)
            low = min(low, before.min) if before.count else low
        count = sum(buckets.values())
        spread = self._spreads[place] = Spread(buckets, count, total, low if count else 0.0, high if count else 0.0)
        return Row(*place, spread=spread)
