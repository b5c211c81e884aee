"""Globs of modules ("app.*", "app.**") and of files ("/srv/dags/*.py"): which names they take.

Both halves use them: the probe where modules come in, the launcher for reports. Nothing is imported: the program may be in the
midst of importing whatever this would need.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

EVERYTHING = "**"
"""As a whole part: any number of parts, also none."""

SUFFIXES = (".py", ".pyc", ".so")
"""How the file of a module ends."""


def is_glob(text: str) -> bool:
    """Say whether a name stands for several."""
    return "*" in text or "?" in text or "[" in text


_known: dict[str, list[str]] = {}
"""{pattern: its signs} of those that were asked for."""


class Glob:
    """One glob, ready to be asked.

    It is a sequence of parts with `separator` between them. In a part, `*`, `?`, `[a-z]` and `[!a-z]` mean what they mean to
    `fnmatch`, and they never pass a separator. The part `**` stands for any number of parts: "app.**" takes "app" and all
    below it, "app.*" what is directly in it.
    """

    __slots__ = ("_parts", "separator", "text")

    def __init__(self, text: str, separator: str = ".") -> None:
        self.text = text
        self.separator = separator
        self._parts = [part if part == EVERYTHING else _signs(part) for part in text.split(separator)]

    def takes(self, name: str) -> bool:
        """Say whether a name is one of those that this glob stands for."""
        if self.text == EVERYTHING:
            return True
        return _fits_run(name.split(self.separator), self._parts, EVERYTHING, _fits_part)

    @property
    def root(self) -> str:
        """The first part of all names that it takes, "" where that is a glob itself."""
        first = self.text.partition(self.separator)[0]
        return "" if is_glob(first) else first

    @property
    def literal_length(self) -> int:
        """The number of its characters that stand for themselves: of two globs, the one with more is the narrower."""
        return sum(sign not in ("*", "?") and len(sign) == 1 for part in self._parts if part != EVERYTHING for sign in part)


def matches(name: str, pattern: str) -> bool:
    """Say what `fnmatch.fnmatchcase` says of a name without a separator."""
    signs = _known.get(pattern)
    if signs is None:
        signs = _known[pattern] = _signs(pattern)
    return _fits_part(name, signs)


def _signs(part: str) -> list[str]:
    """Return the signs of one part: "*", "?", a set with its brackets, or a character."""
    signs: list[str] = []
    at = 0
    while at < len(part):
        end = part.find("]", at + 2 + (part[at + 1 : at + 2] == "!")) if part[at] == "[" else -1
        signs.append(part[at : end + 1] if end >= 0 else part[at])
        at = end + 1 if end >= 0 else at + 1
    return signs


def _fits_part(part: str, signs: list[str] | str) -> bool:
    return _fits_run(part, signs, "*", _fits_sign)


def _fits_run(elements: Sequence[Any], signs: Sequence[Any], star: str, fits: Callable[[Any, Any], bool]) -> bool:
    """Say whether elements are what signs stand for, one for one; `star` stands for any number of elements."""
    at = place = 0
    behind_star, tried_at = -1, 0  # where the signs go on behind the last star, and the first element that is left to it
    while at < len(elements):
        if place < len(signs) and signs[place] == star:
            place += 1
            behind_star, tried_at = place, at
        elif place < len(signs) and fits(elements[at], signs[place]):
            at += 1
            place += 1
        elif behind_star >= 0:
            tried_at += 1
            at, place = tried_at, behind_star
        else:
            return False
    return all(sign == star for sign in signs[place:])


def _fits_sign(char: str, sign: str) -> bool:
    if len(sign) == 1:
        return sign in ("?", char)
    is_negated = sign[1] == "!"
    return _is_among(char, sign[1 + is_negated : -1]) != is_negated


def _is_among(char: str, chars: str) -> bool:
    at = 0
    while at < len(chars):
        if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars):
            if chars[at] <= char <= chars[at + 2]:
                return True
            at += 3
        elif chars[at] == char:
            return True
        else:
            at += 1
    return False
