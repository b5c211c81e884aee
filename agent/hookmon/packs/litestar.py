"""Names requests of Litestar by the patterns of their routes; an ASGI application that is mounted says the rest itself.

In: a module of `litestar.routes`, just imported. Out: the `handle` of its class of routes, which tells the open request of its
pattern, also where the handler raises. Nothing is timed here. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, mount_request, name_request, observe
from hookmon.packs.starlette import method_of

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `HTTPRoute.handle`, or that of another class, tell of the pattern."""
    owner: Any = vars(module)[call.partition(".")[0]]
    patches.replace(owner, "handle", observe(vars(owner)["handle"], _handled))


def _handled(args: Any, kwargs: Any, result: Any) -> None:
    route = args[0]
    scope = args[1] if len(args) > 1 else kwargs["scope"]
    pattern = attribute(route, "path_format")
    if attribute(attribute(route, "route_handler"), "is_mount") is True:
        mount_request(method_of(scope), pattern, "/{path}")
    else:
        name_request(method_of(scope), pattern)
