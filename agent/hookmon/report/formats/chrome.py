"""A trace for https://ui.perfetto.dev and chrome://tracing, in Chrome's Trace Event Format.

Each track is a process of the trace. The call tree is one: slices that add up many calls, so the axis is an amount of time and
no moment. Times are in microseconds, as the format wants them.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import JSONEncoder
from shlex import join
from typing import Any, TextIO

from hookmon.report.calls import tree
from hookmon.report.flame import slices
from hookmon.report.model import Report
from hookmon.report.texts import inert

_TREE = 1
"""The track of the call tree; those of single requests have higher numbers."""

_encode = JSONEncoder(separators=(",", ":")).encode


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # always whole
    """Write the trace, in ASCII, with a line for each event."""
    other = {"command": inert(join(report.header.command)), "hookmon": report.header.hookmon, "run": report.header.id}
    events = ",\n".join(map(_encode, _events(report)))
    file.write(f'{{"displayTimeUnit":"ms","otherData":{_encode(other)},"traceEvents":[\n{events}\n]}}\n')


def _events(report: Report) -> Iterator[dict[str, Any]]:
    yield from _named_track(_TREE, "call tree, all calls added up")
    yield from _tree(report)


def _named_track(number: int, name: str) -> Iterator[dict[str, Any]]:
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "ts": 0, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "ts": 0, "args": {"sort_index": number}}


def _tree(report: Report) -> Iterator[dict[str, Any]]:
    rows = tree(report.nodes)
    for each in slices(report.nodes):
        row = rows[each.index]
        figures = row.figures
        yield {
            "ph": "X",
            "name": inert(row.name),
            "cat": row.kind,
            "pid": _TREE,
            "tid": 1,
            "ts": each.begin_ns / 1_000,
            "dur": (each.end_ns - each.begin_ns) / 1_000,
            "args": {
                "target": inert(row.target),
                "called from": inert(row.call_site),
                "calls": figures.calls,
                "errors": figures.errors,
                "mean_us": figures.mean_ns / 1_000,
                "p95_us": figures.p95_ns / 1_000,
                "max_us": figures.max_ns / 1_000,
            },
        }
