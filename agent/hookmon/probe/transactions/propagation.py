"""The `traceparent` (W3C trace context) with which a transaction's own calls go out, where the user has asked for that.

In: a call that a pack's adapter is about to send. Out: its header. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.core.traceparent import RANDOM, SAMPLED, render, span_id_of
from hookmon.probe.base.guard import shielded
from hookmon.probe.recording import recorder
from hookmon.probe.transactions import context
from hookmon.probe.transactions.ids import ids_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@shielded(None)
def outgoing_header() -> str | None:
    """Return the `traceparent` of a call that the caller's transaction makes now, None outside of one.

    The span is the innermost that is open: its id is the one that a reader of the shard finds for it.
    """
    transaction = context.current()
    if transaction is None:
        return None
    high, low, span_id, _, flags = ids_of(transaction)
    lane: Any = getattr(recorder.current, "lane", None)
    node = lane.node if lane is not None else None
    if node is not None and node is not transaction.node and node.number:
        slot = lane.base + node.slot
        if recorder.words[slot] == node.number:
            span_id = span_id_of(span_id, recorder.since[slot])
    return render(high, low, span_id, flags & (SAMPLED | RANDOM))
