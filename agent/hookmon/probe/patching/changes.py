"""What hookmon has changed in a program that it was attached to, so that all of it can be changed back.

In: the places that are patched. Out: the program as it was. Runs in the watched process, and only in one that hookmon was
attached to. What somebody else has put in a place since then stays there.
"""

from __future__ import annotations

import sys
from types import ModuleType

from hookmon.probe.base.guard import shielded
from hookmon.probe.patching import stale_bindings
from hookmon.probe.patching.entries import MISSING
from hookmon.probe.patching.patches import Patches, own_value
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.make import is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Changes(Patches):
    """Patches that remember what was there before, and what was put there."""

    def __init__(self) -> None:
        super().__init__([])
        self._made: list[object] = []  # one for each entry of `_undo`

    def replace(self, owner: object, name: str, value: object) -> None:
        """Set an attribute, as Patches does."""
        super().replace(owner, name, value)
        self._made.append(value)

    def take_back(self) -> int:
        """Change everything back that is still as we left it, last first; return how many wrappers the program still holds.

        A module that has taken a wrapper meanwhile (`from shop import quote`) gets the function.
        """
        import gc

        monitoring.leave_all()
        undo: list[tuple[Any, str, object]] = self._undo or []
        self._undo, made = [], self._made
        self._made = []
        raw_of: dict[int, object] = {}  # {id of what we have put somewhere: what was there before us}
        for (_, _, before), own in zip(undo, made, strict=True):
            if before is not MISSING:
                raw_of[id(own)] = raw_of.get(id(before), before)
        for entry, own in zip(reversed(undo), reversed(made), strict=True):
            _restore(entry, own)
        _replace_in_modules(raw_of)
        gc.callbacks[:] = [callback for callback in gc.callbacks if not is_ours(callback)]
        wrappers = {id(own): own for own in map(_innermost, made) if is_ours(own)}
        stale_bindings.forget_walks()
        undo.clear()
        made.clear()
        entry = own = before = None
        return sum(_references(wrappers, key) > _ALONE for key in list(wrappers))


@shielded(None)
def _restore(entry: tuple[Any, str, object], made: object) -> None:
    """Change one place back, unless somebody else has changed it."""
    owner, name, _ = entry
    if own_value(owner, name) is made:
        Patches([entry]).undo()


def _replace_in_modules(raw_of: dict[int, object]) -> None:
    """Put what was there before us in all places of modules that have what we made of it."""
    for name, module in list(sys.modules.items()):
        if issubclass(type(module), ModuleType) and name.partition(".")[0] != "hookmon":
            space = object.__getattribute__(module, "__dict__")  # vars() would load a lazy module
            for key, value in list(space.items()):
                if id(value) in raw_of:
                    space[key] = raw_of[id(value)]


def _innermost(value: object) -> object:
    """Return the wrapper inside a descriptor, or the value itself."""
    *_, inner = stale_bindings.parts(value)
    return inner


def _references(found: dict[int, Any], key: int) -> int:
    """Return how many references there are to a value that is taken out of a dictionary: of tables, closures, calls."""
    value = found.pop(key)
    return sys.getrefcount(value)


_ALONE = _references({0: object()}, 0)
"""What `_references` says of a value that nobody else has."""
