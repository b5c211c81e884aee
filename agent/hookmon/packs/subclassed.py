"""Lets a type in C be timed by way of a subclass under its name: nobody can patch such a type, but programs may derive from it.

In: a module, just imported, and a method of one of its types. Out: under the type's name stands a subclass whose method is timed;
what a program makes or derives of it is timed, too. What other code in C makes of the type is not. Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time one method, `call` being "Producer.produce"; the subclass is put in place the first time."""
    owner, _, name = call.partition(".")
    present: Any = vars(module)[owner]
    if not getattr(present, "__hookmon__", False):
        members = {"__slots__": (), "__module__": present.__module__, "__doc__": present.__doc__, "__hookmon__": True}
        present = type(owner, (present,), members)
        patches.replace(module, owner, present)
    patches.replace(present, name, timed(getattr(present, name), call))
