"""A service's days over each other: today over yesterday and the same day last week. Runs on the launcher's side only.

In: a Reading of what a store kept. Out: text in one of FORMATS. `model` holds the rows, `formats` one module for each format,
which is found by listing: it exposes `write(days, file, *, width, everything)`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TextIO

from hookmon.report.history import formats
from hookmon.report.history.model import Days

FORMATS = tuple(sorted(module.name for module in iter_modules(formats.__path__)))
"""What `render` can be asked for."""


def render(days: Days, format: str, *, file: TextIO, width: int | None = None, everything: bool = False) -> None:
    """Write days to `file` and flush it. `everything` lifts the limits on the length of tables."""
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    import_module(f"{formats.__name__}.{format}").write(days, file, width=width, everything=everything)
    file.flush()
