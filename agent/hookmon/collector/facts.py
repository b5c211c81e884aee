"""What a process was executed as: its command, executable, environment and rights.

In: a pid of the launcher's own namespace. Out: texts and numbers, each read when it is first asked for. Runs in the launcher.
Linux has a file for each; elsewhere psutil answers.
"""

from __future__ import annotations

import os

from hookmon.collector.first_looks import FirstLooks, command_of
from hookmon.collector.identity import HAS_PROC, state_of, status_line

_DELETED = " (deleted)"  # what Linux writes behind the path of a file that is gone


class Facts:
    """What one process was executed as; one that has executed something else meanwhile needs another object.

    What cannot be told raises OSError: the process is gone, or belongs to somebody else.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._command: list[str] | None = None
        self._status = b""

    def command(self) -> list[str]:
        """Return the command with its arguments as they stand there now, empty for a kernel thread."""
        if self._command is None:
            self._command = self._read_command()
        return self._command

    def _read_command(self) -> list[str]:
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.command(self.pid)
        content = self._read("cmdline")
        if not content and state_of(self.pid) in ("", "Z"):
            raise ProcessLookupError(self.pid)
        return command_of(content)

    def executable(self) -> str:
        """Return the path of what it executes, "" for a kernel thread."""
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.executable(self.pid)
        try:
            path = os.readlink(f"/proc/{self.pid}/exe").partition("\0")[0]
        except FileNotFoundError:
            return ""
        return path.removesuffix(_DELETED) if path.endswith(_DELETED) and not os.path.lexists(path) else path

    def environment(self) -> dict[str, str]:
        """Return the environment that it was executed with."""
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.environment(self.pid)
        return environment_of(self._read("environ"))

    def users(self) -> tuple[int, int]:
        """Return its real and its effective user."""
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.users(self.pid)
        return self._pair(b"\nUid:")

    def groups(self) -> tuple[int, int]:
        """Return its real and its effective group."""
        if not HAS_PROC:
            from hookmon.collector import through_psutil

            return through_psutil.groups(self.pid)
        return self._pair(b"\nGid:")

    def _pair(self, name: bytes) -> tuple[int, int]:
        self._status = self._status or self._read("status")
        real, effective, *_ = status_line(self._status, name).split()
        return int(real), int(effective)

    def _read(self, name: str) -> bytes:
        with open(f"/proc/{self.pid}/{name}", "rb") as file:
            return file.read()


def environment_of(content: bytes) -> dict[str, str]:
    """Return the variables of an `environ` file, up to the first empty entry: behind it lies what was written over the rest."""
    found: dict[str, str] = {}
    for entry in content.split(b"\0")[:-1]:
        if not entry:
            break
        name, separator, value = entry.partition(b"=")
        if name and separator:
            found[os.fsdecode(name)] = os.fsdecode(value)
    return found


class EndedFacts(Facts):
    """What a program was executed as that has ended since: what was read of it while it lived."""

    def __init__(self, looks: FirstLooks) -> None:
        super().__init__(looks.pid)
        self._looks = looks

    def executable(self) -> str:
        """Return the path of what it executed."""
        return self._looks.executable

    def _read(self, name: str) -> bytes:
        return self._looks.files[name]
