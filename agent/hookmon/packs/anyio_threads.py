"""Measures what functions compute that a request has run in a thread of anyio: the views of FastAPI that are no coroutines.

In: `anyio.to_thread`, just imported. Out: its `run_sync`, whose function is charged to the open transaction. Runs in the watched
process. Nothing is timed here; the function itself is called as it is where the transaction is not measured.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, hide_frames, look_like, measured, membership

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Give `run_sync`, which is `call`, a function that is measured."""
    plain: Any = vars(module)[call]

    async def run_sync(*args: Any, **kwargs: Any) -> Any:
        member = membership()
        if member is not None and args:
            args = (measured(args[0], member), *args[1:])
        try:
            return await plain(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    patches.replace(module, call, look_like(run_sync, plain))
