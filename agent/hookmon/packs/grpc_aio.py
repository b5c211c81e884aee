"""Lets the calls of grpc.aio say how they ended: they are futures to whoever awaits them, and keep their status to themselves.

In: `grpc.aio._channel`, just imported. Out: calls that carry `_exception`, as asyncio's futures do, when they end in anything but
OK. That is where the recorder looks. Runs in the watched process.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


class _NotOkError(Exception):
    """Stands for a status; never raised."""


_NOT_OK = _NotOkError()


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Time one kind of call, `call` being "UnaryUnaryMultiCallable.__call__"."""
    owner: Any = vars(module)[call.partition(".")[0]]
    plain = owner.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it becomes one
        made = plain(self, *args, **kwargs)
        made.add_done_callback(_note_status)  # ahead of the recorder's own, which comes when this has returned
        return made

    __call__.__wrapped__ = plain  # type: ignore[attr-defined]  # where the parameters are
    __call__.__doc__ = plain.__doc__
    __call__.__qualname__ = plain.__qualname__
    __call__.__module__ = plain.__module__
    patches.replace(owner, "__call__", timed(__call__, call))


def _note_status(ended: Any) -> None:
    core = getattr(ended, "_cython_call", None)  # a call with interceptors has none
    if core is not None and not core.is_ok() and not ended.cancelled():
        ended._exception = _NOT_OK
