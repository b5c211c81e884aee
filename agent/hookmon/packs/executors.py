"""Times how long work waits for a thread of a pool, from the making of its work item to the item's run, and lets the work belong
to the request, job or test that has submitted it.

In: `concurrent.futures.thread`, just imported. Out: work items that carry a `_Wait`, which ends when a thread takes them. To the
recorder a `_Wait` is the future that a call has returned: it counts that call when the future is done. An item that is
dropped, by a shutdown say, is never counted. The thread runs the item with the context variable of `transactions.context` as it
was where the item was made: `submit` copies no context. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.probe.base.frames import leave_traceback, unseen
from hookmon.probe.transactions.context import members

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hookmon.probe.patching.patcher import Patches

_NAME = "_hookmon_wait"


class _Wait:
    """As much of a future as the recorder asks for. Done by one thread only, the one that takes the work."""

    __slots__ = ("_callback",)

    _exception = None

    def __init__(self) -> None:
        self._callback: Callable[[_Wait], None] | None = None

    def __await__(self) -> Any:
        raise RuntimeError("nobody waits for this")

    def add_done_callback(self, callback: Callable[[_Wait], None]) -> None:
        """Keep the recorder's callback."""
        self._callback = callback

    def done(self) -> bool:
        """Say that it is not, which it never is when the recorder asks."""
        return False

    def cancelled(self) -> bool:
        """Say that it was not; work that was cancelled has waited as well."""
        return False

    def end(self) -> None:
        """Count the wait."""
        if self._callback is not None:
            self._callback(self)


@unseen
def patch(module: ModuleType, call: str, timed: Callable[[Any, str], Any], patches: Patches) -> None:
    """Give the work items of a thread pool their waits, `call` being "_WorkItem.run"."""
    item: Any = vars(module)["_WorkItem"]
    plain_init, plain_run = item.__init__, item.run
    begin = timed(lambda item: _Wait(), call)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        plain_init(self, *args, **kwargs)
        vars(self)[_NAME] = (begin(self), members.get(None))

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        wait, member = vars(self).pop(_NAME, (None, None))
        if wait is not None:
            wait.end()
        if member is None:
            try:
                return plain_run(self, *args, **kwargs)
            except BaseException as error:
                leave_traceback(error)
                raise
        before = members.get(None)
        members.set(member)
        try:
            return plain_run(self, *args, **kwargs)
        except BaseException as error:
            leave_traceback(error)
            raise
        finally:
            members.set(before)

    patches.replace(item, "__init__", __init__)
    patches.replace(item, "run", run)
