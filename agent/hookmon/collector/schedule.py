"""How long the threads of a process had a processor, and how long they waited for one, as the scheduler of Linux counts it.

In: a pid. Out: sums, and what each thread has used. Runs in the launcher. Where the kernel does not tell (other systems, a kernel
without CONFIG_SCHED_INFO), the sums stay 0.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_MOST_THREADS = 64
"""Of a process: to read one takes 15 µs. What others use is in the CPU time of the process."""


class Turn(NamedTuple):
    """What one thread has had so far, in nanoseconds."""

    ran_ns: int  # on a processor
    waited_ns: int  # ready to run, while others had the processor


class Schedule:
    """The threads of one process. What a thread did after it was last read and before its end is not known."""

    def __init__(self) -> None:
        self.turns: dict[int, Turn] = {}
        self._ended = Turn(0, 0)
        self._before: dict[int, Turn] = {}  # what threads had used before anybody looked

    def start_here(self, pid: int, threads: int) -> None:
        """Count from now on: the process has run before."""
        self._before = {thread: turn for thread in _threads_of(pid, threads) if (turn := _turn_of(pid, thread)) is not None}
        self.turns.clear()
        self._ended = Turn(0, 0)

    def read(self, pid: int, threads: int) -> None:
        """Read what the threads have had by now. `threads` is how many there are; a zombie still has its main thread's."""
        there = _threads_of(pid, threads)
        if not there:
            return  # the process has gone, or no file can be opened: what was read before holds
        for thread in self.turns.keys() - there:
            self._retire(thread)
        for thread in [*self.turns, *sorted(there - self.turns.keys())][:_MOST_THREADS]:
            turn = _turn_of(pid, thread)
            before = self._before.get(thread)
            if turn is not None and before is not None and turn.ran_ns >= before.ran_ns:
                turn = Turn(turn.ran_ns - before.ran_ns, max(0, turn.waited_ns - before.waited_ns))
            if turn is not None:
                if thread in self.turns and turn.ran_ns < self.turns[thread].ran_ns:
                    self._retire(thread)  # another thread has its number
                self.turns[thread] = turn

    def _retire(self, thread: int) -> None:
        turn = self.turns.pop(thread)
        self._ended = Turn(self._ended.ran_ns + turn.ran_ns, self._ended.waited_ns + turn.waited_ns)

    @property
    def total(self) -> Turn:
        """What all of them have had."""
        turns = [self._ended, *self.turns.values()]
        return Turn(sum(turn.ran_ns for turn in turns), sum(turn.waited_ns for turn in turns))


def _threads_of(pid: int, threads: int) -> set[int]:
    if threads <= 1:
        return {pid}
    try:
        return set(map(int, os.listdir(f"/proc/{pid}/task")))
    except (OSError, ValueError):
        return set()


def _turn_of(pid: int, thread: int) -> Turn | None:
    try:
        descriptor = os.open(f"/proc/{pid}/task/{thread}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        ran_ns, waited_ns, *_ = map(int, os.read(descriptor, 100).split())
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)
    return Turn(ran_ns, waited_ns)
