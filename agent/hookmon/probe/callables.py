"""What a callable is called, found without running any code of the program.

In: whatever was registered as a callback. Out: texts. Runs in the watched process, when a callback is registered or where a
span asks for it.
"""

from __future__ import annotations

import sys
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_METHODS_IN_C = (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType, MethodWrapperType)

_DEEPEST = 8
"""So many partials inside each other are looked through."""


class Called(str):
    """The qualified name of a callable; `name` is its last part and `module` where it was defined, "?" where that is unknown.

    A bound method goes by the class of its object (`Audit.saved`, though `Base` may have defined it), a partial and
    a cache by their function, a callable object by its class, a lambda by where it stands. `<locals>` is left out.
    """

    name: str
    module: str


def called(value: Any) -> Called:
    """Return what a callable is called; of what cannot be called, the name of its type."""
    for _ in range(_DEEPEST):
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
        kind: Any = value if issubclass(type(value), type) else type(value)
        qualified = name = _class_name(kind)
        module = type.__getattribute__(kind, "__module__")
    found = Called(f"{owner}.{name}" if owner else qualified.replace("<locals>.", ""))
    found.name = name
    found.module = module if isinstance(module, str) else "?"
    return found


def is_partial(value: Any) -> bool:
    """Say whether a value is one of functools.partial's, which nobody made without importing functools."""
    functools = sys.modules.get("functools")
    return functools is not None and type(value) is functools.partial


def _function(value: Any) -> Any:
    """Return a function as it is, one with a stand-in of ours as what that stands for, None for anything else."""
    if type(value) is FunctionType:
        return value
    kind = type(value)
    if kind is getattr(sys.modules.get("functools"), "_lru_cache_wrapper", None) and type(value.__wrapped__) is FunctionType:
        return value.__wrapped__
    is_ours = type.__getattribute__(kind, "__module__").startswith("hookmon.")  # a value's own __class__ may be its code
    if is_ours and isinstance(value, FunctionType):
        return value._self_function  # type: ignore[attr-defined]
    return None


def _lambda_name(function: Any) -> str:
    code = function.__code__
    return f"lambda {code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def _class_name(kind: type) -> str:
    name: str = type.__dict__["__qualname__"].__get__(kind)
    return name.replace("<locals>.", "")
