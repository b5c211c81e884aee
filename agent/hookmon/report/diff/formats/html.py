"""The diff as one offline page: counts and times to sort and to search, with the interval of each time drawn."""

from __future__ import annotations

from typing import TextIO

from hookmon.report import offline
from hookmon.report.diff.model import Diff
from hookmon.report.diff.page import document
from hookmon.report.diff.sides import Side


def write(diff: Diff, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the page."""
    file.write(offline.page(offline.DIFF, f"{_name(diff.a)} and {_name(diff.b)}", document(diff)))


def _name(side: Side) -> str:
    return f"{side.service} {side.window}" if side.window else side.name or f"run {side.id}"
