"""Where events of watched code come from: what `sys.monitoring` and calls in the bytecode call.

In: events, as the interpreter tells of them. Out: calls of timers (see `events`). Runs in the watched process. This is the pure
engine's; the compiled engine has its own, and can watch functions by their slot as well.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.guard import FREE_THREADED, shielded
from hookmon.probe.engine import choose
from hookmon.probe.wrappers.events import RUNS, resume, suspend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, FunctionType
    from typing import Any

    from hookmon.probe.base.target import Span
    from hookmon.probe.wrappers.events import CodeTimer

_BELOW = 3 if FREE_THREADED else 2
"""How far below a function in here the frame is that an event is about: shields lie between."""

_timers: dict[int, CodeTimer] = {}
"""{id of a code object, which its timer holds: its timer}. Two code objects may be equal and be two functions."""


@choose
def watch_code(code: CodeType, slot: CodeTimer | None, events: CodeTimer | None, /) -> None:
    """Time the calls of a code object by its events, or no more. The compiled engine has slots of functions, too."""
    if events is None:
        _timers.pop(id(code), None)
    else:
        _timers[id(code)] = events


@choose
def watch_file(file: str, begin: Callable[[CodeType], object], /) -> bool:
    """Have `begin` called with the code of each function of a file, at its first call; False: this engine has no way."""
    return False


@choose
def watched_by(code: CodeType, /) -> tuple[CodeTimer | None, CodeTimer | None]:
    """Return (slot, events): what times a code object."""
    return None, _timers.get(id(code))


@choose
def take_function(function: object, is_taken: bool, /) -> bool:
    """Have a function called by way of us; False: this engine has no way."""
    return False


@choose
def time_function(function: FunctionType, timer: CodeTimer, /) -> bool:
    """Time one function, and not others with the same code; say whether that is possible. This engine has no way."""
    return False


@choose
def span_of_function(function: object, /) -> Span | None:
    """Return the span under which `time_function` counts a function."""
    return None


@shielded(None)
def _on_start(code: CodeType, _offset: int) -> None:
    """Be told that a frame starts."""
    timer = _timers.get(id(code))
    if timer is not None:
        timer.start(sys._getframe(_BELOW), None)


@shielded(None)
def _on_resume(code: CodeType, _offset: int) -> None:
    """Be told that a frame goes on."""
    if id(code) in _timers:
        resume(sys._getframe(_BELOW))


@shielded(None)
def _on_throw(code: CodeType, _offset: int, _error: BaseException) -> None:
    """Be told that an exception is thrown into a frame."""
    if id(code) in _timers and code.co_flags & RUNS:
        resume(sys._getframe(_BELOW))


@shielded(None)
def _on_yield(code: CodeType, _offset: int, value: object) -> None:
    """Be told that a frame yields."""
    if id(code) in _timers:
        suspend(sys._getframe(_BELOW), type(value).__name__ == "async_generator_wrapped_value")


@shielded(None)
def _on_return(code: CodeType, _offset: int, _value: object) -> None:
    """Be told that a frame returns."""
    timer = _timers.get(id(code))
    if timer is not None:
        timer.end(sys._getframe(_BELOW), None)


@shielded(None)
def _on_unwind(code: CodeType, _offset: int, error: BaseException) -> None:
    """Be told that an exception leaves a frame."""
    timer = _timers.get(id(code))
    if timer is not None:
        timer.end(sys._getframe(_BELOW), error)


on_start = choose(_on_start, "on_start")
on_resume = choose(_on_resume, "on_resume")
on_throw = choose(_on_throw, "on_throw")
on_yield = choose(_on_yield, "on_yield")
on_return = choose(_on_return, "on_return")
on_unwind = choose(_on_unwind, "on_unwind")


class CodeEvent:
    """What a call in the bytecode calls. Where a function is unpickled that was pickled by value, nobody counts."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *args: object) -> None:
        self._call(sys._getframe(1), *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, ("", "format")


@choose
def code_events(code: CodeType, timer: CodeTimer, takes_arguments: bool, /) -> tuple[CodeEvent, ...]:
    """Return what the calls in a bytecode call: start (with the positional arguments where it takes them), returned, unwound,
    yielded, waited, resumed.
    """

    def start(frame: FrameType, *args: object) -> None:
        timer.start(frame, args)

    def unwound(frame: FrameType) -> None:
        timer.end(frame, sys.exception())

    calls = (
        start,
        lambda frame: timer.end(frame, None),
        unwound,
        lambda frame: suspend(frame, True),
        lambda frame: suspend(frame, False),
        resume,
    )
    return tuple([CodeEvent(shielded(None)(call)) for call in calls])
