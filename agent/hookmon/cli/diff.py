"""`hookmon diff`: two runs side by side. The diff is what was asked for, so it goes to stdout, a file, or the browser."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output, _pages, _runs, _time_range, _windows
from hookmon.cli._choice import Choice
from hookmon.core.errors import RunFileError, StoreError
from hookmon.report.diff import FORMATS, UNREAD, render

if TYPE_CHECKING:
    from hookmon.collector.store import Run, Store


@click.command("diff", short_help="Compare two runs: what changed, and what is noise.")
@click.argument("a", default="last", metavar="[A|SERVICE]")
@click.argument("b", required=False)
@_time_range.options
@click.option("--against", metavar="TIME", help="Of a service, the same stretch earlier: yesterday, last-week, 2h, monday.")
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("--open", "opens", is_flag=True, help="Write a page, print its path, and open it in the browser.")
@click.option("--all", "everything", is_flag=True, help="Show also what did not change.")
@click.option(
    "--noise",
    type=click.FloatRange(0, 100),
    default=15.0,
    show_default=True,
    metavar="PERCENT",
    help="By how much the calls of one name may differ between two runs of an unchanged program, apart from all others.",
)
def command(
    a: str,
    b: str | None,
    last: str | None,
    since: str | None,
    until: str | None,
    against: str | None,
    format: str,
    output: Path | None,
    as_json: bool,
    opens: bool,
    everything: bool,
    noise: float,
) -> None:
    """Compare run A with run B, which came later.

    A and B are numbers, names, or paths of run files; no B is the newest run, and A alone, where it is the newest itself, or
    neither: the one before it and the newest. Counts are exact. A time is called changed only
    when it differs by more than two runs of an unchanged program do, with 95 % certainty for the whole diff. Where machine,
    interpreter or configuration differ, only counts are compared. The exit code is 0 whatever has changed: hookmon check judges.

    Of a SERVICE, --last 1h --against yesterday compares an hour with the same hour of the day before, whatever was started since.

    --format html is one offline page. --open writes it to the file of --output or
    beside the runs, with either of which it goes.
    """
    from hookmon.report.diff.model import build

    format = _output.choose_format(format, as_json)
    if opens and format not in ("text", "html"):
        raise click.UsageError(f"--open shows a page, and --format {format} is none")
    store = _runs.store_here()
    found = _windows_of(a, b, (last, since, until), against) or _pair(store, a, b)
    diff = build(*found, noise=noise / 100)
    if opens and output is None:
        own = store.run_file(diff.a.id).diff_page(diff.b.id) if all(_runs.is_kept(store, run) for run in found) else None
        path = _pages.write(own, lambda file: render(diff, "html", file=file))
        click.echo(str(path))
        _pages.show(path)
        return
    if output is None:
        render(diff, format, file=sys.stdout, everything=everything)
        return
    with _output.open_output(output, "the diff") as file:
        render(diff, "html" if opens else format, file=file, everything=everything)
    if opens:
        _pages.show(output)


def _windows_of(
    a: str, b: str | None, times: tuple[str | None, str | None, str | None], against: str | None
) -> tuple[Run, Run] | None:
    """Return the two windows of a service that are meant, None where two runs are."""
    now = time.time()
    given = _time_range.parse(*times, now=now)
    if given is None and against is None:
        if b is None and a != _windows.LAST and not a.isdecimal():
            _refuse_service(a)
        return None
    if b is not None:
        raise click.UsageError("two runs are compared as a whole: --last and --against are for one service")
    if given is None or against is None:
        raise click.UsageError("of a service both are needed: --last 1h --against yesterday")
    service = _windows.service_meant(a)
    if not service:
        raise _windows.refuse_run(a, "diff", "--last 1h --against yesterday")
    return _windows.pair(service, given, against, now=now)


def _refuse_service(name: str) -> None:
    """Raise StoreError where the name of no run is that of a service."""
    try:
        _runs.find_file(_runs.store_here(), name)
    except RunFileError:
        if _windows.is_service(name):
            raise StoreError(
                f"{name} is a service: hookmon diff {name} --last 1h --against yesterday", code="whole-service"
            ) from None


def _pair(store: Store, a: str, b: str | None) -> tuple[Run, Run]:
    """Return the two runs that are meant. Raises RunFileError when one of them is not there."""
    first = _runs.find(store, a, without=UNREAD)
    if b is not None:
        return first, _runs.find(store, b, without=UNREAD)
    newest = _runs.find(store, "last", without=UNREAD)
    if (first.id, first.started_at) != (newest.id, newest.started_at):
        return first, newest
    earlier = [number for number in store.numbers() if number < newest.id]
    if not earlier:
        raise RunFileError(f"run {newest.id} is the only one: there is none to compare it with", code="no-such-run")
    return _runs.find(store, str(earlier[-1]), without=UNREAD), newest
