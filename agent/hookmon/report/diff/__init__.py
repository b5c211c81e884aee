"""Two runs side by side: what was called more or less often, what became slower or faster, and what nobody can say.

In: two Runs of the collector's store. Out: text in one of FORMATS. `model` holds the rows, `formats` one module for each format,
which is found by listing: it exposes `write(diff, file, *, width, everything)`.
"""

from __future__ import annotations

from importlib import import_module

from hookmon.collector.store import no_collection
from hookmon.core.listing import modules_in
from hookmon.report.diff import formats
from hookmon.report.diff.model import Diff

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

FORMATS = tuple(modules_in(formats))
"""What `render` can be asked for."""

UNREAD = (
    "examples",
    "statuses",
    "watched",
    "blind_spots",
    "samples",
    "sampled_processes",
    "sampled_frames",
    "sampled_stacks",
    "series",
)
"""Tables of a run that no diff looks at."""


@no_collection()
def render(diff: Diff, format: str, *, file: TextIO, width: int | None = None, everything: bool = False) -> None:
    """Write a diff to `file` and flush it. `everything` shows also what did not change."""
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    import_module(f"{formats.__name__}.{format}").write(diff, file, width=width, everything=everything)
    file.flush()
