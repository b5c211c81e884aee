"""When the processes of a run are looked at: often while some begin and end, and seldom where all is as it was.

In: the processes. Out: their rows and samples as they grow, and when it is time for the next look. Runs in the launcher. A look
that is due wakes the launcher, so all that is done at intervals is done together with one.
"""

from __future__ import annotations

from resource import RUSAGE_CHILDREN, getrusage
from time import monotonic_ns, thread_time_ns

from hookmon.collector.feed import Timer
from hookmon.collector.processes import Processes
from hookmon.collector.store import Run

_LOOK_NS = 500_000_000
_SHORT_NS = 100_000_000  # between two looks while processes begin and end
_YOUNG_NS = 4_000_000_000  # so long after one did
_LONG_NS = 1_000_000_000  # while all of them together have hardly run,
_IDLE_NS = 500_000  # not for so long between two looks: to start a process takes longer
_SAMPLE_NS = 1_000_000_000
_REST = 64  # looks take at most a 64th of the time, as where there are hundreds of processes,
_LONGEST_NS = 10_000_000_000  # but are no further apart than this
_WORK_REST = 200  # reading what threads have had takes at most a 200th of the time
_MOST_SAMPLES = 20_000
_FEW_SAMPLES = 4_000  # one and a half megabytes, which are enough for curves of
_FEW_PROCESSES = 40  # so many processes


class Looks:
    """Looks at the processes of one run."""

    def __init__(self, run: Run, processes: Processes) -> None:
        self._run = run
        self._processes = processes
        self._looking = Timer(_SHORT_NS, run.started_ns)
        self._working = Timer(0, run.started_ns)
        self._sampling = Timer(_SAMPLE_NS, run.started_ns)
        self.is_idle = False  # the processes have hardly run since the look before the last one
        self._ran_ns = 0
        self._cost_ns = 0  # of the last look
        self._children_ns: int | None = None  # CPU time of what the launcher had waited for before; None: the run is another's

    def begin(self, used_ns: int = 0) -> None:
        """Begin before the program has been waited for: what the launcher waits for from now on is of the run.

        `used_ns` is what was of the run before.
        """
        self._children_ns = _time_of_children() - used_ns

    def tick(self, now_ns: int) -> None:
        """Look if it is time for that."""
        if not self._looking.is_due(now_ns):
            return
        processes, began_ns = self._processes, thread_time_ns()
        processes.discover(now_ns)
        if self._working.is_due(now_ns):
            self.note_work(now_ns)
            self._working.every_ns = (monotonic_ns() - now_ns) * _WORK_REST
        if self._sampling.is_due(now_ns):
            processes.sample(now_ns)
            if len(processes.samples) > (_FEW_SAMPLES if len(processes.watchers) <= _FEW_PROCESSES else _MOST_SAMPLES):
                processes.thin_samples()
        ran_ns = processes.ran_ns()
        self.is_idle = ran_ns - self._ran_ns < _IDLE_NS
        self._ran_ns = ran_ns
        if now_ns - max(processes.changed_ns, self._run.started_ns) < _YOUNG_NS:
            self._looking.every_ns = _SHORT_NS
            self.is_idle = False
        else:
            self._looking.every_ns = _LONG_NS if self.is_idle else _LOOK_NS
        cost_ns = thread_time_ns() - began_ns
        usual_ns, self._cost_ns = min(cost_ns, self._cost_ns), cost_ns  # one long look is chance
        self._looking.every_ns = max(self._looking.every_ns, min(usual_ns * _REST, _LONGEST_NS))

    def wait_s(self, now_ns: int) -> float:
        """Return the seconds until the next look."""
        return self._looking.wait_s(now_ns)

    def note_work(self, now_ns: int) -> None:
        """Read what the processes have had of processors, side by side too."""
        self._processes.note_work(now_ns)
        if self._children_ns is not None:
            self._run.beside_ns = self._processes.overlap.ns
            self._run.used_ns = _time_of_children() - self._children_ns


def _time_of_children() -> int:
    """Return the CPU time of all children of this process that have been waited for, and of what those had waited for."""
    used = getrusage(RUSAGE_CHILDREN)
    return round((used.ru_utime + used.ru_stime) * 1e9)
