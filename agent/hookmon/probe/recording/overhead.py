"""The contract about cost: a target that costs more than its share of the process's time is timed by samples.

In: a look at a node after every 4,096 of its calls in one bucket. Out: nodes that are sampled: one of 64 calls is timed, all are
counted. Runs in the watched process. The cost of a target is what its calls cost with this engine, as a share of the CPU time of
the process. Nothing happens in the process's first second. Generators and coroutines are never sampled: each step is timed.

This module also measures hookmon's own time, for the report. `charge` times what is long enough for a clock. What is too short is
priced by `calibrate`, and scaled by the pace of the processor, which each look measures.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.plan import CALLS_A_LOOK, ONE_TIMED_OF
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns, process_time_ns
from hookmon.probe.engine import NAME
from hookmon.probe.recording import notes, recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from hookmon.probe.recording.tree import Node

    F = TypeVar("F", bound=Callable[..., Any])

_CALL_NS = 70 if NAME == "compiled" else 1_700
"""What a timed call costs, within a factor of two of any machine: the contract needs no more."""

_GRACE_NS = 1_000_000_000
_LONGEST_NS = layout.LONGEST_OWN_NS
_TWENTY = (None,) * 20
_ONE_CHARGED_OF = 16

_STEPS = layout.NODE_STEPS - layout.NODE_TOTAL_NS

_limit = 0.0
_charging_ns = 0  # what `charge` itself takes
_looks = _looks_of = 0
_paces_ns = 0.0
_before_ns = 0  # CPU time of the process before hookmon came, where it was attached
_before_forks = 0  # and in which process that was


def begin(max_overhead: float, *, is_attached: bool = False) -> None:
    """Hold each target to a share of the process's time, 0.0 for any share. Charge the time for new nodes from now on."""
    global _limit, _before_ns, _before_forks
    _limit = max_overhead
    if is_attached:
        _before_ns, _before_forks = process_time_ns(), recorder.forks
    if recorder.look is _look:  # hookmon was attached before
        return
    recorder.look = _look
    charge_places()


def charge_places() -> None:
    """Charge the time of new places and octaves that Python makes, from now on.

    The compiled engine charges the places that it makes. What is left of a place has a price, as has an octave: see `calibrate`.
    """
    global _charging_ns
    _charging_ns = min(_duration_ns(charge(_nothing)) for _ in range(4))
    recorder.new_node = charge(recorder.new_node)
    recorder.new_bucket = charge(recorder.new_bucket)


def limit() -> float:
    """Return the share of the process's time that a target may cost, 0.0 for any share."""
    return _limit


def process_ns() -> int:
    """Return the CPU time of this process, since hookmon came where it was attached."""
    return process_time_ns() - (_before_ns if recorder.forks == _before_forks else 0)  # type: ignore[no-any-return]


def charge(function: F) -> F:
    """Charge the time of a function to hookmon, at most LONGEST_OWN_NS: what took longer was interrupted."""

    def call(*args: object) -> object:
        begun_ns = monotonic_ns()
        try:
            return function(*args)
        finally:
            recorder.words[layout.HEADER_OWN_NS] += min(monotonic_ns() - begun_ns, _LONGEST_NS) + _charging_ns

    return call  # type: ignore[return-value]


def _nothing() -> None:
    return


def _duration_ns(function: Callable[[], None]) -> int:
    begun_ns = monotonic_ns()
    function()
    return monotonic_ns() - begun_ns  # type: ignore[no-any-return]


def charge_sample(find: F) -> F:
    """Charge sixteen times the time of each sixteenth call. To time each call would cost as much as some calls take."""
    calls = 0

    def call(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls % _ONE_CHARGED_OF:
            return find(*args)
        begun_ns = monotonic_ns()
        found = find(*args)
        recorder.words[layout.HEADER_OWN_NS] += _ONE_CHARGED_OF * min(monotonic_ns() - begun_ns, _LONGEST_NS)
        return found

    return call  # type: ignore[return-value]


def pace_ns() -> float:
    """Return the shortest time of a call that does nothing, in nanoseconds. Processors change their pace."""
    best = 1 << 62
    for _ in range(4):
        begun_ns = monotonic_ns()
        for _ in _TWENTY:
            _nothing()
        best = min(best, monotonic_ns() - begun_ns)
    return best / len(_TWENTY)


@shielded(None)
def _look(node: Node) -> None:
    """Note the pace. Sample the target of a node from now on when it has cost too much."""
    note_pace()
    target = node.span.target
    if target.flags & layout.FLAG_STATUS:
        return
    if not target.is_all_own:  # else wrappers/weighing does
        target.cost_ns += CALLS_A_LOOK * _CALL_NS
    spent_ns = process_ns()
    if target.is_all_own or target.is_sampled or spent_ns < _GRACE_NS or not _limit or recorder.words[node.total + _STEPS]:
        return
    share = target.cost_ns / spent_ns
    if share > _limit:
        target.is_sampled = True
        for other in recorder.all_nodes():
            if other.span.target is target:
                other.skip = 1
        notes.note(
            "sampled timing",
            f"{target.path} was called so often that timing each call would cost {share:.0%} of its process's time "
            f"(max_overhead is {_limit:.0%}): from {spent_ns / 1e9:.1f} s of CPU time on, 1 of {ONE_TIMED_OF} calls is timed; "
            f"all are counted, and its times are scaled up",
        )


def note_pace_now_and_then() -> None:
    """Measure the pace at each eighth time: where all modules are watched there are hundreds."""
    global _modules
    if _modules % 8 == 0:
        note_pace()
    _modules += 1


_modules = 0


@shielded(None)
def note_pace() -> None:
    """Measure the pace, and write the average of this process into the shard. Each look does so, and some patched modules."""
    global _looks, _paces_ns, _looks_of
    if _looks_of != recorder.forks:  # the parent's
        _looks_of, _looks, _paces_ns = recorder.forks, 0, 0.0
    _looks += 1
    _paces_ns += pace_ns()
    recorder.words[layout.HEADER_PACE_PS] = round(1_000 * _paces_ns / _looks)
