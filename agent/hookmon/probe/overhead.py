"""The contract about cost: a target that costs more than its share of the process's time is timed by samples.

In: a look at a node after every 4,096 of its calls of one duration. Out: nodes that are marked as sampled: of their calls one in
64 is timed and all are counted. Runs in the watched process. Cost is the calls of the target times what one call costs with
this engine, held against the CPU time of the process; nothing happens in its first second.
"""

from __future__ import annotations

from time import process_time_ns

from hookmon.core.plan import CALLS_A_LOOK, ONE_TIMED_OF
from hookmon.probe import notes, recorder
from hookmon.probe.engine import compiled
from hookmon.probe.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.recorder import Node

_CALL_NS = 70 if compiled else 1_000
"""What one timed call costs, within a factor of two of any machine: the contract needs no more."""

_GRACE_NS = 1_000_000_000

_limit = 0.0


def begin(max_overhead: float) -> None:
    """Hold each target to a share of the process's time."""
    global _limit
    _limit = max_overhead
    recorder.look = _look


@shielded(None)
def _look(node: Node) -> None:
    """Mark the target of a node as sampled when it has cost too much."""
    target = node.span.target
    target.counted += CALLS_A_LOOK
    spent_ns = process_time_ns()
    if target.is_sampled or spent_ns < _GRACE_NS:
        return
    share = target.counted * _CALL_NS / spent_ns
    if share > _limit:
        target.is_sampled = True
        for each in recorder.all_nodes():
            if each.span.target is target:
                each.skip = 1
        notes.note(
            "sampled timing",
            f"{target.path} was called so often that timing each call would cost {share:.0%} of its process's time "
            f"(max_overhead is {_limit:.0%}): from {spent_ns / 1e9:.1f} s of CPU time on, 1 of {ONE_TIMED_OF} calls is timed; "
            f"all are counted, and its times are scaled up",
        )
