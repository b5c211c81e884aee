"""Times the implementations of a `functools.singledispatchmethod`, in the function that finds one for a class.

In: the `dispatch` of its dispatcher. Out: a `dispatch` that returns stand-ins. Runs in the watched process. Its registry stays as
it is. (functools.py, 3.11 to 3.15: `singledispatchmethod.__get__` looks `self.dispatcher.dispatch` up at each call; the functions
of plain `singledispatch` do not, and are not timed here.)
"""

from __future__ import annotations

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def is_timed(method: Any) -> bool:
    """Say whether a singledispatchmethod asks us already."""
    return hasattr(method.dispatcher.dispatch, "hookmon_stand_in")


@hide_frames
def timed_dispatch(dispatch: Callable[[type], object], timed: Callable[[object], object]) -> Callable[[type], object]:
    """Return a `dispatch` that finds a timed implementation for a class. `timed` makes the stand-in of each, once."""
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
            drop_frame(error)
            raise
        found = find(implementation)
        return implementation if found is None else found

    dispatch_timed.hookmon_stand_in = True  # type: ignore[attr-defined]
    dispatch_timed.__name__, dispatch_timed.__qualname__ = dispatch.__name__, dispatch.__qualname__
    dispatch_timed.__module__, dispatch_timed.__doc__ = dispatch.__module__, dispatch.__doc__
    return dispatch_timed
