"""`hookmon history`: the days of a service over each other, on stdout, in a file, or as a page."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from hookmon.cli import _output, _time_range, _which_service
from hookmon.cli._choice import Choice
from hookmon.report.history import FORMATS, render

if TYPE_CHECKING:
    from hookmon.report.history.model import Days
    from hookmon.services.store import ServiceStore


@click.command("history", short_help="The days of a service over each other.")
@click.argument("service", default="")
@click.option("--transaction", default="", metavar="NAME", help="One request, job or test, and what it calls.")
@click.option("--day", default="today", metavar="DAY", help="Another day: yesterday, monday, 2026-11-28.")
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("--open", "opens", is_flag=True, help="Write a page, print its path, and open it in the browser.")
@click.option("--all", "everything", is_flag=True, help="Show every name and start.")
def command(
    service: str, transaction: str, day: str, format: str, output: Path | None, as_json: bool, opens: bool, everything: bool
) -> None:
    """Lay a day of a service over the day before and the same day of the week before.

    SERVICE is the name that hookmon run --service was given. Without it, it is the only one; where there are several, each is
    shown in a line, with its last 24 hours. Today is compared with the others up to the same time of day. Times are local ones.

    --format html is one offline page, with curves by ten minutes. --open writes it to the file of --output or a new one.
    """
    from datetime import date

    format = _output.choose_format(format, as_json)
    if opens and format not in ("text", "html"):
        raise click.UsageError(f"--open shows a page, and --format {format} is none")
    now = time.time()
    wanted: date = _time_range.day("--day", day, now=now)
    if wanted > _time_range.day("--day", "today", now=now):
        raise click.UsageError(f"--day {day}: that day is still to come")
    store = _which_service.store_here()
    names = [service] if service else _which_service.names_in(store)
    if len(names) != 1:
        _list(store, format, output, opens or bool(transaction) or day != "today", now)
        return
    from hookmon.cli._days import DaysReader
    from hookmon.report.history.model import build

    is_page = opens or format == "html"
    found = DaysReader(store, names[0], wanted, now=now).read(transaction, is_fine=is_page)
    days = build(found, wanted, now=now)
    _write(days, "html" if opens else format, output, opens, everything)


def _write(days: Days, format: str, output: Path | None, opens: bool, everything: bool) -> None:
    if opens:
        from hookmon.cli import _pages
    if opens and output is None:
        path = _pages.write(None, lambda file: render(days, "html", file=file))
        click.echo(str(path))
        _pages.show(path)
        return
    if output is None:
        render(days, format, file=sys.stdout, everything=everything)
        return
    with _output.open_output(output, "the history") as file:
        render(days, format, file=file, everything=everything)
    if opens:
        _pages.show(output)


def _list(store: ServiceStore, format: str, output: Path | None, needs_one: bool, now: float) -> None:
    """Show each service in a line. Raises UsageError where one of several has to be named."""
    from hookmon.cli._overview import read
    from hookmon.report.history.overview import write, write_json

    rows = read(store, now)
    if rows and (needs_one or format == "html"):
        raise click.UsageError(f"which service? There are {', '.join(row.name for row in rows[:20])}")
    writer = write_json if format == "json" else write

    def render_to(file: TextIO) -> None:
        writer(rows, file, now=now)

    if output is None:
        render_to(sys.stdout)
        return
    with _output.open_output(output, "the history") as file:
        render_to(file)
