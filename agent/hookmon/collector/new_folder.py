"""Makes a run folder and takes its lock: the part of `run_folder` that a program waits for. Imports built-in modules only.

In: a place. Out: the folder, its lock, and the text of the note in that. Runs in the launcher.
"""

from __future__ import annotations

import errno
import fcntl
import os

from hookmon.core import layout

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PREFIX = "hookmon-"
LOCK_FILE_NAME = "lock"
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC  # the program must not inherit the lock
_DROP_MODE = 0o1733  # anybody may make files in it, and list or delete none but their own
_ATTEMPTS = 100
_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}  # what JSON keeps as it is
_known: dict[str, str] = {}  # what the kernel has said of this process, by the file that says it
_SHORT = {0x22: '\\"', 0x5C: "\\\\", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r"}


class Part:
    """Bytes of a file that is open: they are copied to another without a look at them."""

    __slots__ = ("at", "descriptor", "size")

    def __init__(self, descriptor: int, at: int, size: int) -> None:
        self.descriptor, self.at, self.size = descriptor, at, size

    def read(self) -> bytes:
        """Return them. Raises OSError where there are less by now."""
        content = os.pread(self.descriptor, self.size, self.at)
        if len(content) < self.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return content


class NewFolder:
    """A run folder that was just made. `lock` is the descriptor that holds it, `key` is also in the run file."""

    def __init__(self, path: str, lock: int, key: str) -> None:
        self.path, self.lock, self.key = path, lock, key

    def write_note(self, run_file: str = "") -> None:
        """Say whose the folder is: see `run_folder.Note`. Raises OSError."""
        names = {"folder": self.path, "key": self.key, "pids": pid_namespace(), "mounts": mount_namespace()}
        content = to_json({**names, "run_file": run_file}).encode() + b"\n"
        if os.pwrite(self.lock, content, 0) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def write(self, name: str, *content: bytes | Part) -> None:
        """Write a file that only its user may read. Raises OSError."""
        path = os.path.join(self.path, name)
        descriptor = os.open(path, _FILE_FLAGS, 0o600)
        try:
            put(descriptor, content, path)
        finally:
            os.close(descriptor)

    def remove(self, names: tuple[str, ...]) -> None:
        """Delete the folder with these files, and what was made with it; anything else in it stays, and keeps it."""
        for name in (*names, LOCK_FILE_NAME):
            try:
                os.unlink(os.path.join(self.path, name))
            except OSError:
                pass
        for folder in (os.path.join(self.path, layout.DROP_NAME), self.path):
            try:
                os.rmdir(folder)
            except OSError:
                pass
        os.close(self.lock)


def put(descriptor: int, content: Iterable[bytes | Part], path: str) -> None:
    """Write one piece behind the other into a file that is open. Raises OSError where there is no room for all of it."""
    for piece in content:
        if isinstance(piece, bytes):
            is_whole = os.write(descriptor, piece) == len(piece)
        else:
            is_whole = os.sendfile(descriptor, piece.descriptor, piece.at, piece.size) == piece.size
        if not is_whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def make(place: str) -> NewFolder:
    """Make a run folder and take its lock. Raises OSError, and leaves nothing, where that cannot be done."""
    path = _make_private(place)
    lock = -1
    try:
        lock = os.open(os.path.join(path, LOCK_FILE_NAME), _FILE_FLAGS, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = NewFolder(path, lock, os.urandom(16).hex())
        folder.write_note()
        if os.geteuid() == 0:
            make_drop(os.path.join(path, layout.DROP_NAME))
        if not is_own_folder(os.lstat(path)):
            raise PermissionError(f"{path}: folders that are made here belong to somebody else, or are open to others")
    except OSError:
        if lock >= 0:
            NewFolder(path, lock, "").remove(())
        else:
            os.rmdir(path)
        raise
    return folder


def _make_private(place: str) -> str:
    for _ in range(_ATTEMPTS):
        path = os.path.join(os.path.abspath(place), PREFIX + os.urandom(6).hex())
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(errno.EEXIST, "no name for a run folder is free", place)


def make_drop(drop: str) -> None:
    """Make the folder in which processes put their shards that are not root any more: see probe/recording/arena.py."""
    os.mkdir(drop, 0o700)
    os.chmod(drop, _DROP_MODE)


def is_own_folder(status: os.stat_result) -> bool:
    """Say whether a folder is this user's, and closed to all others.

    One that is made where folders hand their group on, as volumes for a group do (fsGroup of Kubernetes), does that, too.
    """
    return status.st_mode & 0o170000 == 0o040000 and status.st_uid == os.geteuid() and status.st_mode & 0o5777 == 0o700


def others(own: str) -> list[str]:
    """Return the other run folders there are, as far as those of this user can be told by their names."""
    found = []
    variables = ("XDG_RUNTIME_DIR", "TMPDIR", "TEMP", "TMP")
    for place in dict.fromkeys((os.path.dirname(own), *filter(None, map(os.environ.get, variables)), "/tmp", "/var/tmp")):
        try:
            paths = [os.path.join(place, name) for name in os.listdir(place) if name.startswith(PREFIX)]
            found += [path for path in paths if path != own and is_own_folder(os.lstat(path))]
        except OSError:
            pass
    return found


def has_forsaken(folders: list[str]) -> bool:
    """Say whether one of these run folders has no launcher any more: somebody has to look whether its run is over."""
    for folder in folders:
        try:
            lock = os.open(os.path.join(folder, LOCK_FILE_NAME), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        except OSError:
            pass  # its launcher lives
        finally:
            os.close(lock)
    return False


def pid_namespace() -> str:
    """Return which pids are meant by numbers: those of this start of the machine, in this namespace."""
    return f"{boot_id()} {_know('/proc/self/ns/pid', _read_link)}"


def mount_namespace() -> str:
    """Return which files are meant by paths: those of this start of the machine, in this namespace."""
    return f"{boot_id()} {_know('/proc/self/ns/mnt', _read_link)}"


def boot_id() -> str:
    """Return what tells this boot of the machine from others, "" where the kernel does not say."""
    return _know("/proc/sys/kernel/random/boot_id", read_line)


def read_line(path: str) -> str:
    """Return the one line of a small file of the kernel; "" where there is none: not Linux, or no /proc."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 100).decode("ascii").strip()
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return ""


def _know(path: str, read: Callable[[str], str]) -> str:
    """Return what the kernel says there, which stays as it is as long as this process lives."""
    if path not in _known:
        _known[path] = read(path)
    return _known[path]


def _read_link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def to_json(value: object) -> str:
    """Return JSON text of texts, numbers, lists and dictionaries of these; `json` would take longer to import than all of it."""
    if isinstance(value, str):
        is_plain = value.isascii() and value.isprintable() and '"' not in value and "\\" not in value
        return f'"{value}"' if is_plain else _quote(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_json(key)}: {to_json(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def _quote(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    return '"' + "".join(chr(code) if code in _PLAIN else _SHORT.get(code, f"\\u{code:04x}") for code in codes) + '"'
