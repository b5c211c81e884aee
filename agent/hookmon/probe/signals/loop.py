"""Which callbacks block the event loop of asyncio for 50 ms or more: a histogram in seconds for each, by its name and place.

In: `asyncio.events.Handle._run`, through which the loop calls everything: callbacks, steps of tasks, what is ready on a socket.
It is what asyncio's debug mode times, which this does without. A step of a task has the name of the task's coroutine, and the
place where that is defined. Out: instruments, of at most MOST names. uvloop runs its callbacks in C, without a Handle: then the
report says so. Runs in the watched process, in both engines.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, FunctionType, MethodType

from hookmon.core import layout
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import attribute, callable_name, is_partial
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.recording import notes
from hookmon.probe.recording.instruments import instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

LONGEST_NS = 50_000_000
MOST = 100  # names of a process

_CODES = ("cr_code", "gi_code", "ag_code")
_OF_TASKS = (BuiltinFunctionType.__name__, MethodType.__name__, "TaskStepMethWrapper")
"""Types of what makes a task go on: a function or method that is bound to it, or what `_asyncio` has for its step."""

_names: set[str] = set()


def install() -> None:
    """Do nothing yet: there is no loop before asyncio has been imported."""


def patch(module: ModuleType, name: str) -> None:
    """Time the callbacks of all loops from now on, `module` being asyncio.events; for uvloop, say that it cannot be done."""
    if name == "uvloop":
        notes.note("uvloop", "uvloop calls what runs in its event loop in C: which of it blocks the loop cannot be seen")
        return
    handle: Any = vars(module)["Handle"]
    handle._run = _time_run(handle._run)


@hide_frames
def _time_run(run: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what takes the place of `Handle._run`. Two looks at the clock are all that most callbacks pay."""

    def _run(self: Any) -> None:
        started_ns = monotonic_ns()
        try:
            run(self)
        except BaseException as error:  # KeyboardInterrupt and SystemExit end the loop
            drop_frame(error)
            raise
        ended_ns = monotonic_ns()
        if ended_ns - started_ns >= LONGEST_NS:
            _note_block(self, ended_ns - started_ns)

    return _run


@shielded(None)
def _note_block(handle: object, duration_ns: int) -> None:
    name = f"loop blocked by {_describe(attribute(handle, '_callback'))}"
    if name not in _names:
        if len(_names) >= MOST:
            name = f"loop blocked by {layout.OTHER_NAMES}"
        _names.add(name)
    instrument(name, "s", "histogram").record(duration_ns / 1e9)


def _describe(callback: Any) -> str:
    """Return what a callback is called, and " at file:line" of where it is defined, as far as that is known."""
    if callback is None:
        return "a callback that was cancelled meanwhile"
    tasks: Any = sys.modules["asyncio.tasks"]
    task = callback.__self__ if type(callback).__name__ in _OF_TASKS else None
    if isinstance(task, tasks.Task | tasks._PyTask):
        coroutine = task.get_coro()
        code = next((code for name in _CODES if (code := getattr(coroutine, name, None)) is not None), None)
        return _place(getattr(coroutine, "__qualname__", "") or callable_name(coroutine), code)
    name = callable_name(callback)
    while is_partial(callback):
        callback = callback.func
    if type(callback) is MethodType:
        callback = callback.__func__
    return _place(name, callback.__code__ if type(callback) is FunctionType else None)


def _place(name: str, code: Any) -> str:
    name = name.replace("<locals>.", "")
    return f"{name} at {code.co_filename}:{code.co_firstlineno}" if hasattr(code, "co_firstlineno") else name
