"""Transactions that are kept whole: the slowest of each name, and the first that failed with each status or exception.

In: a transaction that has ended, and may be one of these. Out: records of the shard (`core.layout.EXAMPLE`). They are kept for
the run as a whole, and where somebody wants windows (`control`) for each window again. A record of a window stays until the next
one but one begins: so long has who looks on to read it. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import after_fork, serialise, shielded
from hookmon.probe.base.private import monotonic_ns, time_ns
from hookmon.probe.recording import control, recorder
from hookmon.probe.recording.overhead import charge
from hookmon.probe.transactions.ids import ids_of
from hookmon.probe.transactions.traces import RAISED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.recording.tree import Node
    from hookmon.probe.transactions.traces import Trace

_MOST_NAMES = 2_000

_of_qualname: Any = type.__dict__["__qualname__"]
_of_module: Any = type.__dict__["__module__"]


class _Window:
    """What is kept of one window: `records` are the places in the shard, of which so many are in use."""

    __slots__ = ("failed", "records", "slowest_at", "slowest_ns", "used")

    def __init__(self) -> None:
        self.records: list[int] = []
        self.begin()

    def begin(self) -> None:
        self.used = 0
        self.slowest_ns = -1
        self.slowest_at = 0
        self.failed: set[object] = set()


class _Kept:
    """What is kept of one name: `slowest` are (duration, place in the shard), the fastest first. `windows` take turns."""

    __slots__ = ("failed", "slowest", "window", "windows")

    def __init__(self) -> None:
        self.slowest: list[tuple[int, int]] = []
        self.failed: set[object] = set()
        self.window = 0
        self.windows = [_Window(), _Window()]

    def enter(self, window: int) -> _Window | None:
        """Return the window, which may be a new one; None for the run as a whole."""
        if window != self.window:
            self.window = window
            if window:
                self.windows.reverse()
                self.windows[0].begin()
        return self.windows[0] if window else None


_names: dict[Node, _Kept] = {}
windows: dict[Node, int] = {}
"""{node: the window in which its last example was offered}, where that is not 0. For the pure engine."""
_records = 0
_of = 0  # recorder.forks, when they were written


@after_fork
def _forget() -> None:
    """Forget the records: they are those of the parent's shard."""
    global _records, _of
    _names.clear()
    windows.clear()
    _records = 0
    _of = recorder.forks


@charge
@serialise
@shielded(None)
def keep_example(
    transaction: Any,
    node: Node,
    started_ns: int,
    duration_ns: int,
    outcome: int,
    computed_ns: int,
    window: int,
    traces: list[Trace],
) -> None:
    """Write a transaction into the shard when it is one of the slowest of its name, or the first that failed so.

    `computed_ns` is its CPU time, -1 where that was not measured; `window` is the one in which it ended, 0 for none. It also sets
    `Node.floor_ns`: in this window a transaction that is not slower and has not failed need not be offered.
    """
    if _of != recorder.forks:
        _forget()
    kept = _names.get(node)
    if kept is None:
        if len(_names) >= _MOST_NAMES or not node.number:
            node.floor_ns = 1 << 62
            return
        kept = _names[node] = _Kept()
    windows[node] = window
    example = _Example(transaction, node, started_ns, duration_ns, outcome, computed_ns, traces)
    now = kept.enter(window)
    key = example.failure()
    if key is not None and key not in kept.failed and len(kept.failed) < layout.MOST_FAILED_EXAMPLES:
        at = _new_record(node)
        if at:
            kept.failed.add(key)
            example.write(at, layout.EXAMPLE_IS_FIRST_FAILED, 0)
    _keep_slowest(kept, example)
    if now is not None:
        if duration_ns > now.slowest_ns:
            at = now.slowest_at or _record_of(now, node)
            if at:
                now.slowest_ns, now.slowest_at = duration_ns, at
                example.write(at, layout.EXAMPLE_IS_SLOW, window)
        if key is not None and key not in now.failed and len(now.failed) < layout.MOST_FAILED_EXAMPLES:
            at = _record_of(now, node)
            if at:
                now.failed.add(key)
                example.write(at, layout.EXAMPLE_IS_FIRST_FAILED, window)
    floor_ns = kept.slowest[0][0] if len(kept.slowest) >= layout.EXAMPLES else 0
    node.floor_ns = floor_ns if now is None else min(floor_ns, max(0, now.slowest_ns))


def _keep_slowest(kept: _Kept, example: _Example) -> None:
    """Keep an example when it is one of the slowest of the run; a slower one takes the place of the fastest of them."""
    slowest = kept.slowest
    if len(slowest) < layout.EXAMPLES:
        at = _new_record(example.node)
        if not at:
            return
    elif example.duration_ns > slowest[0][0]:
        _, at = slowest.pop(0)
    else:
        return
    slowest.append((example.duration_ns, at))
    slowest.sort()
    example.write(at, layout.EXAMPLE_IS_SLOW, 0)


def _record_of(window: _Window, node: Node) -> int:
    """Return a record for this window, one of the window before last if there is one; 0 where there is no space."""
    if window.used == len(window.records):
        at = _new_record(node)
        if not at:
            return 0
        window.records.append(at)
    window.used += 1
    return window.records[window.used - 1]


def _new_record(node: Node) -> int:
    global _records
    arena = recorder.arena()
    if arena is None or not node.number or _records >= layout.MOST_EXAMPLES:
        return 0
    at = arena.record(layout.EXAMPLE, node.number, [], layout.EXAMPLE_WORDS - 1)
    _records += bool(at)
    return at


class _Example:
    """A transaction that is offered."""

    __slots__ = ("_computed_ns", "_error", "_outcome", "_spans", "_started_ns", "_traces", "_transaction", "duration_ns", "node")

    def __init__(
        self,
        transaction: Any,
        node: Node,
        started_ns: int,
        duration_ns: int,
        outcome: int,
        computed_ns: int,
        traces: list[Trace],
    ) -> None:
        self._transaction = transaction
        self.node = node
        self._started_ns = started_ns
        self.duration_ns = duration_ns
        self._outcome = outcome
        self._computed_ns = computed_ns
        self._traces = traces
        error = transaction.error if outcome & RAISED else None
        self._error = _name_of(error) if error is not None else ""
        self._spans: list[tuple[int, int, int]] | None = None

    def failure(self) -> object:
        """Return what tells its failure from others, None where it has not failed."""
        if self._outcome & RAISED:
            return self._error or RAISED
        return self._transaction.status if self._transaction.failed else None

    def write(self, at: int, reason: int, window: int) -> None:
        """Write it into a record, why it is kept, and for which window; 0 for the run."""
        arena = recorder.arena()
        if arena is None:
            return
        transaction = self._transaction
        has_failed = transaction.failed or self._outcome & RAISED
        name = arena.string(self._error) if self._error else 0
        high, low, span_id, parent_id, flags = ids_of(transaction)
        spans = self._spans if self._spans is not None else self._find_spans()
        calls = sum(event[4] for trace in self._traces for event in trace.events())
        started_ns = self._started_ns
        values = (
            started_ns,
            self.duration_ns,
            transaction.status if 0 <= transaction.status < 1000 else 0,
            len(spans),
            calls - len(spans),
            self._computed_ns + 1,
            window,
            control.window_length_ns() if window else 0,
            reason | layout.EXAMPLE_HAS_FAILED * bool(has_failed),
            name,
            max(0, time_ns() - monotonic_ns() + started_ns),
            high,
            low,
            span_id,
            parent_id,
            flags,
        )
        words = recorder.words
        words[at + layout.EXAMPLE_TURN] |= 1
        for place, value in enumerate(values, at + layout.EXAMPLE_STARTED_NS):
            words[place] = value
        place = at + layout.EXAMPLE_FIRST
        for length_ns, began_ns, number in spans:
            words[place] = number
            words[place + 1] = began_ns - started_ns
            words[place + 2] = length_ns
            place += 3
        words[at + layout.EXAMPLE_TURN] = (words[at + layout.EXAMPLE_TURN] | 1) + 1

    def _find_spans(self) -> list[tuple[int, int, int]]:
        """Return (duration, start, node | lane << 32 | EXAMPLE_SPAN_FAILED) of the longest calls, by their starts."""
        failed = layout.EXAMPLE_SPAN_FAILED
        spans = [
            (length_ns, began_ns, node.number | lane << 32 | (failed if outcome & RAISED else 0))
            for lane, trace in enumerate(self._traces)
            for node, began_ns, length_ns, outcome, _ in trace.events()
            if began_ns >= self._started_ns
        ]
        spans.sort(reverse=True)
        del spans[layout.EXAMPLE_MOST_SPANS :]
        spans.sort(key=lambda span: span[1])
        self._spans = spans
        return spans


def _name_of(error: Any) -> str:
    """Return the name of a type of exceptions, as a traceback shows it, without asking a metaclass."""
    module = _of_module.__get__(error)
    name: str = _of_qualname.__get__(error)
    return name if module in ("builtins", "__main__") or type(module) is not str else f"{module}.{name}"
