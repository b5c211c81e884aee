"""The calls of one transaction, lane by lane.

In: completed calls, in the order of their ends. Out: how often each node was called in a transaction. Runs in the watched
process. `_engine` has a Trace of its own of the same shape.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.histogram import bucket_of
from hookmon.probe.engine import choose
from hookmon.probe.recording import recorder
from hookmon.probe.recording.overhead import charge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.recording.tree import Node

    Event = tuple[Node, int, int, int, int]  # node, start, duration, outcome, calls; start 0: several calls in one

MOST_EVENTS = layout.MOST_EVENTS
RETURNED, RAISED, INTERRUPTED = layout.OUTCOME_RETURNED, layout.OUTCOME_RAISED, layout.OUTCOME_INTERRUPTED
UNTIMED = layout.OUTCOME_UNTIMED


@choose
class Trace:
    """The calls of one lane."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: list[Event] = []

    def add(self, node: Node, started_ns: int, duration_ns: int, outcome: int) -> None:
        """Note a completed call."""
        if len(self._events) >= MOST_EVENTS:
            self._fold()
        self._events.append((node, started_ns, duration_ns, outcome, 1))

    def _fold(self) -> None:
        sums: dict[Node, list[int]] = {}
        for node, _, duration_ns, _, calls in self._events:
            known = sums.setdefault(node, [0, 0])
            known[0] += calls
            known[1] += duration_ns
        if len(sums) > MOST_EVENTS // 2:
            sums.clear()  # thousands of names in one transaction: the tree has them, what is per transaction begins anew
        self._events = [(node, 0, duration_ns, RETURNED, calls) for node, (calls, duration_ns) in sums.items()]

    def take_last(self) -> Event | None:
        """Remove and return the call that ended last."""
        return self._events.pop() if self._events else None

    def events(self) -> list[Event]:
        """Return the calls in the order of their ends."""
        return list(self._events)

    def replace(self, events: list[Event]) -> None:
        """Put other calls in the place of these."""
        self._events = list(events)


@charge
def new_per_transaction(node: Node) -> int:
    """Return the index of the record of a node's calls per transaction, 0 where there is no space."""
    arena = recorder.arena()
    if arena is not None and node.number and not node.per_transaction:
        node.per_transaction = arena.record(layout.PER, node.number, [0] * (layout.PER_WORDS - 1))
    return node.per_transaction


@choose
def settle(traces: list[Trace]) -> None:
    """Write down how often each node was called in one transaction, whose lanes these are."""
    whole: dict[Node, int] = {}
    for trace in traces:
        lane: dict[Node, list[int]] = {}
        for node, _, duration_ns, _, calls in trace._events:
            known = lane.setdefault(node, [0, 0])
            known[0] += calls
            known[1] += duration_ns
        for node, (calls, duration_ns) in lane.items():
            whole[node] = whole.get(node, 0) + calls
            per_transaction = node.per_transaction or new_per_transaction(node)
            if per_transaction and calls >= layout.REPEATED:
                words = recorder.words
                words[per_transaction + layout.PER_REPEATED] += 1
                words[per_transaction + layout.PER_REPEATED_CALLS] += calls
                words[per_transaction + layout.PER_REPEATED_NS] += duration_ns
                words[per_transaction + layout.PER_MOST_REPEATED] = max(words[per_transaction + layout.PER_MOST_REPEATED], calls)
    for node, calls in whole.items():
        per_transaction = node.per_transaction
        if per_transaction:
            words = recorder.words
            words[per_transaction + layout.PER_TRANSACTIONS] += 1
            words[per_transaction + layout.PER_MOST] = max(words[per_transaction + layout.PER_MOST], calls)


_ENDINGS = {
    RAISED: layout.NODE_ERRORS - layout.NODE_TOTAL_NS,
    INTERRUPTED: layout.NODE_INTERRUPTED - layout.NODE_TOTAL_NS,
    UNTIMED: layout.NODE_UNTIMED - layout.NODE_TOTAL_NS,
}


@choose
def give(node: Node, other: Node, duration_ns: int, outcome: int) -> None:
    """Move one completed call from a node to another one, with its time and how it ended."""
    words = recorder.words
    for flag, offset in _ENDINGS.items():
        if outcome & flag:
            words[node.total + offset] -= 1
            words[other.total + offset] += 1
    if not outcome & UNTIMED:
        bucket = bucket_of(duration_ns)
        words[node.buckets[bucket] if bucket in node.buckets else node.total + _ENDINGS[UNTIMED]] -= 1
        words[node.total] -= duration_ns
        words[other.total] += duration_ns
        recorder.count_call_and_error(other, duration_ns, None)


def outcome_of(error: BaseException | None, node: Node) -> int:
    """Return how a call ended that is counted in a node, one of core.layout.OUTCOME_*; `error` is what it raised, or None."""
    if error is None or isinstance(error, StopIteration | StopAsyncIteration):
        return RETURNED
    return RAISED if node.span.target.is_error(error) else INTERRUPTED
