"""Lets the job that Huey runs be an error when its function has raised, also when it will be tried again: Huey catches it.

In: `huey.api`, just imported. Out: `TaskWrapper.create_task`, whose classes have an `execute` that tells of exceptions. Runs in
the watched process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, fail_transaction, hide_frames, observe

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `TaskWrapper.create_task` make such classes."""
    owner: Any = vars(module)["TaskWrapper"]

    def made(args: Any, kwargs: Any, result: Any) -> None:
        run = result.execute

        def execute(self: Any) -> Any:
            try:
                return run(self)
            except BaseException as error:
                if isinstance(error, Exception):
                    fail_transaction()
                drop_frame(error)
                raise

        result.execute = execute

    patches.replace(owner, "create_task", observe(owner.create_task, made))
