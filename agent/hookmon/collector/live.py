"""A look from outside at a run that goes on.

In: the run file of a running run, and the shards in its run folder that its processes write to. Out: a Snapshot, as often as
somebody asks for one. Runs in a process of its own, neither the program's nor the launcher's: it only reads files.

The run file has the counters of the processes that have ended, the shards those of the others. The launcher saves the run file
before it deletes a shard. So whoever lists the folder first and reads the run file then misses no process; when a listed shard
is gone by then, both are read again.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from hookmon.collector import run_folder, switches
from hookmon.collector.births import read_birth
from hookmon.collector.control import WINDOW_NS, Control
from hookmon.collector.counters import sum_of, totals_of
from hookmon.collector.elsewhere import live_processes
from hookmon.collector.examples import LiveExample, recent
from hookmon.collector.feed import Snapshot
from hookmon.collector.identity import Identity, own_namespace
from hookmon.collector.processes import Processes
from hookmon.collector.recover import launcher_is_alive
from hookmon.collector.shard_set import ShardSet
from hookmon.collector.shards import ShardReader
from hookmon.collector.store import Run, RunFile, Store
from hookmon.collector.survivors import final_part
from hookmon.collector.switches import Switched
from hookmon.core import layout
from hookmon.core.errors import RunFileError, ShardError

_TRIES = 5
_JUST_S = 0.1  # a file that was changed so lately may change again without another time of change


class LiveRun:
    """A run that goes on, open for looking at. Used by one thread at a time."""

    REST = 2
    """A look may take a third of the time: reading a run of many processes and names costs what it costs."""

    def __init__(self, run_file: RunFile, run: Run, *, with_examples: bool = False) -> None:
        """Begin with a run that `is_running`; its rows need not be loaded.

        With examples, its snapshots have those of processes that have ended as well, which takes long to read.
        """
        self.run = run
        self._run_file = run_file
        self._folder = Path(run.run_folder)
        self._shards = ShardSet(self._folder)
        self._version = (0, 0)  # of the run file, as far as the file system tells
        self._processes = Processes.of_run(run, are_visible=run_folder.shares_pids(self._folder, run.pids))
        self._tables = ("nodes", "statuses", "signals", *(("examples",) if with_examples else ()))
        if not self._processes.are_visible:
            self._tables += ("processes", "samples")
        self._control = Control(self._folder)

    def look(self, now_ns: int) -> Snapshot:
        """Return the run as it is now, `now_ns` on CLOCK_MONOTONIC."""
        is_saved = self._settle()
        if self.run.state != "running" or not is_saved:
            shards = self._shards
            examples = [*shards.ended_examples]
            return Snapshot(now_ns, sum_of([shards.ended]), signals=shards.ended_signals, examples=examples, ended=True)
        self._shards.refresh(now_ns)
        self._sample(now_ns)
        snapshot = self._shards.snapshot(self._processes, now_ns)
        if not self._processes.are_visible:
            snapshot.processes = live_processes(self.run, self._shards.open.values())
            snapshot.ended = not launcher_is_alive(self.run)
            return snapshot
        snapshot.processes = [process for process in snapshot.processes if process.pid != self.run.launcher_pid]
        snapshot.ended = not snapshot.processes and not launcher_is_alive(self.run)
        return snapshot

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self._folder

    @property
    def switched(self) -> Switched:
        """What of the run is switched off."""
        return switches.read(self._folder)

    def ask_for_windows(self, now_ns: int, window_ns: int = WINDOW_NS) -> None:
        """Have the run keep examples by windows of such a length, for three of them: ask again. The one thing that is written."""
        self._control.ask_for_windows(now_ns, window_ns)

    def close(self) -> None:
        """Close all files."""
        self._shards.close()

    def _settle(self) -> bool:
        """Find the shards that are not in the run file; say whether there is anything left to look at."""
        shards = self._shards
        for _ in range(_TRIES):
            names = self._discover()
            is_read = self._load()
            if names is None:  # ended, or somebody deleted it: what is open can still be read
                names = list(shards.open)
                if not is_read and not self._run_file.path.exists():
                    return False
            kept = {name for name in names if name not in self.run.folded}
            if not is_read:
                kept |= shards.open.keys()  # one that is gone may be in what could not be read
            elif all((self._folder / name).exists() for name in kept) or not self._folder.is_dir():
                break
        for name in shards.open.keys() - kept:
            shards.drop(name)
        return True

    def _discover(self) -> list[str] | None:
        """Open what is new in the run folder and return its shards, None when there is no folder."""
        try:
            names = self._shards.discover(time.monotonic_ns())
        except OSError:
            return None
        return [name for name in names if name.endswith(layout.SHARD_SUFFIX)]

    def _load(self) -> bool:
        """Read the run file again where it has changed, or may have; say whether that went well."""
        try:
            status = os.stat(self._run_file.path)
            version = (status.st_mtime_ns, status.st_size)
            if version != self._version:
                is_settled = time.time() - status.st_mtime >= _JUST_S  # before it is read: later says nothing of then
                run = self._run_file.load_tables(self._tables)
                self._shards.ended, self._shards.ended_signals = totals_of(run.nodes, run.statuses), run.signals
                self._shards.ended_examples.clear()
                self._shards.ended_examples += (LiveExample(row, run.nodes) for row in recent(run.examples))
                run.nodes, run.statuses, run.signals, run.examples = [], [], [], []
                self.run = run
                self._version = version if is_settled else (0, 0)
        except (OSError, RunFileError):
            return False
        return True

    def _sample(self, now_ns: int) -> None:
        """Take a sample of the processes of the run: all below the launcher, and all that count."""
        processes = self._processes
        if launcher_is_alive(self.run):
            processes.add(self.run.launcher_pid, now_ns)
        processes.discover(now_ns)
        self._shards.writers(processes, now_ns)  # are followed from now on
        processes.forget_ended()
        processes.sample(now_ns)
        processes.samples.clear()


def is_running(run: Run) -> bool:
    """Say whether a run goes on: its launcher is there, or a process that counts for it."""
    return run.state == "running" and (launcher_is_alive(run) or bool(_alive(run)))


def find_running(store: Store) -> list[tuple[RunFile, Run]]:
    """Return the runs of a store that go on, without their rows, the newest first."""
    found = []
    for number in reversed(store.numbers()):
        run_file = store.run_file(number)
        with suppress(RunFileError):
            followed = file_to_follow(run_file, run_file.head())
            if is_running(followed[1]):
                found.append(followed)
    return found


def file_to_follow(run_file: RunFile, run: Run) -> tuple[RunFile, Run]:
    """Return where to look at a run live: what was final when its launcher ended, where processes have outlived that."""
    return (run_file, run) if run.state == "running" else final_part(run) or (run_file, run)


def has_process(run: Run, pid: int) -> bool:
    """Say whether a process belongs to a run that goes on: it is below the launcher, or it counts or was born for it."""
    if pid in _alive(run):
        return True
    processes = Processes.of_run(run, are_visible=run_folder.shares_pids(Path(run.run_folder), run.pids))
    if launcher_is_alive(run):
        processes.add(run.launcher_pid, 0)
        processes.discover(0)
    return pid in processes.watchers


def _alive(run: Run) -> set[int]:
    """Return the processes that ran when the run was saved or left something in the run folder since, and still run."""
    now_ns = time.monotonic_ns()
    processes = Processes.of_run(run, are_visible=run_folder.shares_pids(Path(run.run_folder), run.pids))
    for text in run.running if processes.are_visible else ():
        identity = Identity.of_text(text)
        if identity is not None and identity.namespace in (0, own_namespace()):
            processes.revive(identity, now_ns)
    folder = Path(run.run_folder)
    with suppress(OSError):
        for name in run_folder.files_of(folder):
            birth = read_birth(folder / name) if name.endswith(layout.BIRTH_SUFFIX) else None
            if birth is not None:
                processes.follow(birth.identity, birth.started_ns, now_ns)
            if name.endswith(layout.SHARD_SUFFIX):
                with suppress(ShardError):
                    reader = ShardReader(folder / name)
                    owner = reader.owner()
                    reader.close()
                    processes.follow(owner.identity, owner.started_ns, now_ns)
    return set(processes.watchers)
