"""Reads the program's objects without running any of its code: attributes, names of callables, contents of containers.

In: an object. Out: what an instance's dictionary, a slot or a constant of the class holds by a name, never what a property makes
of it; qualified names; the objects in lists, sets and dictionaries. Runs in the watched process: for names of spans and
transactions, and when a callback is registered.
"""

from __future__ import annotations

import sys
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CO_VARARGS = 0x04
CO_VARKEYWORDS = 0x08
CO_GENERATOR = 0x20
CO_COROUTINE = 0x80
CO_ITERABLE_COROUTINE = 0x100
CO_ASYNC_GENERATOR = 0x200
"""Flags of code objects, as in the module inspect, whose import would cost 5 ms."""

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
        own = _own_attribute(value, name) if not hasattr(type(on_class), "__get__") else own_dictionary(value).get(name, MISSING)
        if own is not on_class:
            return own
    return on_class if type(on_class) in (str, int) else MISSING


def _own_attribute(value: object, name: str) -> object:
    """Return an instance's attribute where its class has no descriptor by that name.

    This does not ask for its dictionary. From 3.11 on an instance has none until somebody asks; from then on the program's own
    look-ups are slower for good.
    """
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return MISSING


def on_class_of(value: object, name: str) -> Any:
    """Return what a value's class has by a name, as it stands in there."""
    for owner in type(value).__mro__:
        on_class = owner.__dict__.get(name, MISSING)
        if on_class is not MISSING:
            return on_class
    return MISSING


def own_dictionary(value: object) -> dict[str, object]:
    """Return an instance's dictionary; {} where it has none, and where a property of the program would make it."""
    for owner in type(value).__mro__:
        found = owner.__dict__.get("__dict__", MISSING)
        if found is not MISSING:
            own: dict[str, object] = found.__get__(value) if type(found) is GetSetDescriptorType else {}
            return own
    return {}


_METHODS_IN_C = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType, MethodWrapperType)

_DEEPEST_PARTIAL = 8
"""Partials of partials are followed so many levels deep."""


class CallableName(str):
    """The qualified name of a callable; `name` is its last part and `module` where it was defined, "?" where that is unknown.

    A bound method goes by the class of its object (`Audit.saved`, though `Base` may have defined it), a partial and
    a cache by their function, a callable object by its class, a lambda by where it stands. `<locals>` is left out.
    """

    name: str
    module: str


def callable_name(value: Any) -> CallableName:
    """Return what a callable is called; of what cannot be called, the name of its type."""
    for _ in range(_DEEPEST_PARTIAL):
        if not is_partial(value):
            break
        value = value.func
    owner = ""
    if type(value) is MethodType:
        own: Any = value.__self__
        owner = _class_name(own if issubclass(type(own), type) else type(own))
        value = value.__func__
    function = _function(value)
    if function is not None:
        qualified = _lambda_name(function) if function.__name__ == "<lambda>" else function.__qualname__
        name, module = function.__name__, function.__module__
    elif type(value) is BuiltinFunctionType:
        qualified, name, module = value.__qualname__, value.__name__, value.__module__
    elif type(value) in _METHODS_IN_C:
        qualified, name, module = value.__qualname__, value.__name__, value.__objclass__.__module__
    else:
        value_type: Any = value if issubclass(type(value), type) else type(value)
        qualified = name = _class_name(value_type)
        module = type.__getattribute__(value_type, "__module__")
    found = CallableName(f"{owner}.{name}" if owner else qualified.replace("<locals>.", ""))
    found.name = name
    found.module = module if isinstance(module, str) else "?"
    return found


def is_partial(value: object) -> bool:
    """Say whether a value is one of functools.partial's, which nobody made without importing functools."""
    functools = sys.modules.get("functools")
    return functools is not None and type(value) is functools.partial


def _function(value: Any) -> FunctionType | None:
    """Return the function that a value is, that is in a cache, or that a stand-in of ours stands for; None for anything else."""
    if type(value) is FunctionType:
        return value
    value_type = type(value)
    if (
        value_type is getattr(sys.modules.get("functools"), "_lru_cache_wrapper", None)
        and type(value.__wrapped__) is FunctionType
    ):
        return value.__wrapped__
    is_ours = type.__getattribute__(value_type, "__module__").startswith("hookmon.")  # a value's own __class__ may be its code
    if is_ours and isinstance(value, FunctionType):
        own: FunctionType = value._self_function  # type: ignore[attr-defined]
        return own
    return None


def _lambda_name(function: FunctionType) -> str:
    code = function.__code__
    return f"lambda {code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def _class_name(value_type: type) -> str:
    name: str = type.__dict__["__qualname__"].__get__(value_type)
    return name.replace("<locals>.", "")


DEEPEST = 4
"""Containers are searched for callbacks so many levels deep."""

_HOLDERS: tuple[Any, ...] = (list, tuple, set, frozenset)
_VALUES = (type(None), str, bytes, int, float, complex)


def objects_in(value: object, depth: int = 0) -> Iterator[object]:
    """Yield the objects in lists, tuples, sets and dictionaries, or value itself."""
    held = _contents(value)
    if held is None:
        if value is not None:
            yield value
    elif depth <= DEEPEST:
        for item in held:
            yield from objects_in(item, depth + 1)


def _contents(value: Any) -> list[object] | None:
    """Return the contents of a container, of a dictionary its values; None for what is none, or runs code when it is asked."""
    value_type = type(value)
    if issubclass(value_type, dict):
        return list(dict.values(value))
    collections = sys.modules.get("_collections")  # nobody has a deque without it
    holders = _HOLDERS if collections is None else (*_HOLDERS, collections.deque)
    base = next((base for base in holders if issubclass(value_type, base)), None)
    return None if base is None else list(base.__iter__(value))


def is_held(value: object) -> bool:
    """Say whether a value is a container that is searched for callbacks."""
    return _contents(value) is not None


def holds_callables(value: object) -> bool:
    """Say whether there are callables in a list, set or dictionary. Classes do not count: a table of exceptions has those."""
    return _contents(value) is not None and any(callable(item) and not issubclass(type(item), type) for item in objects_in(value))


def has_functions_for_keys(value: dict[object, object]) -> bool:
    """Say whether callbacks are the keys of a dictionary."""
    return any(type(key) is FunctionType or type(key) is MethodType for key in list(dict.keys(value)))


def is_closed(value: object) -> bool:
    """Say whether a value may hold callbacks where we do not look: somebody else's code iterates over it."""
    value_type = type(value)
    return (
        _contents(value) is None
        and not issubclass(value_type, _VALUES)
        and any("__iter__" in vars(base) for base in value_type.__mro__)
    )


def is_plain_value(value: object) -> bool:
    """Say whether a value is text, a number or None."""
    return issubclass(type(value), _VALUES)
