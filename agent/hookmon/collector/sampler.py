"""Samples the processes of a run: one py-spy for each Python process, ten seconds at a time.

In: the birth notes in the run folder, and forks of those who left them. Out: the sampled rows of the Run. Runs in a thread of its
own in the launcher, beside the one that forwards signals; each py-spy is a process that this thread starts and ends. A killed
launcher leaves none for longer than a window.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Event

from hookmon.collector import pyspy, run_folder, sources
from hookmon.collector.births import read_birth
from hookmon.collector.feed import Snapshot
from hookmon.collector.identity import Stat, age_ns, children, look_at, own_namespace
from hookmon.collector.samples import SampledFrame, SampledProcess, SampledStack, Stacks
from hookmon.collector.store import BlindSpot, Run
from hookmon.collector.worker import Worker
from hookmon.core import layout
from hookmon.core.record import Record, replace

MOST_AT_ONCE = 16
"""How many processes are sampled side by side; where there are more, they take turns."""

_TICK_S = 0.05
_YOUNG_NS = 50_000_000  # a fork that is about to execute something else
_PATIENCE_S = 2.0
_MOST_PROCESSES = 1_000
_MOST_REASONS = 5


class _Target(Record):
    """A process to be sampled. `image` tells it from what it becomes by exec."""

    row: SampledProcess
    started: int
    image: int

    def lives(self) -> bool:
        stat = _look(self.row.pid)
        return stat is not None and self.is_of(stat)

    def is_of(self, stat: Stat) -> bool:
        return not stat.has_ended and stat.started == self.started and (stat.image == self.image or not self.image)


def _look(pid: int) -> Stat | None:
    with suppress(OSError):
        return look_at(pid)
    return None


class Sampler:
    """Samples one run, from `start` until `end`. An observer of the collector, which only hands over what is known so far."""

    every_ns = 5_000_000_000

    def __init__(self, run: Run, rate: int) -> None:
        self._run = run
        self._taker = _Taker(Path(run.run_folder), rate)
        self._worker = Worker(self._taker, "the sampler", patience_s=2 * _PATIENCE_S)
        self._reason = ""

    def start(self) -> None:
        """Begin, if anything can be sampled here. The program was started by then: a thread is of no use to a fork."""
        self._reason = pyspy.why_not()
        if not self._reason:
            self._worker.observe(Snapshot(0))

    def observe(self, snapshot: Snapshot) -> None:  # noqa: ARG002  # what it says goes by other intervals
        """Lay what is known into the run, which is saved soon."""
        self._taker.lay_into(self._run)

    def end(self, run: Run) -> str:
        """Take the last samples, end all py-spys, and lay everything into the run; return what went wrong with ourselves."""
        if self._reason:
            run.blind_spots.append(BlindSpot("not sampled", self._reason))
            return ""
        self._taker.is_ending.set()
        line = self._worker.end(run)
        self._taker.lay_into(run)
        run.blind_spots += [BlindSpot("not sampled", reason) for reason in self._taker.reasons()]
        return line

    @property
    def cpu_ns(self) -> int:
        """The processor time that all py-spys have used, to a tenth of a second for each."""
        return self._taker.cpu_ns


_Rows = tuple[list[SampledProcess], list[SampledFrame], list[SampledStack]]


class _Taker:
    """Does the work, in the thread of a Worker: one long look at the run."""

    every_ns = 0

    def __init__(self, folder: Path, rate: int) -> None:
        self._folder = folder
        self._rate = rate
        self._program = pyspy.find()
        self._stacks = Stacks()
        self._processes: list[SampledProcess] = []
        self._rows: _Rows = ([], [], [])
        self._known: dict[tuple[int, int, int], _Target] = {}  # by pid, start and image
        self._notes: set[str] = set()
        self._waiting: deque[_Target] = deque()
        self._recordings: dict[int, tuple[_Target, pyspy.Recording]] = {}  # by their numbers
        self._number = 0
        self._unsampled = 0  # processes beyond those that get a row
        self.cpu_ns = 0
        self.is_ending = Event()

    def observe(self, snapshot: Snapshot) -> None:  # noqa: ARG002  # the one that starts it says nothing
        """Sample until `is_ending` is set."""
        try:
            while not self.is_ending.wait(_TICK_S):
                self._discover()
                self._take_ended()
                self._begin_waiting()
            self._stop_all()
        finally:
            for _, recording in self._recordings.values():
                recording.stop(signal.SIGKILL)

    def end(self, run: Run) -> str:  # noqa: ARG002  # the thread of the launcher lays it in
        """Find out where the sampled functions begin."""
        processes, frames, stacks = self._rows
        self._rows = processes, sources.locate(frames, stacks), stacks
        return ""

    def lay_into(self, run: Run) -> None:
        """Make what was sampled by now that of a run."""
        run.sampled_processes, run.sampled_frames, run.sampled_stacks = self._rows

    def reasons(self) -> list[str]:
        """Return why something was not sampled, a line for each reason."""
        by_reason: dict[str, list[int]] = {}
        for row in self._processes:
            if row.reason:
                by_reason.setdefault(row.reason, []).append(row.pid)
        lines = [f"{_pids(pids)}: {reason}" for reason, pids in by_reason.items()][:_MOST_REASONS]
        if self._unsampled:
            lines.append(f"{self._unsampled} processes beyond the first {_MOST_PROCESSES}")
        if not self._processes:
            lines.append("no Python process that is watched lived long enough")
        elif not by_reason and not any(row.samples for row in self._processes):
            lines.append("nothing was seen computing: the program ended at once, or only waited")
        return lines

    def _discover(self) -> None:
        """Find processes that have begun: those that left a note, and forks of those that are known."""
        with suppress(OSError):
            for name in run_folder.files_of(self._folder):
                if name.endswith(layout.BIRTH_SUFFIX) and name not in self._notes:
                    birth = read_birth(self._folder / name)
                    if birth is not None:
                        self._notes.add(name)
                        if not birth.status and birth.identity.namespace in (0, own_namespace()):
                            self._note(birth.identity.pid, birth.image)
        for target in list(self._known.values()):
            for pid in children(target.row.pid):
                stat = _look(pid)
                if stat is not None and stat.image == target.image and age_ns(stat) >= _YOUNG_NS:
                    self._note(pid, target.image)

    def _note(self, pid: int, image: int) -> None:
        stat = _look(pid)
        if stat is None or stat.has_ended or (image and stat.image != image) or (pid, stat.started, stat.image) in self._known:
            return
        if len(self._processes) >= _MOST_PROCESSES:
            self._unsampled += 1
            return
        target = self._known[pid, stat.started, stat.image] = _Target(SampledProcess(pid, self._rate), stat.started, stat.image)
        self._processes.append(target.row)
        self._waiting.append(target)

    def _begin_waiting(self) -> None:
        while self._waiting and len(self._recordings) < MOST_AT_ONCE:
            target = self._waiting.popleft()
            if not target.lives():
                self._forget(target)
                continue
            self._number += 1
            try:
                recording = pyspy.Recording(
                    self._program, target.row.pid, self._rate, self._folder / f"{target.row.pid}-{self._number}"
                )
            except OSError as error:
                target.row.reason = f"py-spy cannot be started: {error.strerror}"
                continue
            self._recordings[self._number] = target, recording

    def _take_ended(self) -> None:
        for number, (target, recording) in list(self._recordings.items()):
            recording.look_at_cost()
            if recording.has_ended():
                del self._recordings[number]
                self._take(target, recording)

    def _take(self, target: _Target, recording: pyspy.Recording) -> None:
        window, reason = recording.take()
        self.cpu_ns += recording.cpu_ns
        lives = target.lives()
        if window is None:
            if lives:
                target.row.reason = reason
            else:
                self._forget(target)
            return
        samples, mended = self._stacks.add(window)
        target.row.samples += samples
        target.row.mended += mended
        target.row.lost += window.lost if lives else max(0, window.lost - 1)  # the last of an ended process finds nobody
        self._rows = [replace(row) for row in self._processes], *self._stacks.rows()
        if lives:
            self._waiting.append(target)
        else:
            self._forget(target)

    def _forget(self, target: _Target) -> None:
        self._known.pop((target.row.pid, target.started, target.image), None)

    def _stop_all(self) -> None:
        """End what still works: processes that outlive the program are sampled no longer."""
        deadline = time.monotonic() + _PATIENCE_S
        for _, recording in self._recordings.values():
            recording.stop()  # also where the program is gone: a py-spy that finds nobody looks again for half a second
        while self._recordings and time.monotonic() < deadline:
            self._take_ended()
            time.sleep(0.005)
        for target, _ in self._recordings.values():
            target.row.reason = target.row.reason or f"py-spy did not end within {_PATIENCE_S:g} s"


def _pids(pids: list[int]) -> str:
    shown = ", ".join(map(str, pids[:5])) + (f" and {len(pids) - 5} more" if len(pids) > 5 else "")
    return f"process {shown}" if len(pids) == 1 else f"processes {shown}"
