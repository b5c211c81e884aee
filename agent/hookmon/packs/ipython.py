"""Times the cells of IPython, those of a Jupyter kernel as well, and lets those be errors that raised.

In: `IPython.core.interactiveshell`, just imported. Out: `InteractiveShell.run_cell_async`, to which `run_cell` leads, and which a
kernel whose loop runs calls itself. It keeps what a cell raised in its result: to the recorder such a cell raises, to the program
it returns what it always does. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import MISSING, attribute, drop_frame, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


class _FailedError(Exception):
    """Carries the result of a cell that raised from the timed call to the one that returns it."""


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Time `InteractiveShell.run_cell_async`."""
    owner: Any = vars(module)["InteractiveShell"]
    plain = owner.run_cell_async

    async def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await plain(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if any(attribute(result, name) not in (None, MISSING) for name in ("error_before_exec", "error_in_exec")):
            raise _FailedError(result)
        return result

    cell = timed(run, call)

    async def run_cell_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await cell(self, *args, **kwargs)
        except _FailedError as failed:
            return failed.args[0]
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(owner, "run_cell_async", look_like(run_cell_async, plain))
