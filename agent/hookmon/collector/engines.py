"""Compiled engines that `hookmon engine build` has made: where they lie, which there are, and which may be loaded.

In: the user's cache folder and the C sources that hookmon has with it. Out: rows, and the file of the run folder from which the
probe knows them. Runs on the launcher's side.

A folder is of one version of hookmon and one state of its sources, a file in it of one kind of interpreter, told by how its
extension modules end (".cpython-312-x86_64-linux-gnu.so"). Beside each engine lies a note of what it is. A checksum tells a file
that was cut off or changed. Against malice there are the owner and the rights of folder and file: others cannot write there.
"""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import suppress
from pathlib import Path

from hookmon import __version__
from hookmon.collector import places
from hookmon.core import plan
from hookmon.core.record import Record

PROBE = Path(__file__).resolve().parents[1] / "probe"
"""Where the engines lie that were installed with hookmon, and the C sources."""

STEM = "_engine"
_NOTE = ".built"
_LARGEST_NOTE = 16_384
_HEAD = "hookmon engine 1"
_OTHERS_MAY_WRITE = 0o022


class Engine(Record, frozen=True):
    """One built engine. `problem` says why it is not loaded, "" where it is. What a damaged note does not tell is empty."""

    path: Path
    suffix: str  # how the extension modules of its interpreters end
    hookmon: str = ""
    python: str = ""  # version of the interpreter that it was built with
    interpreter: str = ""  # path of that
    size_bytes: int = 0
    problem: str = ""


def folder() -> Path:
    """Return the folder of all built engines; it need not be there."""
    return places.cache() / "engines"


def current_folder() -> Path:
    """Return the folder of the engines of this hookmon. Raises OSError where its sources cannot be read."""
    return folder() / _key()


def sources() -> list[Path]:
    """Return the C sources that hookmon has with it: those that are compiled, and what they include."""
    return [*units(), *sorted((PROBE / "c").glob("*.h"))]


def units() -> list[Path]:
    """Return the C sources that are compiled: the engine of the first interpreter of a process, and that of the others."""
    return [PROBE / f"{STEM}.c", PROBE / f"{STEM}_others.c"]


def _key() -> str:
    """Return what tells this hookmon from others: its version, and checksum and length of its sources."""
    checksum = length = 0
    for path in sources():
        content = path.read_bytes()
        checksum = zlib.crc32(content, checksum)
        length += len(content)
    return f"{__version__}-{checksum:08x}-{length}"


def shipped() -> list[str]:
    """Return the endings of the engines that were installed with hookmon."""
    return sorted(path.name.removeprefix(STEM) for path in PROBE.glob(f"{STEM}.*.so"))


def built() -> list[Engine]:
    """Return all engines in the cache, those of other hookmons and damaged ones as well, in the order of their paths."""
    try:
        folders = sorted(entry.path for entry in os.scandir(folder()))
    except OSError:
        return []  # nothing was ever built
    problem = _foreign(folder(), is_folder=True)
    current = ""
    with suppress(OSError):
        current = str(current_folder())
    found = []
    for path in folders:
        own = problem or _foreign(Path(path), is_folder=True)
        own = own or ("" if path == current else "it was built from the sources of another hookmon")
        try:
            names = sorted(os.listdir(path))
        except OSError:
            continue  # no folder, or one that is closed to us
        found += [_look(Path(path, name), own) for name in names if name.startswith(f"{STEM}.") and not name.endswith(_NOTE)]
    return found


def for_probe() -> dict[str, tuple[str, int, str]]:
    """Return what the probe is told of the engines in the cache: {ending: (path, size in bytes, why it is refused, or "")}.

    Of several of one ending the one that can be loaded counts, else the last one.
    """
    found: dict[str, tuple[str, int, str]] = {}
    for engine in sorted(built(), key=lambda engine: not engine.problem):
        found[engine.suffix] = (str(engine.path), engine.size_bytes, engine.problem and f"{engine.path}: {engine.problem}")
    return found


def file_for_probe() -> bytes:
    """Return the file of the run folder that tells the probe of the engines in the cache; b"" where nothing was built."""
    found = for_probe()
    return plan.encode(found) if found else b""


def write_note(path: Path, python: str, interpreter: str) -> None:
    """Write beside an engine what it is. Raises OSError."""
    content = path.read_bytes()
    lines = (_HEAD, __version__, python, str(len(content)), f"{zlib.crc32(content):08x}", interpreter)
    note = Path(f"{path}{_NOTE}")
    fresh = note.with_name(f".{note.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write("\n".join(lines).encode("utf-8", "surrogateescape"))
    fresh.replace(note)


def remove(engine: Engine) -> None:
    """Delete an engine with its note, and its folder where that is empty then. Raises OSError where the engine stays."""
    engine.path.unlink()
    Path(f"{engine.path}{_NOTE}").unlink(missing_ok=True)
    with suppress(OSError):
        engine.path.parent.rmdir()


def _look(path: Path, problem: str) -> Engine:
    """Return what a file of the cache is; `problem` is one of its folder."""
    suffix = path.name.removeprefix(STEM)
    problem = problem or _foreign(path, is_folder=False)
    try:
        with open(os.open(f"{path}{_NOTE}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            lines = file.read(_LARGEST_NOTE).decode("utf-8", "surrogateescape").split("\n", 5)
        head, version, python, size, checksum, interpreter = lines
        size_bytes = int(size)
    except (OSError, ValueError):
        return Engine(path, suffix, problem=problem or "it is damaged: the note beside it is missing, or is none")
    if head != _HEAD:
        problem = problem or "the note beside it is of another hookmon"
    if not problem:
        try:
            content = path.read_bytes()
        except OSError as error:
            problem = f"it cannot be read: {error.strerror}"
        else:
            if len(content) != size_bytes or f"{zlib.crc32(content):08x}" != checksum:
                problem = "it is damaged: it is not what was built"
    return Engine(path, suffix, version, python, interpreter, size_bytes, problem)


def _foreign(path: Path, *, is_folder: bool) -> str:
    """Return why a file or folder cannot be trusted, "" where it is this user's own and only this user may write to it."""
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    kind, is_kind = ("folder", stat.S_ISDIR) if is_folder else ("file", stat.S_ISREG)
    if not is_kind(status.st_mode):
        return f"it is no {kind}" if not is_folder else f"{path} is no folder"
    what = f"its folder {path}" if is_folder else "it"
    if status.st_uid != os.geteuid():
        return f"{what} belongs to another user"
    return f"others may write to {what}" if status.st_mode & _OTHERS_MAY_WRITE else ""
