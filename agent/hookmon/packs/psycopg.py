"""Times the commits and rollbacks of psycopg 3 that send something: of an idle connection it sends none.

In: `psycopg`, just imported. Out: the methods, timed where a transaction is open. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import like
from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.base.introspect import attribute

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches

_IDLE = 0  # libpq's PQTRANS_IDLE


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time one of them, `call` being "AsyncConnection.commit"."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = getattr(owner, name)
    made = timed(plain, call)

    def method(self: Any) -> Any:
        try:
            return (made if _is_open(self) else plain)(self)
        except BaseException as error:
            leave_traceback(error)
            raise

    async def method_async(self: Any) -> Any:
        try:
            return await (made if _is_open(self) else plain)(self)
        except BaseException as error:
            leave_traceback(error)
            raise

    patches.replace(owner, name, like(method_async if class_name.startswith("Async") else method, plain))


def _is_open(connection: Any) -> bool:
    return bool(attribute(connection, "pgconn").transaction_status != _IDLE)
