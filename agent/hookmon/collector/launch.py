"""Starts the program, passes signals on and waits for its end.

In: a command and the run folder. Out: the exit code that a plain run would have had, and a call of `tick` every tenth of a
second meanwhile. Runs in the launcher, in its one thread.

The program stays in the launcher's process group, so that Ctrl-C, job control and `os.getpgrp()` are what they are without
us. A signal from the terminal has reached it already; one that was sent to the launcher alone is passed on.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hookmon.core.errors import LaunchError

_FORWARDED = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2))
_TICK_S = 0.1
_SENT_BY_KERNEL = 0x80  # SI_KERNEL in Linux's siginfo.h: the terminal's Ctrl-C and hang-up


def environment(base: Mapping[str, str], run_folder: Path) -> dict[str, str]:
    """Return the program's environment: `base` with the bootstrap folder first on PYTHONPATH.

    The folder stands there once, whatever was there before keeps its order, and no empty entry is made, which Python would
    read as the current directory.
    """
    from importlib.util import find_spec

    spec = find_spec("hookmon_bootstrap")
    if spec is None or spec.origin is None:
        raise LaunchError("the folder hookmon_bootstrap is missing; install hookmon again", 125, code="installation")
    bootstrap = str(Path(spec.origin).parent)
    agent = str(Path(__file__).resolve().parents[2])
    result = dict(base)
    path = result.get("PYTHONPATH", "")
    kept = [entry for entry in path.split(os.pathsep) if entry != bootstrap] if path else []
    result["PYTHONPATH"] = os.pathsep.join([bootstrap, *kept])
    result["HOOKMON_RUN"] = str(run_folder)
    result["HOOKMON_AGENT"] = agent
    return result


def clock_source() -> str:
    """Return what the kernel keeps time by, "" where it does not tell."""
    try:
        return Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def start(command: list[str], environment: Mapping[str, str], blocked: set[signal.Signals]) -> int:
    """Start the program and return its pid.

    `blocked` are the signals that were blocked before the launcher blocked its own: the program gets just those.
    Raises LaunchError with 127 for a command that is not there, 126 for one that cannot be executed.
    """
    name = command[0]
    path = shutil.which(name, path=environment.get("PATH"))
    if path is None:
        if os.path.isdir(name):
            raise LaunchError(f"{name}: a folder cannot be run", 126, code="not-executable")
        if os.sep in name and os.path.exists(name):
            raise LaunchError(f"{name}: no permission to execute it", 126, code="not-executable")
        raise LaunchError(f"{name}: there is no such command", 127, code="no-such-command")
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started us
            stream.flush()
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores for itself
    try:
        return os.posix_spawn(path, command, dict(environment), setsigmask=blocked, setsigdef=defaults)
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise LaunchError(
                f"{name}: neither a program nor a script with #! in its first line", 126, code="not-executable"
            ) from error
        missing = error.errno == errno.ENOENT
        text = "its interpreter (#! line) does not exist" if missing else error.strerror
        raise LaunchError(
            f"{name}: {text}", 127 if missing else 126, code="no-such-command" if missing else "not-executable"
        ) from error


def block_signals() -> set[signal.Signals]:
    """Keep signals back until `wait` takes them; return the mask that was there before."""
    return {signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})}


def unblock_signals(before: set[signal.Signals]) -> None:
    """Go back to the mask of before."""
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait(pid: int, tick: Callable[[], None], ended: Callable[[], None]) -> int:
    """Wait for the program and return its exit code, 128 + N when signal N killed it.

    `ended` is called when it has ended and can still be looked at. Other children, which PID 1 inherits, are reaped.
    """
    while True:
        tick()
        number, sender, code = _next_signal()
        if number in _FORWARDED and code != _SENT_BY_KERNEL and sender != pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has just ended by itself
        while True:
            try:
                state = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                raise LaunchError(
                    "somebody else waited for the program; its exit code is lost", 125, code="exit-code-lost"
                ) from None
            if state is None:
                break
            if state.si_pid == pid:
                ended()
                _, status = os.waitpid(pid, 0)
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            os.waitpid(state.si_pid, 0)


def _next_signal() -> tuple[int, int, int]:
    """Return (signal, pid of the sender, si_code) of the next signal, zeros after a tick without one."""
    wanted = _FORWARDED | {signal.SIGCHLD}
    if hasattr(signal, "sigtimedwait"):
        info = signal.sigtimedwait(wanted, _TICK_S)
        return (info.si_signo, info.si_pid, info.si_code) if info is not None else (0, 0, 0)
    time.sleep(_TICK_S)  # macOS: no siginfo, so a signal from the terminal is passed on a second time
    pending = signal.sigpending() & wanted
    return (signal.sigwait(pending), 0, 0) if pending else (0, 0, 0)
