"""Lets the job that Huey runs be an error when its function has raised, also when it will be tried again: Huey catches it.

In: `huey.api`, just imported. Out: `TaskWrapper.create_task`, whose classes have an `execute` that tells of exceptions. Runs in
the watched process.
"""

from __future__ import annotations

from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.transactions import context
from hookmon.probe.wrappers.make import told

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `TaskWrapper.create_task` make such classes."""
    owner: Any = vars(module)["TaskWrapper"]

    def made(args: Any, kwargs: Any, result: Any) -> None:
        run = result.execute

        def execute(self: Any) -> Any:
            try:
                return run(self)
            except BaseException as error:
                if isinstance(error, Exception):
                    context.fail()
                leave_traceback(error)
                raise

        result.execute = execute

    patches.replace(owner, "create_task", told(owner.create_task, made))
