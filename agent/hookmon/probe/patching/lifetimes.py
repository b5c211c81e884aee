"""Forgets what is known of an object when it dies, and keeps stand-ins that a framework holds by weak references.

Only the framework holds a stand-in. One that it holds by a weak reference would die at once, and the callback would be lost. So
the stand-in of a method is kept as long as the method's object (as `weakref.WeakMethod` does), and that of a function of a module
or class for good. Other callbacks (functions inside functions, lambdas, partials) may die at any moment, and a stand-in that is
kept would keep them. They are left alone where the registration function names weak references. Runs in the watched process, at
each registration.
"""

from __future__ import annotations

import sys
from _weakref import getweakrefcount, ref
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_MOST_CODES = 200
"""At most so many code objects are searched for weak references: a registration function and what it calls in its module."""

_followed: dict[int, tuple[Any, list[Callable[[int], Any]]]] = {}
"""{id of an object: (weak reference to it, functions to call with its id when it dies, before that is free again)}."""

_kept: dict[int, dict[int, Any]] = {}
"""{id of an object: stand-ins for methods of it by their ids}; with 0 for the object: those of functions."""


def follow(owner: object, end: Callable[[int], object]) -> None:
    """Call a function with the id of an object when that dies. Raises TypeError for one that nobody can hold weakly."""
    known = _followed.get(id(owner))
    if known is None:
        known = _followed[id(owner)] = (ref(owner, _end_of(id(owner))), [])
    known[1].append(end)


def _end_of(number: int) -> Callable[[object], None]:
    def end(_: object) -> None:
        for forget in _followed.pop(number)[1]:
            forget(number)

    return end


def can_be_kept(value: object) -> bool:
    """Say whether a callback is a method, which lives as long as its object, or a function that its module or class keeps."""
    if type(value) is BuiltinFunctionType:
        return type(value.__self__) is ModuleType
    return type(value) is MethodType or (type(value) is FunctionType and "<" not in value.__qualname__)  # <locals>, <lambda>


def keep(made: object, own_references: int) -> bool:
    """Keep a stand-in that somebody holds by a weak reference; say whether there is one besides `own_references` of ours."""
    timed = made.__func__ if type(made) is MethodType else made
    if getweakrefcount(timed) <= own_references:
        return False
    owner = made.__self__ if type(made) is MethodType else None
    number = id(owner) if owner is not None else 0
    if number and number not in _kept:
        try:
            follow(owner, _kept.pop)
        except TypeError:  # nobody can hold the method weakly, then; only its function, which its class keeps
            number = 0
    _kept.setdefault(number, {})[id(timed)] = timed
    return True


def names_weak_references(function: FunctionType) -> bool:
    """Say whether a function, or one of its module that it calls, names anything of the module weakref."""
    weakref = sys.modules.get("weakref")
    if weakref is None:
        return False
    weak = {id(weakref), *(id(value) for value in vars(weakref).values() if callable(value))}
    space = function.__globals__
    classes = [value for value in space.values() if issubclass(type(value), type)]
    own = [value for value in classes if type.__getattribute__(value, "__module__") == space.get("__name__")]
    seen: set[int] = set()
    found = [function.__code__]
    while found and len(seen) < _MOST_CODES:
        code = found.pop()
        if id(code) not in seen:
            seen.add(id(code))
            if any(id(space.get(name)) in weak for name in code.co_names):
                return True
            found += [constant for constant in code.co_consts if type(constant) is CodeType]
            found += [called for name in code.co_names for called in _codes(name, space, own)]
    return False


def _codes(name: str, space: dict[str, object], classes: list[type]) -> Iterator[CodeType]:
    for value in (space.get(name), *(vars(owner).get(name) for owner in classes)):
        if type(value) is FunctionType and value.__globals__ is space:
            yield value.__code__
