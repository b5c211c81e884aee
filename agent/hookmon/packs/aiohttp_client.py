"""Times how long aiohttp's client waits for a body that is read piece by piece.

In: `aiohttp.streams`, just imported, and "StreamReader._wait", where a reader waits for the next piece. Out: the method, timed
where the stream is a response that a client reads: servers read requests by the same class. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.adapter import attribute, shielded, time_when

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time the wait of a client."""
    owner: Any = vars(module)["StreamReader"]
    plain = vars(owner)["_wait"]
    patches.replace(owner, "_wait", time_when(_is_of_a_client, plain, timed(plain, call)))


@shielded(False)
def _is_of_a_client(stream: Any) -> bool:
    client = sys.modules.get("aiohttp.client_proto")
    return client is not None and issubclass(type(attribute(stream, "_protocol")), vars(client)["ResponseHandler"])
