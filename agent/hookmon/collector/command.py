"""What a command really starts: the interpreter behind a script, a shim or `env`.

In: a command as it would be typed. Out: a Resolved, or the reason why no Python would be started. Looks at files only, but for
a shim of pyenv, which pyenv itself is asked about. Runs on the launcher's side.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping

from hookmon.collector.unwatched import is_python, split_options
from hookmon.core.record import Record, field

_MOST_STEPS = 10
_HEAD_BYTES = 4096
_PYENV_TIMEOUT_S = 10
_PASS_ON = ("nohup", "setsid", "time")
"""Commands that start the rest of their line as it is."""

_SH_TRICK = re.compile(rb"^'''exec' (?P<python>\"[^\"]+\"|\S+) \"\$0\" \"\$@\"", re.MULTILINE)
"""What pip writes into a console script when the path of its interpreter is too long for a first line."""


class Resolved(Record):
    """A command as it ends up. `interpreter` is a Python with its own options, [] when `reason` says why there is none.

    `trail` are the files on the way, `arguments` what the interpreter is given to do. `is_other`: the command is there and is no
    Python, so what it starts is not known.
    """

    interpreter: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)
    reason: str = ""
    is_other: bool = False


def resolve(command: list[str], environment: Mapping[str, str]) -> Resolved:
    """Follow a command to its interpreter."""
    found = Resolved()
    rest = list(command)
    for _ in range(_MOST_STEPS):
        path = shutil.which(rest[0], path=environment.get("PATH")) if rest else None
        if path is None:
            found.reason = f"{rest[0]}: there is no such command" if rest else "no command follows"
            return found
        found.trail.append(path)
        head = _head(path)
        name = os.path.basename(path)
        if head.startswith(b"#!") and b"pyenv" in head and f"{os.sep}shims{os.sep}" in path:
            real = _behind_shim(name, environment)
            if not real:
                found.reason = f"{path} is a shim of pyenv, and pyenv knows no {name} for this folder"
                return found
            rest = [real, *rest[1:]]
        elif head.startswith(b"#!"):
            rest = _shebang(head, path) + rest[1:]
        elif is_python(name):
            found.interpreter, found.arguments, _ = split_options([path, *rest[1:]])
            return found
        elif name == "env":
            rest, found.reason = _after_env(rest[1:])
            if found.reason:
                return found
        elif name in _PASS_ON and len(rest) > 1:
            rest = rest[1:]
        else:
            what = "a shell script" if name in ("sh", "bash", "dash", "zsh", "fish", "ksh") else "no Python program"
            found.reason = f"{found.trail[max(0, len(found.trail) - 2)] if what == 'a shell script' else name} is {what}"
            found.is_other = True
            return found
    found.reason = "it leads in circles"
    return found


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _behind_shim(name: str, environment: Mapping[str, str]) -> str:
    """Return what pyenv would start for a shim, "" when it knows nothing."""
    pyenv = shutil.which("pyenv", path=environment.get("PATH"))
    if pyenv is None:
        return ""
    try:
        done = subprocess.run(
            [pyenv, "which", name], env=dict(environment), capture_output=True, text=True, timeout=_PYENV_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _shebang(head: bytes, path: str) -> list[str]:
    """Return the command in a first line: Linux gives everything behind the interpreter as one argument."""
    trick = _SH_TRICK.search(head)
    if trick:
        return [os.fsdecode(trick["python"]).strip('"'), path]
    line = os.fsdecode(head[2:].split(b"\n", 1)[0]).strip()
    interpreter, _, argument = line.partition(" ")
    return [interpreter, *([argument.strip()] if argument.strip() else []), path]


def _after_env(arguments: list[str]) -> tuple[list[str], str]:
    """Return the command that `env` would start, or why it would not be watched."""
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("-i", "-", "--ignore-environment"):
            return [], "env -i clears the environment, and with it what brings hookmon in"
        if word in ("-u", "--unset", "-C", "--chdir"):
            unset = rest.pop(0) if rest else ""
            if word in ("-u", "--unset") and unset in ("PYTHONPATH", "HOOKMON_RUN", "HOOKMON_AGENT"):
                return [], f"env takes {unset} away, which brings hookmon in"
        elif word.startswith(("-S", "--split-string")):
            text = word.removeprefix("--split-string").removeprefix("-S").removeprefix("=")
            rest = shlex.split(text or (rest.pop(0) if rest else "")) + rest
        elif word.startswith("-"):
            continue
        elif "=" in word:
            if word.startswith("PYTHONPATH="):
                return [], "env sets PYTHONPATH anew, which brings hookmon in"
        else:
            return [word, *rest], ""
    return [], "env starts nothing"
