"""Makes each task that Celery runs a transaction.

In: `celery.app.trace`, just imported. Out: its `build_tracer`, whose tracers are called once for each task, in prefork, thread
and solo pools and for eager tasks. A tracer raises nothing: what it returns says whether the task has failed, which is an error
here; one that is to be tried again, ignored or rejected is none. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import drop_frame, fail_transaction, hide_frames, look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Patches, Timed


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Let `build_tracer` return tracers that are entries."""
    plain = vars(module)[call]

    def run(tracer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            result = tracer(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if getattr(result[1], "state", None) == "FAILURE":
            fail_transaction()
        return result

    entry = timed(run, call)

    def build_tracer(name: str, *args: Any, **kwargs: Any) -> Any:
        tracer = plain(name, *args, **kwargs)

        def trace(*task: Any, **more: Any) -> Any:
            try:
                return entry(tracer, name, *task, **more)
            except BaseException as error:
                drop_frame(error)
                raise

        return trace

    patches.replace(module, call, look_like(build_tracer, plain))
