"""The check for programs: the keys of a row are those of `hookmon.report.check.judge.Row`."""

from __future__ import annotations

import json
from typing import TextIO

from hookmon.core.record import asdict
from hookmon.report.check.judge import Check
from hookmon.report.texts import inert_json

SCHEMA = "hookmon-check/1"
"""Changes when a key goes or changes its meaning; a new key leaves it as it is."""


def write(check: Check, file: TextIO, *, width: int | None) -> None:  # noqa: ARG001  # no screen
    """Write the document, in ASCII; `exit_code` is that of `hookmon check` without --strict."""
    document = {"schema": SCHEMA, **asdict(check), "exit_code": check.exit_code()}
    file.write(inert_json(json.dumps(document, indent=2)) + "\n")
