"""Watches functions by their code: chooses the way for each, and is the tool that `sys.monitoring` tells of events.

In: a code object and what times its calls. Out: the way in which it is watched. Runs in the watched process, when a module is
about to be executed or has been.

- "function": the slot by which a function of Python is called (compiled engine, CPython 3.12 and later). It is the cheapest, and
  the arguments come with the call. A class that is called goes past the slot of its `__init__` from 3.13 on, a property past
  that of its getter on 3.14.
- "code": events of the code object. They alone see the steps of generators and coroutines, and they leave the depth of recursion
  alone. From 3.12 on `sys.monitoring` has them; on 3.11 calls in the bytecode do (patching/injection).
- "name": a wrapper stands under the function's name, as for all that is no function of Python.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType

from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from hookmon.probe.engine import compiled
from hookmon.probe.recording import notes
from hookmon.probe.wrappers import event_sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

FUNCTION = "function"
CODE = "code"
NAME = "name"
WAYS = (FUNCTION, CODE, NAME)

HAS_SLOTS: bool = compiled is not None and getattr(sys, "monitoring", None) is not None
HAS_EVENTS = getattr(sys, "monitoring", None) is not None
"""Whether `sys.monitoring` is there. Where it is not, calls are put into the bytecode."""

originals: dict[int, CodeType] = {}
"""{id of code with calls in it (3.11): the code that it was made of}; the copies are kept by what executes them, or by nobody."""

_RUNS = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
_TOOLS = (4, 3)  # 0, 1, 2 and 5 are for debuggers, coverage, profilers and optimizers
_TOOL_NAME = "hookmon"

renew: Callable[[FunctionType, CodeType], object] | None = None
"""What watches such code: patching/renewals."""

_monitoring: Any = getattr(sys, "monitoring", None)
_watched: list[CodeType] = []
_files: set[str] = set()
"""Those whose functions come to us at their first call."""
_tool: int | None = None
_failed = False
_local = 0  # what is asked for of each code object


def watch(code: CodeType, timer: Any, *, by_events: bool = False) -> str:
    """Have the calls of a code object timed from now on; return the way, "" where this interpreter has none for it.

    `by_events` is for functions that are called past their slot, as getters of properties are. Functions that are there already
    have to be taken, too: `take`.
    """
    if not way_of(code):
        _watched.append(code)
    is_run = bool(code.co_flags & _RUNS)
    needs_events = is_run or by_events or code.co_name == "__init__"
    if needs_events or not HAS_SLOTS:
        if _ask_for_events(code):
            event_sources.watch_code(code, timer if is_run and HAS_SLOTS else None, timer)
            return CODE
        if not HAS_SLOTS or needs_events:
            return ""
    event_sources.watch_code(code, timer, None)
    return FUNCTION


def watch_file(file: str, begin: Callable[[CodeType], object]) -> bool:
    """Have `begin` called with the code of each function of a file that is made from now on, at its first call.

    Return whether this interpreter has a way for that.
    """
    if not HAS_SLOTS or not event_sources.watch_file(file, begin):
        return False
    _files.add(file)
    return True


def take(function: FunctionType) -> None:
    """Have a function of watched code called by way of us, which was made before the code was watched."""
    slot, _ = event_sources.watched_by(function.__code__)
    if slot is not None:
        event_sources.take_function(function, True)


def release(function: FunctionType) -> None:
    """Have a function called as before."""
    event_sources.take_function(function, False)


def way_of(code: CodeType) -> str:
    """Return the way in which a code object is watched, "" where it is not."""
    slot, timer = event_sources.watched_by(code)
    return CODE if timer is not None else FUNCTION if slot is not None else ""


def is_told_of(code: CodeType) -> bool:
    """Say whether the steps of a generator of this code are told by events, and so counted whoever takes them."""
    return way_of(code) == CODE or id(code) in originals


def leave(code: CodeType) -> None:
    """Time the calls of a code object no more. Its functions lose their slot when they are next called, if not by `release`."""
    event_sources.watch_code(code, None, None)
    if _is_tool():
        _monitoring.set_local_events(_tool, code, 0)


def leave_all() -> None:
    """Time the calls of no code object any more, and leave nothing behind in functions and in _monitoring."""
    from gc import get_objects

    codes = set(map(id, _watched))
    for code in _watched:
        leave(code)
    for function in get_objects() if (codes or _files) and HAS_SLOTS else ():
        if type(function) is FunctionType and (id(function.__code__) in codes or function.__code__.co_filename in _files):
            release(function)
    if HAS_SLOTS:
        compiled.forget_functions()
    _watched.clear()
    _files.clear()
    _end()


@shielded(None)
def follow_code(function: FunctionType, code: CodeType) -> None:
    """Be told that a watched function has got other code, or is about to: that is to be watched in its place."""
    if renew is not None:
        renew(function, code)


@shielded(False)
def prefer_events(code: CodeType) -> bool:
    """Watch a code object by its events from now on, and no more by slots: it recurses. Return whether that is possible."""
    slot, _ = event_sources.watched_by(code)
    if slot is None or not _ask_for_events(code):
        return False
    event_sources.watch_code(code, None, slot)
    return True


def _ask_for_events(code: CodeType) -> bool:
    if not HAS_EVENTS or not _begin():
        return False
    _monitoring.set_local_events(_tool, code, _local)
    return True


def _begin() -> bool:
    """Become a tool of sys.monitoring, at the first code object that needs it."""
    global _tool, _failed, _local
    if _tool is not None or _failed:
        return _tool is not None
    monitoring = _monitoring
    tool = next(_free_tools(), None)
    if tool is None:
        _failed = True
        names = ", ".join(str(monitoring.get_tool(number)) for number in _TOOLS)
        notes.note(
            "no monitoring",
            f"both numbers of sys.monitoring that are free for tools like this are taken, by {names}: generators, coroutines, "
            "makings of instances, getters and recursions are watched by their names only, where that is possible",
        )
        return False
    kinds = monitoring.events
    if HAS_SLOTS:
        _learn_keys()
    for event, callback in (
        (kinds.PY_START, event_sources.on_start),
        (kinds.PY_RESUME, event_sources.on_resume),
        (kinds.PY_THROW, event_sources.on_throw),
        (kinds.PY_YIELD, event_sources.on_yield),
        (kinds.PY_RETURN, event_sources.on_return),
        (kinds.PY_UNWIND, event_sources.on_unwind),
    ):
        monitoring.register_callback(tool, event, callback)
    _local = kinds.PY_START | kinds.PY_RESUME | kinds.PY_YIELD | kinds.PY_RETURN
    of_exceptions = kinds.PY_UNWIND | kinds.PY_THROW
    try:
        monitoring.set_local_events(tool, _learn_keys.__code__, of_exceptions)
        monitoring.set_local_events(tool, _learn_keys.__code__, 0)
        _local |= of_exceptions
    except ValueError:  # before 3.15 these two cannot be asked for of one code object
        monitoring.set_events(tool, of_exceptions)
    _tool = tool
    return True


def _free_tools() -> Iterator[int]:
    for number in _TOOLS:
        try:
            _monitoring.use_tool_id(number, _TOOL_NAME)
        except ValueError:
            continue
        yield number


def _learn_keys() -> None:
    """Let the engine learn where a generator has what it is known by, from one that runs."""

    def run() -> Iterator[int]:
        yield compiled.running_key()

    generator = run()
    compiled.measure_key(generator, next(generator))


def _is_tool() -> bool:
    return _tool is not None and _monitoring.get_tool(_tool) == _TOOL_NAME


def _end() -> None:
    """Be no tool any more: another one may take the number, with whatever is left behind."""
    global _tool
    if _is_tool():
        kinds = _monitoring.events
        _monitoring.set_events(_tool, 0)
        for event in (kinds.PY_START, kinds.PY_RESUME, kinds.PY_THROW, kinds.PY_YIELD, kinds.PY_RETURN, kinds.PY_UNWIND):
            _monitoring.register_callback(_tool, event, None)
        _monitoring.free_tool_id(_tool)
        _tool = None
