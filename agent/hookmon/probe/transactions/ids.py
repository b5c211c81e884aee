"""The ids of transactions, as W3C trace context has them.

In: a transaction, which may have come with a `traceparent`. Out: the ids of its trace and of itself, made when somebody needs
them. The program's random numbers are not touched. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.core.traceparent import RANDOM, SAMPLED, parse
from hookmon.probe.base.private import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Ids = tuple[int, int, int, int, int]  # trace id in two halves, span id, the caller's span id or 0, flags

REMOTE = 0x100
"""A flag of ours: the trace's id came with the request."""


def ids_of(transaction: Any) -> Ids:
    """Return the ids of a transaction. `Transaction.origin` is what came with it, a header, and these from then on."""
    origin = transaction.origin
    if type(origin) is tuple:
        return origin
    found = parse(origin) if origin is not None else None
    fresh = os.urandom(24)
    if found is not None:
        high, low, parent_id, flags = found
        ids = (high, low, int.from_bytes(fresh[:8], "big") or 1, parent_id, flags | REMOTE)
    else:
        high, low, span_id = (int.from_bytes(fresh[at : at + 8], "big") or 1 for at in (0, 8, 16))
        ids = (high, low, span_id, 0, SAMPLED | RANDOM)
    transaction.origin = ids
    return ids
