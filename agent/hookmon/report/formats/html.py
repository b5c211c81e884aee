"""One page to read, keep and send: everything in one file, which asks nothing of any network."""

from __future__ import annotations

from shlex import join

from hookmon.report import offline
from hookmon.report.model import Report
from hookmon.report.page import document

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the page."""
    header = report.header
    title = (
        f"{header.service} {header.window}" if header.window else header.name or (f"run {header.id}" if header.id else "a run")
    )
    file.write(offline.page(offline.RUN, f"{title} - {join(header.command)}", document(report)))
