"""The command `hookmon`, from its start to its exit code. What it does is in `_verbs` and in the verbs.

It starts in the environment that is meant for the program: PYTHONPATH leads to the program's modules, PYTHONINSPECT asks for the
program's prompt. Only the standard library is imported before `_stand_back` has dealt with that, and of that only what every
interpreter has imported: a prompt waits for `hookmon --version`.
"""

import errno
import os
import sys

from hookmon import __version__

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import NoReturn

    from hookmon.core.errors import EarlySignal, HookmonError

_OWN_FAILURE = 125
_STDERR = 2  # its descriptor
_COMPLETION = "_HOOKMON_COMPLETE"  # where a shell asks for completions, click answers, whatever the words are

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a write to stdout fails with that nobody of ours is to blame for: it names no file."""


def main() -> None:
    """Run the command line and leave with its exit code.

    A HookmonError becomes one line on stderr for each of its problems. A closed pipe ends quietly (click sees to it). After an
    interrupt, and when a verb answers with -N, this process dies by that signal, which shells show as 128 + N. A full disk under
    stdout is one line, too; one under stderr changes nothing, least of all the exit code of a program.
    """
    if sys.platform == "win32":
        sys.stderr.write("hookmon: Windows is not supported yet\n")
        sys.exit(2)
    if sys.argv[1:] == ["--version"] and _COMPLETION not in os.environ and _print_version():
        _leave(0)
    _heed_signals()
    _fill_standard_descriptors()
    _stand_back()
    is_run = sys.argv[1:2] == ["run"] and _COMPLETION not in os.environ
    try:
        _find_own_modules(is_run)
        if is_run:
            _run_briefly()
    except KeyboardInterrupt:
        _leave(-2)  # SIGINT
    try:
        import click

        from hookmon.cli import _output
        from hookmon.cli._verbs import hookmon as verbs
        from hookmon.core.errors import EarlySignal, HookmonError, LaunchError
    except (ImportError, SyntaxError, AttributeError) as error:
        sys.stderr.write(f"hookmon: a package that it needs cannot be imported: {error} [installation]\n")
        _leave(_OWN_FAILURE)
    except KeyboardInterrupt:
        _leave(-2)
    try:
        answer: object = verbs.main(prog_name="hookmon", standalone_mode=False)
    except EarlySignal as early:
        answer = -early.number
    except HookmonError as error:
        answer = _tell(error)
    except click.ClickException as error:
        try:
            error.show()
        except OSError:
            pass
        answer = error.exit_code
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _output.tell(f"hookmon: the output cannot be written: {error.strerror} [output]")
        answer = HookmonError.exit_code
    except (click.Abort, KeyboardInterrupt):
        answer = -2
    except MemoryError:
        answer = _tell(LaunchError("it is allowed too little memory: 40 MB of addresses are enough", _OWN_FAILURE, code="memory"))
    if isinstance(answer, int) or sys.flags.inspect:
        _leave(answer if isinstance(answer, int) else 0)


def _find_own_modules(is_run: bool) -> None:
    from hookmon.cli import _own_modules

    _own_modules.install(is_run)


def _print_version() -> bool:
    """Answer `hookmon --version` without an import; say whether that was possible."""
    try:
        sys.stdout.write(f"hookmon {__version__}\n")
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # it is closed, or its disk is full: then click says so
        return False
    return True


def _run_briefly() -> None:
    """Run the program and leave, where it can be started before anything else is imported."""
    from hookmon.cli import _brief

    try:
        answer = _brief.run(sys.argv[2:])
    except _early_signal() as early:
        answer = -early.number
    except _hookmon_error() as error:
        answer = _tell(error)
    if answer is not None:
        _leave(answer)


def _early_signal() -> "type[EarlySignal]":
    """Return the class of errors that stand for a signal. It is asked for when one was raised: a program need not wait for it."""
    from hookmon.core.errors import EarlySignal

    return EarlySignal


def _hookmon_error() -> "type[HookmonError]":
    from hookmon.core.errors import HookmonError

    return HookmonError


def _tell(error: "HookmonError") -> int:
    """Write an error to stderr, a line for each of its problems; return its exit code."""
    from hookmon.cli import _output
    from hookmon.report.texts import inert

    for line, code in error.lines():
        _output.tell(f"hookmon: {inert(line)}" + (f" [{code}]" if code else ""))
    return error.exit_code


def _heed_signals() -> None:
    """End by a signal as any process does, also as the first one of a container: PID 1 gets none that it has no handler for.

    A container that is just starting, or one in which another verb runs, would have to be killed.
    """
    if os.getpid() != 1:
        return
    import signal

    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):  # collector.signals.OF_INIT, which is not imported yet
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))


def _fill_standard_descriptors() -> None:
    """Occupy what is closed of 0 to 2, in this process only.

    SQLite does it otherwise, by descriptors that the program would inherit: one for reading in the place of its stdout.
    """
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            pass
        os.close(descriptor)
    except OSError:
        pass


def _stand_back() -> None:
    """Keep the program's settings of Python away from hookmon itself: the modules that they bring, and the warnings.

    The entries of PYTHONPATH and the working folder move to the end of sys.path, unless hookmon itself is there.
    """
    try:
        os.getcwd()
    except OSError:
        return  # it was deleted, and nothing can be found from there
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    foreign = {os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)} - {own}
    behind = [entry for entry in sys.path if os.path.abspath(entry) in foreign]
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) not in foreign] + behind
    if sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")


def _leave(code: int) -> "NoReturn":
    """Flush the streams, and end with an exit code, or by a signal.

    The interpreter does not finalize: after the run of a short program that would take a 20th of all of hookmon's time, and
    with PYTHONINSPECT it would open a prompt.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # it was closed before our start, or its reader has gone
            pass
    if code < 0:
        from hookmon.collector import signals

        signals.die_by(-code)
    os._exit(code)
