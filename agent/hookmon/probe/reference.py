"""How a stand-in is pickled, copied and looked at: as what it stands for.

Runs in the watched process, when something is pickled or copied, and when a stand-in is made.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, WrapperDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reduced(function: Any) -> Any:
    """Return what `__reduce_ex__` of a function's stand-in returns.

    Where the stand-in is in the function's place that is the name: whoever loads it finds a stand-in, or the function itself.
    A callback's stand-in is somewhere else, its name leads to the function, and pickle refuses a name that leads to another
    object; so it is a call that returns the function, of a library that everybody has. A method in C of some object, as
    `"".join`, is found by that object.
    """
    if type(function) is BuiltinFunctionType and type(plain := function.__reduce__()) is tuple:
        return plain
    name = function.__qualname__
    found: Any = sys.modules.get(function.__module__)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if isinstance(found, classmethod | staticmethod):
        found = found.__func__
    if found is not function:
        return name
    from copy import copy  # which returns functions as they are

    return copy, (function,)


def copy_of(stand_in: Any, value: Any) -> Any:
    """Return what copy.copy makes of what a stand-in stands for; of what is its own copy, as a function, the stand-in."""
    from copy import copy

    made = copy(value)
    return stand_in if made is value else made


def deep_copy_of(stand_in: Any, value: Any, memo: Any) -> Any:
    """Return what copy.deepcopy makes of what a stand-in stands for; of what is its own copy, as a function, the stand-in."""
    from copy import deepcopy

    made = deepcopy(value, memo)
    return stand_in if made is value else made


def is_called_in_c(value: Any) -> bool:
    """Say whether `__call__`, read off a value, is no method in Python: so it is with functions.

    A stand-in that is a proxy of wrapt's would have one, from which PyDispatcher takes the parameters of a callback.
    """
    on_class = next((vars(base)["__call__"] for base in type(value).__mro__ if "__call__" in vars(base)), None)
    return type(on_class) is WrapperDescriptorType
