"""Changes attributes of the program's modules and classes, and can change them back.

In: an owner, a name and a value. Out: the changed attribute. Runs in the watched process.
"""

from __future__ import annotations

from types import FunctionType, ModuleType, WrapperDescriptorType

from hookmon.probe.patching.entries import MISSING
from hookmon.probe.wrappers.make import RefusedError


class Patches:
    """Changes attributes of the program's modules and classes.

    A list `undo` remembers in order what was there before. It keeps modules alive, which changes how Python takes them apart at
    its end; so a program has none.
    """

    def __init__(self, undo: list[tuple[object, str, object]] | None = None) -> None:
        self._undo = undo  # (owner, attribute, what was in its own dictionary or MISSING)

    def replace(self, owner: object, name: str, value: object) -> None:
        """Set an attribute of a module, class or descriptor. Raises RefusedError for a type that cannot be changed."""
        before = own_value(owner, name)
        try:
            _set(owner, name, value)
        except (TypeError, AttributeError) as error:
            raise RefusedError(
                f"{getattr(owner, '__name__', owner)} is a C type, which Python does not let anybody patch"
            ) from error
        if self._undo is not None:
            self._undo.append((owner, name, before))

    def undo(self) -> None:
        """Change everything back that was remembered, last first."""
        while self._undo:
            owner, name, before = self._undo.pop()
            if before is MISSING:
                _delete(owner, name)
            else:
                _set(owner, name, before)


def own_value(owner: object, name: str) -> object:
    """Return what stands in a place: in the owner's own dictionary, or in the slot of a descriptor or function, else MISSING."""
    if hasattr(owner, "__dict__") and type(owner) is not FunctionType:
        return vars(owner).get(name, MISSING)
    return getattr(owner, name, MISSING)


def _set(owner: object, name: str, value: object) -> None:
    if isinstance(owner, type):
        _way_in(owner).__setattr__(owner, name, value)
    elif isinstance(owner, ModuleType):
        owner.__dict__[name] = value
    else:
        setattr(owner, name, value)


def _delete(owner: object, name: str) -> None:
    if isinstance(owner, type):
        _way_in(owner).__delattr__(owner, name)
    else:
        delattr(owner, name)


def _way_in(owner: type) -> type[type]:
    """Return the metaclass that is to set attributes of a class: `type`, which runs no code of the program, or one in C.

    nanobind and pybind11 have metaclasses in C, and `type` refuses to set attributes of their classes.
    """
    metaclass = type(owner)
    return metaclass if isinstance(metaclass.__setattr__, WrapperDescriptorType) else type
