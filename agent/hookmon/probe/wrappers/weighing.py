"""The contract about cost of a program's own functions, all of which are watched (`--own`): some are given up.

In: a function that was called a few thousand times more. Out: when it is weighed again, or that it is left alone from now on.
Runs in the watched process. As long as all own functions together cost less than twice `max_overhead` of the process's
time, nothing is given up. Beyond that those are whose own work is not many times what it costs to watch them, the more so the
more all cost: mostly tiny functions that are called all the time. What they do counts as done by their caller from then on, as
if they were not watched. The calls and times until then stay, and the report says so. A function that the user named is never
given up.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import CO_GENERATOR
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.engine import NAME
from hookmon.probe.recording import notes, overhead, recorder
from hookmon.probe.wrappers import events, monitoring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType

    from hookmon.probe.base.target import Span, Target
    from hookmon.probe.recording.tree import Node

EVENTS = 2_048
"""After so many calls, or steps of a generator, a function is weighed."""

_LONGER = 4 * EVENTS
_SHARES = 2.0
"""All own functions together may cost so many times what a single one may, with what it took to set all up."""
_LEAST_WORK = 2.0
"""A function whose own work is less than so many times its cost is given up first,"""
_MOST_WORK = 12.0
"""and one above this never."""
_STEEPNESS = 16.0
_WITHIN = 0.5
"""So much of what an event costs is in the durations that are measured."""
_PRICES = {"compiled": (3.6, 5.0), "pure": (55.0, 80.0)}
"""What an event costs, in calls that do nothing: a call by its slot, and what events tell. That is among hundreds of functions,
which push each other out of the processor's caches: one alone costs two thirds of it."""
_PACES_NS = (15.0, 200.0)

_unwatched: dict[int, CodeType] = {}
"""{id of code with calls in it (3.11): the same without}."""

_spent_ns = 0  # on watching own functions, in this process
_of_process = 0


@shielded(EVENTS)
def weigh(code: CodeType, span: Span, times: int) -> int:
    """Return after how many more calls or steps a function is weighed again, 0 for never, -1 where it is given up."""
    global _spent_ns, _of_process
    if _of_process != recorder.forks:
        _of_process, _spent_ns = recorder.forks, 0
    target = span.target
    by_slot = monitoring.way_of(code) == monitoring.FUNCTION
    pace_ns = recorder.words[layout.HEADER_PACE_PS] / 1000
    cost_ns = int(times * _PRICES[NAME][not by_slot] * min(_PACES_NS[1], max(_PACES_NS[0], pace_ns)))
    target.cost_ns += cost_ns
    _spent_ns += cost_ns
    limit = overhead.limit() * _SHARES
    excess = (_spent_ns + recorder.words[layout.HEADER_OWN_NS]) / (limit * (overhead.process_ns() or 1)) if limit else 0.0
    if excess < 1.0:
        return EVENTS
    own_ns = _own_ns(target) + _in_flight_ns(span)
    if own_ns < 0:  # some call that is open was not found, and is not in it yet, but what it has called is
        return EVENTS
    worth_ns = target.cost_ns * min(_MOST_WORK, _LEAST_WORK + _STEEPNESS * (excess - 1.0))
    if own_ns * _computing() - _WITHIN * target.cost_ns > worth_ns:
        return _LONGER
    if code.co_flags & events.RUNS & ~CO_GENERATOR or (not by_slot and _is_open(code, span)):
        return EVENTS
    _give_up(code, target)
    return -1


def _computing() -> float:
    """Return the share of the time that this process had a processor: durations have in them what it waited."""
    elapsed_ns = monotonic_ns() - recorder.words[layout.HEADER_STARTED_NS]
    return min(1.0, overhead.process_ns() / elapsed_ns) if elapsed_ns > 0 else 1.0


def _own_ns(target: Target) -> int:
    """Return what a target has taken itself, without the watched calls in it."""
    words = recorder.words
    own_ns: int = sum([words[node.total] for node in target.recursions])
    for node in target.nodes:
        own_ns += words[node.total]
        for child in node.children.values():
            if child is not None:
                own_ns -= words[child.total]
    return own_ns


def _in_flight_ns(span: Span) -> int:
    """Return what the calls of a span that are open have taken so far themselves."""
    now_ns = monotonic_ns()
    found_ns = 0
    for lane in recorder.all_lanes():
        node: Node | None = lane.node
        inner_ns = 0
        while node is not None:
            at = lane.base + node.slot
            open_ns = now_ns - recorder.words[at + 1] if node.number and recorder.words[at] == node.number else 0
            if node.span is span:
                found_ns += open_ns - inner_ns
            inner_ns = open_ns
            node = node.parent
    return found_ns


def _is_open(code: CodeType, span: Span) -> bool:
    """Say whether a call is open in any thread, greenlet or task: nobody would tell of its end."""
    for lane in recorder.all_lanes():
        node: Node | None = lane.node
        while node is not None:
            if node.span is span:
                return True
            node = node.parent
    return (
        events.is_open(getattr(recorder.current, "lane", None), code) if NAME == "pure" else False
    )  # else the engine has looked


def _give_up(code: CodeType, target: Target) -> None:
    if monitoring.HAS_EVENTS:
        monitoring.leave(code)
    for node in (*target.nodes, *target.recursions):
        if node.number:
            recorder.words[node.total - layout.NODE_TOTAL_NS + layout.NODE_FLAGS] |= layout.FLAG_GIVEN_UP
    notes.note_once(
        "given up",
        f"all own functions together would have cost more than {_SHARES * overhead.limit():.0%} of their process's time, so of "
        "some that are called very often and do little only the first calls were counted; their time since is their callers'",
    )


def remember_unwatched(injected: CodeType, without: CodeType) -> None:
    """Know the code that a function gets back (3.11)."""
    _unwatched[id(injected)] = without


@shielded(None)
def give_back(function: FunctionType) -> None:
    """Let a function that was given up be without calls in its bytecode (3.11). Its frames that run keep theirs."""
    without = _unwatched.get(id(function.__code__))
    if without is not None:
        function.__code__ = without
