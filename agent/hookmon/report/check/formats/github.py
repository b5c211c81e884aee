"""The check as annotations of a GitHub workflow: an error for what is broken, a warning for what cannot be judged.

Source: "Workflow commands for GitHub Actions". An annotation stands at the line that calls, or else at the budget's.
"""

from __future__ import annotations

from typing import TextIO

from hookmon.report.check.formats.text import verdict_of
from hookmon.report.check.judge import BROKEN, UNJUDGED, Check, Row
from hookmon.report.texts import inert

_COMMANDS = {BROKEN: "error", UNJUDGED: "warning"}


def write(check: Check, file: TextIO, *, width: int | None) -> None:  # noqa: ARG001  # no screen
    """Write a command on each line, and the verdict as plain text for the log."""
    lines = []
    for verdict, command in _COMMANDS.items():
        for row in check.of(verdict):
            path, line = place(row)
            where = f"file={_property(path)},line={line}," if path else ""
            lines.append(f"::{command} {where}title={_property(f'hookmon: {row.key}')}::{_data(row.sentence)}")
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write("\n".join([*lines, verdict_of(check), ""]).encode(encoding, "backslashreplace").decode(encoding))


def place(row: Row) -> tuple[str, int]:
    """Return the file and line that a row is about: the call's where it lies in the project, or else the budget's."""
    path, _, line = row.location.rpartition(":")
    if path and not path.startswith("/") and line.isdecimal():
        return path, int(line)
    return row.file, row.line or 1


def _data(text: str) -> str:
    return inert(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
