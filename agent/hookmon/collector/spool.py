"""The spool: where programs without a launcher ask for a run, and where the collector of this user is found.

In: requests, one file for each program that has just begun (the bootstrap's hookmon_request.py writes them and has the same
names). Out: an answer beside each. Runs in `hookmon serve`. The collector holds the spool's lock until it ends, however it ends,
and has the bell open for reading, a FIFO: who can open that for writing knows that the collector lives, and has woken it.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hookmon.collector import places
from hookmon.collector.identity import look_at, parse_stat
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_REQUEST = ".request"
_ANSWER = ".answer"
_LOCK = "lock"
_BELL = "bell"
_STATUS = "status"
_LOG = "log"
_LARGEST = 1 << 20
_LARGEST_LOG = 1 << 20
_LOOK_S = 0.2
_ENDING_S = 3.0  # a collector that is just ending holds the lock for so long at most
_ANSWERED_S = 60.0  # after that nobody fetches an answer any more


class Request(Record, frozen=True):
    """A program that asks for a run. `started` and `image` are Stat's, `variables` say where its files are kept."""

    name: str
    pid: int
    started: int
    image: int
    wanted: str  # the value of HOOKMON
    folder: Path  # in which it works
    executable: str
    variables: Mapping[str, str]
    command: list[str]


class Spool:
    """The spool of this user in this namespace of pids, which exists."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = -1
        self._bell = -1

    @classmethod
    def of_user(cls, *, is_made: bool = True) -> Spool:
        """Return the spool of this user, made where it is missing and `is_made`. Raises OSError where no place can be used."""
        named = places.named()
        if named is not None and is_made:
            named.mkdir(parents=True, exist_ok=True)
        problem = OSError("/dev/shm and /tmp cannot be written")
        for place in (named,) if named else (Path("/dev/shm"), Path("/tmp")):
            folder = place / f"hookmon.serve.{os.geteuid()}.{_pids()}"
            try:
                if is_made:
                    with suppress(FileExistsError):
                        folder.mkdir(mode=0o700)
                status = os.lstat(folder)
            except OSError as error:
                problem = error
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
                return cls(folder)
            problem = PermissionError(f"{folder} belongs to somebody else, or is open to others")
        raise problem

    def begin(self, status: Mapping[str, Any]) -> bool:
        """Become the collector of this user; say whether there was none. One that is just ending is waited for.

        The status is told before anybody can see that there is a collector.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._lock = os.open(self.folder / _LOCK, flags, 0o600)
        end = time.monotonic() + _ENDING_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if self.is_served() or time.monotonic() > end:
                    os.close(self._lock)
                    self._lock = -1
                    return False
                time.sleep(0.02)
        self.tell_status(status)
        with suppress(FileExistsError):
            os.mkfifo(self.folder / _BELL, 0o600)
        self._open_bell()
        with suppress(OSError):
            if os.path.getsize(self.folder / _LOG) > _LARGEST_LOG:
                os.truncate(self.folder / _LOG, 0)
        return True

    def end(self) -> bool:
        """Stop being the collector; say whether that was done: not where a program has asked meanwhile."""
        os.close(self._bell)
        self._bell = -1
        if any(name.endswith(_REQUEST) for name in self._names()):
            self._open_bell()
            return False
        self.forget_status()
        os.close(self._lock)
        self._lock = -1
        return True

    def is_served(self) -> bool:
        """Say whether a collector lives that has its bell open. It is woken by that."""
        try:
            os.close(os.open(self.folder / _BELL, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def wait(self, seconds: float, waker: int) -> bool:
        """Wait until somebody rings or the descriptor `waker` can be read, or so long; say whether it was the bell."""
        poll = select.poll()
        poll.register(waker, select.POLLIN)
        if sys.platform == "linux":
            poll.register(self._bell, select.POLLIN)
        else:  # a bell that nobody has rung rings there as well
            seconds = min(seconds, _LOOK_S)
        if any(descriptor == self._bell for descriptor, _ in poll.poll(seconds * 1000)):
            old = self._bell
            self._open_bell()  # who has rung has closed it: it would go on ringing
            os.close(old)
            return True
        return False

    def _open_bell(self) -> None:
        self._bell = os.open(self.folder / _BELL, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)

    def requests(self) -> Iterator[Request]:
        """Yield what is asked for by programs that live, oldest first; what was never fetched is deleted."""
        names = self._names()
        for name in sorted(names, key=lambda name: name.rpartition("-")[2]):
            path = self.folder / name
            if name.endswith(_REQUEST):
                request = self.read(name.removesuffix(_REQUEST))
                if request is not None:
                    yield request
                else:
                    with suppress(OSError):
                        path.unlink()
            elif name not in (_LOCK, _BELL, _STATUS, _LOG):
                with suppress(OSError):
                    if time.time() - path.lstat().st_mtime > _ANSWERED_S:
                        path.unlink()

    def read(self, name: str) -> Request | None:
        """Return a request, None where there is none of a program that lives."""
        try:
            descriptor = os.open(self.folder / (name + _REQUEST), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                fields = file.read(_LARGEST).decode("utf-8", "surrogateescape").split("\0")
            version, pid, _, known, wanted, folder, executable, number, *rest = fields
            found = parse_stat(known)
            variables = dict(variable.split("=", 1) for variable in rest[: int(number)])
            now = look_at(int(pid))
        except (OSError, ValueError):
            return None
        if found is None and not known:  # no /proc
            found = now
        if version != "1" or found is None or now is None or now.has_ended or now.started != found.started:
            return None
        command = rest[int(number) :]
        return Request(name, int(pid), found.started, found.image, wanted, Path(folder), executable, variables, command)

    def take(self, request: Request) -> bool:
        """Take a request; say whether it is still there: a program that does not wait any longer takes it back."""
        try:
            (self.folder / (request.name + _REQUEST)).unlink()
        except OSError:
            return False
        return True

    def answer(self, request: Request, text: str) -> None:
        """Answer a request that was taken. Raises OSError."""
        self._write(request.name + _ANSWER, text)

    def tell_status(self, status: Mapping[str, Any]) -> None:
        """Say what the collector is doing, for `hookmon serve --status`."""
        with suppress(OSError):
            self._write(_STATUS, json.dumps(status))

    def status(self) -> dict[str, Any] | None:
        """Return what the collector says that it is doing, None where there is no collector."""
        try:
            found: dict[str, Any] = json.loads((self.folder / _STATUS).read_bytes())
        except (OSError, ValueError):
            found = {}
        return found if self.is_served() else None

    def forget_status(self) -> None:
        """Say nothing any more."""
        with suppress(OSError):
            (self.folder / _STATUS).unlink()

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)
        except OSError:
            return []

    def _write(self, name: str, text: str) -> None:
        beside = self.folder / f"{name}.new"
        with suppress(FileNotFoundError):
            beside.unlink()
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.replace(beside, self.folder / name)


def _pids() -> int:
    """Return the namespace of pids: a volume may be shared with containers, whose pids mean others. 0 where there is none."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def ring() -> None:
    """Wake the collector of this user, where there is one: a run is about to lose its launcher."""
    with suppress(OSError):
        Spool.of_user(is_made=False).is_served()


@contextmanager
def seen_by(request: Request) -> Iterator[None]:
    """Look for files where the program's user would: by its environment, as far as the request has it."""
    names = ("HOME", "HOOKMON_FOLDER", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR")
    before = {name: os.environ.get(name) for name in names}
    for name in names:
        _set(name, request.variables.get(name))
    try:
        yield
    finally:
        for name, value in before.items():
            _set(name, value)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
