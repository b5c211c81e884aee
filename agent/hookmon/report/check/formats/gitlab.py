"""The check as a code quality report of GitLab, which shows it in the merge request.

Source: GitLab's documentation, "Code Quality report format". What is kept is not in it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TextIO

from hookmon.report.check.formats.github import place
from hookmon.report.check.judge import BROKEN, UNJUDGED, Check
from hookmon.report.texts import inert, inert_json

_SEVERITIES = {BROKEN: "major", UNJUDGED: "info"}


def write(check: Check, file: TextIO, *, width: int | None) -> None:  # noqa: ARG001  # no screen
    """Write the document, in ASCII."""
    rows = []
    for row in check.rows:
        if row.verdict in _SEVERITIES:
            path, line = place(row)
            mark = sha256("\0".join((row.budget, row.name, row.key)).encode("utf-8", "replace")).hexdigest()
            rows.append(
                {
                    "description": inert(row.sentence),
                    "check_name": f"hookmon {row.key}",
                    "fingerprint": mark,  # of what the budget says, not of how far it is broken: it is the same problem tomorrow
                    "severity": _SEVERITIES[row.verdict],
                    "location": {"path": path, "lines": {"begin": line}},
                }
            )
    file.write(inert_json(json.dumps(rows, indent=2)) + "\n")
