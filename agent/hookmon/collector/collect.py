"""The collector: follows the processes and shards of a run and puts the Run together.

In: the run folder and the pid of the program. Out: a Run, saved as it grows. Runs in the launcher's one thread, which calls
`tick` between waits. A shard whose process has ended is final: it is added to the tree, the run is saved, and only then the
file is deleted, so that a killed launcher loses nothing and 10,000 children leave no 10,000 files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns, thread_time_ns

from hookmon.collector import additions, run_folder, switches
from hookmon.collector.births import BirthNotes, has_processes
from hookmon.collector.control import Control
from hookmon.collector.cost import Work, add_work
from hookmon.collector.discard import discard
from hookmon.collector.feed import Feed, Observer, Snapshot, Timer
from hookmon.collector.identity import Identity, own_namespace, shown_pid
from hookmon.collector.looks import Looks
from hookmon.collector.merge import Tree, calls_of, in_flight
from hookmon.collector.not_watched import blind_spots_beside
from hookmon.collector.roster import Roster
from hookmon.collector.samples import TABLES as SAMPLED
from hookmon.collector.series import Series
from hookmon.collector.shard_set import Shard, ShardSet
from hookmon.collector.shards import ShardData
from hookmon.collector.statuses import Statuses, incomplete_packs, libraries_without_pack
from hookmon.collector.store import FINAL, BlindSpot, Run, RunFile
from hookmon.collector.watcher import Watcher
from hookmon.collector.yielding import nothing
from hookmon.core import layout
from hookmon.core.errors import RunFileError, ShardError
from hookmon.core.record import replace

_FOLD_NS = 500_000_000
_SLICE_NS = 100_000_000  # of folding, before signals are passed on
_SERIES_NS = 5_000_000_000
_SAVE_REST = 50  # saving birth notes takes at most a 50th of the launcher's time,
_SERIES_REST = 2_000  # and saving series a 2,000th,
_SELDOM_NS = 30_000_000_000  # unless a killed launcher would lose more of them than these
_REST = 64  # looks may take a 64th of one CPU,
_LIGHT_REST = 250  # a 250th where there is one a second all the same,
_BEHIND_REST = 16  # and a 16th until each shard was read once

_NO_SPOTS = (layout.NOTE_COMPILER, layout.NOTE_LIBRARY, layout.NOTE_PLAN)
"""Kinds of notes that are no blind spots."""


class Collector:
    """Everything that is known of a run while it lasts."""

    def __init__(
        self,
        run: Run,
        run_file: RunFile,
        *,
        sees_processes: bool = True,
        observers: Iterable[Observer] = (),
        window_ns: int = 0,
    ) -> None:
        """Begin with a run, which may be one that another launcher left behind, in another namespace of pids even.

        `observers` look on in the launcher's thread: one that may block needs a `worker.Worker`. `window_ns` is for `control`.
        """
        self.run = run
        self._run_file = run_file
        self._folder = Path(run.run_folder)
        self.roster = Roster(run, sees_processes=sees_processes)
        self.processes = self.roster.processes
        self._tree = Tree(run.nodes, run.examples, run.signals, run.statuses)
        self._shards = ShardSet(self._folder, run.nodes, run.folded, run.signals, run.statuses)
        self._series = Series(run)
        self._feed = Feed(self._take_snapshot, [self._series, *observers], run.started_ns, _REST, _LIGHT_REST)
        self._control = Control(self._folder, window_ns, run.started_ns)
        self._scanned: list[str] = []  # names of the run folder of which no note is left to be read
        self._birth_notes = BirthNotes(self._folder)
        self._statuses = Statuses()
        self._notes: dict[tuple[str, str], int] = {}
        began_ns = run.started_ns  # all that is due together is done on being woken once
        self._looks = Looks(run, self.processes)
        self._folding = Timer(_FOLD_NS, began_ns)
        self._is_folded = True  # but for what has ended since
        self._is_summed = True  # what was folded is in the totals of what has ended
        self._saving = Timer(_SERIES_NS, began_ns)
        self._saving_births = Timer(_FOLD_NS, began_ns)
        self._saving_series = Timer(_SERIES_NS, began_ns, began_ns + _SERIES_NS)
        self._save_error = ""
        self.kept_wrappers = 0  # by the program, when hookmon was detached
        self._unattended, self._look = False, nothing
        self._engines: dict[str, None] = {}
        self.work: Work = {}
        self._interpreters: dict[str, None] = {}

    def follow(self, pid: int, *, is_child: bool = True, used_ns: int = 0) -> None:
        """Begin to follow the program, of which, and of its children, `used_ns` was used that this process has waited for."""
        if is_child:
            self._looks.begin(used_ns)
        self.run.main_pid = shown_pid(pid) if is_child else pid
        watcher = self.processes.add(self.run.main_pid, monotonic_ns())
        if watcher is not None:
            watcher.is_main = True

    def watched_pids(self) -> list[int]:
        """Return the living processes in which the probe is, as far as it can be told: those that count, and forks of them."""
        now_ns = monotonic_ns()
        self.processes.discover(now_ns)
        self._scan(now_ns)
        writers = {watcher.row.pid for _, watcher in self._shards.writers(self.processes, now_ns)}
        self.roster.list_into(self.run, now_ns)
        return [pid for pid, watcher in self.processes.watchers.items() if pid in writers or not watcher.row.reason]

    def leave(self, pids: Iterable[int]) -> None:
        """Take what these processes have counted as final: hookmon was detached from them, or never in them."""
        now_ns = monotonic_ns()
        self._scan(now_ns)
        for pid in pids:
            self.processes.leave(pid, now_ns)
        self._fold_ended(now_ns)
        self._save_progress()

    def look_at_ended_program(self) -> None:
        """Take a last look at the program, which has ended and was not reaped yet."""
        self.processes.last_look(self.run.main_pid)

    def is_anything_running(self) -> bool:
        """Say whether any process of the run is still there."""
        now_ns = monotonic_ns()
        self.processes.discover(now_ns)
        self._scan(now_ns)
        if not self.processes.watchers:
            self.processes.search(now_ns)
        return bool(self.processes.watchers)

    def tick(self, look: Callable[[], None] = nothing) -> float:
        """Do what is due; return the seconds until there is something again. `look`, which passes on signals, is called often."""
        self._look = look
        now_ns = monotonic_ns()
        self._looks.tick(now_ns)
        look()
        if self._folding.is_due(now_ns) or not self._is_folded:
            self._control.renew(now_ns)
            self._scan(now_ns)
            self._is_folded = self._fold_ended(now_ns, _SLICE_NS)
            self.roster.forget_ended(now_ns)
            if self._shards.folded and (self._is_folded or self._saving.is_due(now_ns)):
                self._save_progress()
            elif self._birth_notes.are_old(bool(self.run.served)) and self._saving_births.is_due(now_ns):
                self._save_births(now_ns)
        if self._feed.tick(now_ns, look) and self._saving_series.is_due(now_ns):
            self._save_series(now_ns)
        if not self._is_folded:
            return 0.0
        now_ns = monotonic_ns()
        wait_s = self._looks.wait_s(now_ns)
        return wait_s if self._looks.is_idle else min(wait_s, self._feed.wait_s(now_ns))

    def _take_snapshot(self, now_ns: int) -> Snapshot:
        self._scan(now_ns)
        self._shards.refresh(now_ns, self.processes, self._look)
        if not self._is_summed:
            self._shards.ended, self._is_summed = self._tree.totals(self._look), True
        self._feed.rest = _BEHIND_REST if self._shards.is_behind else _REST
        totals = self._shards.totals(self._look)
        snapshot = self._shards.snapshot(self.processes, now_ns, totals)
        return replace(snapshot, look=self._look, trees=lambda: self._shards.trees(self._tree))

    def _scan(self, now_ns: int) -> None:
        """Read the birth notes that are new in the run folder, open the shards, and follow those who left them."""
        try:
            names = self._shards.discover(now_ns)
        except OSError:
            return
        if names is not self._scanned:
            self._scanned = names
            if not self._birth_notes.read(names, lambda birth: self.roster.note(birth, now_ns)):
                self._scanned = []  # one is being written
        for shard in self._shards.open.values():
            self._writer(shard, now_ns)

    def _writer(self, shard: Shard, now_ns: int) -> Watcher | None:
        """Return the process that writes a shard, which is followed if it lives; None when it was never seen and is gone.

        None as well while the shard is just being made, or when it is none.
        """
        owner = shard.owner()
        if owner is None or shard.watcher is not None:
            return shard.watcher
        watcher = self.processes.follow(owner.identity, owner.started_ns, now_ns)
        if owner.identity.started:  # else a later look may know better
            shard.watcher = watcher
        return watcher

    def _fold_ended(self, now_ns: int, most_ns: int = 1 << 62) -> bool:
        """Add the shards of what has ended, processes and interpreters; say whether that is done, in so much CPU time."""
        end_ns = thread_time_ns() + most_ns
        closed = self._shards.closed()
        for name, shard in list(self._shards.open.items()) if self.processes.are_visible else ():
            watcher, owner = self._writer(shard, now_ns), shard.owner()
            lives = watcher is not None and watcher.alive
            if owner is None or (lives and name not in closed) or self._may_be_elsewhere(shard, owner.identity):
                continue
            with suppress(ShardError):
                self._take(name, shard, now_ns, self._tree, alive=lives or (watcher is not None and watcher.is_left))
                self._shards.fold(name)
                self._is_summed = False
            self._look()
            if thread_time_ns() > end_ns:
                return False
        return True

    def _may_be_elsewhere(self, shard: Shard, identity: Identity) -> bool:
        """Say whether a process of another PID namespace may live without having been found yet."""
        is_foreign = identity.namespace not in (0, own_namespace())
        return is_foreign and identity not in self.processes.known and self.processes.searched_ns < shard.opened_ns

    def _take(self, name: str, shard: Shard, now_ns: int, tree: Tree, *, alive: bool) -> None:
        """Read a shard for the last time, add it to a tree, and what it says of its process, targets and blind spots to the run.

        Raises ShardError when it cannot be read; then nothing is added.
        """
        data = shard.read(self._look)
        watcher = self.roster.writer(data, now_ns)
        end_ns = now_ns if alive else self._end_of(watcher, data, now_ns)
        tree.add(data, end_ns, self._look)
        self._shards.take_last(name, data, self._look)
        birth = watcher.birth
        is_replaced = birth is not None and birth.started_ns > data.started_ns and not 0 < birth.image == data.image
        if not is_replaced:
            self.run.in_flight += in_flight(data, end_ns, killed=not alive)
        self._look()
        add_work(self.work, data)
        self._look()
        self.run.places.update(data.places)
        self.run.lanes += data.lanes_made
        calls, errors = calls_of(data)
        watcher.row.calls += calls
        watcher.row.errors += errors
        self._engines[data.engine] = self._interpreters[data.executable] = None
        self._statuses.add(data.watches)
        for note in data.notes_of(name):
            self._notes[note] = self._notes.get(note, 0) + 1

    def _end_of(self, watcher: Watcher, data: ShardData, now_ns: int) -> int:
        """Return when a process ended, as near as it was seen."""
        if watcher.was_seen:
            return watcher.row.started_ns + watcher.row.duration_ns
        if self._unattended:
            return max((since_ns for lane in data.lanes for _, since_ns in lane.stack), default=now_ns)
        return now_ns

    def _save_progress(self) -> None:
        """Save what is final, and delete the shards that are in it."""
        self._tree.write_to(self.run, self._look)
        self.run.folded = list(self._shards.folded)
        self.roster.list_into(self.run, monotonic_ns())
        try:
            self._run_file.save(self.run, self._look)
        except RunFileError as error:
            self._save_error = str(error)
            return  # the shards stay: they are all there is
        self._delete_folded()
        self._shards.folded.clear()

    def _save_births(self, now_ns: int) -> None:
        """Save what the birth notes have said, and delete them: the folder may lie in memory, where each takes a page."""
        self.roster.list_into(self.run, now_ns)
        with suppress(RunFileError):
            self._run_file.save_tables(self.run, ("processes",), self._look)
            self._birth_notes.delete_old(bool(self.run.served))
        self._saving_births.every_ns = max(_FOLD_NS, (monotonic_ns() - now_ns) * _SAVE_REST)

    def _save_series(self, now_ns: int) -> None:
        """Save series, samples and processes, which a killed launcher would lose; the rest can be read again from the shards.

        Where nothing has run, the samples that would be lost are as those before.
        """
        if not (self._series.has_grown or self.processes.has_news):
            return
        self.processes.has_news = False
        self._series.store()
        self.run.samples = self.processes.samples
        self.roster.list_into(self.run, now_ns)
        with suppress(RunFileError):
            self._run_file.save_tables(self.run, ("processes", "series", "samples", *SAMPLED), self._look)
        self._saving_series.every_ns = max(_SERIES_NS, min((monotonic_ns() - now_ns) * _SERIES_REST, _SELDOM_NS))

    def add_processes_of_folder(self) -> None:
        """Follow the processes of a run that another launcher began, those of them that still run."""
        now_ns = monotonic_ns()
        for text in self.run.running:
            identity = Identity.of_text(text)
            if identity is not None and identity.namespace in (0, own_namespace()):
                self.processes.revive(identity, now_ns)
        self._scan(now_ns)
        self.processes.search(now_ns)
        rows = [watcher.row for watcher in self.processes.watchers.values()]
        if rows and not self.run.main_pid:  # a launcher saves it at its end
            self.run.main_pid = min(rows, key=lambda row: row.started_ns).pid

    def look(self, *, state: str = "running", unattended: bool = False) -> Run:
        """Put the whole run together as it is now, without saving or deleting anything. Once for each collector.

        `unattended`: nobody saw the processes end, so a call in flight has lasted at least until the last one began.
        """
        now_ns = monotonic_ns()
        self._unattended, self._look = unattended, nothing
        self.processes.discover(now_ns)
        self._scan(now_ns)
        self.processes.search(now_ns)
        self._looks.note_work(now_ns)
        self._fold_ended(now_ns)
        whole = self._tree
        if self._shards.open:
            whole = self._tree.copy()
            for name, shard in self._shards.open.items():
                watcher = self._writer(shard, now_ns)
                try:
                    alive = (watcher is not None and watcher.alive) or not (self.processes.are_visible or unattended)
                    self._take(name, shard, now_ns, whole, alive=alive)
                except ShardError as error:
                    self._shards.broken[name] = str(error)
        run = self.run
        run.state = state
        whole.write_to(run)
        run.samples = self.processes.samples or run.samples
        self.roster.describe(run, now_ns)
        run.plan = additions.plan_of(run)
        run.watched = self._statuses.rows(run, Path(run.project), self._notes)
        run.blind_spots = self._blind_spots() + incomplete_packs(run.watched)
        run.unnamed_calls = sum(node.calls for node in run.nodes if node.flat)
        run.engine = ", ".join(self._engines) or run.engine
        last = replace(self._shards.snapshot(self.processes, now_ns, whole.totals()), ended=True, is_late=unattended)
        last.trees = lambda: [(whole.nodes, whole.statuses.values())]
        run.blind_spots += [BlindSpot("own failure", f"observer {line}") for line in self._feed.end(last, run)]
        return run

    def end(self) -> None:
        """Save the run that `look` put together and clear the run folder.

        The shards of what still runs, and with them the folder, stay, beside a run file of what is final: what they count from
        now on is added to that. Raises RunFileError when the run cannot be saved; then everything stays.
        """
        outlived = bool(self.run.still_running) or self._shards.has_new()
        with suppress(OSError):
            outlived = outlived or has_processes(self._folder)
        if outlived:
            final = replace(self.run, state="running")
            self._tree.write_to(final)
            final.folded = list(self._shards.folded)
            with suppress(RunFileError):
                RunFile(self._folder / run_folder.SURVIVORS_FILE_NAME).save_tables(final, FINAL)
        self.run.folded = []
        self._run_file.save(self.run)
        if outlived:
            self._delete_folded()
        else:
            discard(self._folder)

    def _delete_folded(self) -> None:
        for name in self._shards.folded:
            discard(self._folder / name)
        self._birth_notes.delete_old(bool(self.run.served))

    @property
    def interpreter(self) -> str:
        """The Python executable that the run's cost is to be calibrated with, "" when nothing was watched."""
        return next(iter(self._interpreters), "")

    def _blind_spots(self) -> list[BlindSpot]:
        spots = [BlindSpot(kind, detail) for kind, detail in self._notes if kind not in ("hookmon", *_NO_SPOTS)]
        spots += [BlindSpot("own failure", detail) for kind, detail in self._notes if kind == "hookmon"]
        spots += libraries_without_pack(self._notes)
        spots += [BlindSpot("shard unreadable", text) for text in self._shards.broken.values()]
        if self._save_error:
            spots.append(BlindSpot("run file", self._save_error))
        main_watches = {watch["id"] for watch in self.run.plan if watch["module"] == "__main__" and not watch.get("own")}
        if main_watches and not any(self._statuses.knows(number) for number in main_watches):
            spots.append(BlindSpot("__main__", "no script was started that could be watched (python -c, stdin, or no Python)"))
        spots += blind_spots_beside(self.run, self.kept_wrappers)
        return spots + switches.blind_spots(self._folder) + self.roster.blind_spots()
