"""The report for programs: docs/json.md describes every key.

Written with a row on each line: a reader finds his way, two reports can be compared line by line, and the encoder's
fast path serves (an indented dump of 15,000 rows takes four times as long).
"""

from __future__ import annotations

from dataclasses import asdict, fields
from json import JSONEncoder
from typing import Any, TextIO

from hookmon.report.calls import CallRow, Figures, TreeRow, tree
from hookmon.report.model import Report
from hookmon.report.series import CallPoints, Point, over_time, usage
from hookmon.report.transactions import TransactionRow

SCHEMA = "hookmon/1"
"""Changes when a key goes or changes its meaning; a new key leaves it as it is."""

_POINT = tuple(each.name for each in fields(Point))
_FIGURES = tuple(each.name for each in fields(Figures))
_encode = JSONEncoder(separators=(", ", ": ")).encode


def as_json(report: Report) -> dict[str, Any]:
    """Return the document as plain values."""
    header = report.header
    return {
        "schema": SCHEMA,
        "run": {each.name: getattr(header, each.name) for each in fields(header)} | {"interval_ns": report.interval_ns},
        "kinds": [asdict(row) for row in report.kinds],
        "calls": [_row(row, ("name", "kind", "target")) for row in report.calls],
        "transactions": [_transaction(row) for row in report.transactions],
        "findings": [asdict(finding) for finding in report.findings],
        "tree": [_row(row, ("parent", "name", "kind", "target", "call_site", "flat")) for row in tree(report.nodes)],
        "processes": [asdict(process) for process in report.processes],
        "watched": [asdict(row) for row in report.watched],
        "blind_spots": [asdict(spot) for spot in report.blind_spots],
        "in_flight": [
            asdict(call) | {"stack": [{"name": name, "since_ns": since_ns} for name, since_ns in call.stack]}
            for call in report.in_flight
        ],
        "still_running": report.still_running,
        "notes": [*report.nothing, *map(str, report.notes)],
        "series": [_series(row) for row in over_time(report.series, report.interval_ns)],
        "usage": [asdict(row) for row in usage(report.samples, report.interval_ns)],
    }


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the document, in ASCII, with a line for each row."""
    parts = [f'"{key}": {_value(value)}' for key, value in as_json(report).items()]
    file.write("{\n" + ",\n".join(parts) + "\n}\n")


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "\n]"
    return _encode(value)


def _transaction(row: TransactionRow) -> dict[str, Any]:
    own: dict[str, Any] = {"name": row.name, "kind": row.kind}
    own |= {name: getattr(row.figures, name) for name in _FIGURES}
    own |= {"by_kind": row.by_kind, "after_ns": row.after_ns, "children": [], "examples": []}
    for child in row.children:
        figures = {name: getattr(child.figures, name) for name in _FIGURES}
        rest = {each.name: getattr(child, each.name) for each in fields(child) if each.name != "figures"}
        own["children"].append(rest | figures)
    own["examples"] = [asdict(example) for example in row.examples]
    return own


def _row(row: CallRow | TreeRow, names: tuple[str, ...]) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in names}
    return own | {name: getattr(row.figures, name) for name in _FIGURES}


def _series(row: CallPoints) -> dict[str, Any]:
    """Return a series as columns: an array for each key of its points, which takes a quarter of the room."""
    own = {"name": row.name, "kind": row.kind, "target": row.target}
    return own | {name: [getattr(point, name) for point in row.points] for name in _POINT}
