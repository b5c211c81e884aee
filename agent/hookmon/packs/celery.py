"""Makes each task that Celery runs a transaction.

In: `celery.app.trace`, just imported. Out: its `build_tracer`, whose tracers are called once for each task, in prefork, thread
and solo pools and for eager tasks. A tracer raises nothing: what it returns says whether the task has failed or is to be tried
again, which are errors here; ignored and rejected tasks are none. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.packs.asgi import like
from hookmon.probe import transactions

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patcher import Patches


def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Let `build_tracer` return tracers that are entries."""
    plain = vars(module)[call]

    def run(tracer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        result = tracer(*args, **kwargs)
        if getattr(result[1], "state", None) in ("FAILURE", "RETRY"):
            transactions.fail()
        return result

    entry = timed(run, call)

    def build_tracer(name: str, *args: Any, **kwargs: Any) -> Any:
        tracer = plain(name, *args, **kwargs)
        return lambda *task, **more: entry(tracer, name, *task, **more)

    patches.replace(module, call, like(build_tracer, plain))
