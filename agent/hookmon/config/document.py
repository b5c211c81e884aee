"""One TOML file with the line of each of its keys."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from hookmon.config.find import PYPROJECT, hookmon_table
from hookmon.config.lines import line_numbers
from hookmon.config.problem import KeyPath, Mistake, Place, Problem

_ROOT_IN_PYPROJECT = ("tool", "hookmon")
_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@dataclass(frozen=True)
class Document:
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
        """Those of all keys: only where a mistake is told of, or a setting's origin, is it worth while to look for them."""
        return line_numbers(self.text)


def read_document(path: Path, label: str, problems: list[Problem]) -> Document | None:
    """Read the file at `path`; `label` is its name in messages.

    Returns None, with the reason appended to `problems`, when the file cannot be read, is no TOML or, being a
    pyproject.toml, has no [tool.hookmon].
    """
    try:
        text = path.read_bytes().decode("utf-8")
        data = tomllib.loads(text)
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
        problems.append(_broken(str(error), text, label))
    except RecursionError:
        problems.append(Problem(Place(label), Mistake("arrays or tables are nested too deeply", code="not-toml")))
    else:
        return _document(data, text, path, label, problems)
    return None


def _document(data: dict[str, Any], text: str, path: Path, label: str, problems: list[Problem]) -> Document | None:
    if path.name != PYPROJECT:
        return Document(label, data, text)
    found = hookmon_table(data)
    if isinstance(found, dict):
        return Document(label, found, text, _ROOT_IN_PYPROJECT)
    what = "there is no [tool.hookmon]" if found is None else "tool.hookmon is not a table"
    place = Place(label, line_numbers(text).get(_ROOT_IN_PYPROJECT, 0))
    problems.append(
        Problem(place, Mistake(what, "[tool.hookmon] in pyproject.toml, or a file of its own, hookmon.toml", code="no-table"))
    )
    return None


def _broken(message: str, text: str, label: str) -> Problem:
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
