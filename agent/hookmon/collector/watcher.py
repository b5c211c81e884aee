"""One process of the run, looked at from outside while it lives.

In: a pid, and what the kernel says of it. Out: its row, samples, and the reason why it is not watched. Runs in the launcher.
"""

from __future__ import annotations

from hookmon.collector.facts import EndedFacts, Facts
from hookmon.collector.first_looks import FirstLooks, strip_padding
from hookmon.collector.identity import HAS_PROC, Identity, Stat, children, look_at, stat_of, status_of
from hookmon.collector.proc_files import ProcFiles
from hookmon.collector.schedule import Schedule, Turn
from hookmon.collector.store import Process, Sample
from hookmon.collector.unwatched import REPLACED, is_python, name_of, other_rights, unwatched_reason
from hookmon.core.arguments import mask
from hookmon.core.record import replace

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.births import Birth

_YOUNG_NS = 20_000_000  # a process that has just been executed has not even loaded its libraries
_SECOND_NS = 1_000_000_000  # so often what costs more is asked at least, of a process that has run since


class Watcher:
    """One process of the run, while it lives and after."""

    def __init__(self, identity: Identity, row: Process) -> None:
        self.identity = identity
        self.row = row
        self.alive = False
        self.is_main = False
        self.was_before = False  # it began before the run did, which was attached to it
        self.is_left = False  # hookmon was detached from it
        self.has_shard = False
        self.birth: Birth | None = None  # the last note that it left
        self.image = 0  # what it is now, and was at its end
        self.image_ns = row.started_ns  # since when
        self.image_seen_ns = row.started_ns
        self.shard_image = 0  # what wrote its last shard
        self.is_saved = False  # known from a run file only
        self.was_seen = False  # until its end
        self.last_sample: Sample | None = None  # None as well when the last try failed: it has just ended
        self.ended_ns = row.started_ns
        self.reason = ""  # why this image is not watched, "" when it is or when that is not known
        self.rights = ""  # what keeps it from the run folder, "" for nothing
        self._files = ProcFiles(row.pid)
        self._said = b""  # by the kernel when it was looked at last
        self._stat: Stat | None = None  # what that means
        self._noticed: Stat | None = None  # the last one that was taken in
        self._threads = 1  # when it was looked at last
        self._faults = 0  # the same, with its status
        self._status_ns = 0  # when that was read
        self._children_ns = 0  # when they were all looked for
        self._children_of: Stat | None = None  # what was said then
        self._scheduled: Stat | None = None  # what was said when its threads were read
        self._sampled: tuple[Stat, Turn] | None = None  # what was said when a sample was taken
        self._title = b""  # its arguments as they stood there last
        self._schedule = Schedule()
        self._users = ""
        self._is_settled = False  # its reason will not change any more
        self._before: dict[str, int] = {}  # what it had used of each figure before the run began

    @property
    def has_probe(self) -> bool:
        """Say whether the probe was ever in it."""
        return self.has_shard or (self.birth is not None and not self.birth.status)

    @property
    def relevance(self) -> tuple[bool, int, int, int]:
        """The rank of a process where not all can be shown: main, calls, CPU time, duration. The largest come first."""
        return self.is_main, self.row.calls, self.row.cpu_ns, self.row.duration_ns

    def begin(self, pid: int, stat: Stat, now_ns: int) -> None:
        """Begin to look at a process that lives."""
        self._files = ProcFiles(pid)
        self.row.pid, self.row.parent_pid = pid, stat.parent_pid
        self.row.state = "running"
        self.alive, self.is_saved = True, False
        self.image, self.image_ns, self.image_seen_ns = stat.image, self.row.started_ns, now_ns
        if self.was_before and not self._before:
            self._before = {"cpu_ns": stat.cpu_ns}
            self.sample(now_ns)
            self._schedule.start_here(self._files, stat.threads)
            row = self.row
            names = ("switches", "read_bytes", "written_bytes")
            self._before |= {name: getattr(row, name) for name in names}
            row.ran_ns = row.waited_ns = row.switches = row.read_bytes = row.written_bytes = row.cpu_ns = 0
            self._before["cpu_ns"] = stat.cpu_ns
        self.refresh(now_ns)

    def note_cpu(self, cpu_ns: int) -> None:
        """Take in the processor time that the process has used since it began."""
        self.row.cpu_ns = max(self.row.cpu_ns, cpu_ns - self._before.get("cpu_ns", 0))

    def refresh(self, now_ns: int) -> None:
        """Look at the command again: a process is born as a copy of its parent and becomes something else by exec.

        Other programs than Python are kept by their name: what a watched program hands them is an argument of its calls. Why an
        image is not watched is asked while it is new: later it may have written a title over its arguments and environment.
        """
        if not self.alive:
            return
        facts = Facts(self.row.pid)
        try:
            command = strip_padding(facts.command()) or self.row.command
            self.rights = other_rights(facts)
            if not self._is_settled:
                is_young = now_ns - self.image_ns < _YOUNG_NS
                reason = unwatched_reason(facts, command)
                self.reason = "" if is_young and reason.startswith(REPLACED) else reason  # there is none for a moment
                self._is_settled = not is_young and bool(self.image)
            self.row.command = mask(command if is_python(name_of(facts, command)) else command[:1])
        except OSError:
            pass  # it has just ended: what was seen before holds

    def look(self) -> Stat | None:
        """Return what the kernel says of it, the same object as long as that is the same; None when it is gone.

        Raises OSError when it cannot be told.
        """
        if not HAS_PROC:
            return look_at(self.row.pid)
        said = self._files.read("stat", 2048)
        if said != self._said:
            self._said, self._stat = said, stat_of(said)
        return self._stat

    def notice(self, stat: Stat, now_ns: int) -> bool:
        """Take in what the kernel says: processor time, the most memory, another image, another user.

        Returns whether something has begun or ended with it: another image, or children that it has waited for.
        """
        self.image_seen_ns = now_ns
        before, self._noticed = self._noticed, stat
        is_new = stat is not before
        has_changed = before is not None and stat.waited != before.waited
        if is_new:
            self.note_cpu(stat.cpu_ns)
            self._threads = stat.threads
            if stat.image and stat.image != self.image:
                self.image, self.image_ns = stat.image, now_ns
                self._is_settled, self._title = False, b""
                self.refresh(now_ns)
                has_changed = True
        if now_ns - self.row.started_ns < _YOUNG_NS:
            return has_changed
        if HAS_PROC and is_new and (stat.faults != self._faults or now_ns - self._status_ns >= _SECOND_NS):
            self._note_status(stat, now_ns)
        if not self._is_settled and self.image and now_ns - self.image_ns >= _YOUNG_NS:
            self.refresh(now_ns)
        return has_changed

    def _note_status(self, stat: Stat, now_ns: int) -> None:
        """Read its status: a process that has taken no new page has not grown."""
        self._faults, self._status_ns = stat.faults, now_ns
        try:
            status = status_of(self.row.pid, self._files.read("status", 8192))
        except OSError:
            return
        if status is None:
            return
        self.row.rss_max_bytes = max(self.row.rss_max_bytes, status.peak_bytes)
        self.row.switches = max(0, status.switches - self._before.get("switches", 0))
        if status.users != self._users:
            self._users = status.users
            self.refresh(now_ns)

    def children(self, now_ns: int) -> list[int]:
        """Return its children; some may be left out that were there before while nothing has changed."""
        if not HAS_PROC:
            return children(self.row.pid)
        if self._threads > 1:
            if self._children_of is self._stat and now_ns - self._children_ns < _SECOND_NS:
                return []
            self._children_of, self._children_ns = self._stat, now_ns
        return self._files.children(self._threads)

    def sample(self, now_ns: int) -> Sample | None:
        """Take a sample, which counts from 0; None when the process has just ended. One that has not run is as it was."""
        if not self.alive:
            return None
        if not HAS_PROC:
            return self._sample_without_proc(now_ns)
        row, before = self.row, self.last_sample
        try:
            stat = self.look()
            if stat is None or stat.has_ended:
                return None
            mark = stat, self._schedule.total
            if before is not None and mark == self._sampled and self._threads <= self._schedule.known:
                row.duration_ns = now_ns - row.started_ns
                return replace(before, at_ns=now_ns)
            self._sampled = mark
            self.note_cpu(stat.cpu_ns)
            self._note_status(stat, now_ns)
            files = self._files.count_open()
        except OSError:
            return None
        read, written = self._files.traffic()
        self._note_title(now_ns)
        row.duration_ns = now_ns - row.started_ns
        row.threads_max = max(row.threads_max, stat.threads)
        row.files_max = max(row.files_max, files)
        row.read_bytes = read - self._before.get("read_bytes", 0)
        row.written_bytes = written - self._before.get("written_bytes", 0)
        return Sample(
            now_ns,
            row.pid,
            row.cpu_ns,
            stat.rss_bytes,
            stat.threads,
            files,
            row.read_bytes,
            row.written_bytes,
            row.switches,
        )

    def _note_title(self, now_ns: int) -> None:
        """Look at the command again where other arguments stand there, or something is not as it should be."""
        try:
            title = self._files.read("cmdline")
        except OSError:
            return
        if title != self._title or self.rights or not self._is_settled:
            self._title = title
            self.refresh(now_ns)

    def _sample_without_proc(self, now_ns: int) -> Sample | None:
        from hookmon.collector import through_psutil

        row = self.row
        self.refresh(now_ns)
        try:
            usage = through_psutil.usage(row.pid)
        except OSError:
            return None
        self.note_cpu(usage.cpu_ns)
        row.switches = usage.switches - self._before.get("switches", 0)
        row.duration_ns = now_ns - row.started_ns
        row.rss_max_bytes = max(row.rss_max_bytes, usage.rss_bytes)
        row.threads_max = max(row.threads_max, usage.threads)
        row.files_max = max(row.files_max, usage.files)
        return Sample(now_ns, row.pid, row.cpu_ns, usage.rss_bytes, usage.threads, usage.files, 0, 0, row.switches)

    def note_schedule(self) -> None:
        """Read how long its threads had a processor, and how long they waited for one. Linux only."""
        is_same = self._stat is not None and self._stat is self._scheduled
        self._schedule.read(self._files, self._threads, are_same=is_same)
        self._scheduled = self._stat
        total = self._schedule.total
        self.row.ran_ns, self.row.waited_ns = max(self.row.ran_ns, total.ran_ns), max(self.row.waited_ns, total.waited_ns)
        self.row.cpu_ns = max(self.row.cpu_ns, self.row.ran_ns)  # which comes in ticks of 10 ms

    def note_end(self, stat: Stat) -> None:
        """Take in what a zombie still has: its processor time, and the waits of its main thread."""
        self.note_cpu(stat.cpu_ns)
        self._threads = 1
        self.note_schedule()

    @property
    def ran(self) -> tuple[int, int] | None:
        """What tells whether it has run: as long as it is the same it has not, None where that is not known."""
        return self._schedule.total if self.alive and self._threads <= self._schedule.known else None

    def time_at_work(self) -> dict[int, tuple[int, int]]:
        """Return how long each thread has had a processor or waited for one: {thread: (nanoseconds, how many threads they are)}.

        Under 0 stands the CPU time of those that were not read.
        """
        found = {thread: (turn.ran_ns + turn.waited_ns, 1) for thread, turn in self._schedule.turns.items()}
        return found | {0: (max(0, self.row.cpu_ns - self.row.ran_ns), max(self._threads, self.row.threads_max))}

    def adopt(self, looks: FirstLooks) -> None:
        """Take over what was seen of a process, which has ended, when there was no watcher yet."""
        self.was_seen = True
        self._threads = max(1, self.row.threads_max)
        self._schedule.turns[self.row.pid] = Turn(self.row.ran_ns, self.row.waited_ns)
        if looks.seen_ns:
            facts = EndedFacts(looks)
            command = strip_padding(facts.command())
            self.image, self.image_ns, self.image_seen_ns = looks.image, self.row.started_ns, looks.seen_ns
            self.rights = other_rights(facts)
            self.reason = unwatched_reason(facts, command)
            self.row.command = mask(command if is_python(name_of(facts, command)) else command[:1])

    def end(self, stat: Stat | None, now_ns: int) -> None:
        """Close the row. A zombie (`stat`) still has its processor time, and its user."""
        if stat is not None:
            self.note_end(stat)
            if not self.alive:  # it never was, for us
                self.rights = other_rights(Facts(self.row.pid))
        self._files.close()
        self.alive, self.was_seen = False, True
        self.ended_ns = now_ns
        self.row.state = "gone"
        self.row.duration_ns = max(0, now_ns - self.row.started_ns)
