"""A look from outside at all that runs of a service: its launchers side by side, as if they were one run.

In: a function that finds the runs of the service that go on. Out: a Snapshot, as often as somebody asks for one. It is to a
service what `collector.live.LiveRun` is to a run, and runs where that does: it only reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from hookmon.collector.counters import sum_of
from hookmon.collector.feed import Snapshot
from hookmon.collector.live import LiveRun
from hookmon.collector.metrics import Signal, add_signals
from hookmon.collector.store import Run, RunFile
from hookmon.collector.switches import Switched
from hookmon.core.record import replace

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.feed import CallTree

_FIND_EVERY_NS = 2_000_000_000
_PATIENCE_NS = 60_000_000_000
"""A service of which nothing runs for so long has ended: a restart takes less."""


class LiveService:
    """A service that goes on, open for looking at. Used by one thread at a time.

    What starts that have ended meanwhile have counted stays in its counters, so they never shrink at a restart.
    """

    REST = LiveRun.REST

    def __init__(self, service: str, find: Callable[[], list[tuple[RunFile, Run]]]) -> None:
        """Begin with what `find` returns: the runs that go on, at least one."""
        self._find = find
        self._open: dict[str, LiveRun] = {}
        self._ended: list[Snapshot] = []  # the last of each start that has ended
        self._keys: set[str] = set()  # of all starts that were seen
        self._found_ns = 0
        self._seen_ns = 0  # when something ran last
        self._discover(0)
        newest = self._newest()
        self.run = replace(newest, id=0, name=service, started_ns=min(live.run.started_ns for live in self._open.values()))

    @property
    def starts(self) -> int:
        """How many starts go on."""
        return len(self._open)

    @property
    def switched(self) -> Switched:
        """What is switched off in any of them."""
        found = Switched()
        for live in self._open.values():
            for what, since_ns in live.switched.off.items():
                found.off[what] = min(since_ns, found.off.get(what, since_ns))
        return found

    def look(self, now_ns: int) -> Snapshot:
        """Return the service as it is now, `now_ns` on CLOCK_MONOTONIC."""
        if now_ns - self._found_ns >= _FIND_EVERY_NS:
            self._discover(now_ns)
        seen: list[Snapshot] = []
        for key, live in list(self._open.items()):
            snapshot = live.look(now_ns)
            if not snapshot.ended:
                seen.append(snapshot)
                continue
            self._ended.append(snapshot)
            live.close()
            del self._open[key]
        if seen or not self._seen_ns:
            self._seen_ns = now_ns
        return _joined(now_ns, [*seen, *self._ended], ended=not seen and now_ns - self._seen_ns >= _PATIENCE_NS)

    def close(self) -> None:
        """Close all files."""
        for live in self._open.values():
            live.close()

    def _discover(self, now_ns: int) -> None:
        self._found_ns = now_ns
        for run_file, run in self._find():
            if run.run_key not in self._keys:
                self._keys.add(run.run_key)
                self._open[run.run_key] = LiveRun(run_file, run)

    def _newest(self) -> Run:
        return max((live.run for live in self._open.values()), key=lambda run: run.started_ns)


def _joined(now_ns: int, parts: list[Snapshot], *, ended: bool) -> Snapshot:
    signals: list[Signal] = []
    for part in parts:
        add_signals(signals, part.signals)

    def trees() -> Iterable[CallTree]:
        return chain.from_iterable(part.trees() for part in parts)

    return Snapshot(
        now_ns,
        sum_of(part.totals for part in parts),
        in_flight=sorted((call for part in parts for call in part.in_flight), key=lambda call: -call.duration_ns),
        processes=[process for part in parts for process in part.processes],
        signals=signals,
        examples=[example for part in parts for example in part.examples],
        ended=ended,
        pace_ns=max((part.pace_ns for part in parts), default=0),
        trees=trees,
    )
