"""The notes that processes with the probe leave when they begin. In: a path in the run folder. Out: a Birth. Launcher's side."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from hookmon.collector.processes import exists

_WRITTEN_BY_NOW_S = 0.2


@dataclass
class Birth:
    """The note that a process with the probe left when it began."""

    pid: int
    parent_pid: int
    started_ns: int
    status: str  # "" or why it is not watched
    python: str
    executable: str
    argv: list[str]


def read_birth(path: Path) -> Birth | None:
    """Return a birth note; None for one that is being written, and for garbage that somebody put there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            content = os.read(descriptor, 65536) if stat.S_ISREG(status.st_mode) else b"?"
        finally:
            os.close(descriptor)
        pid, _, started_ns = path.stem.partition("-")
        if not content and (time.time() - status.st_mtime > _WRITTEN_BY_NOW_S or not exists(int(pid))):
            return Birth(
                int(pid), 0, int(started_ns), "the probe failed and could not write why: no space, or a limit", "", "", []
            )
        fields = content.decode("utf-8", "replace").split("\0")
        pid, parent_pid, started, reason, python, executable, *argv = fields
        return Birth(int(pid), int(parent_pid), int(started), reason, python, executable, argv)
    except (OSError, ValueError):
        return None
