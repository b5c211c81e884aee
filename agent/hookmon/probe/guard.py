"""The one place inside the watched program where any exception of ours is caught.

What fails in here is ours: the program's own calls are made outside. Two things are not, and pass: what is no Exception
(KeyboardInterrupt and the like), and what the program's signal handlers raise, which Python runs between any two of our
steps (alarms, soft time limits).
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

_TRUSTED = ("hookmon", "wrapt")  # a wrapt of the program's own that is broken fails while we import it

failures: list[str] = []
"""What went wrong inside hookmon, each kind once, at most 20; the patcher hands it to the collector as notes."""


FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether threads run at once here: then one lock stands in for the GIL, on which the pure engine's counts rely."""

_lock = RLock()


def _renew_lock() -> None:
    """Take the lock from the parent's other threads. What a signal handler forked out of goes on in the child, and holds it."""
    lock: Any = _lock
    held = getattr(lock, "_recursion_count", lambda: 0)()  # missing in the first releases of 3.11, which have the GIL anyhow
    lock._at_fork_reinit()
    for _ in range(held):
        lock.acquire()


if FREE_THREADED:
    os.register_at_fork(after_in_child=_renew_lock)


def serialised(function: Callable[P, R]) -> Callable[P, R]:
    """Let one thread at a time run a function, on a free-threaded interpreter; elsewhere it is returned as it is."""
    if not FREE_THREADED:
        return function

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _lock:
            return function(*args, **kwargs)

    return call


def shielded(otherwise: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function answer `otherwise` where it would raise an Exception of ours. It is serialised."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = function.__name__
        function = serialised(function)

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if _is_from_the_program(error):
                    raise
                remember(f"{name}: {type(error).__name__}: {error}")
                return otherwise  # type: ignore[no-any-return]

        return call

    return decorate


def _is_from_the_program(error: Exception) -> bool:
    """Say whether an exception came out of the program's code: a frame of neither ours, wrapt's nor the standard library's."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__")
        top = module.partition(".")[0] if isinstance(module, str) else ""
        if top not in _TRUSTED and top not in sys.stdlib_module_names:
            return True
        trace = trace.tb_next
    return False


def remember(failure: str) -> None:
    """Keep a failure for the report."""
    if len(failures) < 20 and failure not in failures:
        failures.append(failure[:300])
