"""The signals of the launcher: which are kept back and passed on, and how the launcher stops and ends as its program did.

To whoever started it the launcher stands for the program. What is sent to it is meant for the program, and how the program
stops, goes on and ends is what a shell, a supervisor or a terminal has to see of the launcher. Runs in the launcher, in its one
thread. The program waits until this module has been imported, so it imports built-in modules only.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator
    from typing import NoReturn
else:
    import _signal as signal  # without the enumerations that `signal` makes of its numbers, which take longer than all else

_SYNCHRONOUS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}  # our own faults
_STOPS = frozenset((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_OF_TERMINAL = _STOPS | {signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCONT, signal.SIGWINCH}
_OF_LEADER = frozenset((signal.SIGHUP, signal.SIGCONT))  # a hang-up reaches nobody but the leader of the session
_OF_OUR_OWN = frozenset((signal.SIGPIPE, signal.SIGXFSZ, signal.SIGXCPU))  # the kernel's answer to what the launcher itself does
_HARMLESS = frozenset((signal.SIGCONT, signal.SIGURG, signal.SIGWINCH))  # what nobody handles does nothing
_PASSED_ON = frozenset(signal.valid_signals()) - _SYNCHRONOUS - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
_HELD = _PASSED_ON - _STOPS | {signal.SIGCHLD}
OF_INIT = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)
"""What ends a process that does not care, but for PID 1, to whom the kernel does not give it: see cli/main."""

_SENT_BY_KERNEL = 0x80  # SI_KERNEL in Linux's siginfo.h: keys, hang-up and timers
_LONGEST_S = 0.1  # where a signal cannot be waited for
_WAKE_S = 0.05


class Inherited:
    """What the launcher's signals were when it was started, and what the program's are to be."""

    def __init__(self, mask: Iterable[int], *, ignores_children: bool) -> None:
        self.mask = frozenset(mask)
        self.ignores_children = ignores_children

    def restore(self) -> None:
        """Give a forked child, which is to become the program, the signals that the launcher was started with.

        Python ignores SIGPIPE and SIGXFSZ for itself, and what they were before cannot be asked any more. Its own handlers go
        first: an interrupt between them and the exec has to end the process.
        """
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, *OF_INIT):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        if self.ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


class Arrival:
    """One signal. `sender` is a pid, `code` the si_code; both are 0 where the system does not tell."""

    def __init__(self, number: int, sender: int = 0, code: int = 0) -> None:
        self.number, self.sender, self.code = number, sender, code

    @property
    def is_for_program(self) -> bool:
        """Say whether the program is to get it as well.

        What the kernel sent because of a terminal has reached the whole process group, a hang-up only the session's leader.
        """
        if self.number in _OF_OUR_OWN:
            return self.code != _SENT_BY_KERNEL and self.sender != os.getpid()
        if self.number in _PASSED_ON and self.code == _SENT_BY_KERNEL and self.number in _OF_TERMINAL:
            return self.number in _OF_LEADER and os.getsid(0) == os.getpid()
        return self.number in _PASSED_ON


def hold() -> Inherited:
    """Keep signals back until `next_arrival` takes them; return what they were.

    Those that stop a process are not kept back before `hold_stops`: as long as there is no program, the launcher itself stops.
    Whoever started us may ignore SIGCHLD, and exec passes that on; the kernel would then throw the program's exit code away.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    ignores_children = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if ignores_children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return Inherited(mask, ignores_children=ignores_children)


def hold_stops() -> None:
    """Keep back what stops a process, too: from now on the launcher stops when the program does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)


def release(inherited: Inherited) -> None:
    """Let signals act on the launcher again. What was kept back was meant for a program that has ended, and is dropped."""
    for _ in _take_pending():
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, inherited.mask)


def refuse_interrupted(inherited: Inherited) -> None:
    """Raise EarlySignal for a signal that has come since `hold` and would have ended the launcher."""
    for number in sorted(signal.sigpending() & _PASSED_ON - _OF_OUR_OWN - _STOPS - _HARMLESS - inherited.mask):
        if signal.getsignal(number) != signal.SIG_IGN:
            from hookmon.core.errors import EarlySignal  # a module that a program need not wait for

            raise EarlySignal(number)


def pass_on_pending(pid: int) -> None:
    """Send a program that has not begun yet all signals that came for it before. It keeps the same ones back.

    Whatever sent them: a signal that the program has got, too, since it was forked is one with the one that we send.
    """
    for arrival in _take_pending():
        if arrival.number not in _OF_OUR_OWN or arrival.is_for_program:
            send(pid, arrival.number)


def next_arrival(wait_s: float = 0.1) -> Arrival:
    """Return the next signal, one with the number 0 when none has come for so many seconds. The end of a child is one."""
    if hasattr(signal, "sigtimedwait"):
        info = signal.sigtimedwait(_PASSED_ON | {signal.SIGCHLD}, wait_s)
        return Arrival(info.si_signo, info.si_pid, info.si_code) if info is not None else Arrival(0)
    time.sleep(min(wait_s, _LONGEST_S))  # macOS: no siginfo, so a signal from the terminal is passed on a second time
    return next(_take_pending(_PASSED_ON | {signal.SIGCHLD}), Arrival(0))


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended, or changed its user, meanwhile."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def settle() -> None:
    """Wait until a signal that is on its way to our process group has reached all of it.

    Linux sends to a group with its list of processes locked, and setpgid locks that list for itself. The group stays the same.
    """
    try:
        os.setpgid(0, os.getpgrp())
    except OSError:
        pass


def drop_continue() -> None:
    """Drop a SIGCONT that has come. It was sent to the whole group, so the program has got it, and must not get it twice."""
    settle()
    for _ in _take_pending(frozenset((signal.SIGCONT,))):
        pass


def stop_by(number: int, pid: int) -> Arrival:
    """Stop the launcher by the signal that has stopped the program; come back when somebody lets either of them go on.

    Returns the SIGCONT that somebody has sent us for that, one with the number 0 where it was the waker's: that one is for us
    alone, and would undo a stop of the program that has come since.
    Comes back at once where the kernel does not let us stop: as PID 1, or by a key where no shell could let us go on; also where
    we are to go on by now. A signal that stops a process throws away a SIGCONT that waits for it, PID 1's too.
    """
    if os.getpid() == 1 or signal.SIGCONT in signal.sigpending():
        return Arrival(0)
    waker = _start_waker(os.getpid(), pid)
    if number != signal.SIGSTOP:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    if number != signal.SIGSTOP:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    if waker:
        os.kill(waker, signal.SIGKILL)
        os.waitpid(waker, 0)
    woken = next(_take_pending(frozenset((signal.SIGCONT,))), Arrival(0))
    return Arrival(0) if waker and woken.sender == waker else woken


def _start_waker(launcher: int, pid: int) -> int:
    """Fork a process that lets the launcher go on when the program was killed, or let go on by itself; return its pid.

    A stopped launcher could not see either. The process is there only as long as the launcher is stopped, and waits until it is:
    what comes before a stop is thrown away by it. 0: no process could be made, and a shell has to let the launcher go on.
    """
    from hookmon.collector.identity import is_stopped

    try:
        waker = os.fork()
    except OSError:
        return 0
    if not waker:
        try:
            os.setpgid(0, 0)  # whoever stops the group, and lets the program alone go on, must not stop this process
            while os.getppid() == launcher and (is_stopped(pid) or not is_stopped(launcher)):
                time.sleep(_WAKE_S)
        except OSError:
            pass  # it is gone
        finally:
            if os.getppid() == launcher:
                os.kill(launcher, signal.SIGCONT)
            os._exit(0)
    try:
        os.setpgid(waker, waker)  # here, too: whichever of the two gets to run first
    except OSError:
        pass  # it is gone
    return waker


def die_by(number: int) -> NoReturn:
    """End this process by a signal, as the program ended: a shell stops its script only after a death by SIGINT.

    No second core file is written: the kernel takes a limit of 1 byte as "none", also where cores go to a program (core(5)).
    A process that the kernel does not let die of it, PID 1, ends with 128 + N, which is what shells make of it.
    """
    import resource

    for limit in (1, 0):
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (limit, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            break
        except (ValueError, OSError):
            pass
    try:
        signal.signal(number, signal.SIG_DFL)
    except (ValueError, OSError):
        pass  # SIGKILL has no handler to be reset
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    except (ValueError, OSError):
        pass
    os.kill(os.getpid(), number)
    os._exit(128 + number)


class _DefaultInterrupt:
    """The time in which Ctrl-C ends the launcher at once."""

    def __enter__(self) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def default_interrupt() -> _DefaultInterrupt:
    """Let Ctrl-C end the launcher at once, as SIGTERM does: Python's own handler waits for the end of a call of C."""
    return _DefaultInterrupt()


def _take_pending(wanted: frozenset[int] = _PASSED_ON) -> Iterator[Arrival]:
    """Take the signals that have come, one after the other."""
    while True:
        if hasattr(signal, "sigtimedwait"):
            info = signal.sigtimedwait(wanted, 0)
            if info is None:
                return
            yield Arrival(info.si_signo, info.si_pid, info.si_code)
        else:
            pending = signal.sigpending() & wanted
            if not pending:
                return
            yield Arrival(signal.sigwait(pending))
