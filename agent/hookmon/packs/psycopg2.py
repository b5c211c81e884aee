"""Lets psycopg2 be timed through its own cursor factory: its types are C and cannot be patched.

In: `psycopg2`, just imported. Out: `psycopg2.extensions.cursor` is a subclass whose `execute` and kin are timed, so are the
cursor classes that `psycopg2.extras` and programs derive from it, and `connect` gives a connection that has no factory of its
own that subclass for one. A subclass is what C code that checks types takes (register_type, Json, quote_ident); a
connection class that makes its cursors itself is left alone, and what it derives from `extensions.cursor` is timed anyway.
Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time `connect`, or one method of cursors, `call` being "cursor.execute"; the class is put in place the first time."""
    extensions: Any = module.extensions  # no look into its dictionary: it may be imported lazily
    cursor = _cursor_class(module, extensions, patches)
    name = call.partition(".")[2]
    if name:
        patches.replace(cursor, name, timed(getattr(cursor, name), call))
    else:
        patches.replace(module, call, timed(vars(module)[call], call))


@hide_frames
def _cursor_class(module: ModuleType, extensions: Any, patches: Patches) -> type:
    """Return our cursor, making it and the `connect` that hands it out where they are not there yet."""
    present: Any = vars(extensions)["cursor"]
    if getattr(present, "__hookmon__", False):
        return present  # type: ignore[no-any-return]
    members = {"__slots__": (), "__module__": "psycopg2.extensions", "__doc__": present.__doc__, "__hookmon__": True}
    cursor_class: Any = type("cursor", (present,), members)
    make_plainly = vars(extensions)["connection"].cursor
    plain_connect = vars(module)["connect"]

    def connect(*args: Any, **kwargs: Any) -> Any:
        try:
            connection = plain_connect(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if getattr(type(connection), "cursor", None) is make_plainly and connection.cursor_factory is None:
            connection.cursor_factory = cursor_class
        return connection

    patches.replace(extensions, "cursor", cursor_class)
    patches.replace(module, "connect", look_like(connect, plain_connect))
    return cursor_class  # type: ignore[no-any-return]
