"""Times what some releases of a library have and others have not: where it is not there, nobody is told that it is not found.

In: a module, just imported, and a call. Out: the function timed. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.probe.patching.entries import owners

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time the function that `call` names, if there is one."""
    for owner, name in owners(module, [call]):
        patches.replace(owner, name, timed(vars(owner)[name], call))
