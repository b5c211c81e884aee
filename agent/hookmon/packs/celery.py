"""Makes each task that Celery runs a transaction.

In: `celery.app.trace`, just imported. Out: its `build_tracer`, whose tracers are called once for each task, in prefork, thread
and solo pools and for eager tasks. A tracer raises nothing: what it returns says whether the task has failed, which is an error
here; one that is to be tried again, ignored or rejected is none. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import like
from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.transactions import context

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `build_tracer` return tracers that are entries."""
    plain = vars(module)[call]

    def run(tracer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            result = tracer(*args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        if getattr(result[1], "state", None) == "FAILURE":
            context.fail()
        return result

    entry = timed(run, call)

    def build_tracer(name: str, *args: Any, **kwargs: Any) -> Any:
        tracer = plain(name, *args, **kwargs)

        def trace(*task: Any, **more: Any) -> Any:
            try:
                return entry(tracer, name, *task, **more)
            except BaseException as error:
                leave_traceback(error)
                raise

        return trace

    patches.replace(module, call, like(build_tracer, plain))
