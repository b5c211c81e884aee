"""Times the waits for a program's end that are waits: not those for an end that is known, as `subprocess.run` does in the end.

In: `subprocess`, just imported. Out: `Popen.wait`, timed while the program may still run. Runs in the watched process.
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


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time `Popen.wait`."""
    owner = vars(module)["Popen"]
    plain = vars(owner)["wait"]
    made = timed(plain, call)

    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return (made if attribute(self, "returncode") is None else plain)(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise

    patches.replace(owner, "wait", like(wait, plain))
