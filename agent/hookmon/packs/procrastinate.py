"""Lets the job that Procrastinate runs be an error when its task has raised, also when it will be tried again.

In: `procrastinate.worker`, just imported. Out: `Worker._persist_job_status`, called with what became of a job; in releases
before 3 `Worker.run_job`, which raises. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import MISSING, attribute, drop_frame, fail_transaction, hide_frames, look_like, observe

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let the one of both that the release has tell the open transaction."""
    owner: Any = vars(module)["Worker"]
    name = call.rpartition(".")[2]
    plain = vars(owner).get(name)
    if plain is None:
        return
    made = observe(plain, _ended) if name == "_persist_job_status" else look_like(_failing(plain), plain)
    patches.replace(owner, name, made)


def _ended(args: Any, kwargs: Any, result: Any) -> None:
    status = kwargs["status"] if "status" in kwargs else args[2]
    if attribute(status, "_value_") == "failed":
        fail_transaction()


@hide_frames
def _failing(plain: Any) -> Any:
    async def run_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await plain(self, *args, **kwargs)
        except BaseException as error:
            if attribute(error, "retry_exception") is not MISSING:  # JobError, and no JobAborted
                fail_transaction()
            drop_frame(error)
            raise

    return run_job
