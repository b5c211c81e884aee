"""How many requests of a name had which status: beside the tree, a node of the shard for each (`core.layout.FLAG_STATUS`).

In: a request that has ended, with the status of its response. Out: counts and times by status; a name has 16 statuses of its own,
what comes beyond is counted by class. Runs in the watched process, once for each request; the compiled engine counts for itself,
and asks for the nodes here.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import after_fork, serialise, shielded
from hookmon.probe.base.target import Span, Target
from hookmon.probe.recording import recorder
from hookmon.probe.recording.overhead import charge
from hookmon.probe.transactions.traces import INTERRUPTED, RAISED, UNTIMED, give

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.recording.tree import Node

_ERRORS = layout.NODE_ERRORS - layout.NODE_TOTAL_NS
_INTERRUPTED = layout.NODE_INTERRUPTED - layout.NODE_TOTAL_NS
_UNTIMED = layout.NODE_UNTIMED - layout.NODE_TOTAL_NS
_LARGEST = 999

_target = Target("", "request", "", "", False, flags=layout.FLAG_STATUS)
_target.has_sites = False
_nodes: dict[Node, dict[int, Node | None]] = {}
_made = 0
"""How many statuses have nodes of their own in this process."""


@after_fork
def _forget() -> None:
    global _made
    _nodes.clear()
    _made = 0


@shielded(None)
def status_node(entry: Node, status: int) -> Node | None:
    """Return what counts the requests of an entry's node with a status, 0 for none; None where there is no space."""
    found = _nodes.get(entry)
    if found is None:
        found = _nodes[entry] = {}
    if not 100 <= status <= _LARGEST:
        status = 0
    if status not in found:
        if status and (len(found) >= layout.MOST_STATUSES or _made >= layout.MOST_STATUS_NODES):
            status //= 100
        if status not in found:
            found[status] = _new_node(entry, status)
    return found[status]


@charge
def _new_node(entry: Node, status: int) -> Node | None:
    global _made
    if not entry.number or len(recorder._nodes) >= layout.MOST_NODES:
        return None
    _made += 1
    return recorder._record_node(entry, Span(_target, str(status)), 0)


@serialise
def count_status(node: Node, duration_ns: int, outcome: int, is_failed: bool) -> None:
    """Count a request that has ended, in the node of its status."""
    words = recorder.words
    if is_failed or outcome & RAISED:
        words[node.total + _ERRORS] += 1
    if outcome & INTERRUPTED:
        words[node.total + _INTERRUPTED] += 1
    if outcome & UNTIMED:
        words[node.total + _UNTIMED] += 1
    else:
        words[node.total] += duration_ns
        recorder.count_call(node, duration_ns)


@shielded(None)
def move_status(entry: Node, node: Node, status: int, duration_ns: int, outcome: int) -> Node:
    """Move a request that was counted to the node of another status; return that, or the same one where there is no space."""
    other = status_node(entry, status)
    if other is None or other is node:
        return node
    give(node, other, duration_ns, outcome)
    return other


def status_of(entry: Node, status: int, outcome: int) -> int:
    """Return the status by which a request counts: where it has raised before there was one, that with which servers answer.

    A websocket gets none of its own.
    """
    if status or not outcome & RAISED or entry.span.name.startswith("WEBSOCKET "):
        return status
    return layout.NO_ANSWER
