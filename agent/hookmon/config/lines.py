"""Finds the line of every key and array element of a TOML text, which `tomllib` does not tell.

In: a text that `tomllib` has accepted. Out: line numbers by path. So nothing is validated here, and a construct of a later
TOML only ends the scan: what stands below it then has the line of its nearest known parent.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from bisect import bisect_right

from hookmon.config.problem import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BARE_KEY = re.compile(r"[^\s.=\]\[\"'#,{}]+")


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Return the 1-based line of each path in `text`: tables, keys, array elements and elements of inline tables."""
    scanner = _Scanner(text)
    with contextlib.suppress(_UnknownSyntaxError):
        scanner.scan()
    return scanner.lines


class _UnknownSyntaxError(Exception):
    """Something that this scanner cannot read."""


class _Scanner:
    """Walks over the text once; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._array_sizes: dict[KeyPath, int] = {}  # of the [[arrays]] of tables seen so far

    def scan(self) -> None:
        table: KeyPath = ()
        while not self._at_end():
            if self.text.startswith("[[", self.at):
                table = self._array_header()
            elif self.text.startswith("[", self.at):
                table = self._table_header()
            else:
                self._pair(table)

    def _at_end(self) -> bool:
        self._skip(_BLANK)
        return self.at >= len(self.text)

    def _array_header(self) -> KeyPath:
        start = self.at
        self._expect("[[")
        *parents, last = self._key()
        self._expect("]]")
        array = (*self._resolve(parents), last)
        index = self._array_sizes.get(array, 0)
        self._array_sizes[array] = index + 1
        return self._note((*array, index), start)

    def _table_header(self) -> KeyPath:
        start = self.at
        self._expect("[")
        key = self._key()
        self._expect("]")
        return self._note(self._resolve(key), start)

    def _resolve(self, key: list[str]) -> KeyPath:
        """Return the path that a header names: `[watch.more]` belongs to the latest [[watch]]."""
        path: KeyPath = ()
        for part in key:
            path = (*path, part)
            if path in self._array_sizes:
                path = (*path, self._array_sizes[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        path = self._note((*table, *self._key()), start)
        self._expect("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in ("'", '"'):
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._expect("[")
        index = 0
        while not self._ends_with("]"):
            self._value(self._note((*path, index), self.at))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._expect("{")
        while not self._ends_with("}"):
            self._pair(path)

    def _ends_with(self, closing: str) -> bool:
        """Step over blanks and one comma; say whether the closing bracket was reached, and step over it."""
        self._skip(_BLANK)
        if self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_BLANK)
        if self.text.startswith(closing, self.at):
            self.at += 1
            return True
        return False

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            if self.text[self.at : self.at + 1] in ("'", '"'):
                parts.append(next(iter(tomllib.loads(self._take(_STRING) + "=0"))))
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _note(self, path: KeyPath, start: int) -> KeyPath:
        line = bisect_right(self._line_starts, start)
        for size in range(1, len(path) + 1):
            self.lines.setdefault(path[:size], line)
        return path

    def _expect(self, text: str) -> None:
        self._skip(_BLANK)
        if not self.text.startswith(text, self.at):
            raise _UnknownSyntaxError
        self.at += len(text)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if not match:
            raise _UnknownSyntaxError
        self.at = match.end()
        return match[0]
