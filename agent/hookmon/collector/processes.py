"""The processes of a run, seen from outside.

In: the pid of the started program. Out: a row for each process that was ever below it, samples once a second, and the reason
why one of them was not watched. Runs in the launcher; psutil never enters the watched process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from hookmon.collector.store import Process, Sample

_OUR_VARIABLE = "HOOKMON_RUN"
SHADOWED = "has a sitecustomize of its own before ours"
_YOUNG_NS = 20_000_000  # a process that has just been executed has not even loaded its libraries

_FOREIGN = "is not a Python program"


class Watcher:
    """One process as psutil sees it."""

    def __init__(self, process: psutil.Process, row: Process) -> None:
        self.process = process
        self.row = row
        self.created = process.create_time()
        self.alive = True
        self.has_probe = False
        self.reason = ""  # why it is not watched, "" when it is or when that is not known
        self._comm = ""  # the kernel's short name of the process: an exec changes it
        self.refresh()

    def refresh(self) -> None:
        """Look at the command again: a process is born as a copy of its parent and becomes something else by exec.

        Other programs than Python are kept by their name: what a watched program hands them is an argument of its calls.
        """
        try:
            with self.process.oneshot():
                command = self.process.cmdline() or self.row.command
                self.reason = unwatched_reason(self.process, command)
                self.row.command = command[:1] if self.reason.endswith(_FOREIGN) else command
        except (psutil.Error, OSError):
            pass  # it has just ended: what was seen before holds

    def note_peak(self, now_ns: int) -> None:
        """Read the most memory that the process ever had, which the kernel keeps, and notice an exec. Linux only."""
        if sys.platform != "linux" or now_ns - self.row.started_ns < _YOUNG_NS:
            return
        try:
            with open(f"/proc/{self.row.pid}/status", encoding="utf-8", errors="replace") as file:
                fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        except OSError:
            return
        peak_kib = fields.get("VmHWM", "").split()
        if peak_kib:
            self.row.rss_max_bytes = max(self.row.rss_max_bytes, int(peak_kib[0]) * 1024)
        comm = fields.get("Name", "")
        if comm != self._comm:
            self._comm = comm
            self.refresh()

    def note_waits(self) -> None:
        """Read how long the main thread had a processor, and how long it waited for one. Linux only; a zombie still has it."""
        try:
            with open(f"/proc/{self.row.pid}/schedstat", encoding="ascii") as file:
                ran, waited, *_ = map(int, file.read().split())
        except (OSError, ValueError):
            return
        self.row.ran_ns, self.row.waited_ns = ran, waited


class Processes:
    """The process tree of a run."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self.watchers: dict[int, Watcher] = {}
        self.ended: list[Watcher] = []
        self.samples: list[Sample] = []

    def add(self, pid: int, now_ns: int) -> None:
        """Begin to watch a process; one that is gone already is passed by."""
        if pid in self.watchers:
            return
        try:
            process = psutil.Process(pid)
            row = Process(pid=pid, parent_pid=process.ppid(), command=[], started_ns=now_ns)
            self.watchers[pid] = Watcher(process, row)
        except (psutil.Error, OSError, ValueError, OverflowError):
            pass

    def discover(self, now_ns: int) -> None:
        """Find the children of all that is known, and notice what has ended."""
        for pid, watcher in list(self.watchers.items()):
            if is_gone(watcher):
                self._end(pid, now_ns)
            else:
                watcher.note_peak(now_ns)
        pending = list(self.watchers)
        while pending:
            for child in _children(pending.pop()):
                if child not in self.watchers:
                    self.add(child, now_ns)
                    if child in self.watchers:
                        pending.append(child)

    def sample(self, now_ns: int) -> None:
        """Take one sample of every process."""
        for watcher in self.watchers.values():
            watcher.refresh()
            sample = self._sample(watcher, now_ns)
            if sample is not None:
                self.samples.append(sample)

    def thin_samples(self) -> None:
        """Keep the samples of every second moment, with all processes of that moment."""
        kept = set(sorted({sample.at_ns for sample in self.samples})[::2])
        self.samples = [sample for sample in self.samples if sample.at_ns in kept]

    def _sample(self, watcher: Watcher, now_ns: int) -> Sample | None:
        process, row = watcher.process, watcher.row
        try:
            with process.oneshot():
                cpu = process.cpu_times()
                row.cpu_ns = round((cpu.user + cpu.system) * 1e9)
                rss = process.memory_info().rss
                threads = process.num_threads()
                switches = sum(process.num_ctx_switches())
                files = process.num_fds()
                read, written = _traffic(process)
        except (psutil.Error, OSError):
            return None
        row.duration_ns = now_ns - row.started_ns
        watcher.note_waits()
        if sys.platform != "linux":
            row.rss_max_bytes = max(row.rss_max_bytes, rss)
        row.threads_max = max(row.threads_max, threads)
        row.files_max = max(row.files_max, files)
        row.switches = switches
        row.read_bytes, row.written_bytes = read, written
        return Sample(now_ns - self._started_ns, row.pid, row.cpu_ns, rss, threads, files, read, written, switches)

    def last_look(self, pid: int) -> None:
        """Read the CPU time of a process that has ended and was not reaped yet: a zombie still has it."""
        watcher = self.watchers.get(pid)
        if watcher is not None:
            watcher.note_waits()
            try:
                cpu = watcher.process.cpu_times()
                watcher.row.cpu_ns = max(watcher.row.cpu_ns, round((cpu.user + cpu.system) * 1e9))
            except (psutil.Error, OSError):
                pass

    def _end(self, pid: int, now_ns: int) -> None:
        watcher = self.watchers.pop(pid)
        self.last_look(pid)
        watcher.alive = False
        watcher.row.state = "gone"
        watcher.row.duration_ns = now_ns - watcher.row.started_ns
        self.ended.append(watcher)

    def all(self) -> Iterator[Watcher]:
        """Yield every process that was seen, oldest first."""
        yield from sorted((*self.ended, *self.watchers.values()), key=lambda each: (each.row.started_ns, each.row.pid))


def is_gone(watcher: Watcher) -> bool:
    """Say whether a process has ended. A zombie has."""
    try:
        return not watcher.process.is_running() or watcher.process.status() == psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return True


def exists(pid: int) -> bool:
    """Say whether any process has this pid."""
    return psutil.pid_exists(pid)


def is_alive(pid: int, started_wall_ns: int) -> bool:
    """Say whether the process that began at about `started_wall_ns` (or before) under this pid still runs."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() * 1e9 <= started_wall_ns + 2_000_000_000
    except (psutil.Error, OSError):
        return False


def _children(pid: int) -> list[int]:
    """Return the children of a process: from the kernel's own list where there is one, which costs microseconds."""
    if sys.platform == "linux":
        found: list[int] = []
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
            return found
        except FileNotFoundError:
            if not os.path.exists(f"/proc/{pid}"):
                return found
        except OSError:
            return found
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except (psutil.Error, OSError):
        return []


def _traffic(process: psutil.Process) -> tuple[int, int]:
    if not hasattr(process, "io_counters"):  # macOS
        return 0, 0
    try:
        counters = process.io_counters()
    except (psutil.Error, OSError):
        return 0, 0
    return counters.read_bytes, counters.write_bytes


def unwatched_reason(process: psutil.Process, command: list[str]) -> str:
    """Return why the probe cannot be in a process, "" when nothing speaks against it."""
    name = Path(command[0]).name if command else ""
    try:
        executable = Path(process.exe()).name
    except (psutil.Error, OSError):
        executable = name
    if not is_python(executable) and not is_python(name):
        return f"{name or executable} {_FOREIGN}"
    flags = interpreter_flags(command)
    for flag, text in (("I", "isolated"), ("E", "ignores the environment"), ("S", "without site")):
        if flag in flags:
            return f"Python was started with -{flag} ({text})"
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return ""
    if environment and environment.get("HOOKMON_DISABLE", "0") not in ("", "0"):
        return "HOOKMON_DISABLE is set"
    if _OUR_VARIABLE not in environment or "PYTHONPATH" not in environment:
        return "its environment was replaced: HOOKMON_RUN or PYTHONPATH is missing"
    return _shadowed_reason(environment)


def _shadowed_reason(environment: dict[str, str]) -> str:
    """Return whose sitecustomize stands before ours on PYTHONPATH, as other agents put theirs there; "" for nobody's."""
    for entry in environment["PYTHONPATH"].split(os.pathsep):
        if entry and (Path(entry) / "sitecustomize.py").is_file():
            if Path(entry).name == "hookmon_bootstrap":
                return ""
            return f"{entry} {SHADOWED}; start that tool first: TOOL … hookmon run COMMAND"
    return ""


def is_python(name: str) -> bool:
    """Say whether a file is called as a Python interpreter is."""
    return name.startswith(("python", "pypy")) or name in ("Python",)


def interpreter_flags(command: list[str]) -> str:
    """Return the letters of Python's own options, those before the script, -c or -m."""
    letters = ""
    skip = False
    for argument in command[1:]:
        if skip:
            skip = False
            continue
        if argument.startswith("--"):
            skip = argument == "--check-hash-based-pycs"
            continue
        if not argument.startswith("-") or argument == "-":
            break
        for position, letter in enumerate(argument[1:], 1):
            if letter in "cm":
                return letters
            if letter in "WX":
                skip = position == len(argument) - 1
                break
            letters += letter
    return letters
