"""Looks into what holds callbacks, without running code of the program.

In: a value that a framework was given or keeps. Out: what is in it, and whether callbacks are. Runs in the watched process, at
each registration.
"""

from __future__ import annotations

import sys
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEEPEST = 4
"""So many lists, tuples, sets and dictionaries inside each other are looked through for callbacks."""

_HOLDERS: tuple[Any, ...] = (list, tuple, set, frozenset)
_VALUES = (type(None), str, bytes, int, float, complex)


def objects_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the objects in lists, tuples, sets and dictionaries, or value itself."""
    held = _held(value)
    if held is None:
        if value is not None:
            yield value
    elif depth <= DEEPEST:
        for each in held:
            yield from objects_in(each, depth + 1)


def _held(value: Any) -> list[Any] | None:
    """Return what a value holds, of a dictionary its values; None for what holds nothing or can only be asked by running code."""
    kind = type(value)
    if issubclass(kind, dict):
        return list(dict.values(value))
    collections = sys.modules.get("_collections")  # nobody has a deque without it
    holders = _HOLDERS if collections is None else (*_HOLDERS, collections.deque)
    base = next((base for base in holders if issubclass(kind, base)), None)
    return None if base is None else list(base.__iter__(value))


def is_held(value: Any) -> bool:
    """Say whether a value is one of those that are looked through."""
    return _held(value) is not None


def holds_callables(value: Any) -> bool:
    """Say whether there are callables in a list, set or dictionary, classes not counted: a table of exceptions has those."""
    return _held(value) is not None and any(callable(each) and not issubclass(type(each), type) for each in objects_in(value))


def has_functions_for_keys(value: dict[Any, Any]) -> bool:
    """Say whether callbacks are the keys of a dictionary."""
    return any(type(key) is FunctionType or type(key) is MethodType for key in list(dict.keys(value)))


def is_closed(value: Any) -> bool:
    """Say whether a value may hold callbacks where we do not look: it can be iterated over, by code of somebody else."""
    kind = type(value)
    return _held(value) is None and not issubclass(kind, _VALUES) and any("__iter__" in vars(base) for base in kind.__mro__)


def is_plain_value(value: Any) -> bool:
    """Say whether a value is text, a number or None."""
    return issubclass(type(value), _VALUES)
