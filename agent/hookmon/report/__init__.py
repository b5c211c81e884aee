"""A run becomes plain rows, and the rows become a screen or an export. Runs on the launcher's side only.

In: a Run of the collector's store. Out: text in one of FORMATS. `model` holds the rows, `formats` one module for each
format, which is found by listing: it exposes `write(report, file, *, width, everything)`, and `IS_BINARY = True` when what it
writes is no text, `UNREAD = (…)` for tables of a run that it does not show.
"""

from __future__ import annotations

from importlib import import_module

from hookmon.core.listing import modules_in
from hookmon.report import formats

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

    from hookmon.collector.store import Run

FORMATS = tuple(modules_in(formats))
"""What `render` can be asked for."""


def unread_tables(format: str) -> tuple[str, ...]:
    """Return the tables of a run that a format does not show, and which need not be read for it."""
    return tuple(getattr(import_module(f"{formats.__name__}.{format}"), "UNREAD", ()))


def is_binary(format: str) -> bool:
    """Say whether a format is bytes, which no terminal should get."""
    return bool(getattr(import_module(f"{formats.__name__}.{format}"), "IS_BINARY", False))


def render(run: Run, format: str, *, file: TextIO, width: int | None = None, everything: bool = False) -> None:
    """Write the report of a run to `file` and flush it.

    `width` is in columns, None for that of the terminal; only `text` looks at it. `everything` lifts the limits on the
    length of tables. The file is written as its encoding and the environment (NO_COLOR, FORCE_COLOR, TERM) allow.
    """
    from hookmon.collector.store import no_collection
    from hookmon.report.model import build

    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    with no_collection():
        import_module(f"{formats.__name__}.{format}").write(build(run), file, width=width, everything=everything)
    file.flush()
