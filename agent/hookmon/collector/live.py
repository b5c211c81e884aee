"""A look from outside at a run that goes on.

In: the run file of a running run and, in its run folder, the shards that its processes write to. Out: a Snapshot of all counters,
of what is in flight and of the processes, as often as it is asked for. Runs in any process but the program's and the launcher's:
it reads files, writes none, and neither of the two knows of it.

The counters of processes that have ended are in the run file, those of the others in their shards. The launcher saves before it
deletes a shard, so a listing of the folder that is older than the run file misses nothing; a shard that goes between the two
looks is told by looking again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from hookmon.collector import run_folder
from hookmon.collector.births import read_birth
from hookmon.collector.counters import Totals, totals_of
from hookmon.collector.identity import Identity, own_namespace
from hookmon.collector.merge import measure
from hookmon.collector.processes import Processes
from hookmon.collector.recover import launcher_is_alive
from hookmon.collector.shards import ShardData, ShardReader
from hookmon.collector.store import Run, RunFile, Store
from hookmon.collector.survivors import final_part
from hookmon.collector.watcher import Watcher
from hookmon.core import layout
from hookmon.core.errors import RunFileError, ShardError

_TRIES = 5
_JUST_S = 0.1  # a file that was changed so lately may change again without another time of change


@dataclass(slots=True)
class LiveCall:
    """A call that has not ended. `within` is the name of the outermost call around it, "" where there is none."""

    pid: int
    name: str
    kind: str
    call_site: str
    within: str
    duration_ns: int  # so far


@dataclass(slots=True)
class LiveProcess:
    """A process that runs. `calls` and `errors` are what it counted itself, `cpu_ns` all that it ever used."""

    pid: int
    command: list[str]
    python: str  # "" where nothing was counted
    cpu_ns: int = 0
    rss_bytes: int = 0
    threads: int = 0
    calls: int = 0
    errors: int = 0


@dataclass(slots=True)
class Snapshot:
    """A run at one moment. `at_ns` is on CLOCK_MONOTONIC; `ended` says that nothing of the run goes on."""

    at_ns: int
    totals: Totals = field(default_factory=Totals)
    in_flight: list[LiveCall] = field(default_factory=list)  # the longest first
    processes: list[LiveProcess] = field(default_factory=list)
    ended: bool = False


class _Shard:
    """One shard and what was read of it last."""

    def __init__(self, reader: ShardReader) -> None:
        self._reader = reader
        self._check = -1
        self.data: ShardData | None = None
        self.totals = Totals()

    def refresh(self, now_ns: int) -> None:
        """Read it again where it has changed; what cannot be read stays as it was."""
        with suppress(ShardError):
            content = self._reader.content()
            check = crc32(content.body)
            if check != self._check:
                self.data = content.parsed()
                measure(self.data, now_ns)
                self.totals = totals_of(self.data.nodes)
                self._check = check

    def in_flight(self, now_ns: int) -> Iterable[LiveCall]:
        """Yield what its process is doing: the innermost call of each lane."""
        if self.data is None:
            return
        for lane in self.data.lanes:
            index, since_ns = lane.stack[-1]
            node = self.data.nodes[index]
            within = self.data.nodes[lane.stack[0][0]].name if len(lane.stack) > 1 else ""
            yield LiveCall(self.data.pid, node.name, node.kind, node.call_site, within, max(0, now_ns - since_ns))

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


class LiveRun:
    """A run that goes on, open for looking at. Used by one thread at a time."""

    def __init__(self, run_file: RunFile, run: Run) -> None:
        """Begin with a run that `is_running`; its rows need not be loaded."""
        self.run = run
        self._run_file = run_file
        self._folder = Path(run.run_folder)
        self._shards: dict[str, _Shard] = {}
        self._ended = Totals()  # the counters of processes that are in the run file
        self._version = (0, 0)  # of the run file, as far as the file system tells
        self._processes = Processes.of_run(run, are_visible=run_folder.shares_pids(self._folder))

    def look(self, now_ns: int) -> Snapshot:
        """Return the run as it is now, `now_ns` on CLOCK_MONOTONIC."""
        is_saved = self._settle()
        snapshot = Snapshot(now_ns)
        snapshot.totals.add(self._ended)
        if self.run.state != "running" or not is_saved:
            snapshot.ended = True
            return snapshot
        for shard in self._shards.values():
            shard.refresh(now_ns)
            snapshot.totals.add(shard.totals)
            if self._writer(shard, now_ns) is not None:
                snapshot.in_flight += shard.in_flight(now_ns)
        snapshot.in_flight.sort(key=lambda call: -call.duration_ns)
        snapshot.processes = self._running(now_ns)
        snapshot.ended = not snapshot.processes and not launcher_is_alive(self.run)
        return snapshot

    def _writer(self, shard: _Shard, now_ns: int) -> Watcher | None:
        """Return the process that writes a shard, None when it does not run any more."""
        data = shard.data
        watcher = self._processes.follow(data.identity, data.started_ns, now_ns) if data is not None else None
        return watcher if watcher is not None and watcher.alive else None

    def close(self) -> None:
        """Close all files."""
        for shard in self._shards.values():
            shard.close()
        self._shards.clear()

    def _settle(self) -> bool:
        """Find the shards that are not in the run file; say whether there is anything left to look at."""
        for _ in range(_TRIES):
            names = self._listed()
            is_read = self._load()
            if names is None:  # ended, or somebody deleted it: what is open can still be read
                names = list(self._shards)
                if not is_read and not self._run_file.path.exists():
                    return False
            kept = {name for name in names if name not in self.run.folded}
            if not is_read:
                kept |= self._shards.keys()  # one that is gone may be in what could not be read
            elif all((self._folder / name).exists() for name in kept) or not self._folder.is_dir():
                break
        for name in self._shards.keys() - kept:
            self._shards.pop(name).close()
        return True

    def _listed(self) -> list[str] | None:
        """Open what is new in the run folder and return its shards, None when there is no folder."""
        try:
            entries = run_folder.files_of(self._folder)
        except OSError:
            return None
        names = [name for name in entries if name.endswith(layout.SHARD_SUFFIX)]
        for name in names:
            if name not in self._shards:
                with suppress(ShardError):
                    self._shards[name] = _Shard(ShardReader(self._folder / name))
        return names

    def _load(self) -> bool:
        """Read the run file again where it has changed, or may have; say whether that went well."""
        try:
            status = os.stat(self._run_file.path)
            version = (status.st_mtime_ns, status.st_size)
            if version != self._version:
                is_settled = time.time() - status.st_mtime >= _JUST_S  # before it is read: later says nothing of then
                run = self._run_file.load_tables(("nodes",))
                self._ended = totals_of(run.nodes)
                run.nodes = []
                self.run = run
                self._version = version if is_settled else (0, 0)
        except (OSError, RunFileError):
            return False
        return True

    def _running(self, now_ns: int) -> list[LiveProcess]:
        """Return the processes of the run, oldest first: all below the launcher, and all that count."""
        processes = self._processes
        launcher_pid = self.run.launcher_pid
        if launcher_is_alive(self.run):
            processes.add(launcher_pid, now_ns)
        processes.discover(now_ns)
        counted: dict[int, list[_Shard]] = {}
        for shard in self._shards.values():
            writer = self._writer(shard, now_ns)
            if writer is not None:
                counted.setdefault(writer.row.pid, []).append(shard)
        processes.samples.clear()
        processes.forget_ended()
        processes.sample(now_ns)
        rows = []
        for sample in processes.samples:
            if sample.pid == launcher_pid:
                continue
            watcher = processes.watchers[sample.pid]
            shards = counted.get(sample.pid, [])
            python = next((shard.data.python for shard in shards if shard.data is not None), "")
            row = LiveProcess(sample.pid, watcher.row.command, python, sample.cpu_ns, sample.rss_bytes, sample.threads)
            for shard in shards:
                row.calls += sum(counters.calls for counters in shard.totals.by_key.values())
                row.errors += sum(counters.errors for counters in shard.totals.by_key.values())
            rows.append(row)
        return rows


def is_running(run: Run) -> bool:
    """Say whether a run goes on: its launcher is there, or a process that counts for it."""
    return run.state == "running" and (launcher_is_alive(run) or bool(_alive(run)))


def running(store: Store) -> list[tuple[RunFile, Run]]:
    """Return the runs of a store that go on, without their rows, the newest first."""
    found = []
    for number in reversed(store.numbers()):
        run_file = store.run_file(number)
        with suppress(RunFileError):
            followed = followed_file(run_file, run_file.head())
            if is_running(followed[1]):
                found.append(followed)
    return found


def followed_file(run_file: RunFile, run: Run) -> tuple[RunFile, Run]:
    """Return where to look at a run live: what was final when its launcher ended, where processes have outlived that."""
    return (run_file, run) if run.state == "running" else final_part(run) or (run_file, run)


def has_process(run: Run, pid: int) -> bool:
    """Say whether a process belongs to a run that goes on: it is below the launcher, or it counts or was born for it."""
    if pid in _alive(run):
        return True
    processes = Processes.of_run(run)
    if launcher_is_alive(run):
        processes.add(run.launcher_pid, 0)
        processes.discover(0)
    return pid in processes.watchers


def _alive(run: Run) -> set[int]:
    """Return the processes that ran when the run was saved or left something in the run folder since, and still run."""
    now_ns = time.monotonic_ns()
    processes = Processes.of_run(run)
    for text in run.running:
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
