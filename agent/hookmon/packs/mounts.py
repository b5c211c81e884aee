"""Tells the open WSGI request where the application is mounted that gets it next, as Starlette's `Mount` does for ASGI.

In: `bottle`, with `Router.match`, or `werkzeug.middleware.dispatcher`, with `DispatcherMiddleware.__call__`. Out: the method,
which tells of the prefix under which an application has been mounted, and of Bottle's own routes by their rules. The prefix comes
from the mounts and never from the path: that says which one it is. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.probe.naming.filters import method_of
from hookmon.probe.transactions import context, renaming
from hookmon.probe.wrappers.make import told, told_before

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let the method that `call` names tell."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    if class_name == "Router":
        fields = ((1, ("REQUEST_METHOD",)), (-1, (0, "rule")))
        patches.replace(owner, name, told(plain, _matched, route_of=(_rule, fields)))
    else:
        patches.replace(owner, name, told_before(plain, _dispatched))


def _matched(args: Any, kwargs: Any, result: Any) -> None:
    prefix = _mountpoint(result[0])
    if prefix:
        _mounted(args[1], prefix)
    else:
        renaming.call_it(_name(args[1], vars(result[0])["rule"]))


def _rule(args: Any, kwargs: Any, result: Any) -> str:
    """Return the name by one of Bottle's routes, "" for a mount, of which `_matched` tells."""
    return "" if _mountpoint(result[0]) else renaming.mounted(_name(args[1], vars(result[0])["rule"]))


def _mountpoint(route: Any) -> str:
    """Return the prefix that a route of Bottle was mounted with, "" for a plain route. Bottle writes it into `config`."""
    prefix = dict.get(vars(route).get("config") or {}, "mountpoint.prefix")
    return f"/{prefix.strip('/')}" if isinstance(prefix, str) else ""


def _dispatched(args: Any, kwargs: Any, result: Any) -> None:
    """Find the mount as the dispatcher is about to: the longest part of the path, cut at slashes."""
    dispatcher, environ = args[:2]
    mounts = vars(dispatcher)["mounts"]
    script = environ.get("PATH_INFO", "")
    while script and type(mounts) is dict and script not in mounts:
        script = script.rpartition("/")[0]
    if script and type(mounts) is dict:
        _mounted(environ, script)


def _mounted(environ: Any, prefix: str) -> None:
    transaction = context.current()
    if transaction is not None and not transaction.is_routed and context.is_in_request():
        transaction.route += prefix
        renaming.rename(_name(environ, f"{transaction.route}/<path>"))


def _name(environ: Any, rule: str) -> str:
    return f"{method_of(environ['REQUEST_METHOD'])} /{rule.lstrip('/')}"
