"""What a machine did to all calls of a run alike, told from what a program did by the calls themselves.

In: what each name and the whole program took in two runs. Out: for each name by how much the machine may have made it slower or
faster. Pure computation.

A machine slows all that computes. What does it need not show in any figure of the system: the sibling of a core that another
virtual machine uses, a clock that was lowered, a cache full of others' data. Measured on a virtual machine with two processors
that did nothing else: 100 runs of one program, a sixth of a second each, whose names took from 0.7 to 1.3 times the usual, all
that compute together; apart from this the means of one name differed by 1 to 3 % (standard deviation). A probe in another process
told nothing of it: the correlation with how long a small sort took in the launcher meanwhile was 0.0, and with the CPU time
of the program itself 0.9. So the other names are the standard, as in the normalisation of gene counts, where most do not
change: a change of the program makes some names slower, the machine all. What waits for something else than a processor does
not follow; so a name may have been shifted by all of what the others were, or by nothing, or by anything in between.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import exp, log, log1p

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.store import Run
from hookmon.core.record import Record
from hookmon.report.diff.intervals import TAIL, Allowance
from hookmon.report.load import cpu_ns, waits

NOISE = 0.15
"""By how much the calls of one name may differ between two runs by themselves, apart from what all calls share."""

MOST = log(2)
"""A thread that shares its core with another has half of it at worst; what goes beyond is not put down to the machine."""

_UNKNOWN = 0.25  # how long a process waited, where the system does not say
_TAIL_SWAYS = 1.5  # a wait of some milliseconds is nothing to a mean of thousands of calls, and makes the slowest of them
_FEWEST = 2  # other names: with one, the child of a call that became slower would be its parent's excuse
_FEWEST_CALLS = 10
_MUCH_MORE = 1.05  # calls of one run for each of the other


class Spent(Record, frozen=True, slots=True):
    """What one name took in two runs: its calls in each, and the time in them but not in other watched calls."""

    calls_a: int
    calls_b: int
    self_a_ns: int
    self_b_ns: int


_NOTHING = Spent(0, 0, 0, 0)


class Shift(Record, frozen=True, slots=True):
    """By how much the machine may have made all calls slower or faster in B, as logarithms; neither is negative."""

    slower: float
    faster: float


class Machine:
    """The machine during two runs, each with the CPU time of its processes (0: not known) and how long they waited for it.

    `waits` are how long the processes of A and of B were ready and had no processor, for each second that they had one, None
    where that is not known.
    """

    def __init__(self, names: Mapping[CallKey, Spent], cpu_ns: tuple[int, int], waits: tuple[float | None, float | None]) -> None:
        self._names = names
        self._cpu_ns = cpu_ns
        theirs, ours = (_UNKNOWN if waited is None else waited for waited in waits)
        self._of_waits = (log1p(ours) / 2, log1p(theirs) / 2, log1p(ours / (1 - TAIL)), log1p(theirs / (1 - TAIL)))
        self._changes = {name: change for name, spent in names.items() if (change := _change(spent)) is not None}
        self._sorted = sorted(self._changes.values())
        calls = [sum(spent.calls_a for spent in names.values()), sum(spent.calls_b for spent in names.values())]
        self._did_the_same = max(calls) <= min(calls) * _MUCH_MORE

    def allowance(self, name: CallKey, noise: float = NOISE) -> Allowance:
        """Return what is allowed for the calls of one name: what all calls share, what the name does by itself, and waits.

        A process that waits `w` seconds for each that it computes takes 1 + w times as long, and which calls that hits is chance:
        half of it, as a logarithm, is allowed a mean. All of it may hit the slowest twentieth of the calls, which then take
        1 + 20 w times as long. B seems slower by what disturbed B, and faster by what disturbed A.
        """
        shift, own = self.shift(name), log1p(noise)
        mean_slower, mean_faster, tail_slower, tail_faster = self._of_waits
        return Allowance(
            own + shift.slower + mean_slower,
            own + shift.faster + mean_faster,
            _TAIL_SWAYS * own + shift.slower + tail_slower,
            _TAIL_SWAYS * own + shift.faster + tail_faster,
        )

    def shift(self, name: CallKey) -> Shift:
        """Return by how much one name may have been shifted: as far as half of the others were, or as the rest of the program.

        Where there is nothing to compare with, by anything up to MOST.
        """
        seen = [change for change in (self._median_without(name), self._rest(name)) if change is not None]
        if not seen:
            return Shift(MOST, MOST)
        return Shift(min(MOST, max(0.0, *seen)), min(MOST, max(0.0, -min(seen))))

    @property
    def common(self) -> float:
        """Return how many times as long the calls of B took as those of A, in the middle; 1.0 where that is not known."""
        middle = self._median_without(None)
        return 1.0 if middle is None else exp(middle)

    def _median_without(self, name: CallKey | None) -> float | None:
        """Return the median change of all other names; None when there are fewer than two."""
        others = self._sorted
        left_out = bisect_left(others, self._changes[name]) if name in self._changes else len(others)
        count = len(others) - (left_out < len(others))
        if count < _FEWEST:
            return None
        low, high = (count - 1) // 2, count // 2
        return (others[low + (low >= left_out)] + others[high + (high >= left_out)]) / 2

    def _rest(self, name: CallKey) -> float | None:
        """Return the change of the CPU time outside the calls of one name: imports and all that is not watched.

        None where the runs did not do the same. The self time of a name is taken away from the CPU time. That is too much for a
        name that waits, so the rest says little. That does no harm: what waits is not made slower by a machine.
        """
        if not self._did_the_same:
            return None
        own = self._names.get(name, _NOTHING)
        rest_a_ns, rest_b_ns = self._cpu_ns[0] - own.self_a_ns, self._cpu_ns[1] - own.self_b_ns
        return log(rest_b_ns / rest_a_ns) if min(rest_a_ns, rest_b_ns) > 0 else None


def machine_between(a: Run, b: Run, names_a: Mapping[CallKey, Counters], names_b: Mapping[CallKey, Counters]) -> Machine:
    """Return the machine during two runs, of each of which the figures of all names are given."""
    names: dict[CallKey, Spent] = {}
    for key, of_a in names_a.items():
        if (of_b := names_b.get(key)) is not None:
            names[key] = Spent(of_a.calls, of_b.calls, of_a.self_ns, of_b.self_ns)
    return Machine(names, (cpu_ns(a), cpu_ns(b)), (waits(a), waits(b)))


def allowance_of_windows(noise: float = NOISE) -> Allowance:
    """Return what is allowed for the calls of one name in two windows of a service: what it does by itself.

    Who asks what is slower than yesterday wants to know of a machine that slows everything, too.
    """
    own = log1p(noise)
    return Allowance(own, own, _TAIL_SWAYS * own, _TAIL_SWAYS * own)


def _change(spent: Spent) -> float | None:
    """Return the logarithm of how many times as long a call took in B, None for what says nothing of it."""
    if min(spent.calls_a, spent.calls_b) < _FEWEST_CALLS or min(spent.self_a_ns, spent.self_b_ns) <= 0:
        return None
    return log(spent.self_b_ns / spent.calls_b) - log(spent.self_a_ns / spent.calls_a)
