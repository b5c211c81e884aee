"""Times the implementations of a `functools.singledispatchmethod` where it asks which one is to be called.

In: the `dispatch` of its dispatcher. Out: one that returns stand-ins. Runs in the watched process. What is registered stays what
it is, and so does `singledispatch` itself, whose functions do not come past here (functools.py, 3.11 to 3.15: `__get__` looks
`self.dispatcher.dispatch` up at each call).
"""

from __future__ import annotations

from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.base.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def is_timed(method: Any) -> bool:
    """Say whether a singledispatchmethod asks us already."""
    return hasattr(method.dispatcher.dispatch, "hookmon_stand_in")


@unseen
def timed_dispatch(dispatch: Callable[[type], object], timed: Callable[[object], object]) -> Callable[[type], object]:
    """Return what finds a timed implementation for a class; `timed` makes a stand-in of one, once."""
    made: dict[int, tuple[Any, Any]] = {}  # {id of an implementation: (itself, its stand-in)}: it lives as long as its registry

    @shielded(None)
    def find(implementation: object) -> object:
        if id(implementation) not in made:
            made[id(implementation)] = implementation, timed(implementation)
        return made[id(implementation)][1]

    def dispatch_timed(cls: type) -> object:
        try:
            implementation = dispatch(cls)
        except BaseException as error:
            leave_traceback(error)
            raise
        found = find(implementation)
        return implementation if found is None else found

    dispatch_timed.hookmon_stand_in = True  # type: ignore[attr-defined]
    dispatch_timed.__name__, dispatch_timed.__qualname__ = dispatch.__name__, dispatch.__qualname__
    dispatch_timed.__module__, dispatch_timed.__doc__ = dispatch.__module__, dispatch.__doc__
    return dispatch_timed
