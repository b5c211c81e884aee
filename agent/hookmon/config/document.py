"""One TOML file with the line of each of its keys."""

from __future__ import annotations

import re
import tomllib
from functools import cached_property, partial
from pathlib import Path

from hookmon.config.find import PYPROJECT, hookmon_table
from hookmon.config.lines import line_numbers
from hookmon.config.problem import KeyPath, Mistake, Place, Problem
from hookmon.core import consulted
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_ROOT_IN_PYPROJECT = ("tool", "hookmon")
_LARGEST_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_MOST_PARTS = 500
_PART = re.compile(r"""[ \t]*(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')[ \t]*""")
_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


class Document(Record, frozen=True):
    """The part of a file that is hookmon's. `root` is where it begins: () or ("tool", "hookmon"); `text` is the whole file."""

    label: str
    data: dict[str, Any]
    text: str
    root: KeyPath = ()

    def place(self, path: KeyPath) -> Place:
        """Return the place of `path`, or of its nearest parent that has a line."""
        return Place(self.label, partial(self._line, self.root + path))

    def _line(self, full: KeyPath) -> int:
        known = (self._lines[full[:size]] for size in range(len(full), 0, -1) if full[:size] in self._lines)
        return next(known, 1)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        """Return the lines of all keys. They are looked for on demand: only a mistake or the origin of a setting needs them."""
        return line_numbers(self.text)


def read_document(path: Path, label: str, problems: list[Problem]) -> Document | None:
    """Read the file at `path`; `label` is its name in messages.

    Returns None, with the reason appended to `problems`, when the file cannot be read, is no TOML or, being a
    pyproject.toml, has no [tool.hookmon].
    """
    consulted.note(path)
    try:
        text = _content(path).decode("utf-8-sig")  # editors on Windows begin with a byte order mark
        _check_keys(text)
        data = tomllib.loads(text)
    except _TooLargeError as error:
        problems.append(Problem(Place(label, error.line), Mistake(str(error), code="not-toml")))
    except OSError as error:
        problems.append(Problem(Place(label), Mistake(f"cannot be read ({error.strerror})", code="unreadable-file")))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problems.append(
            Problem(
                Place(label, line),
                Mistake(f"byte 0x{error.object[error.start]:02x} is not UTF-8", "UTF-8 text", code="not-utf-8"),
            )
        )
    except tomllib.TOMLDecodeError as error:
        problems.append(_syntax_problem(str(error), text, label))
    except RecursionError:
        problems.append(Problem(Place(label), Mistake("arrays or tables are nested too deeply", code="not-toml")))
    except ValueError:  # Python's limit for the digits of a whole number, by which tomllib is stopped as well
        problems.append(Problem(Place(label), Mistake("a number has thousands of digits", code="not-toml")))
    else:
        return _document(data, text, path, label, problems)
    return None


class _TooLargeError(Exception):
    """Reading goes no further: it would take all time and memory. `line` is where, 0 for the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(message)


def _content(path: Path) -> bytes:
    """Return the bytes of a file, which may be a pipe when it was named. Raises OSError, or _TooLargeError."""
    content = bytearray()
    with open(path, "rb") as file:
        while more := file.read(_CHUNK_BYTES):  # all at once would take memory for the largest
            content += more
            if len(content) > _LARGEST_BYTES:
                raise _TooLargeError(f"it has more than {_LARGEST_BYTES >> 20} MiB")
    return bytes(content)


def _check_keys(text: str) -> None:
    """Refuse keys of very many parts: tomllib takes 11 s and 1.6 GB for one of 20,000 (CPython 3.11 to 3.13)."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") <= _MOST_PARTS or line.lstrip().startswith("#"):
            continue
        parts = 0
        for part in line.split("."):
            parts = parts + 1 if _PART.fullmatch(part) else 0
            if parts > _MOST_PARTS:
                raise _TooLargeError(f"a key has more than {_MOST_PARTS} parts", number)


def _has_large_number(data: dict[str, Any]) -> bool:
    """Say whether there is a whole number beyond TOML's 64 bits, which tomllib takes when it is written in base 16, 8 or 2."""
    values: list[Any] = [data]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int) and value.bit_length() > 64:
            return True
    return False


def _document(data: dict[str, Any], text: str, path: Path, label: str, problems: list[Problem]) -> Document | None:
    in_pyproject = path.name == PYPROJECT
    found = hookmon_table(data) if in_pyproject else data
    if isinstance(found, dict):
        if _has_large_number(found):
            problems.append(Problem(Place(label), Mistake("a number has more than 64 bits", code="not-toml")))
            return None
        return Document(label, found, text, _ROOT_IN_PYPROJECT if in_pyproject else ())
    what = "there is no [tool.hookmon]" if found is None else "tool.hookmon is not a table"
    place = Place(label, line_numbers(text).get(_ROOT_IN_PYPROJECT, 0))
    problems.append(
        Problem(place, Mistake(what, "[tool.hookmon] in pyproject.toml, or a file of its own, hookmon.toml", code="no-table"))
    )
    return None


def _syntax_problem(message: str, text: str, label: str) -> Problem:
    """Return tomllib's error as a problem; the position is only in its message before Python 3.14."""
    match = _POSITION.fullmatch(message)
    if not match:
        return Problem(Place(label), Mistake(f"this is not TOML: {message}", code="not-toml"))
    what, line, column = match.groups()
    if line is None:
        return Problem(
            Place(label, text.rstrip("\n").count("\n") + 1),
            Mistake(f"this is not TOML: {what} at the end of the file", code="not-toml"),
        )
    return Problem(Place(label, int(line)), Mistake(f"this is not TOML: {what} at column {column}", code="not-toml"))
