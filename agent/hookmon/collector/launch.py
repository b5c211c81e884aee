"""Starts the program, passes signals on and waits for its end.

In: a command and the run folder. Out: how the program ended, and calls of `tick` meanwhile, each when the one before has said.
Runs in the launcher, in its one thread, which sleeps until something is due, a signal comes or the program ends.

The program stays in the launcher's process group, so that Ctrl-C, job control and `os.getpgrp()` are what they are without
us. A signal from the terminal has reached it already; one that was sent to the launcher alone is passed on. When the program
stops, the launcher does, by the same signal. The program waits until this module has been imported, so it imports built-in
modules only.
"""

from __future__ import annotations

import errno
import os
import sys
import time

from hookmon.collector import new_folder, signals

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from hookmon.core.errors import LaunchError
else:
    import _signal as signal  # see `signals`

_LOOK_NS = 20_000_000  # between two looks at signals within a tick: each asks the kernel three times
_MOST_FILES = 65_536
_ADDRESSEES = ("LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID")
"""Where systemd writes the pid of the service: who has another pid leaves sockets and watchdog alone (sd_listen_fds(3))."""


def bootstrap_folder() -> str:
    """Return the folder that Python is to find first. Raises LaunchError where there is none."""
    from importlib.util import find_spec

    spec = find_spec("hookmon_bootstrap")
    if spec is None or spec.origin is None:
        raise _error("the folder hookmon_bootstrap is missing; install hookmon again", 125, code="installation")
    return os.path.dirname(spec.origin)


def agent_folder() -> str:
    """Return the folder in which the probe is found."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def environment(
    base: Mapping[str, str], run_folder: str | os.PathLike[str], tracer: int = 0, bootstrap: str = "", agent: str = ""
) -> dict[str, str]:
    """Return the program's environment: `base` with the bootstrap folder first on PYTHONPATH.

    That folder, and the `agent_folder`, are looked for where they are "".

    `tracer` is the pid of a process whose children are to be allowed to read those of the program, 0 for none.

    The folder stands there once, whatever was there before keeps its order, and no empty entry is made, which Python would
    read as the current directory.
    """
    bootstrap = bootstrap or bootstrap_folder()
    result = dict(base)
    path = result.get("PYTHONPATH", "")
    kept = [entry for entry in path.split(os.pathsep) if entry != bootstrap] if path else []
    result["PYTHONPATH"] = os.pathsep.join([bootstrap, *kept])
    result["HOOKMON_RUN"] = str(run_folder)
    result["HOOKMON_AGENT"] = agent or agent_folder()
    result.pop("HOOKMON_TRACER", None)
    if tracer:
        result["HOOKMON_TRACER"] = str(tracer)
    return result


def clock_source() -> str:
    """Return what the kernel keeps time by, "" where it does not tell."""
    return new_folder.read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def wrapt_folder() -> str:
    """Return the folder of the launcher's own wrapt, for programs that have none; "" where it cannot be told."""
    from importlib.util import find_spec

    spec = find_spec("wrapt")
    return os.path.dirname(spec.origin) if spec is not None and spec.origin else ""


def start(command: list[str], environment: Mapping[str, str], inherited: signals.Inherited, path: str = "") -> int:
    """Start the program and return its pid. Signals are on hold, and the program gets those that came meanwhile.

    `path` is that of the command, where it was looked for already.

    It is forked and not spawned: what it is to have as on being executed in the launcher's place is set up in between, and it
    waits until all signals from before have been passed on, so that each of them comes once.
    Raises LaunchError with 127 for a command that is not there, 126 for one that cannot be executed, and EarlySignal for a
    signal that has come before there was a program.
    """
    path = path or _find(command[0], environment)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started us
            stream.flush()
    signals.refuse_interrupted(inherited)
    launcher = os.getpid()
    may_go, go = os.pipe()
    failure, failed = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        raise _error(f"{command[0]}: no process can be made for it: {error.strerror}", 125) from error
    if not pid:
        os.close(go)
        _become(path, command, environment, inherited, launcher, may_go, failed)
    os.close(may_go)
    os.close(failed)
    signals.pass_on_pending(pid)
    os.write(go, b".")
    os.close(go)
    answer = os.read(failure, 16)  # empty: exec has closed the other end
    os.close(failure)
    if answer:
        os.waitpid(pid, 0)
        raise _refusal(command[0], int(answer))
    return pid


def raise_limit() -> None:
    """Let the launcher open as many files as it may: each process has a shard, which stays open. The program's limit stands.

    It is raised once the program has been forked.
    """
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft != RLIM_INFINITY:
        try:
            setrlimit(RLIMIT_NOFILE, (max(soft, _MOST_FILES if hard == RLIM_INFINITY else min(hard, _MOST_FILES)), hard))
        except (ValueError, OSError):
            pass


def which(name: str, path: str | None) -> str | None:
    """Return the first file of that name on a path which can be executed, as shutil.which does, which imports compressors.

    A name with a slash is its own path. `path` None is that of this process's environment.
    """
    if os.path.dirname(name):
        folders = [""]
    else:
        path = os.environ.get("PATH") if path is None else path
        if path is None:
            try:
                path = os.confstr("CS_PATH")
            except (AttributeError, ValueError):
                path = os.defpath
        if not path:
            return None
        folders = list(dict.fromkeys(path.split(os.pathsep)))
    for folder in folders:
        found = os.path.join(folder, name)
        if os.path.exists(found) and os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    return None


def _find(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of a command. Raises LaunchError where there is nothing to execute."""
    path = which(name, environment.get("PATH"))
    if path is None:
        if os.path.isdir(name):
            raise _error(f"{name}: a folder cannot be run", 126, code="not-executable")
        if os.sep in name and os.path.exists(name):
            raise _error(f"{name}: no permission to execute it", 126, code="not-executable")
        words = name.split()
        is_line = len(words) > 1 and which(words[0], environment.get("PATH")) is not None
        hint = "; write the command without quotes, or sh -c before it" if is_line else _meant(name, environment.get("PATH", ""))
        raise _error(f"{name}: there is no such command{hint}", 127, code="no-such-command")
    return path


def _meant(name: str, path: str) -> str:
    """Return "; did you mean …?" for a command that is not on the path, or for a script without its interpreter."""
    from difflib import get_close_matches

    if name.endswith(".py") and os.path.isfile(name):
        return f"; did you mean python {name}?"
    known: set[str] = set()
    for folder in path.split(os.pathsep) if os.sep not in name else ():
        try:
            known.update(os.listdir(folder or "."))
        except OSError:
            pass
    near = [word for word in get_close_matches(name, sorted(known), n=3, cutoff=0.75) if which(word, path)]
    return f"; did you mean {near[0]}?" if near else ""


def _refusal(name: str, number: int) -> LaunchError:
    """Return the error for a command that exec has refused."""
    if number == errno.ENOEXEC:
        return _error(f"{name}: neither a program nor a script with #! in its first line", 126, code="not-executable")
    if number == errno.ENOENT:
        return _error(f"{name}: its interpreter (#! line) does not exist", 127, code="no-such-command")
    return _error(f"{name}: {os.strerror(number)}", 126, code="not-executable")


def _error(message: str, exit_code: int, *, code: str = "") -> LaunchError:
    from hookmon.core.errors import LaunchError  # a module that a program need not wait for

    return LaunchError(message, exit_code, code=code)


def _become(
    path: str,
    command: list[str],
    environment: Mapping[str, str],
    inherited: signals.Inherited,
    launcher: int,
    may_go: int,
    failed: int,
) -> NoReturn:
    """Turn a forked child into the program, as soon as it may go. What exec says is told as its errno."""
    try:
        if os.read(may_go, 1):  # empty: the launcher is gone, and nothing was started yet
            own = _readdress(environment, launcher)
            inherited.restore()
            os.execve(path, command, own)
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    finally:
        os._exit(127)


def _readdress(environment: Mapping[str, str], launcher: int) -> dict[str, str]:
    """Return the environment in which this process stands where the launcher stood, as after an exec in its place."""
    result = dict(environment)
    own = [name for name in _ADDRESSEES if result.get(name) == str(launcher)]
    result.update(dict.fromkeys(own, str(os.getpid())))
    if "LISTEN_PID" in own and result.pop("LISTEN_PIDFDID", "") and hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(os.getpid())
            result["LISTEN_PIDFDID"] = str(os.fstat(descriptor).st_ino)  # since systemd 258; without it LISTEN_PID is enough
        except OSError:
            pass
    return result


class _Program:
    """The program as its parent sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.stopped_by = 0  # the signal; 0 when it runs
        self.has_ended = False
        self._has_news_of_a_stop = False
        self._woken: signals.Arrival | None = None  # what has let the launcher go on, which was stopped
        self._next_look_ns = 0

    def take(self, wait_s: float) -> signals.Arrival:
        """Wait so long for a signal and pass it on; return it."""
        arrival = self._woken or signals.next_arrival(wait_s)
        if arrival.number == signal.SIGCONT:
            signals.settle()
        news = self.notice()
        # The program has got a SIGCONT, too, if it goes on. If it has stopped again since: what is stopped has no news.
        is_done = arrival.number == signal.SIGCONT and (news == os.CLD_CONTINUED or bool(self._woken and news))
        self._woken = None
        if arrival.sender != self.pid and arrival.is_for_program and not is_done:
            signals.send(self.pid, arrival.number)
        self.has_ended = self.look_for_end()
        self._has_news_of_a_stop = news == os.CLD_STOPPED or (self._has_news_of_a_stop and not news)
        return arrival

    def look(self) -> None:
        """Pass on the signals that have come, unless that was done just now. Within a tick: the launcher does not stop there."""
        now_ns = time.monotonic_ns()
        if now_ns < self._next_look_ns:
            return
        while not self.has_ended and self.take(0).number:
            pass
        self._next_look_ns = now_ns + _LOOK_NS

    def stop_with_it(self) -> None:
        """Stop if the program has, as soon as nothing of ours is half done."""
        if self._has_news_of_a_stop:
            self._has_news_of_a_stop = False
            signals.settle()
            self.notice()
            if self.stopped_by:
                self._woken = signals.stop_by(self.stopped_by, self.pid)

    def notice(self) -> int:
        """Take notice of stops and of going on; return the si_code of the last one that is new, 0 for none."""
        news = 0
        while True:
            try:
                change = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
            except ChildProcessError:  # it has ended
                change = None
            if change is None:
                return news
            news = change.si_code
            self.stopped_by = change.si_status if news == os.CLD_STOPPED else 0
            if news == os.CLD_CONTINUED:
                signals.drop_continue()

    def look_for_end(self) -> bool:
        """Say whether it has ended. Other children, which PID 1 inherits, are reaped."""
        while True:
            state = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if state is None or state.si_pid == self.pid:
                return state is not None
            os.waitpid(state.si_pid, 0)


def wait(
    pid: int,
    tick: Callable[[Callable[[], None]], float],
    ended: Callable[[], None],
    spent: Callable[[Any], None] = lambda _: None,
) -> int:
    """Wait for the program and return its exit code, -N when signal N killed it.

    `tick` does what is due and returns the seconds until there is something again. It calls the function that it is given again
    and again, which passes on the signals that have come meanwhile.
    `ended` is called when it has ended and can still be looked at, `spent` with the rusage of it and of all that it had waited
    for. Stops when the program stops.
    """
    signals.hold_stops()
    program = _Program(pid)
    try:
        while True:
            wait_s = tick(program.look)
            if not program.has_ended:
                program.stop_with_it()
                program.take(wait_s)
            if program.has_ended:
                ended()
                _, status, usage = os.wait4(pid, 0)
                spent(usage)
                return os.waitstatus_to_exitcode(status)
            program.stop_with_it()
    except ChildProcessError:
        raise _error("somebody else waited for the program; its exit code is lost", 125, code="exit-code-lost") from None
