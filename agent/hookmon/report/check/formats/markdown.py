"""The check for a pull request or a step summary. Foreign text stands in code spans."""

from __future__ import annotations

from typing import TextIO

from hookmon.report.check.formats.text import verdict_of
from hookmon.report.check.judge import BROKEN, KEPT, UNJUDGED, Check
from hookmon.report.formats.markdown import code

_SIGNS = {BROKEN: "❌ broken", UNJUDGED: "⚠️ not judged", KEPT: "✅ kept"}


def write(check: Check, file: TextIO, *, width: int | None) -> None:  # noqa: ARG001  # no screen
    """Write the verdict and a table with a line for each limit."""
    lines = [f"**{verdict_of(check)}**"]
    if check.rows:
        lines += ["", "| | What | Limit of | Is | Limit | Why |", "|:--|:--|:--|--:|--:|:--|"]
    for verdict in (BROKEN, UNJUDGED, KEPT):
        for row in check.of(verdict):
            why = code(row.reason, in_table=True) if row.reason else ""
            cells = [_SIGNS[verdict], code(row.name or row.budget, in_table=True), row.key, row.shown]
            lines.append(f"| {' | '.join([*cells, code(row.limit_text, in_table=True), why])} |")
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write("\n".join([*lines, ""]).encode(encoding, "backslashreplace").decode(encoding))
