"""Keeps us and the program apart: exceptions of ours are caught here, and forks are noticed.

What fails within a shielded function is our failure: the program's own calls are made outside. Two things are not ours, and pass:
what is no Exception (KeyboardInterrupt and the like), and what the program's signal handlers raise (alarms, soft time limits).
Python runs those between any two of our steps.
"""

try:  # where no import is put off, and no filter for that is asked (`eager` sees to all others of ours)
    import sys
    from _thread import RLock
    from posix import register_at_fork
finally:
    pass

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
"""What went wrong inside hookmon, each failure once, at most 20. The patcher writes them into the shard as notes."""


FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether threads run at the same time here. One of them at a time does what is rare then, and what the pure engine counts."""

_lock = RLock()


def serialise(function: "Callable[P, R]") -> "Callable[P, R]":
    """Let one thread at a time run a function, on a free-threaded interpreter. Elsewhere the function is returned as it is."""
    if not FREE_THREADED:
        return function

    def call(*args: "P.args", **kwargs: "P.kwargs") -> "R":
        with _lock:
            return function(*args, **kwargs)

    call.__wrapped__ = function  # type: ignore[attr-defined]  # it has the parameters of the function
    return call


def shielded(otherwise: "Otherwise") -> "Callable[[Callable[P, R]], Callable[P, R | Otherwise]]":
    """Make a function return `otherwise` where it would raise an Exception of ours. One thread at a time runs it."""

    def decorate(function: "Callable[P, R]") -> "Callable[P, R | Otherwise]":
        return _shield(serialise(function), function.__name__, otherwise)

    return decorate


def shielded_import(otherwise: "Otherwise") -> "Callable[[Callable[P, R]], Callable[P, R | Otherwise]]":
    """Do what `shielded` does, without the lock: for functions that import, and so wait for threads that import."""

    def decorate(function: "Callable[P, R]") -> "Callable[P, R | Otherwise]":
        return _shield(eagerly(function), function.__name__, otherwise)

    return decorate


def eagerly(function: "Callable[P, R]") -> "Callable[P, R]":
    """Have what a function imports imported at once, where Python would put all imports off; see `eager`."""
    own: Any = sys
    if getattr(own, "get_lazy_imports", str)() != "all":  # CPython 3.15
        return function

    def call(*args: "P.args", **kwargs: "P.kwargs") -> "R":
        from hookmon.probe.base.eager import Eager

        stretch = Eager()
        try:
            return function(*args, **kwargs)
        finally:
            stretch.end()

    return call


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
    """Say whether the program raised: in a signal handler, in a trace function, or from another thread into this one.

    Python calls handlers and trace functions with a frame, and no other function. (A finder or loader of the program's that fails
    under our hands is our failure.) Another thread's exception comes from no code of the program's, and is of a class of its own
    (stopit, func_timeout).
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
    """Say whether a call has a frame among its arguments, or may have had one: it had two or more and has deleted some."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)]  # inspect.CO_VARARGS
    values = frame.f_locals
    given = [values[name] for name in names if name in values]
    frame_type = type(frame)
    if len(given) < len(names) > 1:
        return True
    return any(
        type(value) is frame_type or (type(value) is tuple and any(type(item) is frame_type for item in value)) for value in given
    )


def _is_known(name: object) -> bool:
    """Say whether a module is ours, wrapt's or the standard library's."""
    top = name.partition(".")[0] if isinstance(name, str) else ""
    return top in _OURS or top in sys.stdlib_module_names


def is_interrupted(within: "CodeType") -> bool:
    """Say whether code of the program's runs between here and a function of ours further out, which is given by its code."""
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
    """Call a function in each forked child from now on, after those that were given before. Used as a decorator.

    All have been called before the first handler of the program runs, which may call something watched: `start` sees to that.
    """
    _in_child.append(_shield(function, function.__name__, None))
    return function


def begin_anew() -> None:
    """Call all functions of `after_fork`, in a forked child."""
    for function in _in_child:
        function()


if getattr(sys.modules.get("hookmon.probe"), "arrivals", None) is None:  # else `start` was registered first, and calls us
    register_at_fork(after_in_child=begin_anew)


@after_fork
def _renew_lock() -> None:
    """Take the lock from the parent's other threads. Where a signal handler has forked within our code, that still holds it."""
    lock: Any = _lock
    held = getattr(lock, "_recursion_count", lambda: 0)()  # missing in the first releases of 3.11, which have the GIL anyhow
    lock._at_fork_reinit()
    for _ in range(held):
        lock.acquire()


@after_fork
def _end_eager_stretches() -> None:
    eager: Any = sys.modules.get("hookmon.probe.base.eager")
    if eager is not None:
        eager.end_those_of_others()
