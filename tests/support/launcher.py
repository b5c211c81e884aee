"""`hookmon` from a warm start: one process has imported it, and every command is a fork of that process.

Two thirds of the processor time of a short `hookmon run` are the launcher's own start: the interpreter and 240 modules.
Where a test is about what is recorded and told, a fork says the same; a test of the launcher's start, its signals or its
environment starts it for real, as does every command whose environment would steer the interpreter (see `can_serve`).

    server = LaunchServer()
    process = server.start(["run", "--", "python", "app.py"], cwd=..., env=..., streams=(0, 1, 2))
    process.wait(60)

This file is the server's program as well. It is single-threaded. For every command it forks a waiter, which forks the
command, sends "pid\\n", waits for it, and sends its wait status.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_STEERING = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "COV", "GITHUB_", "ASAN", "UBSAN", "MALLOC")
"""Beginnings of the variables that an interpreter, or a module of hookmon when it is imported, reads once."""


class Forked:
    """A command that was forked off: as much of subprocess.Popen as the tests use."""

    def __init__(self, status: socket.socket) -> None:
        self.returncode: int | None = None
        self._status = status
        self._text = b""
        while b"\n" not in self._text:
            self._receive(None)
        line, _, self._text = self._text.partition(b"\n")
        self.pid = int(line)

    def _receive(self, timeout: float | None) -> bool:
        """Read what has come. Return False after `timeout` seconds without anything, and at the end."""
        if not select.select([self._status], [], [], timeout)[0]:
            return False
        content = self._status.recv(64)
        if not content:
            raise RuntimeError("the process that waits for a command has died")
        self._text += content
        return True

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code, -N after a death by signal N. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            if self._text.endswith(b"\n"):  # it may have come together with the pid
                self.returncode = os.waitstatus_to_exitcode(int(self._text))
                self._status.close()
            elif not self._receive(None if end is None else max(0.0, end - time.monotonic())):
                raise subprocess.TimeoutExpired("hookmon", timeout or 0.0)
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, if it still runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, if it still runs."""
        self.send_signal(signal.SIGKILL)


class LaunchServer:
    """The process that has imported hookmon. Ends with the process that has made it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._steered = _steering(env)
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, os.path.abspath(__file__), str(theirs.fileno())]
        self._process = subprocess.Popen(command, env=dict(env), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd="/")
        theirs.close()

    def can_serve(self, env: Mapping[str, str]) -> bool:
        """Say whether a new interpreter would begin in the same way in this environment."""
        return _steering(env) == self._steered

    def start(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], streams: tuple[int, int, int]) -> Forked:
        """Start `hookmon ARGS` in a session of its own; `streams` are the descriptors of its stdin, stdout and stderr."""
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as content:  # a message has a limit, an environment has a higher one
            content.write(json.dumps([list(args), str(cwd), dict(env)]).encode())
            content.flush()
            socket.send_fds(self._socket, [b"."], [content.fileno(), theirs.fileno(), *streams])
        theirs.close()
        return Forked(ours)

    def stop(self) -> None:
        """End the server. Commands go on."""
        self._socket.close()
        self._process.wait()


class WarmSubprocess:
    """What `hookmon.testing` uses of the module subprocess, with launchers that start warm."""

    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, server: LaunchServer) -> None:
        self._server = server

    def Popen(self, line: list[str], *, cwd: Path, env: Mapping[str, str], **options: Any) -> Any:  # noqa: N802 - as there
        """Start `[python, "-P", "-m", "hookmon", *args]`."""
        if not self._server.can_serve(env):
            return subprocess.Popen(line, cwd=cwd, env=env, **options)
        with open(os.devnull, "rb") as nothing:
            streams = (nothing.fileno(), options["stdout"].fileno(), options["stderr"].fileno())
            return self._server.start(line[4:], cwd=cwd, env=env, streams=streams)


def _steering(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_STEERING)}


def _serve(control: socket.socket) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 5)
        with suppress(ChildProcessError):  # none is left
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            return
        if not os.fork():
            control.close()
            _wait_for_command(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_for_command(content: int, status: int, *streams: int) -> None:
    pid = os.fork()
    if not pid:
        os.close(status)
        _become_command(content, streams)
    os.write(status, b"%d\n" % pid)
    for descriptor in streams:  # who reads a pipe waits for its last writer
        os.close(descriptor)
    os.write(status, b"%d\n" % os.waitpid(pid, 0)[1])
    os._exit(0)


def _become_command(content: int, streams: Sequence[int]) -> None:
    """What a new session, exec and the start of an interpreter leave behind, and then the command."""
    with os.fdopen(content, "rb") as file:
        file.seek(0)
        args, cwd, env = json.load(file)
    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = [_script(), *args]
    from hookmon.cli.main import main

    code: Any = 0
    try:
        main()
    except SystemExit as error:
        code = error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _script() -> str:
    import sysconfig

    return os.path.join(sysconfig.get_path("scripts"), "hookmon")


def _import_all() -> None:
    """Import what the launcher may need, but for the screens of `top`, and read the packs of the package."""
    import importlib
    import pkgutil

    import hookmon

    for room in ("core", "config", "collector", "report", "cli"):
        for found in pkgutil.walk_packages([os.path.join(hookmon.__path__[0], room)], f"hookmon.{room}."):
            if "live" not in found.name:
                importlib.import_module(found.name)
    from hookmon.config import packs
    from hookmon.core import record

    _complete(record.Record)
    shipped = packs.read_packs([])
    read = packs.read_packs
    packs.read_packs = lambda problems, folder=packs.FOLDER: shipped if folder == packs.FOLDER else read(problems, folder)


def _complete(kind: Any) -> None:
    """Make what makes the records of each class, which the first record of a class would do in each command anew."""
    from hookmon.core import record

    for below in kind.__subclasses__():
        if below.__init__ is record._init_first:
            below.__init__ = record._compile_init(below)
        _complete(below)


def main(descriptor: int) -> None:
    """Serve until the other end is closed."""
    import gc

    _import_all()
    sys.path[0] = os.path.dirname(_script())  # the folder of the script, as in a start of it
    gc.collect()
    gc.freeze()  # pages that are shared stay so
    _serve(socket.socket(fileno=descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]))
