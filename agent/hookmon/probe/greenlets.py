"""Lanes by greenlet, for programs that use gevent, eventlet or greenlet itself. Runs in the watched process."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hookmon.probe.recorder import Lane


_AT_THE_END = 0  # nobody's address


class GreenletStorage:
    """What a thread's own storage is to threads, to greenlets: many of them share one thread.

    A greenlet is known by its address, which the next one may get when it has ended; its lane is idle by then and serves
    on. Idle lanes of greenlets that are gone are dropped when many have gathered.
    """

    __slots__ = ("_current", "_limit", "lanes")

    def __init__(self, current: Callable[[], object]) -> None:
        """`current` is greenlet.getcurrent."""
        self._current = current
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
            recorder = sys.modules["hookmon.probe.recorder"]
            idle = [key for key, each in list(self.lanes.items()) if each.node is recorder.root and each is not lane]
            for key in idle:
                each = self.lanes.pop(key, None)
                if each is not None and each.task is None:
                    recorder.free_lane(each)
            self._limit = max(1_000, 2 * len(self.lanes))

    def _last(self) -> Lane:
        """Return the lane of what still runs while the interpreter ends: greenlet 3.5 raises then."""
        try:
            return self.lanes[_AT_THE_END]
        except KeyError:
            raise AttributeError from None
