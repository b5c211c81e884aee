"""Times `autocommit` of MySQLdb's connections where it sends something: it does when the mode is another one.

In: `MySQLdb.connections`, just imported. Out: the method, timed where that is so. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time `Connection.autocommit`."""
    owner: Any = vars(module)["Connection"]
    plain = vars(owner)["autocommit"]
    made = timed(plain, call)

    def autocommit(self: Any, on: Any) -> Any:
        try:
            return (plain if self.get_autocommit() is bool(on) else made)(self, on)
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(owner, "autocommit", look_like(autocommit, plain))
