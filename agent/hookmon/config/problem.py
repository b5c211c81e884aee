"""What is wrong with a configuration, said in one line: where, found, allowed, did you mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys and array positions from the top of a TOML file, `("watch", 0, "calls", 2)`."""


class Place(Record, frozen=True):
    """Where something stands: a line of a file, or an option of the command line. The line may be looked up on demand."""

    label: str
    at: int | Callable[[], int] = 0

    @property
    def line(self) -> int:
        """Its line, 0 for an option."""
        return self.at if isinstance(self.at, int) else self.at()

    def __str__(self) -> str:
        return f"{self.label}:{self.line}" if self.line else self.label


class Mistake(Record, frozen=True):
    """What a check says about one value.

    `at` leads from that value to the part that is wrong; `code` is the word that `hookmon help` explains.
    """

    found: str
    allowed: str = ""
    meant: str = ""
    at: KeyPath = ()
    code: str = "configuration"


class Problem(Record, frozen=True):
    """A mistake with its place; `str()` gives the line that the user reads."""

    place: Place
    mistake: Mistake

    def __str__(self) -> str:
        text = f"{self.place}: {self.mistake.found}"
        if self.mistake.allowed:
            text += f"; allowed: {self.mistake.allowed}"
        if self.mistake.meant:
            quote = "" if '"' in self.mistake.meant or "[" in self.mistake.meant else '"'  # ["quote"] and [[watch]] stand bare
            text += f"; did you mean {quote}{self.mistake.meant}{quote}?"
        # A hostile name must not break the line or reach the terminal as a control sequence.
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def sort_by_place(problems: list[Problem]) -> list[Problem]:
    """Return the problems file by file, in the order in which the files were read, and by line within each."""
    labels = list(dict.fromkeys(problem.place.label for problem in problems))
    return sorted(problems, key=lambda problem: (labels.index(problem.place.label), problem.place.line))


def closest(word: str, known: Iterable[str]) -> str:
    """Return the one of `known` that `word` was probably meant to be, "" when none is close."""
    from difflib import get_close_matches  # few runs begin with a mistake

    matches = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def quote(value: Any) -> str:
    """Return a TOML value as text for a message, shortened to some 60 characters."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1]
