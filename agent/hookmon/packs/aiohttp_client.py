"""Times how long aiohttp's client waits for a body that is read piece by piece.

In: `aiohttp.streams`, just imported, and "StreamReader._wait", where a reader waits for the next piece. Out: the method, timed
where the stream is a response that a client reads: servers read requests by the same class. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.packs.asgi import like
from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import attribute

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time the wait of a client."""
    owner: Any = vars(module)["StreamReader"]
    plain = vars(owner)["_wait"]
    made = timed(plain, call)

    async def _wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await (made if _is_of_a_client(self) else plain)(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise

    patches.replace(owner, "_wait", like(_wait, plain))


@shielded(False)
def _is_of_a_client(stream: Any) -> bool:
    client = sys.modules.get("aiohttp.client_proto")
    return client is not None and issubclass(type(attribute(stream, "_protocol")), vars(client)["ResponseHandler"])
