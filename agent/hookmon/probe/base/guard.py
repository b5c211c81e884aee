"""What keeps us and the program apart: where exceptions of ours are caught, and where a fork is noticed.

What fails in here is ours: the program's own calls are made outside. Two things are not, and pass: what is no Exception
(KeyboardInterrupt and the like), and what the program's signal handlers raise, which Python runs between any two of our
steps (alarms, soft time limits).
"""

import sys
from _thread import RLock
from posix import register_at_fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    Otherwise = TypeVar("Otherwise")

_OURS = ("hookmon", "wrapt")

failures: "list[str]" = []
"""What went wrong inside hookmon, each kind once, at most 20; the patcher hands it to the collector as notes."""


FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether threads run at once here: then one lock stands in for the GIL, on which the pure engine's counts rely."""

_lock = RLock()


def serialise(function: "Callable[P, R]") -> "Callable[P, R]":
    """Let one thread at a time run a function, on a free-threaded interpreter; elsewhere it is returned as it is."""
    if not FREE_THREADED:
        return function

    def call(*args: "P.args", **kwargs: "P.kwargs") -> "R":
        with _lock:
            return function(*args, **kwargs)

    return call


def shielded(otherwise: "Otherwise") -> "Callable[[Callable[P, R]], Callable[P, R | Otherwise]]":
    """Make a function answer `otherwise` where it would raise an Exception of ours. It is serialised."""

    def decorate(function: "Callable[P, R]") -> "Callable[P, R | Otherwise]":
        return _shield(serialise(function), function.__name__, otherwise)

    return decorate


def shielded_import(otherwise: "Otherwise") -> "Callable[[Callable[P, R]], Callable[P, R | Otherwise]]":
    """Do what `shielded` does, and hold no lock: for what imports, and so waits for threads that are importing."""

    def decorate(function: "Callable[P, R]") -> "Callable[P, R | Otherwise]":
        return _shield(function, function.__name__, otherwise)

    return decorate


def _shield(function: "Callable[P, R]", name: str, otherwise: "Otherwise") -> "Callable[P, R | Otherwise]":
    def call(*args: "P.args", **kwargs: "P.kwargs") -> "R | Otherwise":
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if _is_from_the_program(error):
                raise
            remember(f"{name}: {type(error).__name__}: {error}")
            return otherwise

    return call


def _is_from_the_program(error: Exception) -> bool:
    """Say whether a signal handler of the program's raised, a trace function, or another thread into this one.

    The first two are given a frame by Python; nothing else is: a finder or loader of the program's that fails in our hands is our
    failure. Where no code of the program's ran, an exception of a class of its own was put into our midst from outside (stopit,
    func_timeout).
    """
    trace = error.__traceback__
    is_among_us = True
    while trace is not None:
        if not _is_known(trace.tb_frame.f_globals.get("__name__")):
            is_among_us = False
            if _has_been_given_a_frame(trace.tb_frame):
                return True
        trace = trace.tb_next
    return is_among_us and not _is_known(type(error).__module__)


def _has_been_given_a_frame(frame: "FrameType") -> bool:
    """Say whether a call has a frame among its arguments, or had two or more of which it has deleted some."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)]  # inspect.CO_VARARGS
    values = frame.f_locals
    given = [values[name] for name in names if name in values]
    kind = type(frame)
    if len(given) < len(names) > 1:
        return True
    return any(type(value) is kind or (type(value) is tuple and any(type(item) is kind for item in value)) for value in given)


def _is_known(name: object) -> bool:
    """Say whether a module is ours, wrapt's or the standard library's."""
    top = name.partition(".")[0] if isinstance(name, str) else ""
    return top in _OURS or top in sys.stdlib_module_names


def is_interrupted(within: "CodeType") -> bool:
    """Say whether code of the program's runs between here and a function of ours, given by its code, that called it."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code is not within:
        if not _is_known(frame.f_globals.get("__name__")):
            return True
        frame = frame.f_back
    return False


def remember(failure: str) -> None:
    """Keep a failure for the report."""
    if len(failures) < 20 and failure not in failures:
        failures.append(failure[:300])


_in_child: "list[Callable[[], None]]" = []


def after_fork(function: "Callable[[], None]") -> "Callable[[], None]":
    """Let a function be called in each forked child from now on, in the order in which they came.

    They have been called when the first handler of the program runs, which may call something watched: `start` sees to that.
    """
    _in_child.append(_shield(function, function.__name__, None))
    return function


def begin_anew() -> None:
    """Begin anew in a forked child."""
    for function in _in_child:
        function()


if getattr(sys.modules.get("hookmon.probe"), "arrivals", None) is None:  # else `start` was registered first, and calls us
    register_at_fork(after_in_child=begin_anew)


@after_fork
def _renew_lock() -> None:
    """Take the lock from the parent's other threads. What a signal handler forked out of goes on in the child, and holds it."""
    lock: Any = _lock
    held = getattr(lock, "_recursion_count", lambda: 0)()  # missing in the first releases of 3.11, which have the GIL anyhow
    lock._at_fork_reinit()
    for _ in range(held):
        lock.acquire()
