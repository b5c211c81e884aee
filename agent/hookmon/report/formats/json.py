"""The report for programs: docs/json.md describes every key.

Written with a row on each line: a reader finds his way, two reports can be compared line by line, and the encoder's
fast path serves (an indented dump of 15,000 rows takes four times as long).
"""

from __future__ import annotations

from collections.abc import Callable
from json import JSONEncoder

from hookmon.collector.store import Process
from hookmon.core.record import asdict, fields
from hookmon.report.account import sentence, warning
from hookmon.report.calls import FIGURES, CallRow, TreeRow, tree
from hookmon.report.model import Report
from hookmon.report.samples import Sampling
from hookmon.report.series import CallPoints, Point, over_time, usage
from hookmon.report.texts import inert_json
from hookmon.report.transactions import TransactionRow

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TextIO

SCHEMA = "hookmon/1"
"""Changes when a key goes or changes its meaning; a new key leaves it as it is."""

STATUS_FIGURES = (
    *("calls", "errors", "total_ns", "min_ns", "max_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns"),
    *("interrupted", "untimed"),
)
"""What is known of the requests with one status: what they did inside is not counted by status."""

_MOST_FUNCTIONS = 500  # of those that were sampled
_POINT = tuple(fields(Point))
_encode = JSONEncoder(separators=(", ", ": ")).encode


_TABLES: dict[str, Callable[[Report], Any]] = {
    "run": lambda report: _run(report),
    "account": lambda report: _account(report),
    "kinds": lambda report: [asdict(row) for row in report.kinds],
    "calls": lambda report: [figures_of(row, ("name", "kind", "target", "location")) for row in report.calls],
    "own": lambda report: asdict(report.own) if report.own is not None else None,
    "transactions": lambda report: [_transaction(row) for row in report.transactions],
    "findings": lambda report: [asdict(finding) for finding in report.findings],
    "tree": lambda report: [
        figures_of(row, ("parent", "name", "kind", "target", "call_site", "flat")) for row in tree(report.nodes)
    ],
    "sampled": lambda report: _sampled(report.sampling),
    "signals": lambda report: [asdict(row) for row in report.signals],
    "imports": lambda report: [asdict(row) for row in report.imports],
    "processes": lambda report: [_process(process) for process in report.processes],
    "watched": lambda report: [asdict(row) for row in report.watched],
    "blind_spots": lambda report: [asdict(spot) for spot in report.blind_spots],
    "in_flight": lambda report: [
        asdict(call) | {"stack": [{"name": name, "since_ns": since_ns} for name, since_ns in call.stack]}
        for call in report.in_flight
    ],
    "still_running": lambda report: report.still_running,
    "notes": lambda report: [*report.nothing, *_warnings(report), *map(str, report.notes)],
    "series": lambda report: [_series(row) for row in over_time(report.series, report.interval_ns)],
    "usage": lambda report: [asdict(row) for row in usage(report.samples, report.interval_ns)],
}


def as_json(report: Report, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the document as plain values; the tables in `without` are neither made nor in it."""
    return {"schema": SCHEMA} | {key: table(report) for key, table in _TABLES.items() if key not in without}


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the document, in ASCII, with a line for each row."""
    parts = [f'"{key}": {_value(value)}' for key, value in as_json(report).items()]
    file.write(inert_json("{\n" + ",\n".join(parts) + "\n}\n"))


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "\n]"
    return _encode(value)


def _run(report: Report) -> dict[str, Any]:
    header = report.header
    return {name: getattr(header, name) for name in fields(header)} | {"interval_ns": report.interval_ns}


def _account(report: Report) -> dict[str, Any] | None:
    account = report.account
    return asdict(account) | {"text": sentence(account), "warning": warning(account)} if account else None


def _warnings(report: Report) -> list[str]:
    text = warning(report.account) if report.account else ""
    return [text] if text else []


def _process(process: Process) -> dict[str, Any]:
    own = asdict(process)
    del own["identity"]  # for the launcher's own use
    return own


def _sampled(sampling: Sampling) -> dict[str, Any]:
    own = asdict(sampling)
    own["functions"] = own["functions"][:_MOST_FUNCTIONS]
    return own


def _transaction(row: TransactionRow) -> dict[str, Any]:
    own: dict[str, Any] = {"name": row.name, "kind": row.kind}
    own |= {name: getattr(row.figures, name) for name in FIGURES}
    own |= {"by_kind": row.by_kind, "after_ns": row.after_ns, "computing": row.computing and asdict(row.computing)}
    own["statuses"] = [
        {"status": status.status} | {name: getattr(status.figures, name) for name in STATUS_FIGURES} for status in row.statuses
    ]
    own |= {"children": [], "examples": []}
    for child in row.children:
        figures = {name: getattr(child.figures, name) for name in FIGURES}
        rest = {name: getattr(child, name) for name in fields(child) if name != "figures"}
        own["children"].append(rest | figures)
    own["examples"] = [asdict(example) for example in row.examples]
    return own


def figures_of(row: CallRow | TreeRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return some attributes of a row, and its figures."""
    own = {name: getattr(row, name) for name in names}
    return own | {name: getattr(row.figures, name) for name in FIGURES}


def _series(row: CallPoints) -> dict[str, Any]:
    """Return a series as columns: an array for each key of its points, which takes a quarter of the room."""
    own = {"name": row.name, "kind": row.kind, "target": row.target}
    return own | {name: [getattr(point, name) for point in row.points] for name in _POINT}
