"""A screen of lines: how wide it is, whether it has colours, which characters it knows.

A terminal gets the eight colours of its own theme; NO_COLOR, FORCE_COLOR and TERM=dumb decide as https://no-color.org and
https://force-color.org say, NO_COLOR first. Anything that is no terminal gets plain text.
"""

from __future__ import annotations

import os
from shlex import quote, split

from hookmon.core.record import Record
from hookmon.report.cells import cell_len, cut_to
from hookmon.report.texts import inert, without_commands

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

PIPED_WIDTH = 100
NARROWEST = 40
WIDEST = 200

_LEAST_PARTED = 12  # columns: what is shorter is cut at its end
_GAP = 2  # columns of space between two columns of a table
_INDENT = 2
_LOWER_BARS = dict(zip("▁▂▃▄▅▆▇", "_.:;+*%", strict=True))
_ASCII = str.maketrans(
    {"µ": "u", "…": "~", "·": "-", "–": "-", "—": "-", "×": "x", "█": "#", "▌": "", "’": "'", "▲": "^", **_LOWER_BARS}
)

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}  # ECMA-48, select graphic rendition

Piece = tuple[str, str]
"""Text and its style, "" for none: one of bold, dim, red, green, yellow, cyan, or several with blanks between."""


class Column(Record, frozen=True):
    """A column of a table. The highest `rank` goes first where space is short, 0 stays.

    `least` is the width that a column may be cut down to; 0 means that it is shown whole or not at all. It is cut in the middle,
    since names and places differ at their ends, or with `begins` at the end, behind a comma if it has one.
    """

    title: str
    rank: int = 0
    least: int = 0
    begins: bool = False

    @property
    def is_text(self) -> bool:
        """Text stands at the left, figures at the right."""
        return self.least > 0


class Screen:
    """Collects lines for one file and writes them at once."""

    def __init__(self, file: TextIO, width: int | None = None) -> None:
        self.file = file
        self.width = max(NARROWEST, min(WIDEST, width or _width_of(file)))
        self._encoding = getattr(file, "encoding", None) or "utf-8"
        try:
            "µ█…".encode(self._encoding)
            self._is_ascii = False
        except (UnicodeEncodeError, LookupError):
            self._is_ascii = True
        self._indent = 0
        self._has_colours = has_colours(file)
        self._parts: list[str] = []

    def clean(self, text: str) -> str:
        """Return text as one inert line that the file's encoding can hold."""
        text = inert(text)
        if text.isascii():
            return text
        if self._is_ascii:
            text = text.translate(_ASCII)
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding, "replace")

    def cut(self, text: str, width: int) -> str:
        """Return clean text shortened to a width in columns."""
        if cell_len(text) <= width:
            return text
        return cut_to(text, max(0, width - 1)) + ("~" if self._is_ascii else "…")

    def cut_list(self, text: str, width: int) -> str:
        """Return clean text shortened to a width in columns, an enumeration behind one of its commas."""
        cut = self.cut(text, width)
        head, comma, _ = cut[:-1].rpartition(", ")
        return f"{head}{comma}{cut[-1]}" if comma and cut != text else cut

    def cut_within(self, text: str, width: int) -> str:
        """Return clean text shortened to a width in columns, its beginning and its end kept."""
        over = cell_len(text) - width
        if over <= 0 or width < _LEAST_PARTED:
            return self.cut(text, width)
        tail = text[len(text) - width // 3 :]
        while cell_len(tail) > width // 3:
            tail = tail[1:]
        return self.cut(text, width - cell_len(tail)) + tail

    @property
    def room(self) -> int:
        """The columns between the indentation and the right edge."""
        return self.width - self._indent

    def line(self, *pieces: Piece) -> None:
        """Add one line, indented under its heading and cut at the right edge."""
        left = self.room
        if pieces and self._indent:
            self._parts.append(" " * self._indent)
        for text, style in pieces:
            text = self.cut(self.clean(text) if text.strip() else text, left)
            left -= cell_len(text)
            self._parts.append(self._style(text, style))
            if left <= 0:
                break
        self._parts.append("\n")

    def title(self, text: str, aside: str = "") -> None:
        """Add an empty line and a heading, and an explanation where there is room for it; what follows is indented."""
        self._indent = 0
        self.line()
        fits = aside and cell_len(text) + 2 + cell_len(self.clean(aside)) <= self.width
        self.line((text, "bold"), *([("  ", ""), (aside, "dim")] if fits else []))
        self._indent = _INDENT

    def flow(self, pieces: list[Piece], between: str = " ", indent: int = 0) -> None:
        """Add pieces one after the other, on as many lines as they need; a piece is never parted.

        `indent` is for the lines after the first.
        """
        row: list[Piece] = []
        used = 0
        for text, style in pieces:
            text = self.clean(text)
            needed = cell_len(text) + (len(between) if row else 0)
            if row and used + needed > self.room:
                self.line(*row)
                row, used, needed = [(" " * indent, "")] if indent else [], indent, cell_len(text)
            elif row:
                row.append((between, "dim"))
            row.append((text, style))
            used += needed
        self.line(*row)

    def command(self, before: str, line: str) -> None:
        """Add a command of a shell, which is parted between words and in the way that a shell puts together again."""
        rows: list[str] = [before]
        for at, word in enumerate(map(quote, split(line))):
            room = self.room - cell_len(rows[-1]) - 2  # for what parts it
            if at and cell_len(self.clean(word)) + 1 > room:
                rows[-1] += " \\"
                rows.append(" " * _INDENT + word)
            else:
                rows[-1] += " " * bool(at) + word
        rows[0] = rows[0][len(before) :]
        for row in rows:  # a word longer than a line is the terminal's to part: what is cut cannot be copied
            self._parts += [" " * self._indent, before, self._style(self.clean(row), "cyan"), "\n"]
            before = ""

    def paragraph(self, text: str, style: str = "", indent: int = 0) -> None:
        """Add a sentence, wrapped between words."""
        self.flow([(word, style) for word in self.clean(text).split(" ") if word], indent=indent)

    def table(self, columns: list[Column], rows: list[list[Piece]]) -> None:
        """Add a table: as many columns as the screen holds, cut where they may be cut."""
        cells = [[(self.clean(text), style) for text, style in row] for row in rows]
        titles = [self.clean(column.title) for column in columns]
        natural = [max([cell_len(title), *(cell_len(row[index][0]) for row in cells)]) for index, title in enumerate(titles)]
        widths = fit(columns, natural, self.room)
        if any(titles):
            cells.insert(0, [(title, "dim") for title in titles])
        for row in cells:
            pieces: list[Piece] = []
            for index, (text, style) in enumerate(row):
                if index not in widths:
                    continue
                cut = self.cut_within if columns[index].is_text and not columns[index].begins else self.cut_list
                text = cut(text, widths[index])
                space = " " * (widths[index] - cell_len(text))
                pieces += [(" " * _GAP, "")] if pieces else []
                pieces += [(text, style), (space, "")] if columns[index].is_text else [(space, ""), (text, style)]
            while pieces and not pieces[-1][0].strip():
                pieces.pop()
            self._parts.append(" " * self._indent)
            self._parts.extend(self._style(text, style) for text, style in pieces)
            self._parts.append("\n")

    def write(self) -> None:
        """Write all lines to the file."""
        self.file.write(without_commands("".join(self._parts)))
        self.file.flush()

    def _style(self, text: str, style: str) -> str:
        if not (style and text and self._has_colours):
            return text
        return f"\x1b[{';'.join(_STYLES[word] for word in style.split())}m{text}\x1b[0m"


def fit(columns: list[Column], natural: list[int], available: int) -> dict[int, int]:
    """Return the width of each column that is shown, by its index.

    Columns of the highest rank go until the rest fits with its texts cut to their least; what is then left over goes back
    to the texts, from the left.
    """
    least = [min(width, column.least) if column.is_text else width for column, width in zip(columns, natural, strict=True)]
    shown = list(range(len(columns)))
    while len(shown) > 1 and sum(least[index] for index in shown) + _GAP * (len(shown) - 1) > available:
        last = max(shown, key=lambda index: (columns[index].rank, index))
        if columns[last].rank == 0:
            break
        shown.remove(last)
    left = available - sum(least[index] for index in shown) - _GAP * (len(shown) - 1)
    widths = {}
    for index in shown:
        more = max(0, min(natural[index] - least[index], left))
        widths[index] = least[index] + more
        left -= more
    return widths


def has_colours(file: TextIO) -> bool:
    """Say whether a file may get ANSI escapes."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return os.environ.get("TERM", "") not in ("", "dumb", "unknown") and file.isatty()


def _width_of(file: TextIO) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return (os.get_terminal_size(file.fileno()).columns if file.isatty() else 0) or PIPED_WIDTH
    except (OSError, ValueError):
        return PIPED_WIDTH
