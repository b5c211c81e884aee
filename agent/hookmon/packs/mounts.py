"""Tells the open WSGI request where the application is mounted that gets it next, as Starlette's `Mount` does for ASGI.

In: `bottle`, with `Router.match`, or `werkzeug.middleware.dispatcher`, with `DispatcherMiddleware.__call__`. Out: the method,
which tells of the prefix under which an application has been mounted, and of Bottle's own routes by their rules. The prefix comes
from the mounts and never from the path: that says which one it is. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import mount_request, name_request, observe, observe_before, request_name

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let the method that `call` names tell."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    if class_name == "Router":
        fields = ((1, ("REQUEST_METHOD",)), (-1, (0, "rule")))
        patches.replace(owner, name, observe(plain, _matched, route=(_rule, fields)))
    else:
        patches.replace(owner, name, observe_before(plain, _dispatched))


def _matched(args: Any, kwargs: Any, result: Any) -> None:
    prefix = _mountpoint(result[0])
    if prefix:
        _mounted(args[1], prefix)
    else:
        name_request(_method(args[1]), _pattern(result[0]))


def _rule(args: Any, kwargs: Any, result: Any) -> str:
    """Return the name by one of Bottle's routes, "" for a mount, of which `_matched` tells."""
    return "" if _mountpoint(result[0]) else request_name(_method(args[1]), _pattern(result[0]))


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
    mount_request(_method(environ), prefix, "/<path>")


def _method(environ: Any) -> str:
    return environ["REQUEST_METHOD"]  # type: ignore[no-any-return]


def _pattern(route: Any) -> str:
    return "/" + vars(route)["rule"].lstrip("/")  # type: ignore[no-any-return]
