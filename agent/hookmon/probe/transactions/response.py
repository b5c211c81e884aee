"""The end of a response. The entry's call may go on behind it, with background tasks or code after `finish()`.

In: a call of `finish_response` when the last part has been sent. Out: a settled transaction. Later calls in its lane are counted
below its node "(after)". Runs in the watched process, once for each request of the frameworks whose adapters say so.

The calls that are open at that moment, the entry's among them, are counted as if they ended then. When they do end, their
wrappers find another node in `Lane.moved`: the tail, which counts nothing and has the children of "(after)".
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.engine import choose
from hookmon.probe.recording import native_forks, recorder
from hookmon.probe.recording.tree import Node
from hookmon.probe.transactions.context import AFTER, FAILED_FROM, Transaction, child, count_late_failure, current
from hookmon.probe.transactions.statuses import move_status
from hookmon.probe.transactions.traces import RETURNED, UNTIMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.recording.tree import Lane

_UNTIMED = layout.NODE_UNTIMED - layout.NODE_TOTAL_NS


@shielded(None)
@choose
def finish_response(transaction: Transaction | None = None) -> None:
    """Settle a transaction, the caller's own if none is given: its response has ended for the client.

    Does nothing in a lane without a place in the shard, where the open calls are not known.
    """
    transaction = transaction or current()
    if transaction is None or transaction.ended or transaction.nested or transaction.epoch != recorder.forks:
        return
    if transaction.lane.base == layout.SCRATCH_LANE or transaction.node.span.target.kind != "request":
        return
    lane = transaction.lane
    calls = _open_calls(lane, transaction.node)
    place = tail(transaction.node) if calls else None
    if place is None:
        return
    transaction.end_part()
    transaction.ended = True
    traces, transaction.traces = transaction.traces, []
    lane.trace = None
    lane.node = place
    before = {key: place if led in calls else led for key, led in (lane.moved or {}).items()}
    lane.moved = before | dict.fromkeys(calls, place)
    now_ns = clock()
    for node in calls:
        slot = lane.base + node.slot
        started_ns = recorder.since[slot] if recorder.words[slot] == node.number else 0  # else it is only counted
        recorder.words[slot] = 0
        traces[0].add(node, started_ns, *_count(node, started_ns, now_ns))
    own = traces[0].take_last()
    if own is not None:
        transaction.settle(traces, own)


@shielded(None)
def begin(transaction: Transaction, status: str) -> None:
    """Say how the response of a transaction begins, "503 Later", also when the transaction has ended."""
    code = status[:3]
    if not code.isdigit() or transaction.failed or transaction.epoch != recorder.forks:
        return
    transaction.status = int(code)
    if not transaction.ended:
        return
    counted = transaction.counted_in
    if counted is not None:
        duration_ns, outcome = transaction.counted_ns, transaction.counted_as
        transaction.counted_in = move_status(transaction.node, counted, transaction.status, duration_ns, outcome)
    if transaction.status >= FAILED_FROM:
        transaction.failed = True
        count_late_failure(transaction)


def _open_calls(lane: Lane, entry: Node) -> list[Node]:
    """Return the nodes that are open in a lane, innermost first, the entry's last; [] when the entry is not open there."""
    calls = []
    node: Node | None = lane.node
    while node is not None and node is not recorder.root:
        calls.append(node)
        if node is entry:
            return calls
        node = node.parent
    return []


def _count(node: Node, started_ns: int, now_ns: int) -> tuple[int, int]:
    """Count an open call as if it ended now; return its duration and how it ended."""
    if not started_ns:
        recorder.words[node.total + _UNTIMED] += 1
        return 0, UNTIMED
    recorder.charge_call(node, now_ns - started_ns)
    return now_ns - started_ns, RETURNED


_tails: dict[Node, Node] = {}


@shielded(None)
def tail(entry: Node) -> Node | None:
    """Return the tail of an entry's node: it counts nothing, and has the children of the entry's "(after)"."""
    after = child(entry, AFTER)
    if after is None or after in _tails:
        return _tails.get(after) if after is not None else None
    found = Node(after.parent, AFTER, 0, 0, after.depth)
    found.retire()
    found.number, found.parent, found.children, found.slot = after.number, after.parent, after.children, after.slot
    _tails[after] = found
    return found


def _forget_tails() -> None:
    """Send the calls that go on in a forked child into the scratch record, as all that the parent has begun."""
    for node in _tails.values():
        node.retire()
    _tails.clear()


native_forks.forgetters.append(_forget_tails)
