"""Names requests of Starlette by their routes: the patterns of mounted applications and of the route, joined.

In: `starlette.routing`, just imported, and `Route.handle`, `WebSocketRoute.handle` or `Mount.handle`. Out: the method, which
tells the open request of its pattern. Nothing is timed here. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.probe.naming.filters import method_of
from hookmon.probe.transactions import context, renaming
from hookmon.probe.wrappers.make import told

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `Mount.handle` or another class's `handle`, as `call` says, tell of the pattern."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    if class_name == "Mount":
        patches.replace(owner, name, told(vars(owner)[name], _mounted))
    else:
        patches.replace(
            owner, name, told(vars(owner)[name], _handled, route_of=(_route, ((1, ("method",)), (0, ("path_format",)))))
        )


def _mounted(args: Any, kwargs: Any, result: Any) -> None:
    """Tell the open request that an application below this pattern has it now; its own route may say more."""
    mount, scope = args[:2]
    path = vars(mount).get("path")
    transaction = context.current()
    if type(path) is str and transaction is not None and not transaction.is_routed and context.is_in_request():
        transaction.route += path
        renaming.rename(f"{_method(scope)} {transaction.route}/{{path}}")


def _handled(args: Any, kwargs: Any, result: Any) -> None:
    route, scope = args[:2]
    routed(scope, vars(route).get("path_format"))


def _route(args: Any, kwargs: Any, result: Any) -> str:
    route, scope = args[:2]
    return name_of(scope, vars(route)["path_format"])


def routed(scope: Any, path: Any) -> None:
    """Tell the open request its route. The first one stays: a handler may call another application."""
    transaction = context.current()
    if type(path) is str and transaction is not None and not transaction.is_routed and context.is_in_request():
        transaction.is_routed = True
        renaming.rename(name_of(scope, path))


def name_of(scope: Any, path: str) -> str:
    """Return the name of the open request: its method and the whole pattern."""
    transaction = context.current()
    return f"{_method(scope)} {transaction.route if transaction is not None else ''}{path}"


def _method(scope: Any) -> str:
    return method_of(str(scope.get("method") or scope["type"]))
