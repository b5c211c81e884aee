"""Names requests of Starlette by their routes: the patterns of mounted applications and of the route, joined.

In: `starlette.routing`, just imported, and `Route.handle`, `WebSocketRoute.handle` or `Mount.handle`. Out: the method, which
tells the open request of its pattern. Nothing is timed here. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import mount_request, name_request, observe, request_name

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `Mount.handle` or another class's `handle`, as `call` says, tell of the pattern."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    if class_name == "Mount":
        patches.replace(owner, name, observe(vars(owner)[name], _mounted))
    else:
        fields = ((1, ("method",)), (0, ("path_format",)))
        patches.replace(owner, name, observe(vars(owner)[name], _handled, route=(_route, fields)))


def _mounted(args: Any, kwargs: Any, result: Any) -> None:
    """Tell the open request that an application below this pattern has it now; its own route may say more."""
    mount, scope = args[:2]
    mount_request(method_of(scope), vars(mount).get("path"), "/{path}")


def _handled(args: Any, kwargs: Any, result: Any) -> None:
    route, scope = args[:2]
    name_request(method_of(scope), vars(route).get("path_format"))


def _route(args: Any, kwargs: Any, result: Any) -> str:
    route, scope = args[:2]
    return request_name(method_of(scope), vars(route)["path_format"])


def method_of(scope: Any) -> str:
    """Return the method of a request, or what else a scope is of: "websocket"."""
    return str(scope.get("method") or scope["type"])
