"""A trace for https://ui.perfetto.dev and chrome://tracing, in Chrome's Trace Event Format.

Each track is a process of the trace. The call tree is one: slices that add up many calls, so the axis is an amount of time and
no moment. Each of the slowest transactions has one of its own, which begins at 0, with its threads and tasks as threads of the
trace. Times are in microseconds, as the format wants them, in steps of 1/1024: readers add start and duration as doubles, and
in decimals a call then ends a billionth after the one that it lies in, which speedscope takes for broken nesting.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONEncoder
from shlex import join

from hookmon.report.calls import tree
from hookmon.report.flame import slices
from hookmon.report.model import Report
from hookmon.report.texts import duration, inert, inert_json
from hookmon.report.transactions import ExampleRow, TransactionRow

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TextIO

_TREE = 1
"""The track of the call tree; those of single transactions have the numbers after it."""

_encode = JSONEncoder(separators=(",", ":")).encode


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the trace, in ASCII, with a line for each event."""
    other = {"command": inert(join(report.header.command)), "hookmon": report.header.hookmon, "run": report.header.id}
    events = ",\n".join(map(_encode, _events(report)))
    file.write(inert_json(f'{{"displayTimeUnit":"ms","otherData":{_encode(other)},"traceEvents":[\n{events}\n]}}\n'))


def _events(report: Report) -> Iterator[dict[str, Any]]:
    yield from _named_track(_TREE, "call tree, all calls added up")
    yield from _tree(report)
    examples = [(row, example) for row in report.transactions for example in row.examples]
    for number, (row, example) in enumerate(examples, _TREE + 1):
        yield from _named_track(number, f"{inert(row.name)}, {duration(example.duration_ns)}")
        yield from _example(number, row, example)


def _named_track(number: int, name: str) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "ts": 0, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "ts": 0, "args": {"sort_index": number}}


def _tree(report: Report) -> Iterator[dict[str, Any]]:
    rows = tree(report.nodes)
    for piece in slices(report.nodes):
        row = rows[piece.index]
        figures = row.figures
        about: dict[str, Any] = {
            "target": inert(row.target),
            "called from": inert(row.call_site),
            "calls": figures.calls,
            "errors": figures.errors,
            "mean_us": figures.mean_ns / 1_000,
            "p95_us": figures.p95_ns / 1_000,
            "max_us": figures.max_ns / 1_000,
        }
        yield _slice(_TREE, 0, row.name, row.kind, piece.begin_ns, piece.end_ns - piece.begin_ns, about)


def _example(track: int, row: TransactionRow, example: ExampleRow) -> Iterator[dict[str, Any]]:
    """Yield a transaction and its calls; lane 0, its own thread or task, is the first."""
    about: dict[str, Any] = {"process": example.pid, "status": example.status, "calls left out": example.left_out}
    yield _slice(track, 0, row.name, row.kind, 0, example.duration_ns, about)
    for span in example.spans:
        about = {"called from": inert(span.call_site)}
        yield _slice(track, span.lane, span.name, span.kind, span.start_ns, span.duration_ns, about)


def _slice(track: int, lane: int, name: str, kind: str, at_ns: int, duration_ns: int, about: dict[str, Any]) -> dict[str, Any]:
    begin, end = _microseconds(at_ns), _microseconds(at_ns + duration_ns)
    times = {"ts": begin, "dur": end - begin}
    return {"ph": "X", "name": inert(name), "cat": kind, "pid": track, "tid": lane + 1, **times, "args": about}


def _microseconds(at_ns: int) -> float:
    """Return a time of which a double holds every digit."""
    return round(at_ns * 1.024) / 1_024
