"""Opens run files as SQLite databases: such as we wrote ourselves, and such as somebody sent.

In: a path. Out: a connection on which a query takes bounded time and memory, and finds plain tables only. Runs on the launcher's
side. A run file may have been made by anybody: a view can be endless, a generated column as large as it likes, a trigger can do
anything to what we write, and a journal beside it can name a file that SQLite deletes when it rolls back. Ours have none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from hookmon.collector.sqlite import sqlite3
from hookmon.core.errors import RunFileError

APPLICATION_ID = 0x686B6D6E  # "hkmn", SQLite's own place to say whose file it is
LARGEST_BYTES = 256 * 1024 * 1024  # of a run file
_PAGE_BYTES = 4096
_PART_BYTES = 1 << 20
_LARGEST_VALUE = 32 * 1024 * 1024
_STEPS = 100_000  # of SQLite's machine, between two looks at how many it has done
_MOST_STEPS = 5_000  # of these: some seconds; a run file of 100,000 places takes a hundredth
_MOST_OBJECTS = 100  # tables and what belongs to them
_HEADER = b"SQLite format 3\0"
_VERSIONS_AT = 18  # two bytes of the header, 1 for files with a rollback journal, as ours are
_JOURNAL_MAGIC = bytes((0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7))


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a run file without writing, whoever made it.

    A writer that was killed leaves a journal that has to be rolled back first, which SQLite does not do for a reader: then a
    private copy is read. Raises sqlite3.Error, OSError, or RunFileError when it is no run file.
    """
    _check_file(path)
    with closing(_connect(path, "ro")) as connection:
        try:
            _check_objects(connection, path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
        else:
            yield connection
            return
    import tempfile  # few runs have a journal

    with tempfile.TemporaryDirectory(prefix="hookmon-") as folder:
        copy = Path(folder, "run.sqlite")
        for end in ("-journal", ""):
            _copy(Path(f"{path}{end}"), Path(f"{copy}{end}"))
        _check_journal(copy)
        with closing(_connect(copy, "rw")) as connection:
            _check_objects(connection, path)
            yield connection


@contextmanager
def open_for_writing(path: Path, timeout_s: float = 10.0) -> Iterator[sqlite3.Connection]:
    """Open a run file, or make one, in one transaction that is committed at the end. Raises as `open_for_reading`.

    A writer that is killed leaves the file as it was. Nothing waits for the disk: a run is no more lost with the machine's power
    than its program's counters are.
    """
    is_new = not path.exists() or not path.stat().st_size
    if not is_new:
        _check_file(path)
    _check_journal(path)
    with closing(_connect(path, "rwc", timeout_s)) as connection, connection:
        if not is_new:
            _check_objects(connection, path)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA max_page_count = {LARGEST_BYTES // _PAGE_BYTES}")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        yield connection


def roll_back(path: Path) -> None:
    """Undo what a killed writer has begun. Raises as `open_for_reading`, also while somebody writes."""
    if os.path.lexists(f"{path}-journal"):
        _check_file(path)
        _check_journal(path)
        with closing(_connect(path, "rw", 0)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return the columns of a table, none when it is not there. Raises RunFileError when one of them is computed."""
    found = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    if any(hidden for *_, hidden in found):
        raise RunFileError(f"the table {table} has a column that is computed", code="not-a-run-file")
    return [name for _, name, *_ in found]


def _connect(path: Path, mode: str, timeout_s: float = 10.0) -> sqlite3.Connection:
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{quoted}?mode={mode}", uri=True, timeout=timeout_s)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        steps = iter(range(_MOST_STEPS))
        connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        if mode == "ro":
            connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_file(path: Path) -> None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise RunFileError(f"{path}: not a run file (not a regular file)", code="not-a-run-file")
    if status.st_size > LARGEST_BYTES:
        raise RunFileError(f"{path}: not a run file ({status.st_size >> 20} MiB are too large)", code="not-a-run-file")
    with open(path, "rb") as file:
        header = file.read(100)
    if not header and path.suffix != ".sqlite":
        raise RunFileError(f"{path}: not a run file of hookmon", code="not-a-run-file")
    if not header:  # a launcher makes it to have the number
        reason = "nothing is saved of this run; it is just starting, or was never saved"
        raise RunFileError(f"{path}: {reason}", code="nothing-saved")
    if not header.startswith(_HEADER):
        raise RunFileError(f"{path}: not a readable run file: file is not a database", code="not-a-run-file")
    if header[_VERSIONS_AT : _VERSIONS_AT + 2] != b"\1\1":
        raise RunFileError(f"{path}: not a run file (its journal is of another kind)", code="not-a-run-file")


def _check_journal(path: Path) -> None:
    """Refuse a journal that names another file: SQLite deletes that when it has rolled back. Ours are of one database each."""
    try:
        descriptor = os.open(f"{path}-journal", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RunFileError(f"{path}-journal: not a regular file", code="not-a-run-file")
        file.seek(max(0, status.st_size - len(_JOURNAL_MAGIC)))
        if file.read() == _JOURNAL_MAGIC and status.st_size > len(_JOURNAL_MAGIC):
            raise RunFileError(f"{path}-journal: it names another file, as no journal of hookmon does", code="not-a-run-file")


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file, target.open("xb") as copy:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
            raise RunFileError(f"{source}: not a regular file, or too large", code="not-a-run-file")
        while part := file.read(_PART_BYTES):
            copy.write(part)


def _check_objects(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that has anything but plain tables."""
    found = connection.execute(f"SELECT type, name, rootpage FROM sqlite_master LIMIT {_MOST_OBJECTS + 1}").fetchall()
    for kind, name, page in found:
        if kind not in ("table", "index") or not isinstance(page, int) or page <= 0:
            raise RunFileError(f"{path}: not a run file ({kind} {str(name)[:80]!r} in it)", code="not-a-run-file")
    if len(found) > _MOST_OBJECTS:
        raise RunFileError(f"{path}: not a run file (more than {_MOST_OBJECTS} tables)", code="not-a-run-file")


def keep_from_git(folder: Path) -> None:
    """Keep git out of a folder; a `.gitignore` that is there stays, and a link is not followed."""
    with suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with open(os.open(folder / ".gitignore", flags, 0o600), "w", encoding="utf-8") as file:
            file.write("*\n")
