"""Times the application that a WSGI server was given, whatever it is.

In: the class of a server, just imported. Out: its attribute that holds the application is, once it has been set, a function that
calls the application and listens to the status with which the response begins. An application whose class begins requests
itself, by the pack of its framework, stays where it is. Runs in the watched process.

A call of a generator function runs nothing of it: there the request is the generator's first step, up to the first part of the
body, and the other steps are shown as those of any body that is streamed. Inside of a middleware nobody knows before the call
what comes of it: the request is the call, and the status is told when it is known.
"""

from __future__ import annotations

from types import FunctionType, GeneratorType, MethodType

from hookmon.adapter import (
    Proxy,
    current_transaction,
    drop_frame,
    hide_frames,
    is_generator_function,
    is_partial,
    is_timed,
    look_like,
    set_status,
    stream_body,
)

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_ATTRIBUTES = {"gunicorn.workers.base": "wsgi", "werkzeug.serving": "app"}
"""Where servers keep the application, `application` but for these."""

_NOTHING = object()


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let a method that sets the application, `call` being "WSGIServer.set_app", set what is timed."""
    owner, _, name = call.partition(".")
    server: Any = vars(module)[owner]
    attribute = _ATTRIBUTES.get(module.__name__, "application")
    original = vars(server)[name]
    run, first = timed(_run, call), timed(_first, call)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        application = vars(self).get(attribute)
        if callable(application) and _is_wanted(application, self):
            setattr(self, attribute, _listening(application, run, first))
        return result

    patches.replace(server, name, look_like(method, original))


@hide_frames
def _run(application: Any, environ: Any, begin: Any) -> Any:
    try:
        result = application(environ, begin)
    except BaseException as error:
        drop_frame(error)
        raise
    if not begin.status:
        begin.transaction = current_transaction()
    return result


@hide_frames
def _first(body: _Unbegun, environ: Any, begin: Any) -> Any:
    """Take the first step, inside of the request; return _NOTHING for a body without parts."""
    generator, transaction = body.rest, current_transaction()
    if transaction is not None:
        body.rest = stream_body(generator, transaction)
    try:
        return next(generator, _NOTHING)
    except BaseException as error:
        drop_frame(error)
        raise


def _is_wanted(application: Any, server: Any) -> bool:
    if hasattr(application, "__hookmon__") or is_timed(_call_of(application)):
        return False
    # gunicorn's workers for ASGI and for Tornado call something else
    return not hasattr(server, "load_wsgi") or (hasattr(server, "handle_request") and type(server).__name__ != "TornadoWorker")


class _Begin:
    """A server's `start_response` that remembers the status; with `transaction` set, it tells that one."""

    __slots__ = ("_start_response", "status", "transaction")

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self.status = ""
        self.transaction: Any = None

    @hide_frames
    def __call__(self, status: Any, *args: Any, **kwargs: Any) -> Any:
        self.status = status
        if self.transaction is not None:
            set_status(self.transaction, status)
        try:
            return self._start_response(status, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise


class _Unbegun(Proxy):
    """What a generator function returned: its first step is the request, the others make the `rest` of the body."""

    __slots__ = ("_request", "rest")

    __class__ = property(lambda self: GeneratorType)

    def __init__(self, inner: Any, first: Any, environ: Any, begin: _Begin) -> None:
        super().__init__(inner)
        self._request: Any = (first, environ, begin)
        self.rest = inner

    def __iter__(self) -> Any:
        return self

    @hide_frames
    def __next__(self) -> Any:
        try:
            if self._request is None:
                return next(self.rest)
            (first, *arguments), self._request = self._request, None
            part = first(self, *arguments)
        except BaseException as error:
            drop_frame(error)
            raise
        if part is _NOTHING:
            raise StopIteration
        return part

    @hide_frames
    def send(self, value: Any) -> Any:
        try:
            return next(self) if value is None else self.rest.send(value)
        except BaseException as error:
            drop_frame(error)
            raise

    @hide_frames
    def throw(self, *exception: Any) -> Any:
        try:
            return self.rest.throw(*exception)
        except BaseException as error:
            drop_frame(error)
            raise

    @hide_frames
    def close(self) -> None:
        try:
            self.rest.close()
        except BaseException as error:
            drop_frame(error)
            raise


@hide_frames
def _listening(application: Any, run: Any, first: Any) -> Any:
    def listening(environ: Any, start_response: Any) -> Any:
        try:
            return run(application, environ, _Begin(start_response))
        except BaseException as error:
            drop_frame(error)
            raise

    def generating(environ: Any, start_response: Any) -> Any:
        begin = _Begin(start_response)
        try:
            made = application(environ, begin)
        except BaseException as error:
            drop_frame(error)
            raise
        return _Unbegun(made, first, environ, begin)

    function = generating if _is_generator_function(application) else listening
    function.__hookmon__ = True  # type: ignore[attr-defined]
    return look_like(function, application)


def _is_generator_function(application: Any) -> bool:
    while is_partial(application):
        application = application.func
    if not isinstance(application, FunctionType | MethodType):
        application = _call_of(application)
    return isinstance(application, FunctionType | MethodType) and is_generator_function(application)


def _call_of(value: Any) -> Any:
    return next((vars(cls)["__call__"] for cls in type(value).__mro__ if "__call__" in vars(cls)), None)
