"""The store of services: one SQLite database of a user, to which the launchers of all services write at once.

In: a path. Out: connections with the tables below. It lies in the user's state folder and not in the project, for a deployment
changes that. Nothing in it stops a program: who cannot write says so once, at the end of the run. A store that is damaged is set
aside by the next who writes, and a new one begun.

The tables, with moments in seconds since 1970, and minutes and hours as `clock` numbers them in UTC:

- `services`: a name each. `minutes_from` and `hours_from` are the first that may be there: the rest was dropped.
- `starts`: one for each `hookmon run` of a service. `totals` is what of it is in minutes and hours already.
- `places`: of a service, see `places.Place`; `own` is 1 for transactions, `entry` the id of the transaction that a place is in.
- `minutes`: by service, minute and start. `whole` are all transactions together, `own` the transactions by place, `calls`
  the places inside them and outside; `packing` has the form.
- `hours`: by service and hour, all starts together: the same columns, added to in the same transaction as the minute.
- `examples`: transactions that were kept whole, a few of each name and ten minutes.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from hookmon.collector import places
from hookmon.collector.database import keep_from_git
from hookmon.core.errors import StoreError
from hookmon.services import copying

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = "services.sqlite"
APPLICATION_ID = 0x686B7376  # "hksv"
SCHEMA = 1

_BUSY_S = 10.0
_PAGE_BYTES = 4096
_LARGEST_BYTES = 512 * 1024 * 1024  # beyond what limits.py leaves: SQLite itself refuses more
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH)
_PASSING = (sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_DELETE_NOENT)  # of a store that somebody just begins
_MOST_DAMAGED = 9
_MOST_TRIES = 20
_LARGEST_VALUE = 32 * 1024 * 1024

_USAGE = "cpu_ns INTEGER, rss_bytes INTEGER, processes INTEGER, launcher_cpu_ns INTEGER, launcher_rss_bytes INTEGER"
_TABLES = f"""
CREATE TABLE services (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, minutes_from INTEGER NOT NULL DEFAULT 0,
    hours_from INTEGER NOT NULL DEFAULT 0, places_left_out INTEGER NOT NULL DEFAULT 0, trimmed_s REAL NOT NULL DEFAULT 0);
CREATE TABLE starts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, service INTEGER NOT NULL, key TEXT UNIQUE NOT NULL, run_file TEXT NOT NULL,
    command TEXT NOT NULL, version TEXT NOT NULL, project TEXT NOT NULL, hookmon TEXT NOT NULL, machine TEXT NOT NULL,
    started_s REAL NOT NULL, seen_s REAL NOT NULL, ended_s REAL, state TEXT NOT NULL, writes INTEGER NOT NULL DEFAULT 0,
    cpu_ns INTEGER NOT NULL DEFAULT 0, launcher_cpu_ns INTEGER NOT NULL DEFAULT 0, totals BLOB,
    exit_code INTEGER, pid INTEGER NOT NULL DEFAULT 0, python TEXT NOT NULL DEFAULT '',
    switched TEXT NOT NULL DEFAULT '');
CREATE INDEX starts_of_service ON starts (service, started_s);
CREATE TABLE places (
    id INTEGER PRIMARY KEY AUTOINCREMENT, service INTEGER NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, target TEXT NOT NULL, site TEXT NOT NULL, flags INTEGER NOT NULL, own INTEGER NOT NULL,
    entry INTEGER NOT NULL, seen INTEGER NOT NULL);
CREATE INDEX places_of_service ON places (service);
CREATE TABLE minutes (
    service INTEGER NOT NULL, minute INTEGER NOT NULL, start INTEGER NOT NULL, whole TEXT, own BLOB, calls BLOB, {_USAGE},
    PRIMARY KEY (service, minute, start));
CREATE TABLE hours (
    service INTEGER NOT NULL, hour INTEGER NOT NULL, whole TEXT, own BLOB, calls BLOB, {_USAGE},
    PRIMARY KEY (service, hour));
CREATE TABLE examples (
    id INTEGER PRIMARY KEY AUTOINCREMENT, service INTEGER NOT NULL, start INTEGER NOT NULL, minute INTEGER NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, duration_ns INTEGER NOT NULL, is_failed INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX examples_of_service ON examples (service, minute);
"""


class ServiceStore:
    """The store at one path, which need not exist. `tell` takes a line for the user when a damaged one was set aside."""

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda line: None, other: Path | None = None) -> None:
        """Take a path, and another one that serves where the folder of the first cannot be made."""
        self.path = path
        self._other = other
        self._tell = tell
        self._inode = 0  # of the file that was opened last
        self._look: sqlite3.Connection | None = None  # that all who read share for now

    @classmethod
    def of_user(cls, project: Path, tell: Callable[[str], None] = lambda line: None) -> ServiceStore:
        """Return the user's store, or that of the project where the user's state folder cannot be written."""
        path, other = places.state() / FILE_NAME, project / ".hookmon" / FILE_NAME
        if other.exists() and not path.exists():
            path = other
        return cls(path, tell, other)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one look: nobody's writing is seen by halves. Raises StoreError.

        Where there is no store yet, it is an empty one in memory.
        """
        if self._look is not None:
            yield self._look
            return
        with self._opened() as connection:
            yield connection

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Let all who read within, in this thread, see the store as it is now, through one connection. Raises StoreError."""
        with self._opened() as connection:
            self._look = connection
            try:
                yield
            finally:
                self._look = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            with closing(_empty()) as connection:
                yield connection
            return
        try:
            with closing(self._retry(self._begin_look)) as connection:
                yield connection
        except StoreError:
            raise
        except (sqlite3.Error, OSError, ValueError, DamagedError) as error:
            raise StoreError(f"{self.path}: the store of services cannot be read: {error}") from error

    def _begin_look(self) -> sqlite3.Connection:
        if not self.path.exists():
            return _empty()
        try:
            return self._begin_look_here()
        except sqlite3.OperationalError:
            if os.access(self.path.parent, os.W_OK):
                raise
        with copying.copied(self.path) as copy:
            return ServiceStore(copy)._begin_look_here()

    def _begin_look_here(self) -> sqlite3.Connection:
        with self._connected("ro") as connection:
            if not _is_made(connection):  # somebody is just about to
                connection.close()
                return _empty()
            self._check(connection)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM services").fetchone()  # what is seen is fixed, and all files are open
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection in one transaction, committed at the end; others who write wait meanwhile. Raises StoreError.

        A damaged store is set aside: what shows on opening is over with that, what shows later costs this transaction.
        """
        try:
            connection = self._open()
        except (sqlite3.Error, OSError, UnicodeDecodeError, DamagedError) as error:
            raise StoreError(f"{self.path}: services cannot be kept here: {error}") from error
        with closing(connection):
            try:
                yield connection
                connection.execute("COMMIT")
            except StoreError:
                raise
            except (sqlite3.DatabaseError, DamagedError, UnicodeDecodeError) as error:
                if self._is_damage(error):
                    with suppress(sqlite3.Error, OSError):
                        connection.close()
                        self._set_aside(str(error))
                raise StoreError(f"{self.path}: the service is not kept: {error}") from error

    def _open(self) -> sqlite3.Connection:
        """Open the store for one transaction; make it where there is none, or the one there is is damaged."""
        try:
            self._make_folder()
        except OSError:
            if self._other is None or self.path == self._other:
                raise
            self.path = self._other
            self._make_folder()
        try:
            return self._retry(self._begin)
        except (sqlite3.DatabaseError, UnicodeDecodeError, DamagedError) as error:
            if not self._is_damage(error):
                raise
            self._set_aside(str(error))
            return self._retry(self._begin)

    def _retry(self, begin: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        """Begin, again where somebody has deleted the store or set it aside meanwhile. Raises what `begin` raises."""
        for tried in range(_MOST_TRIES):
            with suppress(_AgainError, FileNotFoundError):
                return begin()
            time.sleep(tried / 1000)
        return begin()

    def _make_folder(self) -> None:
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written")
        if folder.name == ".hookmon":
            keep_from_git(folder)

    def _begin(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._create()
        with self._connected("rw") as connection:
            if not _is_made(connection):
                connection.close()
                self._create()
                raise _AgainError("nobody can make it")
            self._check(connection)
            connection.execute("PRAGMA synchronous = NORMAL")  # a loss of power may take the last minutes, and damages nothing
            connection.execute(f"PRAGMA max_page_count = {_LARGEST_BYTES // _PAGE_BYTES}")
            connection.execute("BEGIN IMMEDIATE")
        return connection

    @contextmanager
    def _connected(self, mode: str) -> Iterator[sqlite3.Connection]:
        """Give a connection that stays open, unless something goes wrong or the store is no longer at its path.

        Then its -wal, which SQLite opens by name with the first look at a table, may be that of the next store. Raises
        _AgainError.
        """
        try:
            connection = self._connect(mode)
        except sqlite3.OperationalError as error:
            if self.path.exists() and not os.access(self.path.parent, os.W_OK):
                raise  # another try would not help
            raise _AgainError(str(error)) from error
        try:
            yield connection
            if self._is_moved():
                raise _AgainError("it was deleted meanwhile")
        except (sqlite3.Error, DamagedError, StoreError, UnicodeDecodeError) as error:
            is_moved = self._is_moved()  # asked while it is open: nobody else's file has its number
            connection.close()
            if is_moved or getattr(error, "sqlite_errorcode", 0) in _PASSING:
                raise _AgainError(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise

    def _is_moved(self) -> bool:
        try:
            return os.stat(self.path).st_ino != self._inode
        except FileNotFoundError:
            return True

    def _create(self) -> None:
        """Make the tables, unless somebody else just does, or has begun to and was killed."""
        with self._lock():
            if not self.path.exists():  # what a deleted store has left is not to become a part of this one
                for end in ("-wal", "-shm"):
                    Path(f"{self.path}{end}").unlink(missing_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with self._connected("rw") as connection, closing(connection):
                if _is_made(connection):
                    return
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                _make_tables(connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
                connection.execute("COMMIT")

    def _connect(self, mode: str) -> sqlite3.Connection:
        status = os.stat(self.path)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{self.path}: not a regular file")
        self._inode = status.st_ino
        quoted = str(self.path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        uri = f"file:{quoted}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
            connection.text_factory = _text
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise StoreError where this is another application's database, or that of a newer hookmon."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise StoreError(f"{self.path}: not a store of services of hookmon")
        if version != SCHEMA:
            raise StoreError(f"{self.path}: a store of version {version}; this hookmon reads and writes version {SCHEMA}")
        if _objects(connection) != _own_objects():  # a view can be endless, a trigger do anything with what is written
            raise DamagedError("its tables are not those of a store")

    def _set_aside(self, reason: str) -> None:
        """Move the store that was opened last away, unless somebody else has done so. Raises OSError."""
        with self._lock():
            if self._is_moved():
                return  # another launcher has begun a new one
            for number in range(1, _MOST_DAMAGED + 1):
                aside = Path(f"{self.path}.damaged-{number}")
                if not aside.exists() or number == _MOST_DAMAGED:
                    break
            for end in ("-wal", "-shm"):
                Path(f"{aside}{end}").unlink(missing_ok=True)
                with suppress(FileNotFoundError):
                    os.replace(f"{self.path}{end}", f"{aside}{end}")
            os.replace(self.path, aside)
        self._tell(f"hookmon: {self.path} is damaged ({reason}); it is now {aside.name}, and a new one is begun [store]")

    def _is_damage(self, error: BaseException) -> bool:
        """Say whether an error means that the store itself is damaged, and not that a disk is full or somebody else writes."""
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            return False  # somebody has deleted it: what is there now is another one
        code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
        if code == sqlite3.SQLITE_READONLY:  # as a header says that means nothing
            return os.access(self.path, os.W_OK)
        if code == sqlite3.SQLITE_ERROR and isinstance(error, sqlite3.OperationalError):  # a table or column is not there
            return True
        return isinstance(error, DamagedError | UnicodeDecodeError) or code in _DAMAGED

    @contextmanager
    def _lock(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(f"{self.path}.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class _AgainError(OSError):
    """What was opened is not the store, or not any more: open it again."""


class DamagedError(Exception):
    """Something in the store is not what was written there."""


def _empty() -> sqlite3.Connection:
    """Return a store without anything, in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _make_tables(connection)
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        connection.execute(statement.strip())


def _objects(connection: sqlite3.Connection) -> set[tuple[Any, ...]]:
    """Return what is in a database, as it was written."""
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' LIMIT 100")
    return set(found.fetchall())


@cache
def _own_objects() -> set[tuple[Any, ...]]:
    with closing(_empty()) as connection:
        return _objects(connection)


def _is_made(connection: sqlite3.Connection) -> bool:
    """Say whether there is any table."""
    return bool(connection.execute("PRAGMA schema_version").fetchone()[0])


def _text(content: bytes) -> str:
    """Return a text of the store: damage is not to be an error of its own."""
    return content.decode("utf-8", "replace")


def numbers(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row of numbers. Raises DamagedError where it has something else."""
    if not all(type(value) in (int, float) for value in row):
        raise DamagedError("a number is none")
    return row
