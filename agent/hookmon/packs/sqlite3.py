"""Lets sqlite3 be timed through its own factory: its types are C and cannot be patched.

In: `sqlite3.dbapi2`, just imported. Out: the module's names `Cursor` and `Connection` are subclasses whose `execute` and
kin are timed, and `connect` makes connections of that class unless it is given another factory. Subclasses that the program
derives from either inherit the timing. Connection.execute goes through the connection's `cursor()` (CPython's
connection.c), so it is timed once. Runs in the watched process.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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

    base: Any = vars(module)["Connection"]
    connection_class: Any = type("Connection", (base,), {"__slots__": (), "__module__": "sqlite3", "cursor": cursor})
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_POSITION:
            kwargs.setdefault("factory", connection_class)
        return plain_connect(*args, **kwargs)

    for each in ("__name__", "__qualname__", "__doc__", "__module__", "__text_signature__"):
        if hasattr(plain_connect, each):
            setattr(connect, each, getattr(plain_connect, each))
    connect.__wrapped__ = plain_connect  # type: ignore[attr-defined]
    for each, value in (("Cursor", cursor_class), ("Connection", connection_class), ("connect", connect)):
        patches.replace(module, each, value)
    return cursor_class  # type: ignore[no-any-return]
