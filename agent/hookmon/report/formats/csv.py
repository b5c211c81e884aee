"""The calls for a spreadsheet: the names of the JSON rows are the header."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TextIO

from hookmon.report.calls import FIGURES
from hookmon.report.model import Report
from hookmon.report.texts import inert

UNREAD = ("examples", "samples", "sampled_processes", "sampled_frames", "sampled_stacks")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write one line for each name. What the file's encoding cannot hold is escaped."""
    text = StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("name", "kind", "target", *FIGURES))
    for call in report.calls:
        rows.writerow((_text(call.name), call.kind, _text(call.target), *(getattr(call.figures, name) for name in FIGURES)))
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.getvalue().encode(encoding, "backslashreplace").decode(encoding))


def _text(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    text = inert(name)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
