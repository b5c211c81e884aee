"""Names requests of Starlette by their routes: the patterns of mounted applications and of the route, joined.

In: `starlette.routing`, just imported, and `Route.handle`, `WebSocketRoute.handle` or `Mount.handle`. Out: the method, which
tells the open request of its pattern. Nothing is timed here. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import is_inside
from hookmon.probe import transactions
from hookmon.probe.methods import method_of
from hookmon.probe.stand_ins import told

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `Mount.handle` or another class's `handle`, as `call` says, tell of the pattern."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    tell, pattern = (_mounted, "path") if class_name == "Mount" else (routed, "path_format")

    def handled(args: Any, kwargs: Any, result: Any) -> None:
        route, scope = args[:2]
        tell(scope, vars(route).get(pattern))

    patches.replace(owner, name, told(vars(owner)[name], handled))


def _mounted(scope: Any, path: Any) -> None:
    """Tell the open request that an application below this pattern has it now; its own route may say more."""
    transaction = transactions.current()
    if type(path) is str and transaction is not None and not transaction.is_routed and is_inside():
        transaction.route += path
        transactions.rename(f"{_method(scope)} {transaction.route}/{{path}}")


def routed(scope: Any, path: Any) -> None:
    """Tell the open request its route. The first one stays: a handler may call another application."""
    transaction = transactions.current()
    if type(path) is str and transaction is not None and not transaction.is_routed and is_inside():
        transaction.is_routed = True
        transactions.rename(f"{_method(scope)} {transaction.route}{path}")


def _method(scope: Any) -> str:
    return method_of(str(scope.get("method") or scope["type"]))
