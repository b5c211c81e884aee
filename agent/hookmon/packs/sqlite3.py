"""Lets sqlite3 be timed through its own factory: its types are C and cannot be patched.

In: `sqlite3.dbapi2`, just imported. Out: the module's names `Cursor` and `Connection` are subclasses whose `execute` and
kin are timed, and `connect` makes connections of that class unless it is given another factory. Subclasses that the program
derives from either inherit the timing. Connection.execute and its kin are written out, since from 3.11 on they make a plain
C cursor (CPython's connection.c) which would pass by. Like there, neither `cursor` nor `execute` of a subclass is asked.
Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches

_FACTORY_POSITION = 5  # of sqlite3.connect's parameters


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time one method of the module's Cursor, `call` being "Cursor.execute"; the classes are put in place the first time."""
    cursor = _classes(module, patches)
    name = call.partition(".")[2]
    patches.replace(cursor, name, timed(getattr(cursor, name), call))


def _classes(module: ModuleType, patches: Patches) -> type:
    """Return our Cursor, making it, the Connection and `connect` where they are not there yet."""
    present: Any = vars(module)["Cursor"]
    if getattr(present, "__hookmon__", False):
        return present  # type: ignore[no-any-return]
    cursor_class: Any = type("Cursor", (present,), {"__slots__": (), "__module__": "sqlite3", "__hookmon__": True})

    def cursor(self: Any, factory: Any = cursor_class) -> Any:
        return base.cursor(self, factory)

    def execute(self: Any, /, *args: Any) -> Any:
        return cursor_class.execute(base.cursor(self, cursor_class), *args)

    def executemany(self: Any, /, *args: Any) -> Any:
        return cursor_class.executemany(base.cursor(self, cursor_class), *args)

    def executescript(self: Any, /, *args: Any) -> Any:
        return cursor_class.executescript(base.cursor(self, cursor_class), *args)

    base: Any = vars(module)["Connection"]
    members: dict[str, Any] = {"__slots__": (), "__module__": "sqlite3"}
    for function in (cursor, execute, executemany, executescript):
        members[function.__name__] = _like(function, getattr(base, function.__name__))
    connection_class: Any = type("Connection", (base,), members)
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_POSITION:
            kwargs.setdefault("factory", connection_class)
        return plain_connect(*args, **kwargs)

    for each, value in (("Cursor", cursor_class), ("Connection", connection_class), ("connect", _like(connect, plain_connect))):
        patches.replace(module, each, value)
    return cursor_class  # type: ignore[no-any-return]


def _like(function: Any, original: Any) -> Any:
    """Give a function the name and the text of what it stands in for."""
    function.__name__ = original.__name__
    function.__qualname__ = original.__qualname__
    function.__doc__ = original.__doc__
    function.__module__ = "sqlite3"
    function.__wrapped__ = original
    return function
