"""Makes each call to a gRPC server a transaction, up to the end of its answer.

In: `grpc._server`, just imported, where a call is answered by a function in a thread of the server's pool; or `grpc.aio._server`,
whose servers are C and call the program's handlers themselves. Out: the former as entries; the latter's servers with an
interceptor more, the first, which gets each handler when all others have had it and returns one that calls it as an entry. Runs
in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.adapter import (
    current_transaction,
    drop_frame,
    fail_transaction,
    hide_frames,
    look_like,
    observe,
    set_traceparent,
    shielded,
)

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_FAILURES = frozenset((2, 4, 12, 13, 14, 15))
"""UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's own, as OpenTelemetry has it."""


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let the functions of a pool be entries and tell how a call has ended, or asyncio's servers have the interceptor."""
    if module.__name__ == "grpc.aio._server":
        _patch_server(module, timed, call, patches)
    elif call in ("_abort", "_status"):
        patches.replace(module, call, observe(vars(module)[call], _aborted if call == "_abort" else _ended))
    else:
        patches.replace(module, call, look_like(_pooled(vars(module)[call], timed, call), vars(module)[call]))


@hide_frames
def _pooled(plain: Any, timed: Timed, call: str) -> Any:
    def run(method: str, rpc_event: Any, *args: Any) -> Any:
        _note_traceparent(rpc_event)
        try:
            return plain(rpc_event, *args)
        except BaseException as error:
            drop_frame(error)
            raise

    entry = timed(run, call)

    def in_pool(rpc_event: Any, *args: Any) -> Any:
        try:
            return entry(_method_of(rpc_event), rpc_event, *args)
        except BaseException as error:
            drop_frame(error)
            raise

    return in_pool


@shielded("?")
def _method_of(rpc_event: Any) -> str:
    """Return the full name of the method; for one that is registered with the server the event is named after it."""
    method = rpc_event.call_details.method or rpc_event.tag
    return method.decode("utf-8", "replace") if type(method) is bytes else str(method)


@shielded(None)
def _note_traceparent(details: Any) -> None:
    transaction = current_transaction()
    if transaction is not None:
        found = [pair[1] for pair in details.invocation_metadata or () if pair[0] == "traceparent"]
        set_traceparent(transaction, found[0] if len(found) == 1 else None)


def _aborted(args: Any, kwargs: Any, result: Any) -> None:
    """Note the status of a call that was given up; what the handler has said itself goes before `code`."""
    state, _, code, _ = args
    _note_code(code if state.code is None else state.code)


def _ended(args: Any, kwargs: Any, result: Any) -> None:
    _note_code(args[1].code)


@shielded(None)
def _note_code(code: Any) -> None:
    """Note a StatusCode, whose value is its number and a text, or a number; None is OK."""
    number = code if isinstance(code, int) else code.value[0] if code is not None else 0
    if number in _FAILURES:
        fail_transaction()


class _Raised:
    """Carries an abort, with which a handler says how a call ends, out of the timed call, which would count it as a failure."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


@hide_frames
def _patch_server(module: ModuleType, timed: Timed, call: str, patches: Patches) -> None:
    owner: Any = vars(module)["Server"]
    plain = owner.__init__

    @shielded(None)
    def make_first() -> Any:
        handlers = _Handlers(sys.modules["grpc"], timed, call)  # which is imported as a whole when there are servers

        class First(module.ServerInterceptor):  # type: ignore[misc, name-defined]
            """Sees each call before the interceptors of the program, and so its handler after them."""

            async def intercept_service(self, continuation: Any, details: Any) -> Any:
                handler = await continuation(details)
                return handlers.entry_of(handler, details) or handler

        return First()

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        first = make_first()
        if first is not None and len(args) > 2:
            args = (*args[:2], (first, *(args[2] or ())), *args[3:])
        elif first is not None and "interceptors" in kwargs:
            kwargs["interceptors"] = (first, *(kwargs["interceptors"] or ()))
        try:
            plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(owner, "__init__", look_like(__init__, plain))


class _Handlers:
    """Makes handlers that call the program's as entries."""

    def __init__(self, grpc: Any, timed: Timed, call: str) -> None:
        self._grpc = grpc
        self._inspect: Any = sys.modules["inspect"]  # which asyncio has imported
        aborted = grpc.aio.AbortError

        async def run(method: str, behavior: Any, streams: bool, details: Any, request: Any, context: Any) -> Any:
            _note_traceparent(details)
            try:
                if not streams:
                    return await behavior(request, context)
                async for message in behavior(request, context):  # as the server does it
                    await context.write(message)
                return None
            except aborted as error:
                return _Raised(error)
            except BaseException as error:
                drop_frame(error)
                raise
            finally:
                _note_code_of(context)

        def run_in_thread(method: str, behavior: Any, details: Any, request: Any, context: Any) -> Any:
            _note_traceparent(details)
            try:
                return behavior(request, context)
            except aborted as error:
                return _Raised(error)
            except BaseException as error:
                drop_frame(error)
                raise

        self._run = timed(run, call)
        self._run_in_thread = timed(run_in_thread, call)

    @shielded(None)
    def entry_of(self, handler: Any, details: Any) -> Any:
        """Return a handler of the same kind; None where there is none, or none that can be called as an entry."""
        if handler is None:
            return None
        kind = "_".join("stream" if streams else "unary" for streams in (handler.request_streaming, handler.response_streaming))
        behavior = getattr(handler, kind)
        streams = bool(self._inspect.isasyncgenfunction(behavior))
        if streams or self._inspect.iscoroutinefunction(behavior):
            entry = self._of_coroutine(behavior, streams, details)
        elif not handler.response_streaming:
            entry = self._of_function(behavior, details)
        else:
            return None  # each message of it is made by a job of the server's own
        make = getattr(self._grpc, f"{kind}_rpc_method_handler")
        return make(entry, handler.request_deserializer, handler.response_serializer)

    @hide_frames
    def _of_coroutine(self, behavior: Any, streams: bool, details: Any) -> Any:
        run, method = self._run, str(details.method)

        async def handle(request: Any, context: Any) -> Any:
            try:
                answer = await run(method, behavior, streams, details, request, context)
            except BaseException as error:
                drop_frame(error)
                raise
            if type(answer) is _Raised:
                raise answer.error
            return answer

        return handle

    @hide_frames
    def _of_function(self, behavior: Any, details: Any) -> Any:
        run, method = self._run_in_thread, str(details.method)

        def handle(request: Any, context: Any) -> Any:
            try:
                answer = run(method, behavior, details, request, context)
            except BaseException as error:
                drop_frame(error)
                raise
            if type(answer) is _Raised:
                raise answer.error
            return answer

        return handle


@shielded(None)
def _note_code_of(context: Any) -> None:
    _note_code(context.code())
