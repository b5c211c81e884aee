"""Budgets held against a run: what is kept, what is broken, what cannot be judged.

In: limits and the report of a run, and of a run to compare with. Out: a Check, in one of FORMATS. `judge` decides, `formats`
holds one module for each format, found by listing: it exposes `write(check, file, *, width)`.
"""

from __future__ import annotations

from importlib import import_module

from hookmon.core.listing import modules_in
from hookmon.report.check import formats
from hookmon.report.check.judge import Check

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

FORMATS = tuple(modules_in(formats))
"""What `render` can be asked for."""


def render(check: Check, format: str, *, file: TextIO, width: int | None = None) -> None:
    """Write a check to `file` and flush it."""
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    import_module(f"{formats.__name__}.{format}").write(check, file, width=width)
    file.flush()
