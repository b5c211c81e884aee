"""What the kernel says of a short program, read by built-in modules only, while the collector is not imported yet.

In: the pid of the program, a child of this process. Out: facts as they were read, from which `short_run` makes a row, or the
collector a Watcher. Runs in the launcher on Linux.
"""

from __future__ import annotations

import os
import time

from hookmon.core import layout
from hookmon.core.arguments import mask

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# fields of /proc/PID/stat behind the name, see collector.identity
_PARENT, _WAITED, _USER, _SYSTEM, _THREADS, _STARTED, _PAGES, _IMAGE = 1, 8, 11, 12, 17, 19, 21, 45
_LARGEST_BYTES = 1 << 20


class FirstLooks:
    """A program while it lives: the first look once it has been executed, and the last before it is reaped."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.seen_ns = 0  # CLOCK_MONOTONIC, of the first look; 0: it has ended before
        self.started_ns = self.ended_ns = 0
        self.stat: list[str] = []
        self.name = ""
        self.executable = ""
        self.files: dict[str, bytes] = {}  # what stood in cmdline, status and environ
        self.descriptors = 0
        self.read_bytes = self.written_bytes = 0
        self.last: list[str] = []  # stat of the zombie
        self.last_name = ""
        self.switches = self.ran_ns = self.waited_ns = 0

    def look(self) -> bool:
        """Look at the living program; False where it is not executed yet, or has ended."""
        now_ns = time.monotonic_ns()
        folder = f"/proc/{self.pid}/"
        try:
            files = {name: _read(folder + name) for name in ("cmdline", "status", "environ")}
            name, stat = _stat_of(_read(folder + "stat"))
            if not files["cmdline"] or not stat or stat[_IMAGE] == "0":
                return False
            self.executable = os.readlink(folder + "exe")
            self.descriptors = os.stat(folder + "fd").st_size or len(os.listdir(folder + "fd"))
            self.read_bytes, self.written_bytes = _traffic(folder)
        except (OSError, ValueError, IndexError):
            return False
        self.seen_ns, self.name, self.stat, self.files = now_ns, name, stat, files
        self.started_ns = now_ns - _age_ns(stat)
        return True

    def look_at_children(self, known: dict[int, FirstLooks]) -> None:
        """Look at the children of the living program, which are known by their pids. Raises OSError."""
        folder = f"/proc/{self.pid}/task/"
        for thread in os.listdir(folder):
            for child in map(int, _read(f"{folder}{thread}/children").split()):
                looks = FirstLooks(child)
                if looks.look():
                    looks.ended_ns = looks.seen_ns  # or later
                    known[child] = looks
                else:
                    known.setdefault(child, looks)

    def time_waited_ns(self) -> int:
        """Return how long the living program has been ready to run while others had the processor, 0 where that is not told."""
        try:
            return int(_read(f"/proc/{self.pid}/schedstat").split()[1])
        except (OSError, ValueError, IndexError):
            return 0

    def look_at_end(self) -> None:
        """Look at the program once more, which has ended and was not reaped yet."""
        folder = f"/proc/{self.pid}/"
        self.ended_ns = time.monotonic_ns()
        try:
            self.last_name, self.last = _stat_of(_read(folder + "stat"))
            status = _fields(_read(folder + "status"))
            self.switches = int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
            self.ran_ns, self.waited_ns = map(int, _read(f"{folder}task/{self.pid}/schedstat").split()[:2])
        except (OSError, ValueError, KeyError):
            pass

    @property
    def started(self) -> int:
        """When it began, in clock ticks since boot; 0 where that is not known."""
        return int((self.stat or self.last)[_STARTED]) if self.stat or self.last else 0

    @property
    def image(self) -> int:
        """Where its arguments lay at the first look, 0 where that is not known."""
        return int(self.stat[_IMAGE]) if self.stat else 0

    @property
    def has_waited(self) -> bool:
        """Say whether it had children that it has waited for."""
        return bool(self.last) and int(self.last[_WAITED]) > 0

    @property
    def cpu_ns(self) -> int:
        """Its processor time, as far as that was seen."""
        stat = self.last or self.stat
        return max(self.ran_ns, (int(stat[_USER]) + int(stat[_SYSTEM])) * TICK_NS) if stat else 0

    def beside_ns(self, duration_ns: int) -> int:
        """Return what collector.overlap makes of one look at the end: at most so much of its time was side by side."""
        at_work_ns, rest_ns = self.ran_ns + self.waited_ns, max(0, self.cpu_ns - self.ran_ns)
        threads = int(self.stat[_THREADS]) if self.stat else 1
        return at_work_ns + rest_ns - min(max(at_work_ns, rest_ns // max(1, threads)), duration_ns)

    def row(self, peak_bytes: int) -> dict[str, Any]:
        """Return the fields of its row in the run file, but for those that its note at its start has: see rows.Process.

        `peak_bytes` is the most memory that it had, 0 where that is not known.
        """
        peak = int(_fields(self.files.get("status", b"")).get("VmHWM", "0 kB").split()[0]) * 1024
        if not self.started_ns and self.last:
            self.started_ns = self.ended_ns - _age_ns(self.last)
        return {
            "pid": self.pid,
            "parent_pid": int((self.stat or self.last)[_PARENT]) if self.stat or self.last else os.getpid(),
            "command": mask(strip_padding(command_of(self.files.get("cmdline", b"")))),
            "duration_ns": max(0, self.ended_ns - self.started_ns),
            "started_ns": self.started_ns,
            "cpu_ns": self.cpu_ns,
            "rss_max_bytes": max(peak, peak_bytes),
            "threads_max": int(self.stat[_THREADS]) if self.stat else 0,
            "files_max": self.descriptors,
            "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
            "switches": self.switches,
            "ran_ns": self.ran_ns,
            "waited_ns": self.waited_ns,
        }

    def sample(self, run_started_ns: int) -> dict[str, int]:
        """Return the fields of the one sample that was taken of it: see rows.Sample."""
        row = self.row(0)
        names = ("pid", "files_max", "read_bytes", "written_bytes")
        pid, files, read, written = (row[name] for name in names)
        cpu_ns = (int(self.stat[_USER]) + int(self.stat[_SYSTEM])) * TICK_NS
        status = _fields(self.files["status"])
        switches = sum(int(status.get(name, 0)) for name in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))
        return {
            "at_ns": self.seen_ns - run_started_ns,
            "pid": pid,
            "cpu_ns": cpu_ns,
            "rss_bytes": int(self.stat[_PAGES]) * PAGE_BYTES,
            "threads": int(self.stat[_THREADS]),
            "files": files,
            "read_bytes": read,
            "written_bytes": written,
            "switches": switches,
        }


class Note:
    """The note that the program has left at its start: core.layout's BIRTH_FIELDS. Raises ValueError for any other text."""

    def __init__(self, content: bytes) -> None:
        fields = content.decode("utf-8", "replace").split("\0")
        pid, _, started, self.status, self.python, _, namespace, known, *self.argv = fields
        self.pid, self.started_ns, self.namespace = int(pid), int(started), int(namespace or 0)
        words = known.split()
        self.started, self.image = (int(words[_STARTED]), int(words[_IMAGE])) if len(words) > _IMAGE else (0, 0)


def notes_in(names: list[str], folder: str) -> list[Note]:
    """Return the notes among the files of a run folder. Raises OSError or ValueError for one that is none."""
    return [Note(_read(os.path.join(folder, name))) for name in names if name.endswith(layout.BIRTH_SUFFIX)]


def own_namespace() -> int:
    """Return the PID namespace of this process as collector.identity does; -1 where /proc shows another one's pids."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino if os.readlink("/proc/self") == str(os.getpid()) else -1
    except OSError:
        return -1


def start_of_self() -> int:
    """Return when this process began, in clock ticks since boot."""
    return int(_stat_of(_read("/proc/self/stat"))[1][_STARTED])


def younger_pids(pid: int) -> list[int]:
    """Return the pids of the processes that live and have got theirs after this one: pids are given in a circle."""
    newest = int(_read("/proc/loadavg").split()[-1])
    if newest == pid:
        return []
    found = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return [other for other in found if (pid < other <= newest if newest > pid else other > pid or other <= newest)]


def has_in_environment(pid: int, variable: bytes) -> bool:
    """Say whether a process that lives was executed with a variable of this value."""
    try:
        return variable in _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return False  # it has just ended, or belongs to somebody else


def own_peak_bytes() -> int:
    """Return the most memory that this process had."""
    return int(_fields(_read("/proc/self/status")).get("VmHWM", "0 kB").split()[0]) * 1024


def of_machine() -> tuple[int, float]:
    """Return the CPU time that all processes of the machine have had, as collector.machine counts it, and when it was booted."""
    content = _read("/proc/stat")
    ticks = [int(word) for word in content.partition(b"\n")[0].split()[1:9]]  # user nice system idle iowait irq softirq steal
    booted = content.partition(b"\nbtime ")[2].split()[0]
    return (sum(ticks) - ticks[3] - ticks[4]) * TICK_NS, float(booted)


def command_of(content: bytes) -> list[str]:
    """Return the words of a `cmdline` file. A process that has written its own title there may have put blanks between them."""
    text = os.fsdecode(content)
    if not text:
        return []
    separator = "\0" if text.endswith("\0") else " "
    words = text.removesuffix(separator).split(separator)
    return words[0].split(" ") if separator == "\0" and len(words) == 1 else words


def strip_padding(command: list[str]) -> list[str]:
    """Return a command without the padding of a program that sets its own title."""
    if command and (" " in command[0] or command[-2:] == ["", ""]):
        while command and not command[-1].strip():
            command = command[:-1]
        command = [*command[:-1], command[-1].rstrip()] if command else []
    return command


def _age_ns(stat: list[str]) -> int:
    return max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(stat[_STARTED]) * TICK_NS)


def _stat_of(content: bytes) -> tuple[str, list[str]]:
    head, _, rest = content.rpartition(b")")
    return head.partition(b"(")[2].decode("utf-8", "replace"), rest.decode("ascii").split()


def _fields(content: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in content.decode("utf-8", "replace").split("\n") if line)
    return {name: value.strip() for name, _, value in lines}


def _traffic(folder: str) -> tuple[int, int]:
    try:
        said = _fields(_read(folder + "io"))
    except OSError:
        return 0, 0
    return int(said.get("read_bytes", 0)), int(said.get("write_bytes", 0))


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        content = part = os.read(descriptor, 65536)
        while part and len(content) < _LARGEST_BYTES:
            part = os.read(descriptor, 65536)
            content += part
        return content
    finally:
        os.close(descriptor)
