"""Times what some releases of a library have and others have not: where it is not there, nobody is told that it is not found.

In: a module, just imported, and a call. Out: the function timed. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import owner_of

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time the function that `call` names, if there is one."""
    found = owner_of(module, call)
    if found is not None:
        owner, name = found
        patches.replace(owner, name, timed(vars(owner)[name], call))
