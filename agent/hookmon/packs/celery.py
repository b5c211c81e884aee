"""Makes each task that Celery runs a transaction.

In: `celery.app.trace`, just imported. Out: its `build_tracer`, whose tracers are called once for each task, in prefork, thread
and solo pools and for eager tasks. A tracer raises nothing: what it returns says whether the task has failed, which is an error
here; one that is to be tried again, ignored or rejected is none. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import current_transaction, drop_frame, fail_transaction, hide_frames, look_like, set_traceparent, shielded

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
        transaction = current_transaction()
        if transaction is not None:
            set_traceparent(transaction, _traceparent(args[3] if len(args) > 3 else kwargs.get("request")))
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


@shielded(None)
def _traceparent(request: Any) -> Any:
    """Return the header of a task's message; Celery's protocol 2 has headers of the sender's own beside its own."""
    if type(request) is not dict:
        return None
    headers = request.get("headers")
    return request.get("traceparent") or (headers.get("traceparent") if type(headers) is dict else None)
