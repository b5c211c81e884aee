"""How fast the machine was while a run lasted: a small piece of work, the same every time, and the CPU time that it took.

In: nothing. Out: a few CPU times in nanoseconds. Runs in the launcher: 0.2 ms in each 100
for the first seconds, and ever more rarely then.

What slows a program down need not show in any of the system's figures: the sibling of a core that another virtual machine uses,
a clock that was lowered, a cache full of others' data. Measured on a virtual machine with two processors: the same sorting
takes 29 µs of CPU time alone and 42 µs while the other processor works, and no figure of the system tells the one from the
other.
"""

from __future__ import annotations

from random import Random
from time import monotonic_ns, thread_time_ns

_EVERY_NS = 100_000_000  # to begin with
_MOST = 64
_ROUNDS = 6  # the least of them counts: the first pay for a cache that went cold and branches that were forgotten
_AT_THE_ENDS = 2  # samples taken in a row at the beginning and at the end: a short run has few others
_DRAW = Random(1)
_WORK = tuple(_DRAW.random() for _ in range(1_000))


class Pace:
    """The samples of one run; they thin themselves as it grows."""

    def __init__(self) -> None:
        self.samples: list[int] = []
        self._every_ns = _EVERY_NS
        self._next_ns = 0

    def look(self) -> None:
        """Take a sample if one is due."""
        now_ns = monotonic_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + self._every_ns
        self.samples.append(sample_ns())
        if len(self.samples) > _MOST:
            del self.samples[::2]
            self._every_ns *= 2

    def look_well(self) -> None:
        """Take some samples at once."""
        self.samples += [sample_ns() for _ in range(_AT_THE_ENDS)]

    def quantiles(self) -> tuple[int, int, int]:
        """Return the 10th, 50th and 90th percentile of the samples; there has to be one."""
        found = sorted(self.samples)
        low, middle, high = (found[round(share * (len(found) - 1))] for share in (0.1, 0.5, 0.9))
        return low, middle, high


def sample_ns() -> int:
    """Return how much CPU time the work takes now."""
    least = 0
    for _ in range(_ROUNDS):
        started_ns = thread_time_ns()
        sorted(_WORK)
        took_ns = thread_time_ns() - started_ns
        least = min(least or took_ns, took_ns)
    return max(1, least)
