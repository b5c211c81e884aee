"""wrapt's object proxy, nothing else of wrapt, and how a wrapper is pickled, copied and looked at: as what it stands for.

In: a folder that holds wrapt for interpreters that have none of their own. Out: the proxy class. Runs in the watched
process. `import wrapt` of 2.x brings some 140 modules (asyncio, ssl, logging: 60 ms, and gevent's MonkeyPatchWarning when
its patching comes later), while the proxy is one extension module that needs one small sibling. So only that one is
loaded, under a package of that name that is there for the moment; what the program imports as wrapt stays its own.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType, GetSetDescriptorType, WrapperDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FunctionType, ModuleType
    from typing import Any


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
    """Return the class of proxies whose `__wrapped__` is the one of what they stand for; raises ImportError as above.

    There are tools that go by whether a function has one: typeguard checks none that has. The proxy that wrapt has in Python
    goes by its own `__wrapped__` everywhere, so it keeps that.
    """
    proxy = load_object_proxy(fallback_folder)
    plain = vars(proxy).get("__wrapped__")
    if type(plain) is not GetSetDescriptorType:
        return proxy
    if proxy not in _bases:
        _bases[proxy] = _with_wrapped(proxy, plain)
    return _bases[proxy]


_bases: dict[type, type] = {}


def _with_wrapped(proxy: type, plain: GetSetDescriptorType) -> type:
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


def look_like(function: Any, original: Any) -> Any:
    """Give a function the names and the text of what it stands in for, and that as its `__wrapped__`; return the function."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        value = getattr(original, name, _MISSING)
        if value is not _MISSING:
            setattr(function, name, value)
    function.__wrapped__ = original
    return function


_MISSING = object()


def reduce_function(function: FunctionType | BuiltinFunctionType) -> str | tuple[object, ...]:
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


def copy_of(stand_in: object, value: object) -> object:
    """Return what copy.copy makes of what a stand-in stands for; of what is its own copy, as a function, the stand-in."""
    from copy import copy

    made = copy(value)
    return stand_in if made is value else made


def deep_copy_of(stand_in: object, value: object, memo: dict[int, object] | None) -> object:
    """Return what copy.deepcopy makes of what a stand-in stands for; of what is its own copy, as a function, the stand-in."""
    from copy import deepcopy

    made = deepcopy(value, memo)
    return stand_in if made is value else made


def is_called_in_c(value: object) -> bool:
    """Say whether `__call__`, read off a value, is no method in Python: so it is with functions.

    A stand-in that is a proxy of wrapt's would have one, from which PyDispatcher takes the parameters of a callback.
    """
    on_class = next((vars(base)["__call__"] for base in type(value).__mro__ if "__call__" in vars(base)), None)
    return type(on_class) is WrapperDescriptorType
