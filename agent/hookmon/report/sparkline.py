"""A line of bars in a terminal: one character for each value."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def spark(values: Sequence[float | None], top: float = 0.0) -> str:
    """Return a bar for each value, `top` as high as can be; without it that is the largest.

    Zero is the lowest bar, and what is more than that is always a higher one. None is a dot: there was nothing to measure. A
    value below zero is a blank: there is no such time.
    """
    top = top or max((value for value in values if value is not None), default=0.0)
    cells = []
    for value in values:
        if value is None or value < 0:
            cells.append(_NOTHING if value is None else " ")
        elif not value or top <= 0:
            cells.append(_BARS[0])
        else:
            cells.append(_BARS[min(7, 1 + int(value / top * 6.999))])
    return "".join(cells)
