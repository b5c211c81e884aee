"""The notes that processes with the probe leave when they begin. In: a path in the run folder. Out: a Birth. Launcher's side."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.collector.identity import Identity, exists, parse_stat
from hookmon.collector.processes import Processes, has_image, was_there
from hookmon.collector.shards import ShardReader
from hookmon.collector.watcher import Watcher
from hookmon.core import layout
from hookmon.core.arguments import mask
from hookmon.core.errors import ShardError
from hookmon.core.record import Record

_WRITTEN_BY_NOW_S = 0.2
_LARGEST = 2**62  # SQLite keeps 63 bits


class Birth(Record):
    """The note that a process with the probe left when it began."""

    identity: Identity
    parent_pid: int
    started_ns: int  # CLOCK_MONOTONIC
    status: str  # "" or why it is not watched
    python: str
    executable: str
    argv: list[str]
    image: int = 0  # what it was then: an exec makes another one of it


def read_birth(path: Path) -> Birth | None:
    """Return a birth note; None for one that is being written, and for garbage that somebody put there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            content = os.read(descriptor, 65536) if stat.S_ISREG(status.st_mode) else b"?"
        finally:
            os.close(descriptor)
        pid, _, started_ns = path.stem.partition("-")
        if not content and (time.time() - status.st_mtime > _WRITTEN_BY_NOW_S or not exists(int(pid))):
            reason = "the probe failed and could not write why: no space, or a limit"
            return Birth(Identity(0, int(pid), 0), 0, int(started_ns), reason, "", "", [])
        fields = content.decode("utf-8", "replace").split("\0")
        pid, parent_pid, started, reason, python, executable, namespace, known, *argv = fields
        found = parse_stat(known)
        identity = Identity(int(namespace or 0), int(pid), found.started if found else 0)
        image = found.image if found else 0
        if max(int(pid), int(parent_pid), int(started)) > _LARGEST:
            return None
        return Birth(identity, int(parent_pid), int(started), reason, python, executable, mask(argv), image)
    except (OSError, ValueError):
        return None


class BirthNotes:
    """The birth notes of a run folder that were read and are not deleted yet: in memory each takes a page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[Birth, Watcher]] = {}  # and who left it

    def read(self, names: Iterable[str], keep: Callable[[Birth], Watcher]) -> bool:
        """Read those of these files that are new, and have each kept; say whether all could be read."""
        are_whole = True
        for name in names:
            if name.endswith(layout.BIRTH_SUFFIX) and name not in self._read:
                birth = read_birth(self._folder / name)
                if birth is not None:
                    self._read[name] = (birth, keep(birth))
                else:
                    are_whole = False
        return are_whole

    def are_old(self, is_served: bool) -> bool:
        """Say whether there are some that need not stay."""
        return any(not _is_needed(birth, watcher, is_served) for birth, watcher in self._read.values())

    def delete_old(self, is_served: bool) -> None:
        """Delete those that need not stay. The others say which processes of the folder live."""
        for name, (birth, watcher) in list(self._read.items()):
            if not _is_needed(birth, watcher, is_served):
                with suppress(OSError):
                    (self._folder / name).unlink()
                del self._read[name]


def _is_needed(birth: Birth, watcher: Watcher, is_served: bool) -> bool:
    """Say whether a note has to stay: of what lives, and of a program without a launcher, by which its forks are known.

    Of a process with several interpreters, each of which leaves one, the last is enough.
    """
    last = watcher.birth
    if last is not None and last is not birth and last.image == birth.image:
        return False
    return watcher.alive or bool(watcher.is_main and is_served)


def has_processes(folder: Path) -> bool:
    """Say whether a process of a run folder still runs. Raises OSError when there is no folder.

    It has left a note or a shard there, or has done nothing that is watched yet: a daemon whose parents have ended. That one was
    executed with the folder in its environment, or is a fork of a process whose note is there.
    """
    processes, now_ns = Processes(0, folder=str(folder)), time.monotonic_ns()
    images: set[int] = set()
    for name in run_folder.files_of(folder):
        pid, _, started_ns = name.rpartition("/")[2].partition(".")[0].partition("-")
        if not name.endswith((layout.BIRTH_SUFFIX, layout.SHARD_SUFFIX)) or not (pid.isdecimal() and started_ns.isdecimal()):
            continue
        birth = read_birth(folder / name) if name.endswith(layout.BIRTH_SUFFIX) else None
        images |= {birth.image} if birth is not None else set()
        identity = birth.identity if birth is not None else _writer(folder / name)
        if identity is None:
            if was_there(int(pid), int(started_ns)):
                return True
        else:
            watcher = processes.follow(identity, int(started_ns), now_ns)
            if watcher is not None and watcher.alive:
                return True
    processes.search(now_ns)
    return bool(processes.watchers) or has_image(images - {0})


def writers_in(folder: Path) -> set[Identity]:
    """Return the processes that have left something in a run folder which their launcher has not taken away; none without one."""
    with suppress(OSError):
        return {found for name in run_folder.files_of(folder) if (found := _writer(folder / name)) is not None}
    return set()


def _writer(path: Path) -> Identity | None:
    """Return who left a file in a run folder, None when it does not say."""
    if not path.name.endswith((layout.BIRTH_SUFFIX, layout.SHARD_SUFFIX)):
        return None
    if path.name.endswith(layout.BIRTH_SUFFIX):
        birth = read_birth(path)
        return birth.identity if birth is not None else None
    try:
        reader = ShardReader(path)
        try:
            return reader.owner().identity
        finally:
            reader.close()
    except ShardError:
        return None
