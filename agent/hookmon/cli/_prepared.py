"""What `hookmon run` needs of a configuration before its program starts, kept from one run to the next: one file to be read.

In: the words of the command line that choose a configuration, and the working folder. Out: an entry, or None where there is none
that holds. Runs in the launcher, imports built-in modules only. An entry holds as long as all that the configuration came from is
as it was: `hookmon.core.consulted`. One that is damaged, of another user or out of date is none, and is made anew by the run
that has missed it: `_preparing`.

An entry is {"key": str, "states" and "there": see Consulted, "machine": list of str as `machine` has it, "project": folder,
"redact": the setting, "bootstrap" and "agent": folders, "modules", "engines" and "control": bytes, "plan": what plan.encode_rest
made, "run_file": that of a run in which nothing was recorded, "places": where it has blanks (`short_run`), "process": a row of a
process by column, "left_out": blind spots, "is_settled": whether there is no more to say when nothing was recorded, "written_s":
the time that its file has}. Plan and run file are most of it, and nobody reads them here: of a file they are copied to another.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import time

from hookmon import __version__
from hookmon.collector import new_folder, where
from hookmon.core import consulted

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_ENTRIES = 40
_FORMAT = 3
_MAGIC = b"hookmon-prepared %d " % _FORMAT
_LARGEST_BYTES = 64 * 1024 * 1024
_FIRST_BYTES = 32 * 1024  # mostly all but the parts
_PARTS = ("plan", "run_file")
_SUFFIX = ".prepared"
_PAST_S = 2  # the time of a file that is written into is another one, also where only each second second has one
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
    return os.path.join(where.cache(), "prepared", digest(key) + _SUFFIX)


def digest(text: str) -> str:
    """Return what tells a text from others, as the name of a file."""
    return f"{int.from_bytes(_hash(text.encode('utf-8', 'surrogatepass')), 'little'):016x}"


def read(key: str) -> dict[str, Any] | None:
    """Return the entry of a key, its parts as such of its file; None where there is none, or it does not hold any more."""
    try:
        descriptor = open_private(path_of(key))
    except (OSError, ValueError):
        return None
    try:
        entry = _decode(descriptor)
        if entry["key"] == key and entry["machine"] == machine() and not consulted.have_changed(entry["states"], entry["there"]):
            return entry
    except (OSError, ValueError, EOFError, TypeError, KeyError):
        pass
    os.close(descriptor)
    return None


def _decode(descriptor: int) -> dict[str, Any]:
    """Return the entry in a file. Whoever has written into it since has changed its time. Raises as marshal does."""
    content = os.read(descriptor, _FIRST_BYTES)
    head, newline, body = content.partition(b"\n")
    size = int(head[-8:], 16)
    if len(body) < size:
        body += os.read(descriptor, size - len(body))
    body = body[:size]
    if not newline or head != _head(body):
        raise ValueError("not an entry, or damaged")
    entry: dict[str, Any] = marshal.loads(body)
    at, status = len(head) + 1 + size, os.fstat(descriptor)
    for name in _PARTS:
        entry[name] = new_folder.Part(descriptor, at, entry[name])
        at += entry[name].size
    if at != status.st_size or status.st_mtime_ns != entry["written_s"] * 1_000_000_000:
        raise ValueError("it was changed")
    return entry


def write(entry: Mapping[str, Any]) -> None:
    """Keep an entry, and of all only the newest. Raises OSError."""
    path = path_of(entry["key"])
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o700, exist_ok=True)
    if not new_folder.is_own_folder(os.lstat(folder)):
        raise PermissionError(f"{folder} belongs to somebody else, or is open to others")
    written_s = int(time.time()) - _PAST_S
    parts = [entry[name] for name in _PARTS]
    body = marshal.dumps({**entry, **{name: len(entry[name]) for name in _PARTS}, "written_s": written_s})
    replace(path, [_head(body), b"\n", body, *parts], written_s)
    _drop_oldest(folder)


def replace(path: str, content: list[bytes], written_s: int | None = None) -> None:
    """Put a private file in the place of another, with a time where one is given. Raises OSError, and leaves the other one."""
    fresh = f"{path}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(b"".join(content))
        if written_s is not None:
            os.utime(fresh, (written_s, written_s))
        os.replace(fresh, path)
    except OSError:
        os.unlink(fresh)
        raise


def _drop_oldest(folder: str) -> None:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
    for entry in entries[:-MOST_ENTRIES]:
        os.unlink(entry.path)


def open_private(path: str) -> int:
    """Return the descriptor of a file that only this user can have written. Raises OSError, ValueError for any other."""
    descriptor = os.open(path, _READ_FLAGS)
    status = os.fstat(descriptor)
    is_file = status.st_mode & 0o170000 == 0o100000
    if not is_file or status.st_uid != os.geteuid() or status.st_mode & 0o077 or status.st_size > _LARGEST_BYTES:
        os.close(descriptor)
        raise ValueError("not a file of ours")
    return descriptor


def _head(body: bytes) -> bytes:
    return _MAGIC + _hash(body).hex().encode() + b" %08x" % len(body)


def _hash(content: bytes) -> bytes:
    return _imp.source_hash(_FORMAT, content)
