"""Days as one offline page: their curves over each other, of all together or of each name."""

from __future__ import annotations

from typing import TextIO

from hookmon.report import offline
from hookmon.report.history.model import Days
from hookmon.report.history.page import document


def write(days: Days, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the page."""
    file.write(offline.page(offline.HISTORY, f"{days.service} {days.days[0].date}", document(days)))
