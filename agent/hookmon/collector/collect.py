"""The collector: follows the processes and shards of a run and puts the Run together.

In: the run folder and the pid of the program. Out: a Run, saved as it grows. Runs in the launcher's one thread, which calls
`tick` between waits. A shard whose process has ended is final: it is added to the tree, the run is saved, and only then the
file is deleted, so that a killed launcher loses nothing and 10,000 children leave no 10,000 files.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from time import monotonic_ns

from hookmon.collector import hints
from hookmon.collector.births import Birth, read_birth
from hookmon.collector.discard import discard
from hookmon.collector.merge import Tree, calls_of, in_flight
from hookmon.collector.processes import SHADOWED, Processes, Watcher, is_alive
from hookmon.collector.series import Series
from hookmon.collector.shards import ShardData, ShardReader
from hookmon.collector.store import BlindSpot, Process, Run, RunFile, Watched
from hookmon.core import layout
from hookmon.core.errors import RunFileError, ShardError

_DISCOVER_NS = 100_000_000
_SAMPLE_NS = 1_000_000_000
_FOLD_NS = 500_000_000
_SERIES_NS = 5_000_000_000
_SAVE_REST = 50  # saving series takes at most a 50th of the launcher's time
_MOST_SAMPLES = 20_000
_MOST_PROCESS_ROWS = 2_000
_TOO_SHORT_NS = 400_000_000


class Collector:
    """Everything that is known of a run while it lasts."""

    def __init__(self, run: Run, run_file: RunFile) -> None:
        """Begin with a run, which may be one that another launcher left behind."""
        self.run = run
        self._run_file = run_file
        self._folder = Path(run.run_folder)
        self.processes = Processes(run.started_ns)
        self._tree = Tree(run.nodes, run.examples)
        self._series = Series(run)
        self._births: dict[tuple[int, int], Birth] = {}
        self._noted: set[str] = set()  # the files of these
        self._readers: dict[str, ShardReader] = {}
        self._broken: dict[str, str] = {}
        self._folded = list(run.folded)
        self._rows: dict[int, Process] = {}
        self._statuses: dict[tuple[int, str], dict[int, str]] = {}
        self._notes: dict[tuple[str, str], int] = {}
        self._next = {"discover": 0, "sample": 0, "fold": 0, "series": run.started_ns + _SERIES_NS}
        self._series_ns = _SERIES_NS
        self._save_error = ""
        self._unattended = False
        self._engines: list[str] = []
        self._interpreters: list[str] = []

    def follow(self, pid: int) -> None:
        """Begin to follow the program."""
        self.run.main_pid = pid
        self.processes.add(pid, monotonic_ns())

    def main_ended(self, pid: int) -> None:
        """Take a last look at the program, which has ended and was not reaped yet."""
        self.processes.last_look(pid)

    def something_runs(self) -> bool:
        """Say whether any process of the run is still there."""
        self.processes.discover(monotonic_ns())
        self._scan()
        return bool(self.processes.watchers)

    def tick(self) -> None:
        """Do what is due. Called a few times a second."""
        now_ns = monotonic_ns()
        if self._due("discover", now_ns, _DISCOVER_NS):
            self.processes.discover(now_ns)
        if self._due("sample", now_ns, _SAMPLE_NS):
            self.processes.sample(now_ns)
            if len(self.processes.samples) > _MOST_SAMPLES:
                self.processes.thin_samples()
        if self._due("fold", now_ns, _FOLD_NS):
            self._scan()
            if self._fold_ended(now_ns):
                self._save_progress()
        if self._series.is_due(now_ns):
            self._scan()
            self._series.look(self._readers, now_ns)
            if self._due("series", now_ns, self._series_ns):
                self._save_series(now_ns)

    def _due(self, what: str, now_ns: int, every_ns: int) -> bool:
        if now_ns < self._next[what]:
            return False
        self._next[what] = now_ns + every_ns
        return True

    def _scan(self) -> None:
        """Open the shards and read the birth notes that are new in the run folder."""
        try:
            entries = sorted(os.listdir(self._folder))
        except OSError:
            return
        for name in entries:
            path = self._folder / name
            if name.endswith(layout.BIRTH_SUFFIX) and name not in self._noted:
                birth = read_birth(path)
                if birth is not None:
                    self._noted.add(name)
                    self._births[birth.pid, birth.started_ns] = birth
                    self.processes.add(birth.pid, monotonic_ns())
            elif name.endswith(layout.SHARD_SUFFIX) and name not in self._readers and name not in self._folded:
                try:
                    self._readers[name] = ShardReader(path)
                except ShardError as error:
                    self._broken[name] = str(error)

    def _fold_ended(self, now_ns: int) -> bool:
        """Add the shards of processes that have ended; say whether there were any."""
        folded = False
        for name, reader in list(self._readers.items()):
            pid = _pid_of(name)
            with suppress(ShardError):
                if pid not in self.processes.watchers and not is_alive(pid, _shard_wall_ns(reader)):
                    self._take(name, reader.read(), now_ns, self._tree, alive=False)
                    self._close(name, reader)
                    folded = True
        return folded

    def _close(self, name: str, reader: ShardReader) -> None:
        reader.close()
        self._series.fold(name)
        del self._readers[name]
        self._folded.append(name)

    def _take(self, name: str, data: ShardData, now_ns: int, tree: Tree, *, alive: bool) -> None:
        """Add one shard to a tree, and what it says of its process, targets and blind spots to the run."""
        end_ns = now_ns if alive else self._end_of(data, now_ns)
        tree.add(data, end_ns)
        self._series.take(name, data, is_scaled=True)
        replaced = any(pid == data.pid and started_ns > data.started_ns for pid, started_ns in self._births)
        if not replaced:
            self.run.in_flight += in_flight(data, end_ns, killed=not alive)
        calls, errors = calls_of(data)
        row = self._row(data)
        row.calls += calls
        row.errors += errors
        if data.engine not in self._engines:
            self._engines.append(data.engine)
        if data.executable not in self._interpreters:
            self._interpreters.append(data.executable)
        for (watch, target), (status, detail) in data.watches.items():
            known = self._statuses.setdefault((watch, target), {})
            known.setdefault(status, detail)
        notes = list(data.notes)
        if data.full:
            notes.append(("shard full", f"process {data.pid} found no more space; new names were counted together"))
        if data.damaged:
            notes.append(("shard damaged", f"{name}: a part of what process {data.pid} recorded cannot be read"))
        if data.hidden_lanes:
            notes.append(("lanes", f"process {data.pid}: {data.hidden_lanes} lanes were recorded but are not shown in flight"))
        for note in notes:
            self._notes[note] = self._notes.get(note, 0) + 1

    def _row(self, data: ShardData) -> Process:
        for watcher in self.processes.all():
            if watcher.row.pid == data.pid and watcher.created * 1e9 <= data.started_wall_ns + 2e9:
                watcher.has_probe = True
                row = watcher.row
                break
        else:
            row = self._rows.setdefault(
                data.pid, Process(data.pid, data.parent_pid, data.argv, state="gone", started_ns=data.started_ns)
            )
        row.python, row.engine = data.python, data.engine
        return row

    def _end_of(self, data: ShardData, now_ns: int) -> int:
        """Return when a process ended, as near as it was seen."""
        for watcher in self.processes.ended:
            if watcher.row.pid == data.pid:
                return watcher.row.started_ns + watcher.row.duration_ns
        if self._unattended:
            return max((since_ns for lane in data.lanes for _, since_ns in lane.stack), default=now_ns)
        return now_ns

    def _save_progress(self) -> None:
        """Save what is final, and delete the shards that are in it."""
        self._tree.write_to(self.run)
        self.run.folded = list(self._folded)
        self.run.processes = [self._finished(each) for each in self.processes.all()][-_MOST_PROCESS_ROWS:]
        self.run.processes += list(self._rows.values())[: _MOST_PROCESS_ROWS - len(self.run.processes)]
        try:
            self._run_file.save(self.run)
        except RunFileError as error:
            self._save_error = str(error)
            return  # the shards stay: they are all there is
        self._delete_folded()
        self._folded.clear()

    def _save_series(self, now_ns: int) -> None:
        """Save what would be lost with a killed launcher: everything else can be read again from the shards."""
        self._series.store()
        self.run.samples = self.processes.samples
        with suppress(RunFileError):
            self._run_file.save_tables(self.run, ("series", "samples"))
        self._series_ns = max(_SERIES_NS, (monotonic_ns() - now_ns) * _SAVE_REST)

    def add_processes_of_folder(self) -> None:
        """Follow the processes that left something in the run folder and still run."""
        self._scan()
        for name, reader in self._readers.items():
            with suppress(ShardError):
                data = reader.read()
                if is_alive(data.pid, data.started_wall_ns):
                    self.processes.add(_pid_of(name), data.started_ns)

    def look(self, *, state: str = "running", unattended: bool = False) -> Run:
        """Put the whole run together as it is now, without saving or deleting anything. Once for each collector.

        `unattended`: nobody saw the processes end, so a call in flight has lasted at least until the last one began.
        """
        now_ns = monotonic_ns()
        self._unattended = unattended
        self.processes.discover(now_ns)
        self._scan()
        self._fold_ended(now_ns)
        whole = self._tree
        if self._readers:
            whole = self._tree.copy()
            for name, reader in self._readers.items():
                try:
                    self._take(name, reader.read(), now_ns, whole, alive=_pid_of(name) in self.processes.watchers)
                except ShardError as error:
                    self._broken[name] = str(error)
        run = self.run
        run.state = state
        whole.write_to(run)
        run.samples = self.processes.samples or run.samples
        self._series.note(now_ns, unattended=unattended, is_last=True)
        self._series.store()
        self._describe_processes()
        run.watched = list(self._watched())
        run.blind_spots = self._blind_spots()
        run.unnamed_calls = sum(node.calls for node in run.nodes if node.flat)
        run.engine = ", ".join(self._engines) or run.engine
        return run

    def end(self) -> None:
        """Save the run that `look` put together and clear the run folder.

        The shards of what still runs, and with them the folder, stay. Raises RunFileError when the run cannot be saved;
        then everything stays.
        """
        self.run.folded = []
        self._run_file.save(self.run)
        if not self.run.still_running:
            discard(self._folder)
        else:
            self._delete_folded()

    def _delete_folded(self) -> None:
        for name in self._folded:
            discard(self._folder / name)

    @property
    def interpreter(self) -> str:
        """The Python executable that the run's cost is to be calibrated with, "" when nothing was watched."""
        return self._interpreters[0] if self._interpreters else ""

    def _describe_processes(self) -> None:
        run = self.run
        rows = []
        for watcher in self.processes.all():
            row = self._finished(watcher)
            if watcher.alive and row.pid != run.main_pid:
                run.still_running.append(f"{row.pid} {' '.join(row.command)}"[:200])
            rows.append(row)
        seen = {(row.pid, row.started_ns) for row in rows}
        rows += [row for row in self._rows.values() if (row.pid, row.started_ns) not in seen]
        run.processes = rows[:_MOST_PROCESS_ROWS]
        main = next((row for row in rows if row.pid == run.main_pid), None)
        if main is not None and run.exit_code is not None:
            main.exit_code = run.exit_code
            main.state = "killed" if run.exit_code > 128 else "exited"
        watched = [row for row in rows if row.python]
        run.python = (main.python if main else "") or (watched[0].python if watched else run.python)

    def _finished(self, watcher: Watcher) -> Process:
        row = watcher.row
        birth = self._last_birth(row.pid)
        if birth is not None and not birth.status:
            watcher.has_probe = True
            row.python = row.python or birth.python
        if birth is not None and not row.command:
            row.command = birth.argv
        return row

    def _last_birth(self, pid: int) -> Birth | None:
        births = [birth for (each, _), birth in self._births.items() if each == pid]
        return max(births, key=lambda birth: birth.started_ns) if births else None

    def _watched(self) -> list[Watched]:
        """Return what became of each target that was asked for."""
        called = {node.target for node in self.run.nodes if node.calls or node.total_ns}
        rows = []
        for watch in self.run.plan:
            ends = watch.get("until", ())
            for call in (*watch["calls"], *ends):
                target = f"{watch['module']}:{call}"
                known = self._statuses.get((watch["id"], target), {})
                detail = ""
                if layout.TARGET_ACTIVE in known:
                    is_called = call in ends or any(_is_of(each, target) for each in called)
                    status = "active" if is_called else "unused"
                elif layout.TARGET_REFUSED in known:
                    status, detail = "refused", known[layout.TARGET_REFUSED]
                elif layout.TARGET_NOT_FOUND in known:
                    status, detail = "not found", hints.near_name(call, known[layout.TARGET_NOT_FOUND].split("\n"))
                else:
                    status = "never imported"
                    if not watch["pack"]:
                        detail = hints.near_module(watch["module"], Path.cwd())
                rows.append(Watched(target, status, detail, watch["pack"], watch["source"]))
        return rows

    def _blind_spots(self) -> list[BlindSpot]:
        spots = [BlindSpot(kind, detail) for kind, detail in self._notes if kind != "hookmon"]
        spots += [BlindSpot("own failure", detail) for kind, detail in self._notes if kind == "hookmon"]
        spots += [BlindSpot("shard unreadable", text) for text in self._broken.values()]
        if self._save_error:
            spots.append(BlindSpot("run file", self._save_error))
        main_watches = {watch["id"] for watch in self.run.plan if watch["module"] == "__main__"}
        if main_watches and not any(number in main_watches for number, _ in self._statuses):
            spots.append(BlindSpot("__main__", "no script was started that could be watched (python -c, stdin, or no Python)"))
        reasons: dict[str, list[Watcher]] = {}
        for watcher in self.processes.all():
            reason = self._reason(watcher)
            if reason:
                reasons.setdefault(reason, []).append(watcher)
        for reason, watchers in reasons.items():
            first = watchers[0].row
            more = f" and {len(watchers) - 1} more" if len(watchers) > 1 else ""
            spots.append(BlindSpot("not watched", f"process {first.pid}{more} ({' '.join(first.command)[:80]}): {reason}"))
        known = {watcher.row.pid for watcher in self.processes.all()}
        for birth in self._births.values():
            if birth.status and birth.pid not in known:
                spots.append(BlindSpot("not watched", f"process {birth.pid} ({' '.join(birth.argv)[:80]}): {birth.status}"))
        return spots

    def _reason(self, watcher: Watcher) -> str:
        """Return why a process was not watched, "" when it was, or when it is a fork of one that was."""
        birth = self._last_birth(watcher.row.pid)
        if birth is not None:
            is_replaced = SHADOWED in watcher.reason and watcher.row.command != birth.argv  # by an exec, and seen since
            return birth.status or (watcher.reason if is_replaced else "")
        if watcher.has_probe:
            return ""
        if watcher.reason:
            return watcher.reason
        parents = {each.row.pid: each for each in self.processes.all()}
        parent = parents.get(watcher.row.parent_pid)
        has_probe = parent is not None and (parent.has_probe or self._last_birth(parent.row.pid) is not None)
        if parent is not None and has_probe and watcher.row.command in ([], parent.row.command):
            return ""  # a fork: it counts from its first watched call on
        if not self._folder.is_dir():
            return "the run folder was deleted"
        if watcher.row.duration_ns < _TOO_SHORT_NS:
            return ""  # it may have ended before Python had got as far as the probe
        return "the probe did not start in it"


def _is_of(target: str, pattern: str) -> bool:
    return target == pattern or (("*" in pattern or "?" in pattern or "[" in pattern) and fnmatchcase(target, pattern))


def _pid_of(name: str) -> int:
    head = name.partition("-")[0]
    return int(head) if head.isdecimal() else 0


def _shard_wall_ns(reader: ShardReader) -> int:
    return reader.read().started_wall_ns
