"""`hookmon report`: shows a run again, or a part of a service. It goes to stdout, or to the file that is named."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from hookmon.cli import _output, _time_range, _windows
from hookmon.cli._choice import Choice
from hookmon.report import FORMATS, render, unread_tables


@click.command("report", short_help="Show a run or a part of a service again, or export it.")
@click.argument("run", default=_windows.LAST, metavar="[RUN|SERVICE]")
@_time_range.options
@click.option("--format", "format", type=Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("--all", "everything", is_flag=True, help="Show every name, process and watch.")
def command(
    run: str,
    last: str | None,
    since: str | None,
    until: str | None,
    format: str,
    output: Path | None,
    as_json: bool,
    everything: bool,
) -> None:
    """Show a run again, or a part of a service.

    RUN is a number, a name, the path of a run file, or "last" for the newest, which is also what no RUN means. SERVICE is a name
    of hookmon run --service: all its starts together, by default in the last hour, or --last 10m, --since 14:00 --until 14:30.
    Times are local ones. Of a run that is no service, --last shows how often each name was called, from its series.
    """
    format = _output.choose_format(format, as_json)
    if output is None:
        _output.refuse_binary(format, sys.stdout)
    given = _time_range.parse(last, since, until, now=time.time())
    if given is not None and not _windows.service_meant(run):
        from hookmon.cli import _excerpts

        _excerpts.write(run, given, format, output, is_last=since is None and until is None, everything=everything)
        return
    found = _windows.find(run, (last, since, until), unread_tables(format))
    if output is None:
        render(found, format, file=sys.stdout, everything=everything)
        return
    with _output.open_output(output, "the report") as file:
        render(found, format, file=file, everything=everything)
