"""How long threads and processes of a run may have been at work side by side. Pure computation.

At work is a thread that has a processor, or waits for one. The sums of all threads are the time of the run only as far as one of
them worked after the other. In: what each of them has had so far, a few times a second. Out: a bound.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

AtWork = Mapping[int, tuple[int, int]]
"""{thread: (nanoseconds at work, how many threads they are of)}: several where they are known together only."""


class Overlap:
    """The time at work of all threads, and how much of it may have been at the same time.

    In an interval in which the threads were at work for s together and the busiest for m, one of them at least was at work for m
    or longer. So `ns`, the sum of s - m, is the most by which the sum of all can exceed the time in which anybody was at work.
    """

    def __init__(self) -> None:
        self.ns = 0
        self._before: dict[Hashable, AtWork] = {}
        self._at_ns = 0

    def add(self, processes: Mapping[Hashable, AtWork], at_ns: int) -> None:
        """Take what the threads of each process have had by a moment, of all that were there since the moment before."""
        spent, busiest = 0, 0
        for process, threads in processes.items():
            before = self._before.get(process, {})
            for thread, (worked_ns, of_threads) in threads.items():
                grown_ns = max(0, worked_ns - before.get(thread, (0, 0))[0])
                spent += grown_ns
                busiest = max(busiest, grown_ns // max(1, of_threads))
        self.ns += spent - min(busiest, max(0, at_ns - self._at_ns))
        self._before, self._at_ns = dict(processes), at_ns
