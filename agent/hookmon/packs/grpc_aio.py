"""Lets the calls of grpc.aio say how they ended: they are futures to whoever awaits them, and keep their status to themselves.

In: `grpc.aio._channel` or `grpc.aio._call`, just imported. Out: calls that carry `_exception`, as asyncio's futures do, when they
end in anything but OK: that is where the recorder looks. The read of a stream's message is timed, and raises for the recorder
where the stream has ended in anything but OK: what has read it raises that next. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


class _NotOkError(Exception):
    """Stands for a status; never raised."""


_NOT_OK = _NotOkError()


class _EndedError(Exception):
    """Carries what a read has returned from the timed call to the one that returns it."""


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time one kind of call, `call` being "UnaryUnaryMultiCallable.__call__", or the wait for a message of a stream."""
    owner: Any = vars(module)[call.partition(".")[0]]
    if module.__name__ == "grpc.aio._call":
        _patch_read(owner, module.cygrpc.EOF, timed, call, patches)  # no look into its dictionary: it may be imported lazily
        return
    plain = owner.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it becomes one
        try:
            made = plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        made.add_done_callback(_note_status)  # ahead of the recorder's own, which comes when this has returned
        return made

    patches.replace(owner, "__call__", timed(look_like(__call__, plain), call))


@hide_frames
def _patch_read(owner: Any, end: Any, timed: Timed, call: str, patches: Patches) -> None:
    plain = owner._read

    async def read(self: Any) -> Any:
        message = await plain(self)
        if message is end:
            core = self._cython_call
            await core.status()  # as whoever has read the end does next
            if not core.is_ok() and not core.cancelled():
                raise _EndedError(message)
        return message

    wait = timed(read, call)

    async def _read(self: Any) -> Any:
        try:
            return await wait(self)
        except _EndedError as ended:
            return ended.args[0]

    patches.replace(owner, "_read", look_like(_read, plain))


def _note_status(ended: Any) -> None:
    """Look where the status is: with interceptors in the call that they have made, or in what one of them has raised."""
    if ended.cancelled():
        return
    task = getattr(ended, "_interceptors_task", None)
    if task is not None and task.exception() is not None:
        ended._exception = _NOT_OK
        return
    core = getattr(ended if task is None else task.result(), "_cython_call", None)  # an answer of an interceptor's own has none
    if core is not None and not core.is_ok():
        ended._exception = _NOT_OK
