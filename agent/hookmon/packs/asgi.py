"""Makes each HTTP request and each websocket of an ASGI application a transaction, up to the end of its response.

In: the module of a server or a framework, just imported, and the name of one of three methods: the one by which a server calls an
application, `(self, app)` or, with the application in `self.app`, `(self)`; or an application itself, `(self, scope, receive,
send, …)`. Out: the method, which calls the
application with a `send` that reads status and end off the messages and passes them on as they are. Where both are there, the
server's counts: in an open request nothing is done. Runs in the watched process. Source: ASGI 3.0, "HTTP & WebSocket Message
Format".
"""

from __future__ import annotations

from hookmon.probe import response, transactions

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let the method that `call` names make transactions."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]

    async def request(app: Any, scope: Any, receive: Any, send: Any, *rest: Any) -> Any:
        try:
            return await app(scope, receive, send, *rest)
        except Exception:
            transactions.fail()
            raise

    entry = timed(request, call)

    def watched(app: Any) -> Any:
        def called(scope: Any, receive: Any, send: Any, *rest: Any) -> Any:
            if scope["type"] not in ("http", "websocket") or is_inside():
                return app(scope, receive, send, *rest)
            return entry(app, scope, receive, _telling(send), *rest)

        return called

    async def application(self: Any, scope: Any, *rest: Any) -> Any:
        return await watched(plain.__get__(self))(scope, *rest)

    async def server(self: Any, app: Any) -> Any:
        return await plain(self, watched(app))

    async def connection(self: Any) -> Any:
        self.app = watched(self.app)  # this object serves one websocket
        return await plain(self)

    code = plain.__code__
    method = connection if code.co_argcount == 1 else application if code.co_varnames[1] == "scope" else server
    patches.replace(owner, name, like(method, plain))


def like(function: Any, original: Any) -> Any:
    """Give a function the names, the text and the signature of what it stands in for."""
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(function, attribute, getattr(original, attribute))
    function.__wrapped__ = original
    return function


def is_inside() -> bool:
    """Say whether the caller belongs to a request that is open."""
    transaction = transactions.current()
    return transaction is not None and transaction.node.span.target.kind == "request"


def _telling(send: Any) -> Any:
    """Return a `send` that tells of what goes by."""

    def tell(message: Any) -> Any:
        kind = message["type"]
        if kind == "http.response.start":
            transactions.set_status(message["status"])
        elif (kind == "http.response.body" and not message.get("more_body")) or kind == "http.response.pathsend":
            return last(message)
        return send(message)

    async def last(message: Any) -> None:
        await send(message)
        response.finish()

    return tell
