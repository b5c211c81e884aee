"""Keeps a service's run minute by minute, while it lasts: an observer of the run.

In: snapshots, one at the end of each minute on the wall, and the whole run at its end. Out: states for `writing`. The launcher's
thread only adds up, once a minute; a thread of its own writes, and may wait for other launchers. What could not be written stays
as it is, to be written after the next minute.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from time import process_time_ns

from hookmon.collector import run_folder
from hookmon.collector.examples import LiveExample
from hookmon.collector.identity import memory_of
from hookmon.collector.worker import Worker
from hookmon.collector.yielding import nothing
from hookmon.core.errors import StoreError
from hookmon.core.record import replace
from hookmon.services.clock import MINUTE_S, Clock, minute_of
from hookmon.services.examples import pick
from hookmon.services.off import pack_stretches, stretches_of
from hookmon.services.places import Places
from hookmon.services.reading import ENDED
from hookmon.services.writing import About, StartWriter, State

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.feed import CallTree, LiveProcess, Snapshot
    from hookmon.collector.store import Run
    from hookmon.services.store import ServiceStore

_MOST_WAITING = 10
"""States that could not be written yet; of more, two minutes become one."""

_PATIENCE_S = 5.0
_SLACK_NS = 5_000_000  # so that the minute is really over
_LONG_NS = 2 * MINUTE_S * 1_000_000_000


class Recorder:
    """Records one start of a service."""

    every_ns = MINUTE_S * 1_000_000_000

    def __init__(
        self,
        run: Run,
        run_file: Path,
        store: ServiceStore,
        *,
        tell: Callable[[str], None] = lambda line: None,
        clock: Clock | None = None,
        own_cpu_ns: Callable[[], int] = process_time_ns,
    ) -> None:
        """Begin with a run that has a `service`. `tell` takes a line for the user when the service cannot be kept.

        `own_cpu_ns` returns the CPU time that hookmon took for this run, -1 where that is not known. Of a run that another
        launcher began, the store says what is kept already.
        """
        self._run = run
        self._clock = clock or Clock()
        self._own_cpu_ns = own_cpu_ns
        self._places = Places()
        self._cpu = _Cpu()
        self._waiting: deque[State] = deque()
        self._noted_ns = run.started_ns  # when the last state was taken
        self._worker = Worker(
            _Writing(StartWriter(store, about(run, run_file)), self._waiting, tell), "services", patience_s=_PATIENCE_S
        )

    def next_ns(self, now_ns: int) -> int:  # noqa: ARG002  # that was before the last look, which may have taken long
        """Return when the next look is due: when the minute on the wall is over."""
        return self._clock.monotonic_ns() + self._clock.to_next_minute_ns() + _SLACK_NS

    def observe(self, snapshot: Snapshot) -> None:
        """Add up what the run has counted, and lay it ready to be written."""
        if snapshot.ended:
            return  # `end` has it all
        state = self._state(snapshot.at_ns, snapshot.trees(), snapshot.examples, snapshot.look)
        state.cpu_ns = self._cpu.add(snapshot.processes)
        state.rss_bytes = sum(process.rss_bytes for process in snapshot.processes)
        state.processes = len(snapshot.processes)
        state.pid = self._run.main_pid
        state.python = next((process.python for process in snapshot.processes if process.python), "")
        self._lay_ready(state)
        self._worker.observe(snapshot)

    def end(self, run: Run) -> str:
        """Write the whole run, which is final unless processes outlive it; return what went wrong, as one line."""
        examples = [LiveExample(row, run.nodes) for row in run.examples]
        state = self._state(run.started_ns + run.duration_ns, [(run.nodes, run.statuses)], examples)
        state.cpu_ns = max(run.total("cpu_ns"), self._cpu.ns)
        state.end = "" if run.still_running else ENDED
        state.exit_code, state.pid, state.python = run.exit_code, run.main_pid, run.python
        self._lay_ready(state)
        return self._worker.end(run)

    def _state(
        self, at_ns: int, trees: Iterable[CallTree], examples: Iterable[LiveExample], look: Callable[[], None] = nothing
    ) -> State:
        """Return what was counted until a moment. What is new in it belongs to the minute in the middle since the last one.

        A look that comes late still finds its minute. After a pause of minutes nobody knows when the calls were made.
        """
        now_s = self._clock.now_s()
        passed_ns = max(0, at_ns - self._noted_ns)
        middle_s = now_s - passed_ns / 2e9 if passed_ns < _LONG_NS else now_s
        new = [example for example in examples if example.row.started_ns + example.row.duration_ns > self._noted_ns]
        self._noted_ns = max(self._noted_ns, at_ns)
        counts = self._places.count(trees, look)
        return State(
            now_s,
            minute_of(middle_s),
            list(self._places.rows),
            counts,
            launcher_cpu_ns=self._own_cpu_ns(),
            launcher_rss_bytes=_own_rss_bytes(),
            examples=pick(new),
            switched=pack_stretches(stretches_of(Path(self._run.run_folder))),
        )

    def _lay_ready(self, state: State) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            state = replace(state, examples=(self._waiting.pop().examples + state.examples)[-100:])
        self._waiting.append(state)


def _own_rss_bytes() -> int:
    """Return the memory of this process, 0 where it cannot be read: there may be no descriptor left."""
    try:
        return memory_of(os.getpid())
    except OSError:
        return 0


class _Writing:
    """What writes, in the worker's thread. It takes states from the left; the launcher's thread adds to the right."""

    every_ns = Recorder.every_ns

    def __init__(self, writer: StartWriter, waiting: deque[State], tell: Callable[[str], None]) -> None:
        self._writer = writer
        self._waiting = waiting
        self._tell = tell
        self._has_told = False

    def observe(self, snapshot: Snapshot | None) -> None:  # noqa: ARG002  # the states have it all
        """Write what waits. Raises StoreError."""
        while self._waiting:
            try:
                self._writer.write(self._waiting[0])
            except StoreError as error:
                if not self._has_told:
                    self._has_told = True
                    self._tell(f"hookmon: {error}; the program goes on [store]")
                raise
            self._waiting.popleft()

    def end(self, run: Run) -> str:  # noqa: ARG002  # the last state has it all
        """Write what waits. Raises StoreError."""
        self.observe(None)
        return ""


class _Cpu:
    """CPU time of all processes that were ever seen, by what each was seen to have used last."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}  # {pid: CPU time}
        self._ended_ns = 0
        self.ns = 0

    def add(self, processes: list[LiveProcess]) -> int:
        """Take what the living processes have used; return what all have."""
        now = {process.pid: process.cpu_ns for process in processes}
        for pid, cpu_ns in self._seen.items():
            if now.get(pid, -1) < cpu_ns:  # it is gone, and another one may have its pid
                self._ended_ns += cpu_ns
        self._seen = now
        self.ns = self._ended_ns + sum(now.values())
        return self.ns


def about(run: Run, run_file: Path) -> About:
    """Return what the store says of a run of a service."""
    note = run_folder.note_of(Path(run.run_folder))
    return About(
        service=run.service,
        key=run.run_key,
        run_file=str(run_file.resolve()),
        command=run.command,
        version=run.version,
        project=run.project,
        hookmon=run.hookmon,
        machine=note.mounts if note is not None else "",
        started_s=datetime.fromisoformat(run.started_at).timestamp(),
    )
