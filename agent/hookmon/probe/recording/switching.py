"""Greenlets and asyncio's tasks, many of which share one thread. Runs in the watched process.

Neither greenlet nor asyncio is imported here: they are only looked at when the program has imported them.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.guard import shielded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.recording.tree import Lane, Node

_AT_THE_END = 0  # nobody's address


class GreenletStorage:
    """The storage of each greenlet's own lane, as `threading.local` is that of threads.

    The key is the address of a greenlet. When a greenlet has ended, another one may get its address, and gets its idle lane with
    it. When there are many lanes, the idle ones are dropped.
    """

    __slots__ = ("_current", "_free_lane", "_limit", "_root", "lanes")

    def __init__(self, current: Callable[[], object], root: Node, free_lane: Callable[[Lane], None]) -> None:
        """`current` is greenlet.getcurrent. A lane whose node is `root` is idle; `free_lane` takes it back."""
        self._current = current
        self._root = root
        self._free_lane = free_lane
        self.lanes: dict[int, Lane] = {}
        self._limit = 1_000

    @property
    def lane(self) -> Lane:
        """The running greenlet's lane; AttributeError when it has none yet."""
        try:
            return self.lanes[id(self._current())]
        except KeyError:
            raise AttributeError from None
        except RuntimeError:
            return self._last()

    @lane.setter
    def lane(self, lane: Lane) -> None:
        try:
            self.lanes[id(self._current())] = lane
        except RuntimeError:
            self.lanes[_AT_THE_END] = lane
        if len(self.lanes) > self._limit:
            idle = [key for key, other in list(self.lanes.items()) if other.node is self._root and other is not lane]
            for key in idle:
                other = self.lanes.pop(key, None)
                if other is not None and other.task is None:
                    self._free_lane(other)
            self._limit = max(1_000, 2 * len(self.lanes))

    def _last(self) -> Lane:
        """Return the lane of what still runs while the interpreter ends: greenlet 3.5 raises then."""
        try:
            return self.lanes[_AT_THE_END]
        except KeyError:
            raise AttributeError from None


@shielded(0)
def running_task() -> int:
    """Return the identity of the running asyncio task, 0 when there is none (trio and others, plain callbacks)."""
    module: Any = sys.modules.get("_asyncio")
    loop = module._get_running_loop() if module is not None else None
    if loop is None:
        return 0
    if hasattr(module, "current_task"):  # from 3.12 on
        return id(module.current_task())
    return id(module._current_tasks.get(loop))
