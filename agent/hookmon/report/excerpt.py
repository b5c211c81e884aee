"""A part of a run, as far as its series tell: how often each name was called in it, how long that took, and no more.

In: a Run with its series, and two moments. Out: rows, and text or JSON of them. What is called by what is kept for the run as a
whole only, so there is no self time and no findings.
"""

from __future__ import annotations

import json
from datetime import datetime
from shlex import join

from hookmon.collector.store import CallSeries, Run
from hookmon.core.errors import RunFileError
from hookmon.core.histogram import COARSE_SUB_BUCKETS, add, buckets_at, middle_ns
from hookmon.core.record import Record, asdict
from hookmon.report.local_time import stretch
from hookmon.report.screen import Column, Screen
from hookmon.report.texts import count, duration, inert_json

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TextIO

SCHEMA = "hookmon-excerpt/1"
MOST_ROWS = 25


class ExcerptRow(Record, slots=True):
    """One name. Percentiles are within 9 %, as series are kept."""

    name: str
    kind: str
    target: str
    calls: int
    errors: int
    total_ns: int
    p50_ns: int
    p95_ns: int
    p99_ns: int


class Excerpt(Record, slots=True):
    """A part of a run: whole intervals of its series, so it may be a little longer than asked for. Seconds since 1970."""

    run: int
    name: str
    command: list[str]
    service: str
    since_s: float
    until_s: float
    interval_ns: int
    rows: list[ExcerptRow]  # most time first


def excerpt(run: Run, since_s: float, until_s: float) -> Excerpt:
    """Return a part of a run. Raises RunFileError where it has no series, or none of that time."""
    began_s = datetime.fromisoformat(run.started_at).timestamp()
    step_s = run.interval_ns / 1e9
    if not step_s or not run.series:
        raise RunFileError(
            f"run {run.id} has no series: nothing was counted, or it was saved by an older hookmon", code="no-series"
        )
    try:
        points = {at: json.loads(row.points) for at, row in enumerate(run.series)}
        seen = 1 + max((point[0] for own in points.values() for point in own), default=0)
        end_s = (
            min(began_s + run.duration_ns / 1e9, began_s + seen * step_s)
            if run.state == "running"
            else began_s + run.duration_ns / 1e9
        )
        first = max(0, int((since_s - began_s) // step_s))
        last = int(-(-(min(until_s, end_s) - began_s) // step_s)) - 1
        if last < first:
            raise RunFileError(
                f"run {run.id} was from {stretch(began_s, end_s)}: nothing of it is in that time", code="no-series"
            )
        rows = [_row(row, [point for point in points[at] if first <= point[0] <= last]) for at, row in enumerate(run.series)]
    except (ValueError, TypeError, IndexError, RecursionError, OverflowError) as error:
        raise RunFileError(f"the series of this run cannot be read: {error}", code="not-a-run-file") from error
    rows = sorted((row for row in rows if row.calls), key=lambda row: (-row.total_ns, row.name))
    since, until = began_s + first * step_s, min(end_s, began_s + (last + 1) * step_s)
    return Excerpt(run.id, run.name, run.command, run.service, since, until, run.interval_ns, rows)


def _row(series: CallSeries, points: list[Any]) -> ExcerptRow:
    buckets: dict[int, int] = {}
    calls = errors = total_ns = 0
    for _, more, failed, spent_ns, packed in points:
        calls, errors, total_ns = calls + more, errors + failed, total_ns + spent_ns
        add(buckets, dict(zip(packed[::2], packed[1::2], strict=True)))
    timed = sum(buckets.values())
    found = buckets_at((0.50, 0.95, 0.99), timed, sorted(buckets.items())) if timed > 0 else []
    times = [round(middle_ns(bucket, COARSE_SUB_BUCKETS)) for bucket in found] or [0, 0, 0]
    return ExcerptRow(series.name, series.kind, series.target, calls, errors, max(0, total_ns), *times)


def write(found: Excerpt, file: TextIO, *, everything: bool = False, width: int | None = None) -> None:
    """Write a screen."""
    screen = Screen(file, width)
    name = f" {found.name}" if found.name else ""
    screen.flow(
        [
            (f"run {found.run}{name}", "bold"),
            (stretch(round(found.since_s), round(found.until_s)), "bold"),
            (join(found.command), "dim"),
        ],
        between=" · ",
        indent=2,
    )
    shown = found.rows if everything else found.rows[:MOST_ROWS]
    more = f", {count(len(found.rows) - len(shown))} more with --all" if len(shown) < len(found.rows) else ""
    screen.title("Calls", f"most time first{more}")
    if not shown:
        screen.line(("No call ended in it.", ""))
    columns = [
        Column("name", least=20),
        Column("kind", rank=2, least=4),
        Column("calls"),
        Column("errors", rank=1),
        Column("total"),
        Column("p50", rank=3),
        Column("p95"),
        Column("p99", rank=4),
    ]
    if shown:
        screen.table(columns, [_cells(row) for row in shown])
    screen.line()
    length = duration(found.interval_ns)
    screen.paragraph(f"From the series of the run, in steps of {length}; percentiles within 9 %.", "dim")
    if found.service:
        screen.paragraph("What these call, and who calls them, is kept of its service:", "dim")
        screen.command("  ", f"hookmon report {found.service} --last 10m")
    else:
        screen.paragraph(
            "What these call, and who calls them, is kept by time for services only: hookmon run --service NAME.", "dim"
        )
    screen.write()


def _cells(row: ExcerptRow) -> list[tuple[str, str]]:
    times = [duration(ns) if ns else "–" for ns in (row.p50_ns, row.p95_ns, row.p99_ns)]
    errors = (count(row.errors), "red" if row.errors else "dim")
    figures = [(count(row.calls), ""), errors, (duration(row.total_ns), ""), *((text, "") for text in times)]
    return [(row.name, "bold"), (row.kind, "dim"), *figures]


def write_json(found: Excerpt, file: TextIO) -> None:
    """Write the same for programs, a name on each line."""
    document = asdict(found)
    rows = ",\n  ".join(json.dumps(row) for row in document.pop("rows"))
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {"schema": SCHEMA, **document}.items())
    file.write(inert_json(f'{{\n{head},\n"rows": [\n  {rows}\n]\n}}\n'))
    file.flush()
