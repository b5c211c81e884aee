"""The run folder: where plan, notes and shards of a run lie while it lasts, whose it is, and whether its launcher lives.

In: the path of a folder, from our own hands, from a listing or out of a run file, which may say anything. Out: what may be done
with it. Runs on the launcher's side only. A launcher holds a lock (flock) on a file in its folder until it ends, however it ends:
who can take that lock knows that the launcher is gone, in every namespace and whatever pids and clocks say. The file also says
which run the folder belongs to. Nothing is deleted but what has such a file and is ours by owner, mode and place.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hookmon.collector import new_folder, places
from hookmon.collector.new_folder import FOLDER_FLAGS, LOCK_FILE_NAME, is_own_folder, mount_namespace
from hookmon.collector.new_folder import PREFIX as PREFIX
from hookmon.collector.new_folder import pid_namespace as pid_namespace
from hookmon.core import attachment, layout, plan
from hookmon.core.record import Record, asdict, replace

SURVIVORS_FILE_NAME = "survivors.sqlite"
"""A run file of all that is final, where processes outlive their launcher: what it left out is in their shards."""

UNKEPT_FILE_NAME = "run.sqlite"
"""The run file of a run that cannot be kept."""

SWITCHED_NAME = "switched"
"""When the run was off for what: see collector.switches."""

ADDITIONS_NAME = "additions"
"""What was added to the plan while the run went on: see collector.additions."""

SAMPLES_SUFFIX = ".samples"
"""What the names of a sampler's files end with."""

_LARGEST_NOTE = 16_384
_DELETED = frozenset(
    name + more
    for name in (
        plan.FILE_NAME,
        plan.ENGINES_FILE_NAME,
        plan.MODULES_FILE_NAME,
        layout.CONTROL_NAME,
        SWITCHED_NAME,
        ADDITIONS_NAME,
        LOCK_FILE_NAME,
        SURVIVORS_FILE_NAME,
        UNKEPT_FILE_NAME,
    )
    for more in ("", "-journal", ".new")
)
_DELETED_SUFFIXES = (
    layout.BIRTH_SUFFIX,
    layout.SHARD_SUFFIX,
    plan.ADDITION_SUFFIX,
    attachment.SCRIPT_SUFFIX,
    attachment.ANSWER_SUFFIX,
    attachment.UNFINISHED_SUFFIX,
    SAMPLES_SUFFIX,
)
_TICK_NS = 50_000_000  # of the clock that file systems take times from, or longer
_YOUNG_S = 60  # between its making and its lock a folder cannot be told from one that was left behind


class Note(Record, frozen=True):
    """What a launcher writes into its lock. `run_file` is "" until there is one, which is before the program starts."""

    folder: str
    key: str  # also in the run file: which of the two belongs to which
    pids: str  # the namespace that pids of the run are from
    mounts: str  # the one that `run_file` is from
    run_file: str = ""


_held: dict[Path, tuple[int, Note]] = {}
"""The locks of this process, until it ends."""


def make(place: Path) -> Path:
    """Make a run folder and take its lock. Raises OSError, and leaves nothing, where that cannot be done.

    A place that the environment names is made as well: a folder of a volume, say.
    """
    if place == places.named():
        place.mkdir(parents=True, exist_ok=True)
    made = new_folder.make(str(place))
    adopt(made)
    return Path(made.path)


def adopt(made: new_folder.NewFolder) -> None:
    """Take over a folder that was just made in this process."""
    with suppress(ValueError):
        _held[Path(made.path)] = made.lock, Note(**json.loads(os.pread(made.lock, _LARGEST_NOTE, 0)))


def key(folder: Path) -> str:
    """Return the key of a folder that this process has made."""
    return _held[folder][1].key


def name_run_file(folder: Path, run_file: Path) -> None:
    """Say which run file the shards of a folder belong to. Raises OSError."""
    descriptor, note = _held[folder]
    _held[folder] = descriptor, replace(note, run_file=os.path.abspath(run_file))
    _write_note(folder)


def _write_note(folder: Path) -> None:
    descriptor, note = _held[folder]
    content = json.dumps(asdict(note)).encode() + b"\n"  # never shorter than the one before
    if os.pwrite(descriptor, content, 0) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def remove(folder: Path) -> None:
    """Delete a run folder that this process holds, with what hookmon puts into one; anything else in it stays, and keeps it."""
    if folder not in _held:
        return
    descriptor, _ = _held.pop(folder)
    with suppress(OSError):
        opened = os.open(folder, FOLDER_FLAGS)
        try:
            if is_own_folder(os.fstat(opened)):
                _empty(opened)
        finally:
            os.close(opened)
        os.rmdir(folder)
    os.close(descriptor)


def _empty(opened: int) -> None:
    """Delete from an open run folder what hookmon puts into one, the drop with the shards in it included."""
    for name in os.listdir(opened):
        if name in _DELETED or name.endswith(_DELETED_SUFFIXES):
            with suppress(OSError):  # a folder of that name
                os.unlink(name, dir_fd=opened)
    with suppress(OSError):  # there is one where root has started the run
        drop = os.open(layout.DROP_NAME, FOLDER_FLAGS, dir_fd=opened)
        try:
            for name in os.listdir(drop):
                if name.endswith(layout.SHARD_SUFFIX):
                    with suppress(OSError):
                        os.unlink(name, dir_fd=drop)
        finally:
            os.close(drop)
        os.rmdir(layout.DROP_NAME, dir_fd=opened)


def launcher_lives(folder: Path, key: str) -> bool | None:
    """Say whether the launcher of a run lives; None where that cannot be told: the folder is gone, another's, or has no lock."""
    with suppress(OSError, ValueError):
        descriptor, note = _open_lock(folder)
        try:
            if note.key == key:
                return not _take(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
    return None


@contextmanager
def claim(folder: Path, key: str | None) -> Iterator[Note | None]:
    """Hold the folder of a launcher that is gone, and give its note; None where it lives, or the folder is not ours to delete.

    With a key, it has to be the folder of that run.
    """
    note = None
    if folder.parent in places.for_run_folders() and folder.name.startswith(PREFIX) and folder not in _held:
        with suppress(OSError, ValueError):
            descriptor, found = _open_lock(folder)
            if key in (None, found.key) and _take(descriptor, fcntl.LOCK_EX):
                _held[folder] = descriptor, note = descriptor, found
            else:
                os.close(descriptor)
    try:
        yield note
    finally:
        if note is not None and folder in _held:
            os.close(_held.pop(folder)[0])


def let_go(folder: Path) -> None:
    """Hold a folder no more, and leave it as it is: its run goes on without us."""
    if folder in _held:
        os.close(_held.pop(folder)[0])


def is_readable(folder: Path, key: str) -> bool:
    """Say whether a folder is the run folder of a run, as far as one may look into it.

    It is ours, and the note in its lock names the run. One of an older hookmon has no lock; none is ever deleted without.
    """
    try:
        if not folder.name.startswith(PREFIX) or not is_own_folder(os.lstat(folder)):
            return False
        if not os.path.lexists(folder / LOCK_FILE_NAME):
            return True
        descriptor, note = _open_lock(folder)
        os.close(descriptor)
    except (OSError, ValueError):
        return False
    return note.key == key


def note_of(folder: Path) -> Note | None:
    """Return what a launcher has written into the lock of a folder of ours, None where there is none."""
    with suppress(OSError, ValueError):
        descriptor, note = _open_lock(folder)
        os.close(descriptor)
        return note
    return None


def shares_pids(folder: Path, pids: str = "") -> bool:
    """Say whether the pids of a run mean the same processes here, as far as its folder tells; without one, `pids` of the run."""
    note = note_of(folder)
    return (pids if note is None else note.pids) in ("", pid_namespace())


def _open_lock(folder: Path) -> tuple[int, Note]:
    """Open the lock of a folder of ours and read its note. Raises OSError or ValueError where it is not ours, or damaged."""
    opened = os.open(folder, FOLDER_FLAGS)
    try:
        if not is_own_folder(os.fstat(opened)):
            raise PermissionError(f"{folder} belongs to somebody else, or is open to others")
        descriptor = os.open(LOCK_FILE_NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=opened)
    finally:
        os.close(opened)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{folder}: its lock belongs to somebody else")
        try:
            note = Note(**json.loads(os.pread(descriptor, _LARGEST_NOTE, 0)))
        except (TypeError, RecursionError) as error:
            raise ValueError("no note of a launcher") from error
        if not all(isinstance(value, str) for value in vars(note).values()):
            raise ValueError("no note of a launcher")
        if note.folder != str(folder):
            raise ValueError("a copy of another folder")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, note


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def find_left_behind(young_s: float = _YOUNG_S) -> list[Path]:
    """Return the folders in all places that may be run folders of ours which nobody has deleted, but for young ones."""
    found = []
    for place in places.for_run_folders():
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX):
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if is_own_folder(status) and time.time() - status.st_mtime > young_s:
                            found.append(Path(entry.path))
    return found


def files_of(folder: Path) -> list[str]:
    """Return the names of all files in a run folder, those in its drop as `drop/NAME`. Raises OSError when it is not there."""
    names = os.listdir(folder)
    with suppress(OSError):
        names += [f"{layout.DROP_NAME}/{name}" for name in os.listdir(folder / layout.DROP_NAME)]
    return sorted(names)


class Listing:
    """The names of all files in a run folder, read again where some may have come or gone."""

    def __init__(self, folder: Path) -> None:
        self._folders = folder, folder / layout.DROP_NAME
        self._names: list[str] = []
        self._state: tuple[int, ...] = ()  # () for one of which it is not certain that it will be another after a change

    def names(self) -> list[str]:
        """Return the names as `files_of` does, the same list as long as nothing has changed. Raises OSError as that does."""
        state = tuple(map(_changed_ns, self._folders))
        if not state[0] or state != self._state:
            now_ns = time.time_ns()  # before it is read: what comes later says nothing of then
            is_certain = all(now_ns - changed_ns > _TICK_NS for changed_ns in state)
            self._names = files_of(self._folders[0])
            self._state = state if is_certain else ()
        return self._names


def _changed_ns(folder: Path) -> int:
    """Return when a folder was changed last, 0 where there is none."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def shares_mounts(note: Note) -> bool:
    """Say whether the path of a note's run file means the same file here."""
    return note.mounts == mount_namespace()
