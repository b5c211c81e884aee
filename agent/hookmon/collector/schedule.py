"""How long the threads of a process had a processor, and how long they waited for one, as the scheduler of Linux counts it.

In: the files of a process. Out: sums, and what each thread has used. Runs in the launcher. Where the kernel does not tell (other
systems, a kernel without CONFIG_SCHED_INFO), the sums stay 0.
"""

from __future__ import annotations

import os

from hookmon.collector.proc_files import ProcFiles
from hookmon.core.record import NamedTuple

_MOST_THREADS = 64
"""Of a process: to read one takes 2 µs. What others use is in the CPU time of the process."""


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
        self._said: dict[int, bytes] = {}  # what stood there when a thread was read last
        self._there: set[int] = set()  # the threads that there were then

    @property
    def total(self) -> Turn:
        """What all of them have had."""
        turns = [self._ended, *self.turns.values()]
        return Turn(sum(turn.ran_ns for turn in turns), sum(turn.waited_ns for turn in turns))

    @property
    def known(self) -> int:
        """Of how many threads that are there it is known what they have had."""
        return len(self.turns)

    def start_here(self, files: ProcFiles, threads: int) -> None:
        """Count from now on: the process has run before."""
        there = _threads_of(files.pid, threads)
        self._before = {thread: turn for thread in there if (turn := _turn(_said_of(files, thread))) is not None}
        self.turns.clear()
        self._said.clear()
        self._ended = Turn(0, 0)

    def read(self, files: ProcFiles, threads: int, *, are_same: bool = False) -> None:
        """Read what the threads have had by now. `threads` is how many there are; a zombie still has its main thread's.

        `are_same` says that there may be none but those that were there before.
        """
        there = self._there if are_same else _threads_of(files.pid, threads)
        if not there:
            return  # the process has gone, or no file can be opened: what was read before holds
        self._there = there
        for thread in self.turns.keys() - there:
            self._retire(thread)
            files.forget(_name_of(thread))
        for thread in [*self.turns, *sorted(there - self.turns.keys())][:_MOST_THREADS]:
            said = _said_of(files, thread)
            if said and said != self._said.get(thread):
                self._said[thread] = said
                self._take(thread, said)

    def _take(self, thread: int, said: bytes) -> None:
        """Take in what was read of a thread."""
        turn, before = _turn(said), self._before.get(thread)
        if turn is None:
            return
        if before is not None and turn.ran_ns >= before.ran_ns:
            turn = Turn(turn.ran_ns - before.ran_ns, max(0, turn.waited_ns - before.waited_ns))
        if thread in self.turns and turn.ran_ns < self.turns[thread].ran_ns:
            self._retire(thread)  # another thread has its number
        self.turns[thread] = turn

    def _retire(self, thread: int) -> None:
        turn = self.turns.pop(thread)
        self._said.pop(thread, None)
        self._ended = Turn(self._ended.ran_ns + turn.ran_ns, self._ended.waited_ns + turn.waited_ns)


def _threads_of(pid: int, threads: int) -> set[int]:
    if threads <= 1:
        return {pid}
    try:
        return set(map(int, os.listdir(f"/proc/{pid}/task")))
    except (OSError, ValueError):
        return set()


def _name_of(thread: int) -> str:
    return f"task/{thread}/schedstat"


def _said_of(files: ProcFiles, thread: int) -> bytes:
    try:
        return files.read(_name_of(thread), 100)
    except OSError:
        return b""


def _turn(said: bytes) -> Turn | None:
    try:
        ran_ns, waited_ns, *_ = map(int, said.split())
    except ValueError:
        return None
    return Turn(ran_ns, waited_ns)
