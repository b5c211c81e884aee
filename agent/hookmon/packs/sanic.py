"""Makes each request of Sanic's server a transaction.

In: `sanic.server.protocols.http_protocol`, just imported. Out: its `HttpProtocol`, whose instances call the application's
handler as an entry. Sanic.handle_request itself cannot be watched: Sanic makes it anew from its source when it starts
("touchup"). Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import current_transaction, drop_frame, hide_frames, look_like, set_traceparent, shielded

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let each new protocol call its handler as an entry, `call` being "HttpProtocol.request_handler"."""
    owner: Any = vars(module)["HttpProtocol"]
    plain = owner.__init__

    async def handle(handler: Any, request: Any) -> Any:
        transaction = current_transaction()
        if transaction is not None:
            set_traceparent(transaction, _traceparent(request))
        try:
            return await handler(request)
        except BaseException as error:
            drop_frame(error)
            raise

    entry = timed(handle, call)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        plain(self, *args, **kwargs)
        handler = self.request_handler

        def begin(request: Any) -> Any:
            try:
                return entry(handler, request)
            except BaseException as error:
                drop_frame(error)
                raise

        self.request_handler = begin

    patches.replace(owner, "__init__", look_like(__init__, plain))


@shielded(None)
def _traceparent(request: Any) -> Any:
    """Return the one such header of a request, None where there are several."""
    found = request.headers.getall("traceparent", [])
    return found[0] if len(found) == 1 else None
