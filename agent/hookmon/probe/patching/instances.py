"""Times a method for the registered objects of a class, and for no other object.

In: an object, the name of a method, the stand-in for its calls. Out: a function in the class that defines the method. For this
object it binds to the stand-in, for any other object to the method. So nothing of ours is in the object: who compares, copies,
prints or pickles it finds the same as without us. A method that somebody puts into the class later replaces ours, and is called.
An attribute of the class (`Plugin.on_start`) is the function that was there. Only its `__dict__` has ours, which looks the same.
Runs in the watched process, when an object is registered.
"""

from __future__ import annotations

from types import FunctionType

from hookmon.probe.patching.lifetimes import follow
from hookmon.probe.wrappers.make import RefusedError, Selective

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.base.shapes import Function


def function_of(definer: type, name: str) -> Any:
    """Return the function that stands in a class by a name, None for anything else. A wrapper of ours is a function, too."""
    raw = vars(definer)[name]
    if issubclass(type(raw), Selective):
        return raw._self_function
    return raw if type(raw) is FunctionType or _is_stand_in(raw) else None


def _is_stand_in(raw: object) -> bool:
    is_ours = type.__getattribute__(type(raw), "__module__").startswith("hookmon.")  # a value's own __class__ may be its code
    return is_ours and isinstance(raw, FunctionType)


def stand_in_of(owner: object, definer: type, name: str) -> Function | None:
    """Return the stand-in to which a method of this object binds, None where it has none."""
    raw = vars(definer)[name]
    return _table(raw).get(id(owner)) if issubclass(type(raw), Selective) else None


def time_method(owner: object, definer: type, name: str, timed: Function) -> None:
    """Let a method of one object bind to a stand-in, which lives as long as the object.

    Raises RefusedError where that cannot be, or would change what the program does.
    """
    raw = vars(definer)[name]
    metaclass: Any = type(definer)
    if any("__setattr__" in vars(kind) for kind in metaclass.__mro__ if kind is not type and kind is not object):
        raise RefusedError(f"the metaclass of {definer.__qualname__} has its own way to set attributes")
    selective = raw if issubclass(type(raw), Selective) else Selective(raw, None, {}, -1)
    try:
        follow(owner, lambda number: Selective._self_forget(selective, number))
    except TypeError as error:
        raise RefusedError("its class has __slots__ and no room for weak references") from error
    _table(selective)[id(owner)] = timed
    if selective is not raw:
        try:
            type.__setattr__(definer, name, selective)
        except TypeError as error:
            raise RefusedError(f"{definer.__qualname__} is a C type, which Python does not let anybody patch") from error


def _table(selective: object) -> dict[int, Function]:
    """Return {id of an object: its stand-in}, by the descriptor: `selective._self_instances` would read the function's own."""
    table: dict[int, Function] = Selective._self_instances.__get__(selective)
    return table
