"""Lets sqlite3 be timed through its own factory: its types are C and cannot be patched.

In: `sqlite3.dbapi2`, just imported. Out: the module's names `Cursor` and `Connection` are subclasses whose `execute` and
kin are timed, and `connect` makes connections of that class unless it is given another factory. Subclasses that the program
derives from either inherit the timing. Connection.execute and its kin make a cursor of that class and call its method, since
from 3.11 on they make a plain C cursor (CPython's connection.c) which would pass by. Like there, neither `cursor` nor `execute`
of a subclass is asked. A commit is one where a transaction is open, that of a `with` block too, which calls no method. Runs in
the watched process.
"""

from __future__ import annotations

from hookmon.adapter import chain, drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_FACTORY_POSITION = 5  # of sqlite3.connect's parameters


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time a method of the module's Cursor and its kin of the Connection, "Cursor.execute", or "Connection.commit"."""
    connection, cursor = _classes(module, patches)
    owner, _, name = call.partition(".")
    if owner == "Connection":
        _patch_end(connection, name, timed, call, patches)
        return
    patches.replace(cursor, name, timed(getattr(cursor, name), call))
    if name in vars(connection):
        patches.replace(connection, name, timed(vars(connection)[name], call))


def _patch_end(connection: Any, name: str, timed: Timed, call: str, patches: Patches) -> None:
    """Time `commit` or `rollback`, and a `with` block's end that does the same, where there is something to end."""
    plain, present = getattr(connection, name), connection.__exit__
    end, exit_timed = timed(plain, call), timed(vars(connection.__base__)["__exit__"], call)
    is_commit = name == "commit"

    @hide_frames
    def method(self: Any) -> Any:
        return end(self) if self.in_transaction else plain(self)

    @hide_frames
    def leave(self: Any, exc_type: Any, exc_value: Any, exc_tb: Any, /) -> Any:
        is_it = (exc_type is None) is is_commit and self.in_transaction
        return (exit_timed if is_it else present)(self, exc_type, exc_value, exc_tb)

    patches.replace(connection, name, _like_theirs(method, plain))
    patches.replace(connection, "__exit__", _like_theirs(leave, present))


@hide_frames
def _classes(module: ModuleType, patches: Patches) -> tuple[Any, Any]:
    """Return our Connection and our Cursor, making them and `connect` where they are not there yet."""
    present: Any = vars(module)["Cursor"]
    if getattr(present, "__hookmon__", False):
        return vars(module)["Connection"], present
    cursor_class: Any = type("Cursor", (present,), {"__slots__": (), "__module__": "sqlite3", "__hookmon__": True})

    def cursor(self: Any, factory: Any = cursor_class) -> Any:
        try:
            return base.cursor(self, factory)
        except BaseException as error:
            drop_frame(error)
            raise

    base: Any = vars(module)["Connection"]
    members: dict[str, Any] = {"__slots__": (), "__module__": "sqlite3", "cursor": _like_theirs(cursor, base.cursor)}
    for name in ("execute", "executemany", "executescript"):
        members[name] = chain(getattr(base, name), base.cursor, cursor_class, getattr(present, name))
    connection_class: Any = type("Connection", (base,), members)
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_POSITION:
            kwargs.setdefault("factory", connection_class)
        try:
            return plain_connect(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    for name, value in (
        ("Cursor", cursor_class),
        ("Connection", connection_class),
        ("connect", _like_theirs(connect, plain_connect)),
    ):
        patches.replace(module, name, value)
    return connection_class, cursor_class


def _like_theirs(function: Any, original: Any) -> Any:
    look_like(function, original).__module__ = "sqlite3"
    return function
