"""Lets aiosqlite be timed where all it does passes through, and keeps sqlite3's own pack from counting it again.

In: `aiosqlite.core`, just imported. Out: `Connection._execute`, which hands a function of sqlite3 to the connection's thread,
passes those that work on statements through what is timed; `connect` asks for sqlite3's plain connection, whose
statements nobody else counts. A connection of the program's own making (`factory=`) stays what it is. Runs in the watched
process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_FUNCTIONS = {"execute": ("execute", "_execute_insert", "_execute_fetchall")}
"""The functions that aiosqlite hands to its thread, by the call that is watched; others go by the call's own name."""


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time what one call hands to the thread, `call` being "Connection.execute"; the ways there are laid the first time."""
    connection: Any = vars(module)["Connection"]
    plain_execute, routes = _routes(module, connection, patches)
    owner, _, name = call.partition(".")
    getattr(vars(module)[owner], name)  # one that is gone is told
    way = timed(plain_execute, call)
    routes.update(dict.fromkeys(_FUNCTIONS.get(name, (name,)), way))


@hide_frames
def _routes(module: ModuleType, connection: Any, patches: Patches) -> tuple[Any, dict[str, Any]]:
    """Return the real `_execute` and the timed ones by function, putting our `_execute` and `connect` in their places once."""
    present = vars(connection)["_execute"]
    if hasattr(present, "hookmon_routes"):
        return present.__wrapped__, present.hookmon_routes
    routes: dict[str, Any] = {}

    def _execute(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return routes.get(getattr(fn, "__name__", ""), present)(self, fn, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    _execute.hookmon_routes = routes  # type: ignore[attr-defined]
    patches.replace(connection, "_execute", look_like(_execute, present))
    sqlite3: Any = module.sqlite3  # no look into its dictionary: it may be imported lazily
    plain_connection = sqlite3.Connection.__mro__[-2]  # the C type, whatever was derived from it
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("factory", plain_connection)
        try:
            return plain_connect(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(module, "connect", look_like(connect, plain_connect))
    return present, routes
