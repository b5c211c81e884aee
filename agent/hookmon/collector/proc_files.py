"""The files that Linux shows of one process, /proc/PID/…, of which those that are read again and again stay open.

In: a pid. Out: bytes. Runs in the launcher. To open, read and close such a file costs several times what reading costs. A file
that stays open is that of one process for good: when another one has its pid, it says that its process is gone.
"""

from __future__ import annotations

import os
from contextlib import suppress

from hookmon.collector.identity import children
from hookmon.collector.room import Room

_PAGE = 4_096

room = Room(4)
"""For all processes: several files of each stay open."""


class ProcFiles:
    """The files of one process. Whoever forgets this object has closed them."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._folder = f"/proc/{pid}/"
        self._open: dict[str, int] = {}

    def read(self, name: str, size: int = _PAGE) -> bytes:
        """Return the first bytes of a file, none when its process or thread is gone. Raises OSError for any other reason."""
        descriptor = self._open.get(name)
        try:
            if descriptor is not None:
                return os.pread(descriptor, size, 0)
            descriptor = os.open(self._folder + name, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            self.forget(name)
            return b""
        self._keep(name, descriptor)
        try:
            return os.pread(descriptor, size, 0)
        except ProcessLookupError:
            return b""
        finally:
            if name not in self._open:
                os.close(descriptor)

    def read_list(self, name: str) -> bytes:
        """Return all of a file, however long: the kernel gives a page of it at a time. Raises OSError as `read` does."""
        content = part = self.read(name)
        while len(part) > _PAGE // 2 and name in self._open:
            part = os.pread(self._open[name], _PAGE, len(content))
            content += part
        if len(content) > _PAGE // 2 and name not in self._open:
            with open(self._folder + name, "rb") as file:
                content = file.read()
        return content

    def children(self, threads: int) -> list[int]:
        """Return the children of the process, which has so many threads; all that can be told of them."""
        try:
            names = [str(self.pid)] if threads <= 1 else os.listdir(f"{self._folder}task")
            found = [child for name in names for child in self.read_list(f"task/{name}/children").split()]
        except OSError:
            return []
        if not found and not self._open.keys() & {f"task/{name}/children" for name in names}:
            return children(self.pid)  # a kernel without such files, or as many are open as may be
        return list(map(int, found))

    def count_open(self) -> int:
        """Return how many descriptors the process has open. Raises OSError when that cannot be told."""
        folder = f"{self._folder}fd"
        return os.stat(folder).st_size or len(os.listdir(folder))  # Linux tells the number since 6.2

    def traffic(self) -> tuple[int, int]:
        """Return how many bytes it has read from and written to disks, 0 where that is not told."""
        try:
            lines = self.read("io", 512).split(b"\n")
            said = dict(line.split(b": ", 1) for line in lines if line)
            return int(said.get(b"read_bytes", 0)), int(said.get(b"write_bytes", 0))
        except (OSError, ValueError):
            return 0, 0

    def _keep(self, name: str, descriptor: int) -> None:
        if room.take():
            self._open[name] = descriptor

    def forget(self, name: str) -> None:
        """Close a file that will not be read again."""
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            room.give_back()
            os.close(descriptor)

    def close(self) -> None:
        """Close all files; what is read after that is opened again."""
        for name in list(self._open):
            with suppress(OSError):
                self.forget(name)

    def __del__(self) -> None:
        self.close()
