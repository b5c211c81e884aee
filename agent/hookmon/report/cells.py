"""How many columns of a terminal text takes.

`rich` knows it of every character. It is imported for a text with others than ASCII and the signs that reports are drawn with,
which most reports do not have.
"""

from __future__ import annotations

_SIGNS = "µ…·–—×█▌’▲▁▂▃▄▅▆▇"
_OF_ONE_COLUMN = frozenset(map(chr, range(0x20, 0x7F))) | frozenset(_SIGNS)


def cell_len(text: str) -> int:
    """Return the width of text in columns."""
    if _OF_ONE_COLUMN.issuperset(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut_to(text: str, width: int) -> str:
    """Return text that is wider than so many columns, cut to them; half of a wide character becomes a blank."""
    if _OF_ONE_COLUMN.issuperset(text):
        return text[:width]
    from rich.cells import set_cell_size

    return set_cell_size(text, width)
