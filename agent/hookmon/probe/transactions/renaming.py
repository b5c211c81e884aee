"""Names of requests. A name is known when the request has been routed; by then calls are open, and others have ended.

In: routes that packs read. Out: nodes by the new name. A call that is open, in any lane, finds its new node when it ends, in
`Lane.moved`. Calls that have ended are moved with their counts. Runs in the watched process, once for each request.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.recording import recorder
from hookmon.probe.transactions import context
from hookmon.probe.transactions.traces import give

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.base.target import Span
    from hookmon.probe.recording.tree import Lane, Node
    from hookmon.probe.transactions.traces import Event

_SITE = layout.NODE_TARGET_SITE - layout.NODE_TOTAL_NS


@shielded(None)
def name_transaction(name: str) -> None:
    """Give the open transaction a name, "METHOD pattern" where it is a request.

    The first name of a request stays: its handler may call another application or this one again (pages made of pages, batches,
    test clients). There are two exceptions: a websocket begins as a request of the same route; and a name that does not begin
    with a method is that of one of many things which a route serves.
    """
    transaction = context.current()
    if transaction is None:
        return
    if transaction.node.span.target.kind == "request":
        method = name.partition(" ")[0]
        if transaction.is_routed and method.isupper() and method != "WEBSOCKET":
            return
        transaction.is_routed = True
    rename(full_name(name))


def full_name(name: str) -> str:
    """Return a request's name with the prefixes of mounted applications, as far as adapters know them, before its pattern."""
    transaction = context.current()
    method, _, pattern = name.partition(" ")
    return f"{method} {transaction.route}{pattern}" if transaction is not None and pattern.startswith("/") else name


@shielded(None)
def rename(name: str) -> None:
    """Give the open transaction its name, and move its calls there: those that are open, and those that have ended."""
    transaction = context.current()
    if transaction is None:
        return
    old = transaction.node
    new = _twin(old, old.parent, old.span.target.span(name)) if old.parent is not None else None
    if new is None or new is old:
        return
    moved = {old: new}
    lanes = [transaction.lane, *(visit.lane for visit in tuple(context.visits.get(transaction, ())))]
    for lane in lanes:
        if _move_open(lane, old, moved) or lane is transaction.lane:
            lane.moved = {key: moved.get(node, node) for key, node in (lane.moved or {}).items()} | moved
    transaction.node = new  # before figures move: should that fail, they are all that is lost
    for trace in transaction.traces:
        events = trace.events()
        if events:
            trace.replace([_move(event, moved) for event in events])


def _move_open(lane: Lane, old: Node, moved: dict[Node, Node]) -> bool:
    """Move the open calls of a lane from below `old` to their new nodes; say whether there are any."""
    chain = []
    node: Node | None = lane.node
    while node is not old:
        if node is None or node is recorder.root:
            return False  # the lane is not the transaction's any more
        chain.append(node)
        node = node.parent
    for opened in (old, *reversed(chain)):
        place = _place(opened, moved)
        if place is None:
            break
        if recorder.words[lane.base + opened.slot] == opened.number:  # it is open in this lane, and not only where that is
            recorder.words[lane.base + place.slot] = place.number
        lane.node = place
    return True


def _place(node: Node, moved: dict[Node, Node]) -> Node | None:
    """Return the new node of one below a renamed node; for any other node, itself."""
    if node in moved:
        return moved[node]
    if node.parent is None or node.parent is recorder.root:
        return node
    above = _place(node.parent, moved)
    if above is node.parent or above is None:
        return node
    place = _twin(node, above, node.span)
    if place is not None:
        moved[node] = place
    return place or node


def _twin(node: Node, parent: Node, span: Span) -> Node | None:
    """Return a span's node under a parent, in place of `node`. A new one gets the call site of that."""
    twin = parent.children.get(span)
    if twin is None:
        twin = recorder.new_node(parent, span)
        if twin is not None:
            words = recorder.words
            words[twin.total + _SITE] = words[twin.total + _SITE] & 0xFFFFFFFF | words[node.total + _SITE] >> 32 << 32
    return twin


def _move(event: Event, moved: dict[Node, Node]) -> Event:
    node, started_ns, duration_ns, outcome, calls = event
    place = _place(node, moved)
    if place is None or place is node or calls != 1:
        return event
    give(node, place, duration_ns, outcome)
    return place, started_ns, duration_ns, outcome, calls
