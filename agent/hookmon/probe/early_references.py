"""Who took a function out of its module before it was patched: calls through such references go past us, and that is said.

In: a module that is being patched and what stood in it. Out: notes, for the blind spots of the report. Runs in the watched
process, once for each patched function that somebody else holds.
"""

from __future__ import annotations

import sys
from types import ModuleType

from hookmon.probe import notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def has_any(space: dict[str, Any], name: str) -> bool:
    """Say whether anybody besides its namespace holds what stands there under a name."""
    return _references(space, name) > _OWN_REFERENCES


def _references(space: dict[str, Any], name: str) -> int:
    """Return how many references there are to a value, the namespace's own and our own included."""
    return sys.getrefcount(space[name])


_OWN_REFERENCES = _references({"alone": object()}, "alone")
"""What `_references` says of a value that only its namespace holds; it differs between versions."""


def note(module: ModuleType, module_name: str, name: str, raw: Any) -> None:
    """Name the modules that took a function out of its module before it was patched: their calls go past us.

    Where it is no module that holds the function, it is a table of the program: a route, a registered task.
    """
    found = False
    for other_name, other in list(sys.modules.items()):
        if other is not module and issubclass(type(other), ModuleType):
            space = object.__getattribute__(other, "__dict__")  # vars() would load a lazy module
            for alias, value in list(space.items()):
                if value is raw:
                    found = True
                    notes.note(
                        "early reference",
                        f"{other_name}.{alias} was taken from {module_name}:{name} before it was watched; "
                        f"calls through it are not counted",
                    )
    if not found:
        notes.note(
            "early reference",
            f"{module_name}:{name} was handed on before it was watched, to a decorator or a table (a route, a registered task); "
            f"calls through that are not counted",
        )
