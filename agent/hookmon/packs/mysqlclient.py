"""Times `autocommit` of MySQLdb's connections where it sends something: it does when the mode is another one.

In: `MySQLdb.connections`, just imported. Out: the method, timed where that is so. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import like
from hookmon.probe.base.frames import leave_traceback, unseen

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time `Connection.autocommit`."""
    owner: Any = vars(module)["Connection"]
    plain = vars(owner)["autocommit"]
    made = timed(plain, call)

    def autocommit(self: Any, on: Any) -> Any:
        try:
            return (plain if self.get_autocommit() is bool(on) else made)(self, on)
        except BaseException as error:
            leave_traceback(error)
            raise

    patches.replace(owner, "autocommit", like(autocommit, plain))
