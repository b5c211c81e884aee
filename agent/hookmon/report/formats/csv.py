"""The calls for a spreadsheet, and behind them the signals: the names of the JSON rows are the header.

A signal is a row with the columns SIGNAL, which are empty for calls as those of calls are empty for signals.
"""

from __future__ import annotations

import csv
from io import StringIO

from hookmon.report.calls import FIGURES
from hookmon.report.model import Report
from hookmon.report.texts import inert

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

SIGNAL = ("unit", "count", "value", "min", "max", "mean", "p50", "p95", "p99")
UNREAD = ("examples", "statuses", "samples", "sampled_processes", "sampled_frames", "sampled_stacks")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write one line for each name of calls, and for each signal. What the file's encoding cannot hold is escaped."""
    text = StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("name", "kind", "target", *FIGURES, *SIGNAL))
    for call in report.calls:
        figures = (getattr(call.figures, name) for name in FIGURES)
        rows.writerow((_text(call.name), call.kind, _text(call.target), *figures, *[""] * len(SIGNAL)))
    for signal in report.signals:
        figures = (getattr(signal, name) if name != "unit" else _text(signal.unit) for name in SIGNAL)
        rows.writerow((_text(signal.name), signal.kind, "", *[""] * len(FIGURES), *figures))
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.getvalue().encode(encoding, "backslashreplace").decode(encoding))


def _text(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""
    text = inert(name)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
