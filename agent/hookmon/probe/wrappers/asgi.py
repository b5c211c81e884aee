"""ASGI applications: which of their calls begin a request, and what they send of its response.

In: calls `(scope, receive, send)`. Out: a transaction for each HTTP request and each websocket, with its status and failure. It
ends when the last part of the response has been sent. Within an open request nothing is done: where a server and a framework are
both watched, the server's call counts. Runs in the watched process, with the pure engine. The compiled one does the same in C.
Source: ASGI 3.0, "HTTP & WebSocket Message Format".
"""

from __future__ import annotations

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.target import note_maker
from hookmon.probe.recording import control
from hookmon.probe.transactions import context, response
from hookmon.probe.transactions.origins import find_origin
from hookmon.probe.wrappers.calls import TimedCoroutineFunction
from hookmon.probe.wrappers.coroutines import TimedCoroutine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from hookmon.probe.base.shapes import Function
    from hookmon.probe.base.target import Target
    from hookmon.probe.naming.names import FindSpan

    Send = Callable[[Any], Awaitable[None]]  # of a dictionary, whose `type` says what else it has


class Application(TimedCoroutineFunction):
    """An application, or a method that is called as one. `position` is that of its scope."""

    __slots__ = ("_self_position",)

    def __init__(
        self, function: Function, span: None, name: FindSpan, position: int, sited: bool, key: str, after: int, target: Target
    ) -> None:
        super().__init__(function, span, name, position, sited, key, after, target)
        self._self_position = position

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        """Call the application. A call that begins a request is a transaction."""
        send = self._self_position + 2
        is_on = not control.words[control.SWITCH] or not control.is_off(self._self_target)
        is_request = is_on and not kwargs and len(args) > send and _begins_request(args[self._self_position])
        try:
            if not is_request:
                return self._self_function(*args, **kwargs)
            made = self._self_function(*args[:send], _observe_send(args[send]), *args[send + 1 :])
        except BaseException as error:
            drop_frame(error)
            raise
        span = self._self_name(args, kwargs)
        if not span.made_at:
            note_maker(span)
        timed = TimedCoroutine(_note_failure(made), span)
        timed._frame.origin = find_origin("request", (args[self._self_position],))
        return timed


def _begins_request(scope: object) -> bool:
    return type(scope) is dict and scope.get("type") in ("http", "websocket") and not context.is_in_request()


@hide_frames
async def _note_failure(made: Any) -> object:
    try:
        return await made
    except BaseException as error:
        if isinstance(error, Exception):
            context.fail()
        drop_frame(error)
        raise


@hide_frames
def _observe_send(send: Any) -> Send:
    """Return a `send` that takes status and end of the response from what goes by."""

    def observe(message: Any) -> Any:
        message_type = message["type"]
        if message_type == "http.response.start":
            if context.is_in_request():
                context.set_status(message["status"])
        elif (message_type == "http.response.body" and not message.get("more_body")) or message_type == "http.response.pathsend":
            return send_last(message)
        return send(message)

    async def send_last(message: object) -> None:
        try:
            await send(message)
        except BaseException as error:
            drop_frame(error)
            raise
        response.finish_response()

    return observe
