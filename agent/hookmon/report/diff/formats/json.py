"""The diff for programs: a row on each line, and the keys are those of the rows in `hookmon.report.diff.model`."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any, TextIO

from hookmon.core.record import asdict
from hookmon.report.diff.model import Diff
from hookmon.report.texts import inert_json

SCHEMA = "hookmon-diff/2"
"""Changes when a key goes or changes its meaning; a new key leaves it as it is."""

_encode = JSONEncoder(separators=(", ", ": ")).encode


def write(diff: Diff, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the document, in ASCII."""
    document: dict[str, Any] = {"schema": SCHEMA, **asdict(diff)}
    parts = [f'"{key}": {_value(value)}' for key, value in document.items()]
    file.write(inert_json("{\n" + ",\n".join(parts) + "\n}\n"))


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "\n]"
    return _encode(value)
