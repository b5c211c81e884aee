"""Times how long work waits for a thread of a pool, from the making of its work item to the item's run, and lets the work belong
to the request, job or test that has submitted it. Measures how much work waits already when more is submitted.

In: `concurrent.futures.thread`, just imported. Out: work items that carry an open span, which is closed when a thread takes them.
An item that is dropped, by a shutdown say, is never counted. The thread runs the item as a member of the transaction in which the
item was made: `submit` copies no context. What the item computes is CPU time of that transaction. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.adapter import (
    drop_frame,
    hide_frames,
    join,
    measured,
    membership,
    observe_before,
    shielded,
    signal,
    span_opener,
)

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from hookmon.adapter import Member, Patches, Timed

_NAME = "_hookmon_wait"


@hide_frames
def patch(module: ModuleType, call: str, timed: Timed, patches: Patches) -> None:
    """Give the work items of a thread pool their waits, `call` being "_WorkItem.run"."""
    item: Any = vars(module)["_WorkItem"]
    plain_init, plain_run = item.__init__, item.run
    open_wait = span_opener(timed, call)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        plain_init(self, *args, **kwargs)
        vars(self)[_NAME] = (open_wait(self), membership())

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        wait, member = vars(self).pop(_NAME, (None, None))
        if wait is not None:
            wait.close()
        before = None
        if member is not None:
            before = join(member)
            _measure(self, member)
        try:
            return plain_run(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            if member is not None:
                join(before)

    lengths = signal("executor queue length at submit", "1", "histogram")

    def measure_queue(args: Any, _kwargs: Any, _result: None) -> None:
        queue = object.__getattribute__(args[0], "__dict__").get("_work_queue")
        if type(queue).__name__ == "SimpleQueue":  # what somebody has put in its place may be code of the program
            lengths.record_unshielded(queue.qsize())

    pool: Any = vars(module)["ThreadPoolExecutor"]
    patches.replace(pool, "submit", observe_before(vars(pool)["submit"], measure_queue))
    patches.replace(item, "__init__", __init__)
    patches.replace(item, "run", run)


@shielded(None)
def _measure(item: Any, member: Member) -> None:
    own = vars(item)
    if "fn" in own:
        own["fn"] = measured(own["fn"], member)
    elif type(own.get("task")) is tuple and own["task"]:  # from 3.14 on
        function, *arguments = own["task"]
        own["task"] = (measured(function, member), *arguments)
