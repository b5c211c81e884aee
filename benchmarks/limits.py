"""Nothing here waits for ever: a command, a server and an answer have a limit, and what goes beyond it is ended and named."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

PROGRAM_S = 300
"""How long one measured program may take, in seconds: the longest, of `benchmarks.shares`, takes a tenth of it."""

STOP_S = 20
"""How long a program may take to end once it was asked to."""


class Unavailable(SystemExit):
    """Something cannot be measured; the text says why. Where nobody goes on with the rest, it is the last word of the command."""


def need(*modules: str) -> None:
    """Raise Unavailable when one of these modules is not installed here."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise Unavailable(f"not installed here: {', '.join(missing)} (pip install {' '.join(missing)})")


def run(command: Sequence[str], limit_s: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return it with its output, as text; `options` are those of `subprocess.Popen`.

    Raises Unavailable when it has not ended after `limit_s` seconds; it is killed then, with all that it has started.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, errors="replace", start_new_session=True, **pipes, **options) as process:
        try:
            output, errors = process.communicate(timeout=limit_s)
        except BaseException as error:  # an interrupt, too: it is not the command's, which has a session of its own
            kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Unavailable(f"not at its end after {limit_s:.0f} s: {' '.join(command)}") from None
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def check(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command has printed. Raises Unavailable when it has failed, with the last line that it wrote about that."""
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.strip().splitlines()
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")] or lines
    raise Unavailable(f"exit code {done.returncode} of {' '.join(done.args)}" + (f": {told[-1]}" if told else ""))


def stop(process: subprocess.Popen[Any]) -> None:
    """End a program that has a session of its own: it is asked at first, and killed with all that it has started then."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pass
    kill(process)


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a program and all of its session that is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
