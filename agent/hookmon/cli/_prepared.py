"""What `hookmon run` needs of a configuration before its program starts, kept from one run to the next: one file to be read.

In: the words of the command line that choose a configuration, and the working folder. Out: an entry, or None where there is none
that holds. Runs in the launcher, imports built-in modules only. An entry holds as long as all that the configuration came from is
as it was: `hookmon.config.consulted`. One that is damaged, of another user or out of date is none, and is made anew by the run
that has missed it: `_preparing`.

An entry is {"key": str, "states" and "there": see Consulted, "machine": list of str as `machine` has it, "project": folder,
"redact": the setting, "bootstrap": folder, "plan": what plan.encode_rest made, "modules", "engines" and "control": bytes,
"run_file": that of a run in which nothing was recorded, "places": where it has blanks (`short_run`), "process": a row of a
process by column, "left_out": blind spots, "is_settled": whether that is all that can be said when nothing was recorded}.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys

from hookmon import __version__
from hookmon.collector import new_folder, where
from hookmon.config import consulted

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_ENTRIES = 40
_FORMAT = 1
_MAGIC = b"hookmon-prepared %d " % _FORMAT
_LARGEST_BYTES = 64 * 1024 * 1024
_SUFFIX = ".prepared"
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def key_of(given: Mapping[str, Any], folder: str) -> str:
    """Return what a configuration depends on besides files: options by name, the working folder, who reads it, and how."""
    chosen = sorted((name, value) for name, value in given.items() if value)
    return repr((_FORMAT, __version__, __file__, sys.version, os.geteuid(), sys.path, folder, chosen))


def machine() -> list[str]:
    """Return what tells a boot of a machine from others: facts of the machine are kept with an entry."""
    return [new_folder.boot_id(), os.uname().nodename, str(os.cpu_count())]


def path_of(key: str) -> str:
    """Return where the entry of a key is kept."""
    digest = int.from_bytes(_hash(key.encode("utf-8", "surrogatepass")), "little")
    return os.path.join(where.cache(), "prepared", f"{digest:016x}{_SUFFIX}")


def read(key: str) -> dict[str, Any] | None:
    """Return the entry of a key; None where there is none, or it does not hold any more."""
    try:
        content = _read_private(path_of(key))
        head, newline, body = content.partition(b"\n")
        if not newline or head != _MAGIC + _hash(body).hex().encode():
            return None
        entry: dict[str, Any] = marshal.loads(body)
        if entry["key"] != key or entry["machine"] != machine():
            return None
        return None if consulted.have_changed(entry["states"], entry["there"]) else entry
    except (OSError, ValueError, EOFError, TypeError, KeyError):
        return None


def write(entry: Mapping[str, Any]) -> None:
    """Keep an entry, and of all only the newest. Raises OSError."""
    path = path_of(entry["key"])
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o700, exist_ok=True)
    if not new_folder.is_own_folder(os.lstat(folder)):
        raise PermissionError(f"{folder} belongs to somebody else, or is open to others")
    body = marshal.dumps(dict(entry))
    fresh = f"{path}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(_MAGIC + _hash(body).hex().encode() + b"\n" + body)
        os.replace(fresh, path)
    except OSError:
        os.unlink(fresh)
        raise
    _drop_oldest(folder)


def _drop_oldest(folder: str) -> None:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
    for entry in entries[:-MOST_ENTRIES]:
        os.unlink(entry.path)


def _read_private(path: str) -> bytes:
    """Return the content of a file that only this user can have written. Raises OSError, ValueError for any other."""
    descriptor = os.open(path, _READ_FLAGS)
    try:
        status = os.fstat(descriptor)
        is_file = status.st_mode & 0o170000 == 0o100000
        if not is_file or status.st_uid != os.geteuid() or status.st_mode & 0o077 or status.st_size > _LARGEST_BYTES:
            raise ValueError("not a file of ours")
        return os.read(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def _hash(content: bytes) -> bytes:
    return _imp.source_hash(_FORMAT, content)
