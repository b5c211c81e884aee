"""Lets sqlite3 be timed through its own factory: its types are C and cannot be patched.

In: `sqlite3.dbapi2`, just imported. Out: the module's names `Cursor` and `Connection` are subclasses whose `execute` and
kin are timed, and `connect` makes connections of that class unless it is given another factory. Subclasses that the program
derives from either inherit the timing. Connection.execute and its kin make a cursor of that class and call its method, since
from 3.11 on they make a plain C cursor (CPython's connection.c) which would pass by. Like there, neither `cursor` nor `execute`
of a subclass is asked. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.probe.stand_ins import chained

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches

_FACTORY_POSITION = 5  # of sqlite3.connect's parameters


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time one method of the module's Cursor and its kin of the Connection, `call` being "Cursor.execute"."""
    connection, cursor = _classes(module, patches)
    name = call.partition(".")[2]
    patches.replace(cursor, name, timed(getattr(cursor, name), call))
    patches.replace(connection, name, timed(vars(connection)[name], call))


def _classes(module: ModuleType, patches: Patches) -> tuple[Any, Any]:
    """Return our Connection and our Cursor, making them and `connect` where they are not there yet."""
    present: Any = vars(module)["Cursor"]
    if getattr(present, "__hookmon__", False):
        return vars(module)["Connection"], present
    cursor_class: Any = type("Cursor", (present,), {"__slots__": (), "__module__": "sqlite3", "__hookmon__": True})

    def cursor(self: Any, factory: Any = cursor_class) -> Any:
        return base.cursor(self, factory)

    base: Any = vars(module)["Connection"]
    members: dict[str, Any] = {"__slots__": (), "__module__": "sqlite3", "cursor": _like(cursor, base.cursor)}
    for name in ("execute", "executemany", "executescript"):
        members[name] = chained(getattr(base, name), base.cursor, cursor_class, getattr(present, name))
    connection_class: Any = type("Connection", (base,), members)
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_POSITION:
            kwargs.setdefault("factory", connection_class)
        return plain_connect(*args, **kwargs)

    for each, value in (("Cursor", cursor_class), ("Connection", connection_class), ("connect", _like(connect, plain_connect))):
        patches.replace(module, each, value)
    return connection_class, cursor_class


def _like(function: Any, original: Any) -> Any:
    """Give a function the name and the text of what it stands in for."""
    function.__name__ = original.__name__
    function.__qualname__ = original.__qualname__
    function.__doc__ = original.__doc__
    function.__module__ = "sqlite3"
    function.__wrapped__ = original
    return function
