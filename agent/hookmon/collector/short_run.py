"""Keeps a run whose program has ended before the collector was there: its run file, without the collector and without SQLite.

In: the run file of a run in which nothing was recorded (`hookmon.cli._preparing` makes it, with the collector), and what is known
of this one. Out: a run file that says the same as the collector's. Runs in the launcher, imports built-in modules only.

Its table `run` has some rows more, LATE, which begin as blanks, each of a length that SQLite keeps in one piece. Together they
are a JSON text, {"values": fields of store.Run, "rows": {table: [fields of one row]}}, written over the blanks. `loading`
puts it in the place of what stands elsewhere in the file, and whoever writes the run again leaves these rows out.
"""

from __future__ import annotations

import errno
import os

from hookmon.collector.new_folder import Part, put, to_json

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KEPT_RUNS = 20
LATE = tuple(f"late {number}" for number in range(8))
"""The keys of these rows of the table `run`, in their order."""

BLANKS = 3_900
"""How many each has: a page of 4,096 bytes has room for one such row, and no row goes on in another page."""

_LARGEST_BYTES = 8 * 1024 * 1024  # of a run file that is looked through before it is deleted

_HEAD, _TAIL = "run-", ".sqlite"


class ShortRunFile:
    """The run file of a run that has just begun. `number` is that of the run."""

    def __init__(self, folder: str, names: list[str], number: int) -> None:
        self._folder, self._names, self.number = folder, names, number
        self.path = _path(folder, number)

    def drop_oldest(self, folders: list[str]) -> None:
        """Delete the oldest runs and their pages, as Store.drop_oldest does, but for those that may go on in a run folder.

        What is in a run file of any kind stands there as text, the path of its run folder, too.
        """
        marks = [to_json(folder)[1:-1].encode() for folder in folders]
        for number in _numbers(self._names)[: 1 - KEPT_RUNS]:
            content = _content(_path(self._folder, number))
            if content is None or any(mark in content for mark in marks):
                continue
            text = f"{number:04d}"
            for name in self._names:
                is_page = name.endswith(".html") and (name.startswith(f"diff-{text}-") or name.endswith(f"-{text}.html"))
                if is_page or name in (f"{_HEAD}{text}{_TAIL}", f"{_HEAD}{text}{_TAIL}-journal"):
                    _unlink(os.path.join(self._folder, name))

    def withdraw(self) -> None:
        """Delete it: the run never was."""
        _unlink(self.path)

    def save(self, content: LateContent, values: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> None:
        """Write the whole run. A reader sees the run as it began, or all of it. Raises OSError; then nothing has changed."""
        fresh = f"{self.path}.new"
        _write(fresh, content.pieces(values, rows))
        os.rename(fresh, self.path)


class LateContent:
    """A run file with blanks, as a part of another file, and where in it they are."""

    def __init__(self, content: Part, places: list[int]) -> None:
        self.content, self.places = content, places

    def pieces(self, values: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> list[bytes | Part]:
        """Return the content with these values and rows, for `put`. Raises OSError where there is no room for them."""
        text = to_json({"values": dict(values), "rows": dict(rows)}).encode()
        if len(text) > BLANKS * len(self.places):
            raise OSError(errno.E2BIG, "there is more to be said than a short run has room for")
        pieces: list[bytes | Part] = []
        whole, end = self.content, 0
        for place in self.places:
            if not text:
                break
            pieces += [Part(whole.descriptor, whole.at + end, place - end), text[:BLANKS].ljust(BLANKS)]
            text, end = text[BLANKS:], place + BLANKS
        return [*pieces, Part(whole.descriptor, whole.at + end, whole.size - end)]

    def filled(self, values: Mapping[str, Any], rows: Mapping[str, list[dict[str, Any]]]) -> bytes:
        """Return all that `pieces` are. Raises OSError."""
        return b"".join([piece if isinstance(piece, bytes) else piece.read() for piece in self.pieces(values, rows)])


def blank_rows() -> list[tuple[str, str]]:
    """Return the rows to begin with, each with its key once more: there it can be found."""
    return [(name, name.ljust(BLANKS)) for name in LATE]


def find_blanks(content: bytes) -> tuple[bytes, list[int]]:
    """Return a run file with nothing but blanks in its `blank_rows`, and where those are. Raises ValueError without them."""
    marks = [text.encode() for _, text in blank_rows()]
    places = [content.find(mark) for mark in marks]
    if -1 in places or any(content.count(mark) > 1 for mark in marks):
        raise ValueError("the rows of a short run do not stand in one piece")
    for mark in marks:
        content = content.replace(mark, b" " * BLANKS)
    return content, places


def reserve(folder: str, content: LateContent, values: dict[str, Any]) -> ShortRunFile | None:
    """Create the next run file of a store, private; None where there is no store yet. Raises OSError.

    `values` are those of the run as it begins; its number is added.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return None
    number = max(_numbers(names), default=0) + 1
    while True:
        values["id"] = number
        try:
            _write(_path(folder, number), content.pieces(values, {}))
            break
        except FileExistsError:
            number += 1
    return ShortRunFile(folder, names, number)


def _numbers(names: list[str]) -> list[int]:
    """Return the numbers of the runs among the names of a store, as Store.numbers does."""
    found = []
    for name in names:
        text = name[len(_HEAD) : -len(_TAIL)]
        is_number = text.isascii() and text.isdecimal() and (len(text) == 4 or (4 < len(text) < 10 and text[0] != "0"))
        if name == f"{_HEAD}{text}{_TAIL}" and is_number:
            found.append(int(text))
    return sorted(found)


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, f"{_HEAD}{number:04d}{_TAIL}")


def _content(path: str) -> bytes | None:
    """Return what is in a run file; None where it cannot be read, or is so large that another launcher should see to it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        return os.read(descriptor, size) if size <= _LARGEST_BYTES else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _write(path: str, pieces: list[bytes | Part]) -> None:
    """Write a new file. Raises OSError, and leaves none, where that cannot be done."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        put(descriptor, pieces, path)
    except OSError:
        _unlink(path)
        raise
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
