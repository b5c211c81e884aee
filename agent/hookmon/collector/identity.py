"""Who a process is, and what the kernel says of it at one moment.

A pid is no name: it is given again, means another process in another PID namespace, and stays when another program is executed.
So a process is known by its namespace, its pid there and when it began, and the program in it by its *image*. In: a pid of the
launcher's own namespace, or the text of a `stat` file that a process read of itself. Runs in the launcher. Where there is no
/proc, psutil answers, and namespaces and images are not known.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from functools import cache
from operator import itemgetter
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from hookmon.core.record import NamedTuple

HAS_PROC = sys.platform == "linux" and os.path.exists("/proc/self/stat")
TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if HAS_PROC else 100)

# fields of /proc/PID/stat behind the name, counted from 0, see proc_pid_stat(5)
_STATE, _PARENT, _FAULTS, _WAITED, _HARD_FAULTS, _USER, _SYSTEM, _THREADS, _STARTED, _PAGES = 0, 1, 7, 8, 9, 11, 12, 17, 19, 21
_IMAGE = 45  # arg_start: where the arguments lie. Another place for each exec; a title written over them does not move them

_FIELDS = itemgetter(_PARENT, _FAULTS, _WAITED, _HARD_FAULTS, _USER, _SYSTEM, _THREADS, _STARTED, _PAGES, _IMAGE)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_ANOTHER = 1  # no inode of a namespace, those are numbers above 2**31
_MOST_PIDS = 1 << 22  # what Linux gives at most: pid_max in proc_sys_kernel(5)


class Identity(NamedTuple):
    """One process, of all since the machine was booted. `namespace` and `started` are 0 where they are not known."""

    namespace: int  # the inode of the PID namespace
    pid: int  # in that namespace
    started: int  # clock ticks since boot; where there is no /proc, hundredths of a second since 1970

    def text(self) -> str:
        """Return it as it is kept in a run file."""
        return " ".join(map(str, self))

    @classmethod
    def of_text(cls, text: str) -> Identity | None:
        """Return what `text` made; None for anything else."""
        words = text.split()
        if len(words) != 3 or not all(word.isdecimal() for word in words):
            return None
        return cls(*map(int, words))


class Stat(NamedTuple):
    """What the kernel says of a process at one moment."""

    parent_pid: int
    started: int  # as in Identity
    has_ended: bool  # it is a zombie: nobody has waited for it yet
    image: int  # 0 where it is not known
    cpu_ns: int
    threads: int = 1  # where that is told; so are the next three
    faults: int = 0  # of pages, of which each new one takes one
    waited: int = 0  # the same of the children that it has waited for: it grows with each of them
    rss_bytes: int = 0


class Status(NamedTuple):
    """More of it, which costs more to read."""

    peak_bytes: int  # the most memory it ever had, 0 where that is not told
    users: str  # the real, effective, saved and file system's user as Linux writes them
    own_pid: int  # its pid as it sees it itself
    is_nested: bool  # it lives in a PID namespace below the launcher's
    switches: int = 0  # how often its main thread left a processor


def look_at(pid: int) -> Stat | None:
    """Return what the kernel says of a process, None when there is none. Raises OSError when that cannot be told."""
    if not 0 < pid < _MOST_PIDS:
        return None
    if not HAS_PROC:
        return _look_without_proc(pid)
    return stat_of(_content(f"/proc/{pid}/stat", 2048))


def stat_of(content: bytes) -> Stat | None:
    """Return what a whole `stat` file says; None when it is empty, or none."""
    return parse_stat(content.rpartition(b")")[2]) if content else None


def parse_stat(text: bytes | str) -> Stat | None:
    """Return what stands in a `stat` file behind the name of the process; None when it is no such text."""
    fields = text.split()
    try:
        parent_pid, faults, waited, hard_faults, user, system, threads, started, pages, image = map(int, _FIELDS(fields))
    except (IndexError, ValueError):
        return None
    is_zombie = fields[_STATE] in (b"Z", b"X", "Z", "X")
    has_ended = is_zombie and threads <= 1  # a main thread may end first
    cpu_ns = (user + system) * TICK_NS
    return Stat(parent_pid, started, has_ended, image, cpu_ns, threads, faults + hard_faults, waited, pages * _PAGE_BYTES)


def _look_without_proc(pid: int) -> Stat | None:
    from hookmon.collector import through_psutil

    try:
        look = through_psutil.look(pid)
    except OSError:
        return None
    return Stat(look.parent_pid, round(look.started_s * 1e9 / TICK_NS), look.is_zombie, 0, look.cpu_ns)


def state_of(pid: int) -> str:
    """Return the letter with which Linux says what a process does, "" when there is none. Raises OSError."""
    return _content(f"/proc/{pid}/stat", 2048).rpartition(b") ")[2][:1].decode("ascii")


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped, by a signal or a debugger; False when there is none. Raises OSError."""
    if HAS_PROC:
        return state_of(pid) in ("T", "t")
    from hookmon.collector import through_psutil

    return through_psutil.is_stopped(pid)


def exists(pid: int) -> bool:
    """Say whether any process has this pid; that of a thread does not count."""
    if not 0 < pid < _MOST_PIDS:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    try:
        group = status_line(_content(f"/proc/{pid}/status", 8192), b"\nTgid:") if HAS_PROC else b""
    except OSError:
        group = b""
    return not group or int(group) == pid


def read_status(pid: int) -> Status | None:
    """Return more of what Linux says of a process, None where it says nothing."""
    try:
        content = _content(f"/proc/{pid}/status", 8192) if HAS_PROC else b""
    except OSError:
        return None
    return status_of(pid, content)


def own_peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    status = read_status(_own_pid())
    if status is not None and status.peak_bytes:
        return status.peak_bytes
    peak = getrusage(RUSAGE_SELF).ru_maxrss  # of what was executed before in this process, too
    return peak if sys.platform == "darwin" else peak * 1024


def status_of(pid: int, content: bytes) -> Status | None:
    """Return what a `status` file says; None when it is empty."""
    if not content:
        return None
    peak = status_line(content, b"\nVmHWM:").split()
    pids = status_line(content, b"\nNSpid:").split()
    own_pid = int(pids[-1]) if pids else pid
    counts = b"\nvoluntary_ctxt_switches:", b"\nnonvoluntary_ctxt_switches:"
    switches = sum(int(status_line(content, name) or 0) for name in counts)
    users = status_line(content, b"\nUid:").decode()
    return Status(int(peak[0]) * 1024 if peak else 0, users, own_pid, len(pids) > 1, switches)


def status_line(content: bytes, name: bytes) -> bytes:
    """Return what stands behind a name, given as b"\\nName:", in a `status` file; empty where it is not there."""
    at = content.find(name)
    return content[at + len(name) : content.find(b"\n", at + 1)].strip() if at >= 0 else b""


def identify(pid: int, stat: Stat) -> Identity:
    """Return who a process is, as it would say it itself."""
    status = read_status(pid)
    if status is None or not status.is_nested:
        return Identity(own_namespace(), pid, stat.started)
    return Identity(_namespace_of(str(pid)), status.own_pid, stat.started)


@cache
def own_namespace() -> int:
    """Return the PID namespace whose pids /proc shows: this process's own, 0 where there is none.

    In a namespace that was made without a /proc of its own (`unshare --pid` alone) it is another one, which none can be.
    """
    return _namespace_of("self") if _own_pid() == os.getpid() else _ANOTHER


def _own_pid() -> int:
    """Return the pid under which /proc shows this process."""
    try:
        return int(os.readlink("/proc/self"))
    except (OSError, ValueError):
        return os.getpid()


def shown_pid(child: int) -> int:
    """Return the pid under which /proc shows a child of this process."""
    own_pid = _own_pid()
    if own_pid == os.getpid():
        return child
    for pid in children(own_pid):
        status = read_status(pid)
        if status is not None and status.own_pid == child:
            return pid
    return child


def _namespace_of(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return 0  # it has just ended, or belongs to somebody else


@cache
def boot_id() -> str:
    """Return what tells this boot of the machine from others, "" where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def age_ns(stat: Stat) -> int:
    """Return how long ago a process began."""
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if HAS_PROC else time.time_ns()
    return max(0, now_ns - stat.started * TICK_NS)


def created_s(pid: int) -> float:
    """Return when a process began, in seconds since 1970 as the clock stands now; 0 when there is none. Raises OSError."""
    stat = look_at(pid)
    if stat is None:
        return 0.0
    return stat.started * TICK_NS / 1e9 + (_boot_s() if HAS_PROC else 0)


def _boot_s() -> int:
    """Return when the machine was booted, in seconds since 1970 as the clock stands now."""
    with open("/proc/stat", "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"btime"))


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has, 0 when there is none. Raises OSError."""
    if HAS_PROC:
        stat = look_at(pid)
        return stat.rss_bytes if stat is not None else 0
    from hookmon.collector import through_psutil

    return through_psutil.usage(pid).rss_bytes


def start_of_self() -> int:
    """Return when this process began, as in Stat.started; 0 where it is not told."""
    try:
        stat = look_at(_own_pid())
    except OSError:
        return 0
    return stat.started if stat is not None else 0


def every_pid() -> list[int]:
    """Return the pids of all processes that this one may see."""
    if HAS_PROC:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    from hookmon.collector import through_psutil

    return through_psutil.every_pid()


def children(pid: int) -> list[int]:
    """Return the children of a process: from the kernel's own list where there is one, which costs microseconds."""
    if HAS_PROC:
        found: list[int] = []
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
            return found
        except FileNotFoundError:
            return _children_of_all(pid) if os.path.exists(f"/proc/{pid}") else found
        except OSError:
            return found
    from hookmon.collector import through_psutil

    try:
        return through_psutil.children(pid)
    except OSError:
        return []


def _children_of_all(pid: int) -> list[int]:
    """Return the children of a process where the kernel has no list of them: all processes are asked for their parent."""
    found = []
    for other in every_pid():
        with suppress(OSError):
            stat = look_at(other)
            if stat is not None and stat.parent_pid == pid:
                found.append(other)
    return found


def has_in_environment(pid: int, name: str, value: str) -> bool:
    """Say whether a process was executed with a variable in its environment; False where that cannot be read."""
    try:
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.environment(pid).get(name) == value
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(f"{name}={value}") in content.split(b"\0")


def _content(path: str, size: int) -> bytes:
    """Return the first bytes of a file of /proc, none when its process has gone. Raises OSError for any other reason."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(descriptor, size)
    except ProcessLookupError:
        return b""
    finally:
        os.close(descriptor)
