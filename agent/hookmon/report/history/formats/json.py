"""Days for programs: a row on each line, and the keys are those of the rows in `hookmon.report.history.model`."""

from __future__ import annotations

from json import JSONEncoder
from typing import Any, TextIO

from hookmon.core.record import Record, asdict, fields
from hookmon.report.history.model import Curve, Days, Row
from hookmon.report.texts import inert_json

SCHEMA = "hookmon-history/1"
"""Changes when a key goes or changes its meaning; a new key leaves it as it is."""

_encode = JSONEncoder(separators=(", ", ": ")).encode


def write(days: Days, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the document, in ASCII."""
    others = {key: _plain(getattr(days, key)) for key in fields(days) if key not in ("whole", "rows")}
    document: dict[str, Any] = {"schema": SCHEMA, **others, "whole": _row(days.whole), "rows": [_row(row) for row in days.rows]}
    for day in document["days"]:
        del day["parts"]  # they are the points of each row
    parts = [f'"{key}": {_value(value)}' for key, value in document.items()]
    file.write(inert_json("{\n" + ",\n".join(parts) + "\n}\n"))


def _plain(value: Any) -> Any:
    """Return rows as plain values."""
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return asdict(value) if isinstance(value, Record) else value


def _row(row: Row) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "curves": [_curve(curve) for curve in row.curves]}


def _curve(curve: Curve) -> dict[str, Any]:
    points = [{"minute": point.minute, "seconds": point.seconds, "figures": asdict(point.figures)} for point in curve.points]
    return {"points": points, "figures": asdict(curve.figures), "whole": asdict(curve.whole)}


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "\n]"
    return _encode(value)
