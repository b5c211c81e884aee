"""Where the shards of a process go: into the run folder, or into the drop in it once the process has given up root.

In: the path of the run folder. Out: shards. Runs in the watched process.

The run folder is its user's alone. What root has started may become another user, who could not make a file there for the
forks to come. So the launcher of root puts the drop into it: a folder in which anybody may make files, and list or read none but
his own (mode 1733). Nobody gets there by its path, which leads through the run folder; only who has inherited the descriptor
that is opened here as long as the process is root.
"""

from __future__ import annotations

import sys

from hookmon.core import layout
from hookmon.core.arguments import mask
from hookmon.probe import engine
from hookmon.probe.arena import Arena, moved_up
from hookmon.probe.private import monotonic_ns, os, time_ns

_OWN_DESCRIPTORS = "/proc/self/fd"


class Place:
    """The run folder as this process, and those that it forks, get into it."""

    __slots__ = ("_drop", "_folder", "_identity", "_version")

    def __init__(self, folder: str, version: str) -> None:
        self._folder = folder
        self._version = version
        self._drop = -1
        self._identity = (-1, -1)
        if os.geteuid() == 0:
            try:
                status = os.lstat(f"{folder}/{layout.DROP_NAME}")
                self._identity = (status.st_dev, status.st_ino)
                self._drop = self._open_drop()
            except OSError:
                pass  # made by an older launcher, or no descriptor is left

    def _open_drop(self) -> int:
        """Return a descriptor of the drop: that of another interpreter in this process, which nothing would close with it."""
        try:
            names = os.listdir(_OWN_DESCRIPTORS)
        except OSError:
            names = []  # there is no /proc
        for name in names:
            if self._is_drop(int(name)):
                return int(name)
        flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return moved_up(os.open(f"{self._folder}/{layout.DROP_NAME}", flags))

    def new_shard(self) -> Arena | None:
        """Return a new shard for this process, None where none can be made."""
        now_ns = monotonic_ns()
        fields = (self._version, engine.NAME, sys.version.split()[0], sys.executable or "", *mask(sys.orig_argv))
        text = "\0".join(fields).encode("utf-8", "surrogateescape")
        header = [layout.VERSION, os.getpid(), os.getppid(), now_ns, time_ns()]
        name = f"{os.getpid()}-{now_ns}{layout.SHARD_SUFFIX}"
        try:
            return Arena(f"{self._folder}/{name}", header, text)
        except (OSError, MemoryError, ValueError):
            pass  # another user's, full, gone, or out of reach since a chroot
        try:
            return Arena(name, header, text, self._drop) if self._is_drop(self._drop) else None
        except (OSError, MemoryError, ValueError):
            return None

    def _is_drop(self, descriptor: int) -> bool:
        """Say whether a descriptor is one of the drop: daemons close all that they have."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity
