"""How a stand-in is pickled: as what its function's name leads to. Runs in the watched process, when something is pickled."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reduced(function: Any) -> Any:
    """Return what `__reduce_ex__` of a function's stand-in returns.

    Where the stand-in is in the function's place that is the name: whoever loads it finds a stand-in, or the function itself.
    A callback's stand-in is somewhere else, its name leads to the function, and pickle refuses a name that leads to another
    object; so it is a call that returns the function, of a library that everybody has.
    """
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
