"""The second door: files in an environment's site-packages that bring the probe in where no launcher can.

In: an environment, which may have another Python than hookmon's and no hookmon. Out: one `.pth` in its site-packages, or its
removal. Python executes the line at each start, with -I and -E too; it does nothing unless HOOKMON or HOOKMON_RUN is set. What
happens then is in the bootstrap's hookmon_door.py. Runs on the launcher's side.

CPython ignores such lines from 3.18 on, and executes entry points of `.start` files instead (PEP 829, there from 3.15 on). Those
import a module, and pkgutil, in each process; the line imports nothing. So a `.start` is written where the line is ignored.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from hookmon.core.errors import DoorError
from hookmon.core.record import Record

LINE = "hookmon-door.pth"
START = "hookmon-door.start"
ENTRY = "_hookmon_door_entry.py"
"""The module that the `.start` names."""

OLDEST = (3, 11)
LINES_IGNORED = (3, 18)
_MARK = "# hookmon enable"
"""What each of our files begins with: nothing else is replaced or removed."""

_HEAD = f"{_MARK} wrote this, hookmon disable removes it. It does nothing unless HOOKMON or HOOKMON_RUN is set.\n"
_LARGEST = 16_384
_TIMEOUT_S = 30
_SAYS = "hookmon says: "
_ASK = """
import json, sys, sysconfig
folder = sysconfig.get_path("purelib")
answer = [sys.version_info[:2], sys.implementation.name, sys.prefix, folder, folder in sys.path]
sys.stdout.write("\\n" + sys.argv[1] + json.dumps(answer))
"""

_CONDITION = 'b"HOOKMON" in posix.environ or b"HOOKMON_RUN" in posix.environ'

_ACTION = """\
import sys
sys.path.insert(0, {bootstrap})
try:
    import hookmon_door
finally:
    sys.path.remove({bootstrap})
    sys.path_importer_cache.pop({bootstrap}, None)
hookmon_door.enter({agent}, {python})
"""


class Environment(Record, frozen=True):
    """An environment of Python. `version` is (major, minor)."""

    python: str
    version: tuple[int, int]
    prefix: str
    site_packages: Path


class Door(Record, frozen=True):
    """What is there of a door. `files` are ours, `is_current`: they are those that this hookmon would write."""

    files: list[Path]
    is_current: bool


def find_environment(venv: Path | None) -> Environment:
    """Return an environment: that of hookmon itself for None, else of a folder or an interpreter.

    Raises DoorError where there is none that the probe could run in.
    """
    python = sys.executable if venv is None else _interpreter_of(venv)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOOKMON", "PYTHON"))}
    try:
        done = subprocess.run(
            [python, "-I", "-c", _ASK, _SAYS],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_TIMEOUT_S,
            check=False,
        )
        (major, minor), name, prefix, folder, is_looked_at = json.loads(done.stdout.rpartition(_SAYS)[2])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise DoorError(f"{python}: it is no Python 3.11 or newer that can be asked: {error}") from error
    if name != "cpython" or (major, minor) < OLDEST:
        raise DoorError(f"{python} is {name} {major}.{minor}, and the probe needs CPython 3.11 or newer")
    if not is_looked_at:
        raise DoorError(f"{python} does not look into its own {folder}: nothing there would be read")
    return Environment(python, (major, minor), prefix, Path(folder))


def _interpreter_of(venv: Path) -> str:
    """Return the interpreter in a folder of an environment, or the path itself where it is one. Raises DoorError."""
    if venv.is_file():
        return os.path.abspath(venv)  # not resolved: the link is what makes it the environment's
    found = next((path for name in ("python", "python3") if os.access(path := venv / "bin" / name, os.X_OK)), None)
    if found is None:
        raise DoorError(f"{venv} is no environment of Python: there is no {venv / 'bin' / 'python'}")
    return os.path.abspath(found)


def look(environment: Environment) -> Door:
    """Return what is there of a door. Raises DoorError where a file of somebody else has the name of one of ours."""
    found = {}
    for name in (LINE, START, ENTRY):
        path = environment.site_packages / name
        content = _read(path)
        if content is not None:
            found[path] = content
    return Door(list(found), found == {environment.site_packages / name: text for name, text in _files(environment).items()})


def write(environment: Environment, *, by_start: bool | None = None) -> list[Path]:
    """Write a door, in the place of one of ours; return its files. Raises DoorError where that cannot be done.

    `by_start`: by a `.start`; None: where the interpreter ignores the line.
    """
    files = _files(environment, by_start=by_start)
    left = [path for path in look(environment).files if path.name not in files]
    written = []
    for name, text in files.items():
        path = environment.site_packages / name
        beside = environment.site_packages / f".{name}.{os.getpid()}"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask: other users' programs read it
                file.write(text)
            os.replace(beside, path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise DoorError(f"{path} cannot be written: {error.strerror}") from error
        written.append(path)
    _remove(left)
    return written


def remove(environment: Environment) -> list[Path]:
    """Remove a door; return the files that were one, none where there was none. Raises DoorError where that cannot be done."""
    files = look(environment).files
    _remove(files)
    return files


def _remove(files: list[Path]) -> None:
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise DoorError(f"{path} cannot be removed: {error.strerror}") from error


def _files(environment: Environment, *, by_start: bool | None = None) -> dict[str, str]:
    """Return {name: text} of the files of a door. They are ASCII, whatever the paths are and the program's encoding is."""
    if by_start is None:
        by_start = environment.version >= LINES_IGNORED
    action = _ACTION.format(
        bootstrap=ascii(str(bootstrap_folder())), agent=ascii(str(agent_folder())), python=ascii(sys.executable)
    )
    if not by_start:
        return {LINE: f"{_HEAD}import posix; ({_CONDITION}) and exec({_quiet(action)!a}, {{}})\n"}
    entry = "\n".join(f"        {line}" for line in _quiet(action).splitlines())
    return {
        START: f"{_HEAD}{ENTRY.removesuffix('.py')}:enter\n",
        ENTRY: f"{_HEAD}import posix\n\n\ndef enter():\n    if {_CONDITION}:\n{entry}\n",
    }


def _quiet(action: str) -> str:
    """Return code that does nothing where the action cannot be done: hookmon may have been uninstalled."""
    return "try:\n" + "".join(f"    {line}\n" for line in action.splitlines()) + "except Exception:\n    pass\n"


def bootstrap_folder() -> Path:
    """Return the folder of our sitecustomize. Raises DoorError where it is missing."""
    from importlib.util import find_spec

    spec = find_spec("hookmon_bootstrap")
    if spec is None or spec.origin is None:
        raise DoorError("the folder hookmon_bootstrap is missing; install hookmon again", code="installation")
    return Path(spec.origin).parent


def agent_folder() -> Path:
    """Return the folder that hookmon is imported from."""
    return Path(__file__).resolve().parents[2]


def _read(path: Path) -> str | None:
    """Return the text of one of our files, None where there is none. Raises DoorError for a file of somebody else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DoorError(f"{path} cannot be looked at: {error.strerror}") from error
    text = ""
    if stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST:
        try:
            text = path.read_bytes().decode("ascii", "replace")
        except OSError as error:
            raise DoorError(f"{path} cannot be read: {error.strerror}") from error
    if not text.startswith(_MARK):
        raise DoorError(f"{path} is not of hookmon's making, and stays as it is")
    return text
