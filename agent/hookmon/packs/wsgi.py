"""Times the application that a WSGI server was given, whatever it is.

In: the class of a server, just imported. Out: its attribute that holds the application is, once it has been set, a function that
calls the application and listens to the status with which the response begins. An application whose class begins requests
itself, by the pack of its framework, stays where it is. Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches

_ATTRIBUTES = {"gunicorn.workers.base": "wsgi", "werkzeug.serving": "app"}
"""Where servers keep the application, `application` but for these."""


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let a method that sets the application, `call` being "WSGIServer.set_app", set what is timed."""
    owner, _, name = call.partition(".")
    server: Any = vars(module)[owner]
    attribute = _ATTRIBUTES.get(module.__name__, "application")
    original = vars(server)[name]
    run = timed(_run, call)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        application = vars(self).get(attribute)
        if callable(application) and _is_wanted(application, self, type(run)):
            setattr(self, attribute, _listening(application, run))
        return result

    patches.replace(server, name, _like(method, original))


def _run(application: Any, environ: Any, begin: Any) -> Any:
    return application(environ, begin)


def _is_wanted(application: Any, server: Any, stand_in: type) -> bool:
    begins = next((vars(cls)["__call__"] for cls in type(application).__mro__ if "__call__" in vars(cls)), None)
    if hasattr(application, "__hookmon__") or isinstance(begins, stand_in):
        return False
    # gunicorn's workers for ASGI and for Tornado call something else
    return not hasattr(server, "load_wsgi") or (hasattr(server, "handle_request") and type(server).__name__ != "TornadoWorker")


class _Begin:
    """A server's `start_response` that remembers the status."""

    __slots__ = ("_start_response", "status")

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self.status = ""

    def __call__(self, status: Any, *args: Any, **kwargs: Any) -> Any:
        self.status = status
        return self._start_response(status, *args, **kwargs)


def _listening(application: Any, run: Any) -> Any:
    def listening(environ: Any, start_response: Any) -> Any:
        return run(application, environ, _Begin(start_response))

    listening.__hookmon__ = True  # type: ignore[attr-defined]
    return _like(listening, application)


def _like(function: Any, original: Any) -> Any:
    """Give a function the name of what it stands in for."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        if hasattr(original, name):
            setattr(function, name, getattr(original, name))
    function.__wrapped__ = original
    return function
