"""All services in a line each, with their last 24 hours."""

from __future__ import annotations

import json
from datetime import tzinfo

from hookmon.core.record import Record, asdict
from hookmon.report.local_time import day_name, wall_of
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.sparkline import spark
from hookmon.report.texts import count, duration, inert_json

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

HOURS = 24
SCHEMA = "hookmon-services/1"


class ServiceRow(Record, slots=True):
    """A service. `rates` are transactions a second in each of the last 24 hours, the newest last; None where nothing ran."""

    name: str
    rates: list[float | None]
    calls: int  # transactions
    errors: int
    p50_ns: int
    p95_ns: int
    starts: int  # in these hours
    running: int  # starts that go on
    last_s: float  # the last that is known of it


def write(rows: list[ServiceRow], file: TextIO, *, now: float, zone: tzinfo | None = None, width: int | None = None) -> None:
    """Write a screen."""
    screen = Screen(file, width)
    if not rows:
        screen.paragraph("There is no service yet. This makes one, and keeps its minutes and hours:")
        screen.command("  ", "hookmon run --service web python app.py")
        screen.write()
        return
    screen.line((f"{count(len(rows), 'service')}", "bold"), ("  requests, jobs and tests of the last 24 hours", "dim"))
    columns = [
        Column("service", least=10),
        Column("until now", rank=2, least=HOURS),
        Column("calls"),
        Column("errors", rank=1),
        Column("p50", rank=4),
        Column("p95"),
        Column("starts", rank=3),
        Column("state", least=12),
    ]
    screen.table(columns, [_cells(row, now, zone) for row in rows])
    screen.line()
    screen.command("", "hookmon history SERVICE")
    screen.write()


def _cells(row: ServiceRow, now: float, zone: tzinfo | None) -> list[Piece]:
    return [
        (row.name, "bold"),
        (spark(row.rates), "cyan"),
        (count(row.calls), ""),
        (count(row.errors), "red" if row.errors else "dim"),
        (duration(row.p50_ns) if row.p50_ns else "–", ""),
        (duration(row.p95_ns) if row.p95_ns else "–", ""),
        (count(row.starts), "dim"),
        (_state(row, now, zone), "" if row.running else "dim"),
    ]


def _state(row: ServiceRow, now: float, zone: tzinfo | None) -> str:
    if row.running:
        return "running" if row.running == 1 else f"{count(row.running)} running"
    last, today = wall_of(row.last_s, zone), wall_of(now, zone).date()
    day = "" if last.date() == today else f"{day_name(last.date(), today)} "
    return f"ended {day}{last:%H:%M}"


def write_json(rows: list[ServiceRow], file: TextIO, *, now: float) -> None:
    """Write the same for programs, a service on each line."""
    services = ",\n  ".join(json.dumps(asdict(row)) for row in rows)
    head = f'{{\n"schema": {json.dumps(SCHEMA)},\n"now_s": {json.dumps(now)},\n"services": [\n  '
    file.write(inert_json(f"{head}{services}\n]\n}}\n"))
    file.flush()
