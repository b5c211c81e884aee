"""The callbacks in containers: lists, deques, sets and dictionaries in their places, tuples and frozen sets by copies.

In: what was registered, and what makes a stand-in of a callback. Out: the container with stand-ins in it. What a function is
given is the program's own; there the stand-ins stand only as long as the call lasts, in which frameworks take the callbacks out,
and the container stays the same object for whoever holds it. Runs in the watched process, at each registration.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.introspect import DEEPEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Swap = Callable[[object, int], object]
    """Returns the stand-in for what lies so deep in a container, None where that stays."""


class Replaced:
    """The stand-ins in the containers that one call is given."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, dict[int, tuple[object, object]]]] = {}
        """{id of a container: (it, {id of a stand-in: (it, what was there)})}."""

    def note(self, container: object, made: object, own: object) -> None:
        """Know that a stand-in has taken the place of what the program had put there."""
        self._found.setdefault(id(container), (container, {}))[1][id(made)] = (made, own)

    def pairs(self) -> Iterator[tuple[object, object]]:
        """Yield each stand-in with what it stands in for."""
        for _, found in self._found.values():
            yield from found.values()

    def is_in(self, container: object) -> bool:
        """Say whether some stand in this container."""
        return id(container) in self._found

    def put_back(self) -> None:
        """Put everything back that still stands in its container, wherever that has it by now."""
        for container, found in self._found.values():
            kind = kind_of(container)
            if kind is set:
                for held in [held for held in set.__iter__(container) if id(held) in found]:
                    _exchange(container, held, found[id(held)][1])
            elif kind is not None:
                for key, held in _places_in(container, kind):
                    if id(held) in found:
                        kind.__setitem__(container, key, found[id(held)][1])


def kind_of(value: object) -> Any:
    """Return which container a value is: list, dict, set or deque, also of a subclass; tuple or frozenset itself; None."""
    value_type = type(value)
    if value_type is tuple or value_type is frozenset:
        return value_type
    collections = sys.modules.get("_collections")  # nobody has a deque without it
    kinds = (list, dict, set) if collections is None else (list, dict, set, collections.deque)
    return next((kind for kind in kinds if issubclass(value_type, kind)), None)


def swap_inside(
    value: Any, swap: Swap, note_keys: Callable[[Any], None], replaced: Replaced | None = None, depth: int = 0
) -> object:
    """Put stand-ins in the places of the callbacks in a container, and return None.

    Of what cannot be changed, a tuple, return a copy with stand-ins in it, None where there are none; of what is no container,
    what `swap` returns. `note_keys` is called with each dictionary. Nothing of a subclass is called.
    """
    kind = kind_of(value)
    if kind is None:
        return swap(value, depth)
    if depth > DEEPEST:
        return None
    if kind is dict:
        note_keys(value)
    if kind in (tuple, frozenset):
        found = [swap_inside(held, swap, note_keys, replaced, depth + 1) for held in value]
        return _copied(kind, value, found)
    places = [(None, held) for held in set.__iter__(value)] if kind is set else _places_in(value, kind)
    for key, held in places:
        made = swap_inside(held, swap, note_keys, replaced, depth + 1)
        if made is None:
            continue
        if kind is set:
            _exchange(value, held, made)
        else:
            kind.__setitem__(value, key, made)
        if replaced is not None:
            replaced.note(value, made, held)
    return None


def copy(value: Any, swap: Swap, depth: int = 0) -> object:
    """Return a copy of a container with stand-ins in it, what `swap` returns for what is none; None where there are none."""
    kind = kind_of(value)
    if kind is not type(value) or depth > DEEPEST:
        return swap(value, depth)
    held = list(value.values() if kind is dict else value)
    found = [copy(item, swap, depth + 1) for item in held]
    if kind is dict:
        keys = list(value)
        return None if all(made is None for made in found) else dict(zip(keys, _merged(held, found), strict=True))
    return _copied(kind, held, found, *([value.maxlen] if kind.__name__ == "deque" else []))


def _copied(kind: Any, held: Any, found: list[object], *more: object) -> object:
    return None if all(made is None for made in found) else kind(_merged(held, found), *more)


def _merged(held: Any, found: list[object]) -> list[object]:
    return [old if new is None else new for old, new in zip(held, found, strict=True)]


def _places_in(container: Any, kind: Any) -> list[tuple[object, object]]:
    """Return each key or index of a list, deque or dictionary with what stands there."""
    return list(dict.items(container)) if kind is dict else list(enumerate(kind.__iter__(container)))


def _exchange(container: set[object], old: object, new: object) -> None:
    """Put what is equal to it in the place of an element."""
    set.discard(container, old)
    set.add(container, new)
