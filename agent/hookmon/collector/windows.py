"""The last ten seconds, the last minute and all of a running run, from snapshots of its counters.

In: Snapshots, in the order of their moments. Out: rows of plain values. Pure computation: time is what the snapshots say.
A window is the difference between the newest snapshot and the youngest that is old enough; its length is what lies between
the two, so a rate is right also where a look came late.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.metrics import Signal
from hookmon.collector.store import Run
from hookmon.core.histogram import middle_ns, quantiles_ns
from hookmon.core.record import Record, field, replace

SECOND_NS = 1_000_000_000
WINDOWS: dict[str, int] = {"10 s": 10 * SECOND_NS, "60 s": 60 * SECOND_NS, "all": 0}
"""The windows and their lengths; 0 is everything since the run began, or since the mark."""

SPARK_CELLS = 30
_SPARK_CELL_NS = 2 * SECOND_NS


class Figures(Record, slots=True):
    """The calls of one window. Percentiles are 0 where no call ended in it; `seconds` is how long the window really is."""

    seconds: float
    calls: int = 0
    errors: int = 0
    rate: float = 0.0  # calls a second
    total_ns: int = 0
    self_ns: int = 0
    p50_ns: int = 0
    p95_ns: int = 0
    p99_ns: int = 0
    buckets: dict[int, int] = field(default_factory=dict)
    sites: dict[str, int] = field(default_factory=dict)


class CallLive(Record, slots=True):
    """One name in one window; `all_calls` are those of the whole run, or since the mark."""

    key: CallKey
    figures: Figures
    all_calls: int


class ProcessLive(Record, slots=True):
    """One process; `cpu_share` is of one CPU, `rate` calls a second, both over the last ten seconds."""

    process: LiveProcess
    cpu_share: float
    rate: float


class SignalLive(Record, slots=True):
    """One signal as it is now; in a window it was measured `rate` times a second, and its value has grown by `growth`."""

    signal: Signal
    rate: float
    growth: float


class History:
    """The snapshots of a run that its windows need: those of the last minute, and that of the mark."""

    def __init__(self, started_ns: int, every_ns: int = SECOND_NS) -> None:
        """Begin with a run that began at `started_ns` on CLOCK_MONOTONIC, before which nothing was counted."""
        self.every_ns = every_ns
        self._start = Snapshot(started_ns)
        self._mark = self._start
        self._kept: list[Snapshot] = []

    def observe(self, snapshot: Snapshot) -> None:
        """Add the newest snapshot and forget what is older than every window."""
        if self._kept:
            snapshot = replace(snapshot, totals=_share(self._kept[-1].totals, snapshot.totals))
        self._kept.append(snapshot)
        oldest_ns = snapshot.at_ns - max(WINDOWS.values())
        while len(self._kept) > 1 and self._kept[1].at_ns <= oldest_ns:
            del self._kept[0]

    def end(self, run: Run) -> str:  # noqa: ARG002  # the last snapshot has said it all
        """Stay as it is."""
        return ""

    @property
    def now(self) -> Snapshot:
        """The newest snapshot; before the first one, the start of the run."""
        return self._kept[-1] if self._kept else self._start

    @property
    def marked_ns(self) -> int:
        """When the mark was made, 0 where there is none."""
        return 0 if self._mark is self._start else self._mark.at_ns

    def mark(self) -> None:
        """Let all figures count anew from the newest snapshot on."""
        self._mark = self.now

    def unmark(self) -> None:
        """Let figures count from the start of the run again."""
        self._mark = self._start

    def transactions(self, window: str) -> Figures:
        """Return the figures of all transactions together."""
        before = self._before(window)
        return self._figures(self.now.totals.transactions, before.totals.transactions, before.at_ns)

    def figures(self, key: CallKey, window: str) -> Figures:
        """Return the figures of one name."""
        before = self._before(window)
        return self._figures(self.now.totals.by_key.get(key), before.totals.by_key.get(key), before.at_ns)

    def calls(self, window: str) -> list[CallLive]:
        """Return every name that was called since the mark, most self time in the window first."""
        rows = []
        marked = self._mark.totals.by_key
        for key, counters in self.now.totals.by_key.items():
            before = marked.get(key)
            calls = counters.calls - (before.calls if before else 0)
            if calls > 0:
                rows.append(CallLive(key, self.figures(key, window), calls))
        rows.sort(key=lambda row: (-row.figures.self_ns, -row.figures.calls, row.key))
        return rows

    def together(self, keys: list[CallKey], window: str) -> Figures:
        """Return the figures of several names as if they were one."""
        before = self._before(window)
        now, then = (
            Counters.sum_of(totals.by_key[key] for key in keys if key in totals.by_key)
            for totals in (self.now.totals, before.totals)
        )
        return self._figures(now, then, before.at_ns)

    def signals(self, window: str) -> list[SignalLive]:
        """Return every signal, by name."""
        before = self._before(window)
        known = {(signal.name, signal.unit, signal.kind): signal for signal in before.signals}
        seconds = (self.now.at_ns - before.at_ns) / SECOND_NS
        rows = []
        for signal in sorted(self.now.signals, key=lambda signal: (signal.name, signal.unit, signal.kind)):
            old = known.get((signal.name, signal.unit, signal.kind))
            grown = signal.count - (old.count if old else 0)
            growth = signal.value - (old.value if old else 0.0)
            rows.append(SignalLive(signal, max(0, grown) / seconds if seconds > 0 else 0.0, growth))
        return rows

    def spark(self, key: CallKey) -> list[float]:
        """Return the calls a second in each two seconds of the last minute, oldest first; -1.0 where nobody looked."""
        calls = [0] * SPARK_CELLS
        spans_ns = [0] * SPARK_CELLS
        seen = [self._start, *self._kept] if self._knows_start() else self._kept
        for before, after in pairwise(seen):
            cell = SPARK_CELLS - 1 - (self.now.at_ns - after.at_ns) // _SPARK_CELL_NS
            if cell >= 0:
                new, old = after.totals.by_key.get(key), before.totals.by_key.get(key)
                calls[cell] += max(0, new.calls - (old.calls if old else 0)) if new else 0
                spans_ns[cell] += after.at_ns - before.at_ns
        return [count * SECOND_NS / span_ns if span_ns else -1.0 for count, span_ns in zip(calls, spans_ns, strict=True)]

    def processes(self) -> list[ProcessLive]:
        """Return the processes that run, those with the most CPU time first."""
        before = self._before("10 s")
        known = {process.pid: process for process in before.processes}
        seconds = (self.now.at_ns - before.at_ns) / SECOND_NS
        rows = []
        for process in self.now.processes:
            row = ProcessLive(process, 0.0, 0.0)
            if seconds > 0:
                old = known.get(process.pid) or LiveProcess(
                    process.pid, [], ""
                )  # what was not there then has done all of it since
                row.cpu_share = max(0, process.cpu_ns - old.cpu_ns) / SECOND_NS / seconds
                row.rate = max(0, process.calls - old.calls) / seconds
            rows.append(row)
        rows.sort(key=lambda row: (-row.cpu_share, row.process.pid))
        return rows

    def _knows_start(self) -> bool:
        """Say whether somebody looked from the start on, so that the start belongs into the same cell as the first look."""
        return bool(self._kept) and self._kept[0].at_ns - self._start.at_ns <= _SPARK_CELL_NS

    def _before(self, window: str) -> Snapshot:
        """Return the snapshot that a window is counted from."""
        length_ns = WINDOWS[window]
        if not length_ns or not self._kept:
            return self._mark
        since_ns = self.now.at_ns - length_ns
        if since_ns <= self._start.at_ns:
            return self._mark
        place = bisect_right(self._kept, since_ns, key=lambda snapshot: snapshot.at_ns)
        found = self._kept[max(0, place - 1)]
        return found if found.at_ns >= self._mark.at_ns else self._mark

    def _figures(self, now: Counters | None, before: Counters | None, before_ns: int) -> Figures:
        seconds = (self.now.at_ns - before_ns) / SECOND_NS
        if now is None:
            return Figures(seconds)
        grown = now.since(before or Counters())
        figures = Figures(seconds, grown.calls, grown.errors, grown.calls / seconds if seconds > 0 else 0.0)
        figures.total_ns, figures.self_ns = grown.total_ns, grown.self_ns
        figures.buckets, figures.sites = grown.buckets, grown.sites
        if grown.buckets:
            largest_ns = now.max_ns if grown.calls == now.calls else min(now.max_ns, round(middle_ns(max(grown.buckets))))
            figures.p50_ns, figures.p95_ns, figures.p99_ns = quantiles_ns(grown.buckets, (0.50, 0.95, 0.99), 0, largest_ns)
        return figures


def _share(before: Totals, after: Totals) -> Totals:
    """Return the later totals, with one object where counters have not changed: a minute of snapshots takes little memory."""
    own = {}
    for key, counters in after.by_key.items():
        old = before.by_key.get(key)
        own[key] = old if old is not None and old == counters else counters
    return Totals(own, after.transactions)
