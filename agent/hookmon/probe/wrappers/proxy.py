"""wrapt's object proxy without the rest of wrapt; and how a wrapper is pickled and copied: as what it stands for.

In: a folder that holds wrapt for interpreters that have none of their own. Out: the proxy class. Runs in the watched
process. `import wrapt` of 2.x brings some 140 modules (asyncio, ssl, logging: 60 ms, and gevent's MonkeyPatchWarning when it
patches later). The proxy is one extension module that needs one small sibling. Only these two are loaded, below a package `wrapt`
that stands in sys.modules for that moment. What the program imports as wrapt is its own.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, GetSetDescriptorType, WrapperDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FunctionType, ModuleType
    from typing import Any

    from hookmon.probe.base.shapes import F


def load_object_proxy(fallback_folder: str) -> Any:
    """Return wrapt's basic object proxy: the program's own where it has wrapt, else the one in `fallback_folder`.

    The C implementation where one fits this interpreter, else the pure one. Raises ImportError when there is neither.
    """
    loaded = sys.modules.get("wrapt._wrappers")
    if loaded is not None and hasattr(loaded, "ObjectProxy"):
        return loaded.ObjectProxy
    error: ImportError | None = None
    for folder in (_own_folder(), fallback_folder):
        for name in ("wrapt._wrappers", "wrapt.wrappers"):
            if folder:
                try:
                    return _load_alone(folder, name).ObjectProxy
                except (ImportError, AttributeError) as failure:
                    error = ImportError(str(failure))
    raise error or ImportError("wrapt is nowhere to be found")


def load_stand_in_base(fallback_folder: str) -> Any:
    """Return a class of proxies with the `__wrapped__` of what they stand for, if any; raises ImportError as above.

    Tools look whether a function has a `__wrapped__`: typeguard does not check one that has. wrapt's proxy in Python, used where
    there is none in C, needs its own `__wrapped__` and keeps it.
    """
    proxy = load_object_proxy(fallback_folder)
    plain = vars(proxy).get("__wrapped__")
    if type(plain) is not GetSetDescriptorType:
        return proxy
    if proxy not in _bases:
        _bases[proxy] = _add_wrapped(proxy, plain)
    return _bases[proxy]


_bases: dict[type, type] = {}


def _add_wrapped(proxy: type, plain: GetSetDescriptorType) -> type:
    def get(self: object) -> object:
        return plain.__get__(self).__wrapped__

    def put(self: object, value: object) -> None:
        plain.__get__(self).__wrapped__ = value

    def delete(self: object) -> None:
        del plain.__get__(self).__wrapped__

    return type(proxy.__name__, (proxy,), {"__slots__": (), "__wrapped__": property(get, put, delete)})


def _own_folder() -> str:
    """Return the folder of the wrapt that the program would import, "" when it has none."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("wrapt")
    if spec is None or not spec.submodule_search_locations:
        return ""
    return str(next(iter(spec.submodule_search_locations)))


def _load_alone(folder: str, name: str) -> ModuleType:
    """Import one module of wrapt without the package's own `__init__`, and leave sys.modules as it was."""
    before = {key: module for key, module in sys.modules.items() if key.partition(".")[0] == "wrapt"}
    package = type(sys)("wrapt")
    package.__path__ = [folder]
    sys.modules["wrapt"] = package
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        for key in [key for key in sys.modules if key.partition(".")[0] == "wrapt"]:
            del sys.modules[key]
        sys.modules.update(before)


def look_like(function: F, original: object) -> F:
    """Give a function the names and the text of what it stands in for, and that as its `__wrapped__`; return the function."""
    own: Any = function
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        value = getattr(original, name, _MISSING)
        if value is not _MISSING:
            setattr(own, name, value)
    own.__wrapped__ = original
    return function


_MISSING = object()


def reduce_function(function: FunctionType | BuiltinFunctionType) -> str | tuple[object, ...]:
    """Return what `__reduce_ex__` of a function's stand-in returns.

    A stand-in in the function's own place is pickled by its name: whoever loads it finds a stand-in there, or the function. A
    callback's stand-in is not in that place. Its name leads to the function, and pickle refuses a name that leads to another
    object, so it is pickled as a call that returns the function: `copy.copy(function)`. A bound method in C, as `"".join`, says
    itself how it is pickled.
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


def copy_of(stand_in: object, value: object) -> object:
    """Return what copy.copy makes of what a stand-in stands for. Where that is its own copy, as a function is: the stand-in."""
    from copy import copy

    made = copy(value)
    return stand_in if made is value else made


def deep_copy_of(stand_in: object, value: object, memo: dict[int, object] | None) -> object:
    """Return what copy.deepcopy makes of what a stand-in stands for. Where that is its own copy: the stand-in."""
    from copy import deepcopy

    made = deepcopy(value, memo)
    return stand_in if made is value else made


def is_called_in_c(value: object) -> bool:
    """Say whether the `__call__` of a value is one in C, as that of a function is, and no method in Python.

    A proxy of wrapt's has a method in Python, and PyDispatcher would take the parameters of a callback from it.
    """
    on_class = next((vars(base)["__call__"] for base in type(value).__mro__ if "__call__" in vars(base)), None)
    return type(on_class) is WrapperDescriptorType
