"""Lets the task that taskiq runs be an error when it has raised: the receiver keeps that in the result.

In: `taskiq.receiver.receiver`, just imported. Out: `Receiver.run_task`, timed by itself within the message that it is a part of.
Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import attribute, drop_frame, fail_transaction, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `Receiver.run_task` tell the open transaction; a task that asks for no result to be kept has not failed."""
    owner: Any = vars(module)["Receiver"]
    plain = owner.run_task

    async def run_task(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if attribute(result, "is_err") is True and type(attribute(result, "error")).__name__ != "NoResultError":
            fail_transaction()
        return result

    patches.replace(owner, "run_task", timed(look_like(run_task, plain), call))
