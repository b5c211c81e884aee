"""Reads values off the program's objects without running code of the program.

In: an object and a name. Out: what an instance's dictionary, a slot or a constant of the class has there, and never what a
property would make of it. Runs in the watched process, for names of spans and marks of transactions.
"""

from __future__ import annotations

import sys
from types import GetSetDescriptorType, MemberDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MISSING = object()
_DICTIONARIES = (
    dict,
    vars(sys.modules["builtins"]).get("frozendict", dict),
)  # a builtin from CPython 3.15 on, no subclass of dict


def attribute(value: Any, name: str) -> Any:
    """Return an attribute, or what a plain dictionary, list or tuple holds; MISSING where code of the program would run."""
    if value is MISSING:
        return value
    if type(value) in _DICTIONARIES:
        return value.get(name, MISSING)
    if name.isdigit():
        is_there = type(value) in (tuple, list) and int(name) < len(value)
        return value[int(name)] if is_there else MISSING
    on_class = on_class_of(value, name)
    if type(on_class) is MemberDescriptorType or type(on_class).__name__ == "_tuplegetter":  # slots, named tuples
        return on_class.__get__(value)
    if not hasattr(type(on_class), "__set__"):
        own = _plain(value, name) if not hasattr(type(on_class), "__get__") else own_dictionary(value).get(name, MISSING)
        if own is not on_class:
            return own
    return on_class if type(on_class) in (str, int) else MISSING


def _plain(value: Any, name: str) -> Any:
    """Return an instance's attribute where its class has no descriptor by that name.

    Not by way of its dictionary: from 3.11 on it has none until somebody asks, and from then on the program's own look-ups in it
    are slower for good.
    """
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return MISSING


def on_class_of(value: Any, name: str) -> Any:
    """Return what a value's class has by a name, as it stands in there."""
    for owner in type(value).__mro__:
        on_class = owner.__dict__.get(name, MISSING)
        if on_class is not MISSING:
            return on_class
    return MISSING


def own_dictionary(value: Any) -> Any:
    """Return an instance's dictionary, {} where it has none, or one that a property of the program would have to make."""
    for owner in type(value).__mro__:
        found = owner.__dict__.get("__dict__", MISSING)
        if found is not MISSING:
            return found.__get__(value) if type(found) is GetSetDescriptorType else {}
    return {}
