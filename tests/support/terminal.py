"""A pseudo terminal: a command, or a shell with job control, as somebody at a keyboard has it."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from pathlib import Path

from support.runs import TIMEOUT_S, environment


class Terminal:
    """A command on a pseudo terminal, as its own session with that terminal in control.

    Tests that use it ignore the DeprecationWarning of forking in a process with threads: the child executes at once.
    """

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str | None] | None = None) -> None:
        self.shown = ""
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            try:
                os.chdir(cwd)
                os.execvpe(command[0], command, environment(cwd, {"TERM": "xterm-256color", **(env or {})}))
            finally:
                os._exit(99)

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._terminal, text)

    def wait_for(self, pattern: str, timeout: float = 20.0) -> str:
        """Read until a regular expression is found in what was not looked at yet, and return what it found."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.shown)):
            ready, _, _ = select.select([self._terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f"waited {timeout} s for {pattern!r}, and there is {self.shown!r}"
            self.shown += self._read()
        self.shown = self.shown[found.end() :]
        return found[0]

    def hang_up(self) -> None:
        """Let the terminal go away, as a closed window or a lost connection does."""
        os.close(self._terminal)

    def finish(self, timeout: float = TIMEOUT_S) -> tuple[str, int]:
        """Return what was shown and not looked at yet, and the exit code."""
        end = time.monotonic() + timeout
        while select.select([self._terminal], [], [], max(0, end - time.monotonic()))[0]:
            chunk = self._read()
            if not chunk:
                break
            self.shown += chunk
        else:
            raise AssertionError(f"not finished after {timeout} s: {self.shown!r}")
        os.close(self._terminal)
        _, status = os.waitpid(self.pid, 0)
        return self.shown, os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        try:
            return os.read(self._terminal, 65536).decode(errors="replace")
        except OSError:  # Linux says EIO when the last holder of the terminal is gone
            return ""


class Shell(Terminal):
    """bash with job control, and `$ ` for its prompt."""

    def __init__(self, *, cwd: Path) -> None:
        super().__init__(["bash", "--norc", "--noprofile", "-i"], cwd=cwd, env={"PS1": "$ ", "PROMPT_COMMAND": None})

    def enter(self, line: str) -> None:
        """Type a line."""
        self.type(line.encode() + b"\r")

    def leave(self) -> None:
        """End the shell, with all jobs that are left."""
        self.enter("kill -KILL $(jobs -p) 2>/dev/null; exit 0")
        self.finish()
