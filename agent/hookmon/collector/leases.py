"""Whether anybody writes to the shards of a run folder, of whichever PID namespace: by leases of the kernel. Linux only.

In: a run folder of this user. Out: yes or no. Runs on the launcher's side only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hookmon.collector.run_folder import files_of
from hookmon.core import layout


def is_written(folder: Path) -> bool:
    """Say whether a process of any namespace has a shard of a run folder open, or mapped, for writing.

    The kernel gives a read lease (fcntl(2)) for a file that nobody has open for writing. What it refuses for another reason, a
    file of another user's or a file system without leases, is taken for a shard that nobody writes.
    """
    is_held = False
    with _without_notice_of_leases(), suppress(OSError):
        for name in files_of(folder) if hasattr(fcntl, "F_SETLEASE") else ():
            if name.endswith(layout.SHARD_SUFFIX):
                is_held = is_held or _refuses_lease(folder / name)
    return is_held


def _refuses_lease(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _without_notice_of_leases() -> Iterator[None]:
    """Keep back the signal that says that somebody opens what a lease is for: it would end this process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGIO,))
    try:
        yield
    finally:
        if signal.SIGIO not in before and hasattr(signal, "sigtimedwait"):
            signal.sigtimedwait((signal.SIGIO,), 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
