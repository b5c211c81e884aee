"""All processes of a run, with what they left in the run folder, as rows.

In: what a look at the machine finds, birth notes, shards. Out: rows, sums of those for which there is no row, blind spots. Runs
in the launcher. Of very many processes that have ended, those with the most calls and CPU time are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hookmon.collector.births import Birth
from hookmon.collector.first_looks import FirstLooks
from hookmon.collector.identity import Identity, own_namespace
from hookmon.collector.not_watched import Judgement
from hookmon.collector.processes import Processes
from hookmon.collector.shards import ShardData
from hookmon.collector.store import BlindSpot, Process, Run
from hookmon.collector.watcher import Watcher

_MOST_PROCESS_ROWS = 2_000
_MOST_SPARE_ROWS = 500  # kept beyond that before the least are forgotten: sorting each time would cost more

_SUMMED = ("calls", "errors", "cpu_ns", "ran_ns", "waited_ns")
_LARGEST = 2**62  # what a number of a damaged shard may be: SQLite keeps 63 bits


class Roster:
    """Who belonged to a run, and what became of it."""

    def __init__(self, run: Run, *, sees_processes: bool = True) -> None:
        """Begin with the rows of a run, which may be one that another launcher left behind."""
        self.processes = Processes.of_run(run, are_visible=sees_processes)
        for row in run.processes:
            self.processes.restore(row)
        self._forgotten = dict(run.more)
        self._judgement = Judgement(Path(run.run_folder), is_attached=run.attached_after_ns > 0)

    def note(self, birth: Birth, now_ns: int) -> Watcher:
        """Keep a birth note with the process that left it, and return the process. Of two notes the later one counts."""
        watcher = self.processes.follow(birth.identity, birth.started_ns, now_ns)
        if watcher is None:
            row = Process(birth.identity.pid, birth.parent_pid, birth.argv, state="gone", started_ns=birth.started_ns)
            watcher = self.processes.add_ended(birth.identity, row, now_ns)
        if watcher.birth is None or watcher.birth.started_ns <= birth.started_ns:
            watcher.birth, watcher.is_saved = birth, False
        self._judgement.note_image(birth.image, self.processes.known.values())
        self._judgement.note_attachment(birth.started_ns)
        return watcher

    def adopt(self, looks: FirstLooks, peak_bytes: int) -> Watcher:
        """Return the watcher of a process that was seen before there were any, and has ended. `peak_bytes` is its most memory."""
        row = Process(**looks.row(peak_bytes), state="gone")
        row.started_ns = max(row.started_ns, self.processes.started_ns)
        watcher = self.processes.add_ended(self.identity_of(looks), row, looks.ended_ns)
        watcher.adopt(looks)
        return watcher

    def adopt_children(self, children: Iterable[FirstLooks], now_ns: int) -> None:
        """Take over what was seen of the children of the program, some of which may have ended since."""
        for looks in children:
            if looks.seen_ns and self.processes.follow(self.identity_of(looks), looks.started_ns, now_ns) is None:
                self.adopt(looks, 0)

    @staticmethod
    def identity_of(looks: FirstLooks) -> Identity:
        """Return who a process of this namespace is."""
        return Identity(own_namespace(), looks.pid, looks.started)

    def forget_ended(self, now_ns: int) -> None:
        """Keep the list of ended processes short. All that those left which ended before this moment has been read."""
        self._judgement.note_room()
        if len(self.processes.known) - len(self.processes.watchers) <= _MOST_PROCESS_ROWS + _MOST_SPARE_ROWS:
            return
        forgotten = self.processes.forget_ended(_MOST_PROCESS_ROWS, now_ns)
        self._judgement.forget(forgotten, self.processes.known.values())
        self._forgotten = _add_to_sums(self._forgotten, [self._complete_row(watcher, now_ns) for watcher in forgotten])

    def writer(self, data: ShardData, now_ns: int) -> Watcher:
        """Return the process that wrote a shard, with what the shard says of it."""
        watcher = self.processes.follow(data.identity, data.started_ns, now_ns)
        if watcher is None:
            pid, parent_pid, started_ns = (min(value, _LARGEST) for value in (data.pid, data.parent_pid, data.started_ns))
            row = Process(pid, parent_pid, data.argv, state="gone", started_ns=started_ns)
            watcher = self.processes.add_ended(data.identity, row, now_ns)
        watcher.has_shard, watcher.is_saved, watcher.shard_image = True, False, data.image
        row = watcher.row
        row.python = data.python
        if data.engine not in row.engine.split(", "):  # subinterpreters have shards of their own, and the pure engine
            row.engine = ", ".join(sorted(filter(None, (*row.engine.split(", "), data.engine))))
        return watcher

    def list_into(self, run: Run, now_ns: int) -> None:
        """Put the rows of all processes into the run; of very many, those with the most calls, and the rest as sums."""
        self._judgement.note_room()
        watchers = list(self.processes.all())
        parents = {watcher.row.pid: watcher for watcher in watchers}
        for watcher in watchers:
            self._complete_row(watcher, now_ns).reason = self._judgement.reason(watcher, parents)
        shown = sorted(watchers, key=lambda watcher: watcher.relevance, reverse=True)[:_MOST_PROCESS_ROWS]
        identities = {watcher.identity for watcher in shown}
        run.processes = [watcher.row for watcher in watchers if watcher.identity in identities]
        rest = [watcher.row for watcher in watchers if watcher.identity not in identities]
        run.more = _add_to_sums(self._forgotten, rest)
        run.running = [watcher.identity.text() for watcher in self.processes.watchers.values()]

    def describe(self, run: Run, now_ns: int) -> None:
        """Put the rows of all processes into a run that is over, how it ended, and which of them still run."""
        watchers = list(self.processes.all())
        for watcher in watchers:
            if watcher.alive and not watcher.is_main:
                run.still_running.append(f"{watcher.row.pid} {' '.join(watcher.row.command)}"[:200])
        main = next((watcher.row for watcher in watchers if watcher.is_main), None)
        main = main or next((watcher.row for watcher in watchers if watcher.row.pid == run.main_pid), None)
        if main is not None and run.exit_code is not None:
            main.exit_code = run.exit_code
            main.state = "killed" if run.exit_code < 0 else "exited"
        self.list_into(run, now_ns)
        watched = [row for row in run.processes if row.python]
        run.python = (main.python if main else "") or (watched[0].python if watched else run.python)

    def _complete_row(self, watcher: Watcher, now_ns: int) -> Process:
        row, birth = watcher.row, watcher.birth
        row.identity = watcher.identity.text()
        if watcher.alive:
            row.duration_ns = max(0, now_ns - row.started_ns)
        if birth is not None:
            row.command = row.command or birth.argv
            if not birth.status:
                row.python = row.python or birth.python
        if self._judgement.has_lost(watcher) and not row.calls:
            row.python = row.engine = ""  # what it was before was there for a moment only
        return row

    def blind_spots(self) -> list[BlindSpot]:
        """Return which processes were not watched, one blind spot for each reason."""
        return self._judgement.blind_spots(list(self.processes.all()))


def _add_to_sums(more: dict[str, int], rows: list[Process]) -> dict[str, int]:
    """Return how many processes there are, how many of them watched, and sums of their figures."""
    sums = {name: more.get(name, 0) + sum(getattr(row, name) for row in rows) for name in _SUMMED}
    sums["processes"] = more.get("processes", 0) + len(rows)
    sums["watched"] = more.get("watched", 0) + sum(bool(row.python) for row in rows)
    return sums
