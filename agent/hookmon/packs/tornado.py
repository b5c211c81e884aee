"""Makes each request of Tornado a transaction named by its rule's pattern, which ends when `finish` has been called.

In: `tornado.web` or `tornado.httpclient`, just imported. Out: `RequestHandler._execute` (the transaction),
`RequestHandler.finish` (its end; what the handler does after it is counted apart) and `AsyncHTTPClient.fetch`, which is timed
until its future is done. A websocket is one transaction, as long as it lasts. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import (
    current_transaction,
    drop_frame,
    end_response,
    hide_frames,
    http_method,
    look_like,
    observe,
    set_status,
    set_traceparent,
    shielded,
)

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_open: dict[int, Any] = {}
"""{id(handler): transaction} while `_execute` runs: one handler may finish another."""


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Patch the method that `call` names."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    made = observe(plain, _finished) if name == "finish" else look_like(_MAKERS[name](plain, timed, call), plain)
    patches.replace(owner, name, made)


@hide_frames
def _execute_maker(plain: Any, timed: Any, call: str) -> Any:
    async def request(handler: Any, name: str, args: Any, kwargs: Any) -> Any:
        transaction = current_transaction()
        if transaction is not None:
            _open[id(handler)] = transaction
            set_traceparent(transaction, _traceparent(handler))
        try:
            return await plain(handler, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            _open.pop(id(handler), None)

    entry = timed(request, call)

    async def _execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await entry(self, _name(self), args, kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return _execute


def _finished(args: Any, kwargs: Any, result: Any) -> None:
    handler = args[0]
    transaction = _open.get(id(handler))
    if transaction is not None:
        set_status(transaction, handler._status_code)
        if handler._status_code != 101:  # the handshake of a websocket
            end_response(transaction)


@hide_frames
def _fetch_maker(plain: Any, timed: Any, call: str) -> Any:
    def send(client: Any, method: Any, url: Any, request: Any, args: Any, kwargs: Any) -> Any:
        try:
            return plain(client, request, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    call_timed = timed(send, call)

    def fetch(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        known = {"url": request} if isinstance(request, str) else getattr(request, "__dict__", {})
        method = known.get("method") or kwargs.get("method") or "GET"
        try:
            return call_timed(self, method, known.get("url"), request, args, kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    return fetch


_MAKERS = {"_execute": _execute_maker, "fetch": _fetch_maker}


@shielded(None)
def _traceparent(handler: Any) -> Any:
    """Return the one such header of a request, None where there are several."""
    found = vars(handler.request.headers)["_as_list"].get("Traceparent", ())
    return found[0] if len(found) == 1 else None


@shielded("GET (no route)")
def _name(handler: Any) -> str:
    """Return method and pattern of a handler's request."""
    method = "WEBSOCKET" if "ws_connection" in vars(handler) else http_method(handler.request.method)
    cls = type(handler)
    pattern = _pattern(vars(handler.application).get("default_router"), cls, handler.request.path)
    if pattern:
        return f"{method} {pattern}"
    if cls.__module__ == "tornado.web" or cls is handler.application.settings.get("default_handler_class"):
        return f"{method} (no route)"
    return f"{method} {cls.__name__}"  # of a router of the program's own


def _pattern(router: Any, cls: type, path: str) -> str:
    """Return the pattern of the first rule that leads from this path to a class of handlers, "" when there is none."""
    for rule in vars(router).get("rules", ()) if router is not None else ():
        if rule.target is cls:
            regex = vars(rule.matcher).get("regex")
            if regex is not None and regex.match(path):
                return str(regex.pattern).removeprefix("^").removesuffix("$")
        elif not isinstance(rule.target, type) and hasattr(rule.target, "__dict__") and "rules" in vars(rule.target):
            found = _pattern(rule.target, cls, path)
            if found:
                return found
    return ""
