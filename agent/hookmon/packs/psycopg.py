"""Times the commits and rollbacks of psycopg 3 that send something: of an idle connection it sends none.

In: `psycopg.connection` or `psycopg.connection_async`, just imported. Out: the methods, timed where a transaction is open. Runs
in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, time_when

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_IDLE = 0  # libpq's PQTRANS_IDLE


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time one of them, `call` being "AsyncConnection.commit"."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = getattr(owner, name)
    patches.replace(owner, name, time_when(_is_open, plain, timed(plain, call)))


def _is_open(connection: Any) -> bool:
    return bool(attribute(connection, "pgconn").transaction_status != _IDLE)
