"""A service's days over each other: today over yesterday and the same day last week. Runs on the launcher's side only.

In: a Reading of what a store kept. Out: text in one of FORMATS. `model` holds the rows, `formats` one module for each format,
which is found by listing: it exposes `write(days, file, *, width, everything)`.
"""

from __future__ import annotations

from importlib import import_module

from hookmon.core.listing import modules_in
from hookmon.report.history import formats
from hookmon.report.history.model import Days

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

FORMATS = tuple(modules_in(formats))
"""What `render` can be asked for."""


def render(days: Days, format: str, *, file: TextIO, width: int | None = None, everything: bool = False) -> None:
    """Write days to `file` and flush it. `everything` lifts the limits on the length of tables."""
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    import_module(f"{formats.__name__}.{format}").write(days, file, width=width, everything=everything)
    file.flush()
