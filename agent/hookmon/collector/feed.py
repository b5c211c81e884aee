"""A run while it goes on, as a Snapshot, and whoever looks on: each observer gets one as often as it wants.

In: snapshots, made when one is due. Out: calls of observers, in the thread that calls `tick`. An observer that may block stands
behind a `worker.Worker`: the launcher's thread forwards signals and reaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import thread_time_ns

from hookmon.collector.counters import Totals
from hookmon.collector.examples import LiveExample
from hookmon.collector.metrics import Signal
from hookmon.collector.yielding import nothing
from hookmon.core.record import Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Protocol

    from hookmon.collector.records import RawNode, RawStatus
    from hookmon.collector.store import Node, Run, Status

    CallTree = tuple[Sequence[Node | RawNode], Iterable[Status | RawStatus]]
else:
    Protocol = object

_SECOND_NS = 1_000_000_000


class LiveCall(Record, slots=True):
    """A call that has not ended. `within` is the name of the outermost call around it, "" where there is none."""

    pid: int
    name: str
    kind: str
    call_site: str
    within: str
    duration_ns: int  # so far


class LiveProcess(Record, slots=True):
    """A process that runs. `calls` and `errors` are what it counted itself, `cpu_ns` all that it ever used."""

    pid: int
    command: list[str]
    python: str  # "" where nothing was counted
    cpu_ns: int = 0
    rss_bytes: int = 0
    threads: int = 0
    calls: int = 0
    errors: int = 0


class Snapshot(Record, slots=True):
    """A run at one moment, `at_ns` on CLOCK_MONOTONIC. Nobody changes one: several observers and threads may hold it.

    All counters are those since the run began. They can shrink, as when a transaction gets its name: whoever needs sums that grow
    keeps the last value. `ended` says that no snapshot will follow. `is_late` says that nobody looked on while the newest calls
    were made, so that it is not known when that was. The next snapshot comes after `pace_ns` at the earliest. `trees` gives the
    call trees that the totals are of, to those who ask in the thread that hands the snapshot out, and at once. Who takes long in
    that thread calls `look` again and again, which passes signals on.
    """

    at_ns: int
    totals: Totals = field(default_factory=Totals)
    in_flight: list[LiveCall] = field(default_factory=list)  # the longest first
    processes: list[LiveProcess] = field(default_factory=list)  # those that were sampled
    signals: list[Signal] = field(default_factory=list)  # of all processes together
    examples: list[LiveExample] = field(default_factory=list)  # kept whole, those of the last two windows too; known by `span_id`
    ended: bool = False
    is_late: bool = False
    pace_ns: int = 0
    trees: Callable[[], Iterable[CallTree]] = tuple
    look: Callable[[], None] = nothing


class Observer(Protocol):
    """Somebody who looks on at a run. It neither blocks nor raises, or else stands behind a `worker.Worker`.

    One that goes by another clock than that of the run has a method `next_ns`, too: it is asked after each snapshot when it
    wants the next one, on CLOCK_MONOTONIC.
    """

    @property
    def every_ns(self) -> int:
        """The time between two snapshots; it may be longer where reading the shards takes long."""

    def observe(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot."""

    def end(self, run: Run) -> str:
        """Take the whole run after the last snapshot; return what went wrong, as one line, "" for nothing."""


class Timer:
    """Says when something is due: at the end of each interval since `began_ns`, so that what is due together falls together."""

    def __init__(self, every_ns: int, began_ns: int = 0, first_ns: int = 0) -> None:
        self.every_ns = every_ns  # may be changed at any time; 0: always
        self._began_ns = began_ns
        self._first_ns = first_ns
        self._last_ns: int | None = None

    @property
    def next_ns(self) -> int:
        """When it is due the next time."""
        if self._last_ns is None:
            return self._first_ns
        if not self.every_ns:
            return self._last_ns
        return self._began_ns + ((self._last_ns - self._began_ns) // self.every_ns + 1) * self.every_ns

    def is_due(self, now_ns: int) -> bool:
        """Say whether it is due; when it is, it is due again at the end of the interval."""
        if now_ns < self.next_ns:
            return False
        self._last_ns = now_ns
        return True

    def wait_s(self, now_ns: int) -> float:
        """Return the seconds until it is due."""
        return max(0, self.next_ns - now_ns) / 1e9


class Feed:
    """Hands snapshots of one run to its observers, each at the end of its own intervals, which begin at `began_ns`.

    `take` makes a snapshot of the moment that it is given. Of the thread's time at most one part goes into making and handing out
    snapshots, and `rest` parts are left, which may be changed; `light_rest` parts, where that is for less than a second.
    """

    def __init__(
        self,
        take: Callable[[int], Snapshot],
        observers: Sequence[Observer],
        began_ns: int,
        rest: int,
        light_rest: int = 0,
    ) -> None:
        self._take = take
        self._observers = observers
        self._due_ns = [0] * len(observers)
        self._began_ns = began_ns
        self.rest = rest
        self._light_rest = light_rest
        self._cost_ns = 0  # of the last look
        self._pace_ns = 0

    def tick(self, now_ns: int, look: Callable[[], None] = nothing) -> bool:
        """Look at the run for those observers for whom that is due; say whether there was one. The last snapshot is for all.

        `look` is called before and after each of them.
        """
        if now_ns < min(self._due_ns):
            return False
        began_ns = thread_time_ns()
        snapshot = self._take(now_ns)
        snapshot.pace_ns = self._pace_ns
        due = [number for number, due_ns in enumerate(self._due_ns) if due_ns <= now_ns or snapshot.ended]
        look()
        for number in due:
            self._observers[number].observe(snapshot)
            look()
        cost_ns = thread_time_ns() - began_ns
        usual_ns = min(cost_ns, self._cost_ns)  # one long look is chance
        self._pace_ns = max(usual_ns * self.rest, min(usual_ns * self._light_rest, _SECOND_NS))
        self._cost_ns = cost_ns
        for number in due:
            self._due_ns[number] = max(now_ns + self._pace_ns, self._end_of_interval(self._observers[number], now_ns))
        return True

    def _end_of_interval(self, observer: Observer, now_ns: int) -> int:
        next_ns: Callable[[int], int] | None = getattr(observer, "next_ns", None)
        if next_ns is not None:
            return next_ns(now_ns)
        return self._began_ns + ((now_ns - self._began_ns) // observer.every_ns + 1) * observer.every_ns

    def wait_s(self, now_ns: int) -> float:
        """Return the seconds until the next look is due."""
        return max(0, min(self._due_ns) - now_ns) / 1e9

    def end(self, snapshot: Snapshot, run: Run) -> list[str]:
        """Give all observers the last snapshot and the whole run; return what went wrong with them, a line each."""
        for observer in self._observers:
            observer.observe(snapshot)
        return [line for observer in self._observers if (line := observer.end(run))]
