"""The processes of a run, seen from outside.

In: the pid of the started program, and who left something in the run folder. Out: a row for each process that was ever below it,
samples once a second, and the reason why one of them was not watched. Runs in the launcher.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from hookmon.collector.identity import (
    Identity,
    Stat,
    age_ns,
    boot_id,
    every_pid,
    exists,
    has_in_environment,
    identify,
    look_at,
    own_namespace,
)
from hookmon.collector.overlap import Overlap
from hookmon.collector.store import Process, Run, Sample
from hookmon.collector.watcher import Watcher

_OUR_VARIABLE = "HOOKMON_RUN"
DOOR_VARIABLE = "HOOKMON"
"""What opens the door of `hookmon enable`. The main process of such a run was executed with it, and has no other mark of ours."""

_CLOCKS_APART_NS = 2_000_000_000  # what two ways to tell when a process began may differ by
_SLACK_NS = 1_000_000_000
_SEARCH_NS = 1_000_000_000
_NEVER = 1 << 63


class Processes:
    """The process tree of a run."""

    def __init__(
        self,
        started_ns: int,
        oldest: int = 0,
        folder: str = "",
        *,
        are_visible: bool = True,
        is_attached: bool = False,
        served: str = "",
    ) -> None:
        """Begin with none. What began before `oldest` (Stat.started) is no process of this run, whatever pid it has.

        `are_visible`: the run's pids mean the same processes here. Where not, there is nothing to be seen of them. `is_attached`:
        some of them began before the run, and what they had used by then is none of its business. `served` is a run's field.
        """
        self._served = served
        self._is_attached = is_attached
        self.are_visible = are_visible
        self._started_ns = started_ns
        self._oldest = oldest
        self._folder = folder
        self.watchers: dict[int, Watcher] = {}  # those that live, by their pid
        self.known: dict[Identity, Watcher] = {}  # these, and those that have ended
        self.samples: list[Sample] = []
        self.has_news = False  # there is more than samples that are as those before; whoever has dealt with that takes it back
        self.overlap = Overlap()
        self.changed_ns = 0  # when a process began, ended or became another one, as far as it was seen
        self.searched_ns = 0  # when `search` was last done
        self._worked_ns = 0  # when `note_work` was last done
        self._zombies: dict[int, int] = {}  # {pid: when it began} of those that nobody has waited for

    @classmethod
    def of_run(cls, run: Run, *, are_visible: bool = True) -> Processes:
        """Begin with none of a run, which may be one of an earlier boot of the machine: then nothing of it lives."""
        is_of_now = run.boot in ("", boot_id())
        oldest = run.oldest if is_of_now else _NEVER
        is_attached = run.attached_after_ns > 0
        return cls(run.started_ns, oldest, run.run_folder, are_visible=are_visible, is_attached=is_attached, served=run.served)

    @property
    def started_ns(self) -> int:
        """When the run began, on CLOCK_MONOTONIC."""
        return self._started_ns

    def add(self, pid: int, now_ns: int) -> Watcher | None:
        """Begin to watch a process; return None for one that is gone already, or that began before the run did."""
        stat = _look(pid)
        return self._take_in(pid, stat, now_ns) if stat is not None else None

    def _take_in(self, pid: int, stat: Stat, now_ns: int) -> Watcher | None:
        """Return the watcher of a process that lives. One that has ended gets a row, once, and None is returned."""
        watcher = self.watchers.get(pid)
        if watcher is not None:
            if watcher.identity.started == stat.started:
                return watcher
            del self.watchers[pid]
            watcher.end(None, now_ns)
        if not self.are_visible or stat.started < self._oldest or (stat.has_ended and self._zombies.get(pid) == stat.started):
            return None
        identity = identify(pid, stat)
        watcher = self.known.get(identity)
        is_new = watcher is None
        if watcher is None:
            self._note_change(now_ns)
            began_ns = now_ns - age_ns(stat)
            row = Process(pid, stat.parent_pid, [], started_ns=max(self._started_ns, began_ns))
            watcher = self.known[identity] = Watcher(identity, row)
            watcher.was_before = self._is_attached and began_ns < self._started_ns
        if stat.has_ended:
            if is_new:
                watcher.end(stat, now_ns)
            return None
        watcher.begin(pid, stat, now_ns)
        self.watchers[pid] = watcher
        return watcher

    def follow(self, identity: Identity, left_ns: int, now_ns: int) -> Watcher | None:
        """Return the process that left something in the run folder, and watch it if it lives; None when it is gone unseen.

        `left_ns` is when it did so: a process that could not say when it began was there by then.
        """
        watcher = self._find(identity, left_ns)
        if watcher is not None:
            return watcher
        if identity.namespace not in (0, own_namespace()):
            if now_ns - self.searched_ns >= _SEARCH_NS:
                self.search(now_ns)
            return self.known.get(identity)
        stat = _look(identity.pid)
        if stat is None or stat.has_ended:
            return None
        if identity.started and stat.started != identity.started:
            return None
        if not identity.started and now_ns - age_ns(stat) > left_ns + _CLOCKS_APART_NS:
            return None
        return self._take_in(identity.pid, stat, now_ns)

    def _find(self, identity: Identity, left_ns: int) -> Watcher | None:
        if identity.started:
            return self.known.get(identity) or self.known.get(identity._replace(namespace=0))
        for watcher in reversed(self.known.values()):
            if watcher.identity.pid == identity.pid and watcher.row.started_ns <= left_ns + _CLOCKS_APART_NS:
                return watcher
        return None

    def revive(self, identity: Identity, now_ns: int) -> None:
        """Go on with a process of the launcher's own namespace that an earlier launcher saw, if it is still the same one."""
        stat = _look(identity.pid)
        if stat is not None and not stat.has_ended and stat.started == identity.started:
            self._take_in(identity.pid, stat, now_ns)

    def add_ended(self, identity: Identity, row: Process, now_ns: int) -> Watcher:
        """Return a watcher for a process that was never seen alive: it lived for a moment, or under an earlier launcher."""
        watcher = self.known[identity] = Watcher(identity, row)
        watcher.ended_ns = now_ns
        return watcher

    def restore(self, row: Process) -> None:
        """Take over a row that an earlier launcher has saved; whether its process still lives is asked with `add`."""
        if row.state == "running":
            row.state = "gone"
        watcher = Watcher(Identity.of_text(row.identity) or Identity(0, row.pid, 0), row)
        watcher.is_saved = True
        watcher.has_shard = bool(row.python)
        self.known[watcher.identity] = watcher

    def _note_change(self, now_ns: int) -> None:
        self.changed_ns, self.has_news = now_ns, True

    def discover(self, now_ns: int) -> None:
        """Find the children of all that is known, and notice what has ended."""
        for pid, watcher in list(self.watchers.items()):
            try:
                stat = watcher.look()
            except OSError:
                continue  # the launcher has no descriptor left, say: it is asked again soon
            if stat is not None and stat.started == watcher.identity.started:
                if not stat.has_ended:
                    if watcher.notice(stat, now_ns):
                        self._note_change(now_ns)
                    continue
            else:
                stat = None
            del self.watchers[pid]
            watcher.end(stat, now_ns)
            self._note_change(now_ns)
        self._find_children(now_ns)

    def _find_children(self, now_ns: int) -> None:
        zombies: dict[int, int] = {}
        pending = list(self.watchers)
        while pending:
            watcher = self.watchers.get(pending.pop())
            for child in watcher.children(now_ns) if watcher is not None else ():
                if child in self.watchers:
                    continue
                stat = _look(child)
                if stat is None:
                    continue
                if self._take_in(child, stat, now_ns) is not None:
                    pending.append(child)
                elif stat.has_ended:
                    zombies[child] = stat.started
        self._zombies = zombies

    def search(self, now_ns: int) -> None:
        """Find the processes that have left the tree, as daemons do when their parents have ended: those with our environment."""
        self.searched_ns = now_ns
        images = {watcher.birth.image for watcher in self.known.values() if watcher.birth} - {0} if self._served else set()
        for pid in every_pid() if self._folder else ():
            stat = _look(pid) if pid not in self.watchers else None
            if stat is None or stat.has_ended or stat.started < self._oldest:
                continue
            is_fork = stat.image in images and has_in_environment(pid, DOOR_VARIABLE, self._served)
            if is_fork or has_in_environment(pid, _OUR_VARIABLE, self._folder):
                self._take_in(pid, stat, now_ns)
        self._find_children(now_ns)

    def sample(self, now_ns: int) -> None:
        """Take one sample of every process."""
        for watcher in self.watchers.values():
            before, sample = watcher.last_sample, watcher.sample(now_ns)
            watcher.last_sample = sample
            if sample is not None:
                self.has_news = self.has_news or before is None or before.differs_from(sample)
                sample.at_ns -= self._started_ns
                self.samples.append(sample)

    def note_work(self, now_ns: int) -> None:
        """Read how long the threads of all processes had a processor or waited for one, and what of that was side by side."""
        working = [watcher for watcher in self.known.values() if watcher.alive or watcher.ended_ns >= self._worked_ns]
        for watcher in working:
            if watcher.alive:
                watcher.note_schedule()
        self.overlap.add({watcher.identity: watcher.time_at_work() for watcher in working}, now_ns - self._started_ns)
        self._worked_ns = now_ns

    def ran_ns(self) -> int:
        """Return how long all processes together have had a processor, as far as that was read."""
        return sum(watcher.row.cpu_ns for watcher in self.watchers.values())

    def thin_samples(self) -> None:
        """Keep the samples of every second moment, with all processes of that moment."""
        kept = set(sorted({sample.at_ns for sample in self.samples})[::2])
        self.samples = [sample for sample in self.samples if sample.at_ns in kept]

    def last_look(self, pid: int) -> None:
        """Read what an ended process has used, before it is reaped: a zombie still has its figures."""
        watcher, stat = self.watchers.get(pid), _look(pid)
        if watcher is not None and stat is not None and stat.started == watcher.identity.started:
            watcher.note_end(stat)

    def leave(self, pid: int, now_ns: int) -> None:
        """Look at a process no more, which lives on without us."""
        watcher = self.watchers.pop(pid, None)
        if watcher is not None:
            watcher.end(None, now_ns)
            watcher.row.state = "running"
            watcher.is_left = True

    def forget_ended(self, most: int = 0, before_ns: int = _NEVER) -> list[Watcher]:
        """Forget processes that ended before a moment, but for the `most` with the most calls and CPU time; return them."""
        ended = sorted(
            (watcher for watcher in self.known.values() if not watcher.alive), key=lambda watcher: watcher.relevance, reverse=True
        )
        forgotten = [watcher for watcher in ended[most:] if watcher.ended_ns < before_ns]
        for watcher in forgotten:
            del self.known[watcher.identity]
        return forgotten

    def all(self) -> Iterator[Watcher]:
        """Yield every process that was seen and is not forgotten, oldest first."""
        yield from sorted(self.known.values(), key=lambda watcher: (watcher.row.started_ns, watcher.row.pid))


def _look(pid: int) -> Stat | None:
    """Return what the kernel says of a process, None when it says nothing."""
    try:
        return look_at(pid)
    except OSError:
        return None


def has_image(images: set[int]) -> bool:
    """Say whether a process runs that has one of these images."""
    for pid in every_pid() if images else ():
        stat = _look(pid)
        if stat is not None and not stat.has_ended and stat.image in images:
            return True
    return False


def was_there(pid: int, at_ns: int) -> bool:
    """Say whether the process that has a pid now was there at a moment of CLOCK_MONOTONIC, whatever the wall clock did.

    The kernel counts the start of a process from the start of the machine, with suspended time; CLOCK_MONOTONIC leaves that out.
    So after a suspension the answer may be yes for a process that was not there, but never no for one that was.
    """
    try:
        stat = look_at(pid)
    except OSError:
        return exists(pid)
    return stat is not None and not stat.has_ended and time.monotonic_ns() - age_ns(stat) <= at_ns + _SLACK_NS
