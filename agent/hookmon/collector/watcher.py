"""One process of the run, looked at from outside while it lives.

In: a pid, and what the kernel says of it. Out: its row, samples, and the reason why it is not watched. Runs in the launcher.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil

from hookmon.collector.identity import Identity, Stat, read_status
from hookmon.collector.schedule import Schedule
from hookmon.collector.store import Process, Sample
from hookmon.collector.unwatched import REPLACED, is_python, name_of, other_rights, unwatched_reason
from hookmon.core.arguments import mask

if TYPE_CHECKING:
    from hookmon.collector.births import Birth

_YOUNG_NS = 20_000_000  # a process that has just been executed has not even loaded its libraries


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
        self._threads = 1  # when it was looked at last
        self._schedule = Schedule()
        self._process: psutil.Process | None = None
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
        """Begin to look at a process that lives. Raises psutil.Error when it has just ended."""
        self._process = psutil.Process(pid)
        self.row.pid, self.row.parent_pid = pid, stat.parent_pid
        self.row.state = "running"
        self.alive, self.is_saved = True, False
        self.image, self.image_ns, self.image_seen_ns = stat.image, self.row.started_ns, now_ns
        if self.was_before and not self._before:
            self._before = {"cpu_ns": stat.cpu_ns}
            self.sample(now_ns)
            self._schedule.start_here(pid, stat.threads)
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
        if self._process is None:
            return
        try:
            if not self._is_settled:
                self._process = psutil.Process(self.row.pid)  # it remembers the executable that it saw first
            process = self._process
            with process.oneshot():
                command = _strip_padding(process.cmdline()) or self.row.command
                self.rights = other_rights(process)
                if not self._is_settled:
                    is_young = now_ns - self.image_ns < _YOUNG_NS
                    reason = unwatched_reason(process, command)
                    self.reason = "" if is_young and reason.startswith(REPLACED) else reason  # there is none for a moment
                    self._is_settled = not is_young and bool(self.image)
                self.row.command = mask(command if is_python(name_of(process, command)) else command[:1])
        except (psutil.Error, OSError):
            pass  # it has just ended: what was seen before holds

    def notice(self, stat: Stat, now_ns: int) -> None:
        """Take in what the kernel says: processor time, the most memory, another image, another user."""
        self.note_cpu(stat.cpu_ns)
        self._threads = stat.threads
        if stat.image and stat.image != self.image:
            self.image, self.image_ns = stat.image, now_ns
            self._is_settled = False
            self.refresh(now_ns)
        self.image_seen_ns = now_ns
        if now_ns - self.row.started_ns < _YOUNG_NS:
            return
        status = read_status(self.row.pid)
        if status is not None:
            self.row.rss_max_bytes = max(self.row.rss_max_bytes, status.peak_bytes)
            if status.users != self._users:
                self._users = status.users
                self.refresh(now_ns)
        if not self._is_settled and self.image and now_ns - self.image_ns >= _YOUNG_NS:
            self.refresh(now_ns)

    def sample(self, now_ns: int) -> Sample | None:
        """Take a sample, which counts from 0; None when the process has just ended."""
        process, row = self._process, self.row
        if process is None:
            return None
        try:
            with process.oneshot():
                cpu = process.cpu_times()
                self.note_cpu(round((cpu.user + cpu.system) * 1e9))
                rss = process.memory_info().rss
                threads = process.num_threads()
                switches = sum(process.num_ctx_switches()) - self._before.get("switches", 0)
                files = process.num_fds()
                read, written = _traffic(process)
        except (psutil.Error, OSError):
            return None
        row.duration_ns = now_ns - row.started_ns
        if sys.platform != "linux":
            row.rss_max_bytes = max(row.rss_max_bytes, rss)
        row.threads_max = max(row.threads_max, threads)
        row.files_max = max(row.files_max, files)
        row.switches = switches
        read, written = read - self._before.get("read_bytes", 0), written - self._before.get("written_bytes", 0)
        row.read_bytes, row.written_bytes = read, written
        return Sample(now_ns, row.pid, row.cpu_ns, rss, threads, files, read, written, switches)

    def note_schedule(self) -> None:
        """Read how long its threads had a processor, and how long they waited for one. Linux only."""
        self._schedule.read(self.row.pid, self._threads)
        total = self._schedule.total
        self.row.ran_ns, self.row.waited_ns = max(self.row.ran_ns, total.ran_ns), max(self.row.waited_ns, total.waited_ns)
        self.row.cpu_ns = max(self.row.cpu_ns, self.row.ran_ns)  # which comes in ticks of 10 ms

    def note_end(self, stat: Stat) -> None:
        """Take in what a zombie still has: its processor time, and the waits of its main thread."""
        self.note_cpu(stat.cpu_ns)
        self._threads = 1
        self.note_schedule()

    def time_at_work(self) -> dict[int, tuple[int, int]]:
        """Return how long each thread has had a processor or waited for one: {thread: (nanoseconds, how many threads they are)}.

        Under 0 stands the CPU time of those that were not read.
        """
        found = {thread: (turn.ran_ns + turn.waited_ns, 1) for thread, turn in self._schedule.turns.items()}
        return found | {0: (max(0, self.row.cpu_ns - self.row.ran_ns), max(self._threads, self.row.threads_max))}

    def end(self, stat: Stat | None, now_ns: int) -> None:
        """Close the row. A zombie (`stat`) still has its processor time, and its user."""
        if stat is not None:
            self.note_end(stat)
            if self._process is None:  # it was never seen alive
                try:
                    self.rights = other_rights(psutil.Process(self.row.pid))
                except psutil.Error:
                    pass
        self._process = None
        self.alive, self.was_seen = False, True
        self.ended_ns = now_ns
        self.row.state = "gone"
        self.row.duration_ns = max(0, now_ns - self.row.started_ns)


def _traffic(process: psutil.Process) -> tuple[int, int]:
    if not hasattr(process, "io_counters"):  # macOS
        return 0, 0
    try:
        counters = process.io_counters()
    except (psutil.Error, OSError):
        return 0, 0
    return counters.read_bytes, counters.write_bytes


def _strip_padding(command: list[str]) -> list[str]:
    """Return a command without padding: a program that sets its own title fills the rest with blanks and empty words."""
    if command and (" " in command[0] or command[-2:] == ["", ""]):
        while command and not command[-1].strip():
            command = command[:-1]
        command = [*command[:-1], command[-1].rstrip()] if command else []
    return command
