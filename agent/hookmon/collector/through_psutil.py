"""What psutil says of processes and of the machine: for systems without /proc, macOS say.

In: a pid. Out: plain values, and OSError where psutil has none. Runs in the launcher, and is imported only where there is no
/proc: psutil takes as long to import as an interpreter to start, twice.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator


class Look(NamedTuple):
    """What is cheap to read of a process."""

    parent_pid: int
    started_s: float  # since 1970
    is_zombie: bool
    cpu_ns: int


class Usage(NamedTuple):
    """What a process uses."""

    cpu_ns: int
    rss_bytes: int
    threads: int
    switches: int
    files: int


@contextmanager
def _telling() -> Iterator[None]:
    """Turn psutil's errors into OSError."""
    try:
        yield
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(str(error)) from None
    except (psutil.Error, ValueError, OverflowError) as error:
        raise PermissionError(str(error)) from None


def look(pid: int) -> Look:
    """Return what is cheap to read. Raises OSError."""
    with _telling():
        process = psutil.Process(pid)
        with process.oneshot():
            is_zombie = process.status() == psutil.STATUS_ZOMBIE
            return Look(process.ppid(), process.create_time(), is_zombie, _cpu_ns(process))


def usage(pid: int) -> Usage:
    """Return what a process uses. Raises OSError."""
    with _telling():
        process = psutil.Process(pid)
        with process.oneshot():
            return Usage(
                _cpu_ns(process),
                process.memory_info().rss,
                process.num_threads(),
                sum(process.num_ctx_switches()),
                process.num_fds(),
            )


def _cpu_ns(process: psutil.Process) -> int:
    times = process.cpu_times()
    return round((times.user + times.system) * 1e9)


def is_stopped(pid: int) -> bool:
    """Say whether a process is stopped. Raises OSError."""
    with _telling():
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def every_pid() -> list[int]:
    """Return the pids of all processes."""
    return psutil.pids()


def children(pid: int) -> list[int]:
    """Return the children of a process. Raises OSError."""
    with _telling():
        return [child.pid for child in psutil.Process(pid).children()]


def command(pid: int) -> list[str]:
    """Return the command of a process. Raises OSError."""
    with _telling():
        return psutil.Process(pid).cmdline()


def executable(pid: int) -> str:
    """Return the path of what a process executes. Raises OSError."""
    with _telling():
        return psutil.Process(pid).exe()


def environment(pid: int) -> dict[str, str]:
    """Return the environment of a process. Raises OSError."""
    with _telling():
        return psutil.Process(pid).environ()


def users(pid: int) -> tuple[int, int]:
    """Return the real and the effective user of a process. Raises OSError."""
    with _telling():
        found = psutil.Process(pid).uids()
        return found.real, found.effective


def groups(pid: int) -> tuple[int, int]:
    """Return the real and the effective group of a process. Raises OSError."""
    with _telling():
        found = psutil.Process(pid).gids()
        return found.real, found.effective


def busy_ns() -> int:
    """Return the CPU time that all processes of the machine have had."""
    times = psutil.cpu_times()
    return round((sum(times) - times.idle) * 1e9)
