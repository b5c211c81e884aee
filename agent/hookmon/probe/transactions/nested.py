"""Requests within a job or a test: a test client that asks an application in its own process.

In: calls of entries. Out: what such a call opens. Runs in the watched process; both engines call it.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.recording import recorder
from hookmon.probe.transactions.context import FAILED_FROM, MOST_TRACES, Member, Transaction, begin, current, members, take_back
from hookmon.probe.transactions.origins import find_origin
from hookmon.probe.transactions.traces import RAISED, RETURNED, Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.base.shapes import Closable
    from hookmon.probe.recording.tree import Lane, Node
    from hookmon.probe.transactions.computing import Part

_ERRORS = layout.NODE_ERRORS - layout.NODE_TOTAL_NS


def enter(lane: Lane, node: Node, opened: Closable | None, arguments: tuple[object, ...] = ()) -> Closable | None:
    """Open what an entry's call opens: a transaction, or a Nested request within a job or a test. Return what the call closes.

    `opened` is what the call would close without this: the visit of the lane to a transaction, or None. `arguments` are those of
    the call, as far as they are known.
    """
    if lane.trace is None and opened is None:
        transaction = begin(lane, node)
        if transaction is not None and arguments:
            transaction.origin = find_origin(node.span.target.kind, arguments)
        return transaction
    return nest(lane, node, opened) or opened


@shielded(None)
def nest(lane: Lane, node: Node, opened: Closable | None) -> Nested | None:
    """Open a request in a lane where a job or a test is open. Return None for any other entry, and where none is open."""
    outer = current()
    if outer is None or lane.trace is None or node.span.target.kind != "request":
        return None
    return Nested(outer, lane, node, opened)


class Nested:
    """A request within a job or a test: it asks an application in its own process, with a test client say.

    It has a name and a status of its own, but is no transaction: its calls belong to the job. The entry's wrapper closes it when
    its call has ended, as it would close a transaction.
    """

    __slots__ = ("_lane", "_member", "_moved", "_opened", "_outer", "_token", "_trace", "_transaction", "part")

    def __init__(self, outer: Transaction, lane: Lane, node: Node, opened: Closable | None) -> None:
        """`opened` is what is to be closed with it, or None."""
        self._lane = lane
        self._opened = opened
        self.part: Part | None = getattr(opened, "part", None)
        self._outer = outer
        self._moved, self._trace = lane.moved, lane.trace  # of calls around, which end later
        lane.moved = None
        lane.trace = outer.new_trace() or Trace()  # what moves with its name is its own calls, and not those of the one before
        self._transaction = Transaction(lane, node)
        self._transaction.nested = True
        self._transaction.traces = [lane.trace]
        self._member = Member(self._transaction, lane, lane.trace)
        self._token = members.set(self._member)

    @shielded(None)
    def close(self) -> None:
        """Count a failure that only the status shows, and give lane and context back to the job."""
        lane, transaction = self._lane, self._transaction
        first, *others = transaction.traces
        own = first.take_last()
        if own is not None:
            self._trace.add(*_as_job_event(transaction, *own[:4]))
        self._outer.traces.extend(others[: MOST_TRACES - len(self._outer.traces)])
        transaction.traces = []
        transaction.close()
        lane.trace, lane.moved = self._trace, self._moved
        if members.get(None) is self._member:
            take_back(self._token)
        if self._opened is not None:
            self._opened.close()


def _as_job_event(
    transaction: Transaction, node: Node, started_ns: int, duration_ns: int, outcome: int
) -> tuple[Node, int, int, int]:
    """Return a nested request's own call for the job's trace. It is an error where its status is one."""
    if outcome == RETURNED and node is transaction.node and (transaction.status >= FAILED_FROM or transaction.failed):
        recorder.words[node.total + _ERRORS] += 1
        outcome = RAISED
    return node, started_ns, duration_ns, outcome
