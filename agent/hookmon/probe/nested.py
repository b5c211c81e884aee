"""Requests that a job or a test makes itself, of an application in its own process, with a test client say.

In: the entry's call within the open transaction. Out: a request that gets its own name and status while it lasts, and that is no
transaction: its calls are those of the job. Runs in the watched process, for both engines.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe import recorder
from hookmon.probe.guard import shielded
from hookmon.probe.trace import RAISED, RETURNED, Trace
from hookmon.probe.transactions import FAILED_FROM, MOST_TRACES, Member, Transaction, members, take_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.recorder import Lane, Node

_ERRORS = layout.NODE_ERRORS - layout.NODE_TOTAL_NS


class Nested:
    """What the entry's stand-in closes when its call has ended, as it would a transaction."""

    __slots__ = ("_lane", "_member", "_moved", "_opened", "_outer", "_token", "_trace", "_transaction")

    def __init__(self, outer: Transaction, lane: Lane, node: Node, opened: Any) -> None:
        """`opened` is what is to be closed with it, or None."""
        self._lane = lane
        self._opened = opened
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
        """Count a failure that only the status tells of, and leave the lane and the context to the job."""
        lane, transaction = self._lane, self._transaction
        first, *others = transaction.traces
        own = first.take_last()
        if own is not None:
            self._trace.add(*_ended(transaction, *own[:4]))
        self._outer.traces.extend(others[: MOST_TRACES - len(self._outer.traces)])
        transaction.traces = []
        transaction.close()
        lane.trace, lane.moved = self._trace, self._moved
        if members.get(None) is self._member:
            take_back(self._token)
        if self._opened is not None:
            self._opened.close()


def _ended(transaction: Transaction, node: Node, started_ns: int, duration_ns: int, outcome: int) -> tuple[Node, int, int, int]:
    """Return a request's own call as it belongs into the job's trace: with an error where its status is one."""
    if outcome == RETURNED and node is transaction.node and (transaction.status >= FAILED_FROM or transaction.failed):
        recorder.words[node.total + _ERRORS] += 1
        outcome = RAISED
    return node, started_ns, duration_ns, outcome
