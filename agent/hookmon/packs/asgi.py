"""Makes each HTTP request and each websocket of an ASGI application a transaction, up to the end of its response.

In: the module of a server or a framework, just imported, and a method: the one by which a server keeps the application that it
was given, or an application itself, `(self, scope, receive, send)`. Out: the application's calls are transactions (probe.asgi).
Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import MISSING, attribute, observe

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed

_ATTRIBUTES = {"uvicorn.config": "loaded_app", "hypercorn.app_wrappers": "app"}
"""Where servers keep the application."""


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let the method that `call` names make transactions, or what it sets."""
    class_name, _, name = call.partition(".")
    owner: Any = vars(module)[class_name]
    plain = vars(owner)[name]
    where = _ATTRIBUTES.get(module.__name__)
    if where is None:
        patches.replace(owner, name, timed(plain, call, scope_at=1))
        return

    def kept(args: Any, kwargs: Any, result: Any) -> None:
        application = attribute(args[0], where)
        if application is not None and application is not MISSING:
            setattr(args[0], where, timed(application, call, scope_at=0))

    patches.replace(owner, name, observe(plain, kept))
