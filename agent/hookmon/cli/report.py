"""`hookmon report`: shows a run again. The report is what was asked for, so it goes to stdout or to the file named."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hookmon.cli import _output, _runs
from hookmon.report import FORMATS, render, unread_tables


@click.command("report", short_help="Show a run again, or export it.")
@click.argument("run", default="last")
@click.option("--format", "format", type=click.Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("--all", "everything", is_flag=True, help="Show every name, process and watch.")
def command(run: str, format: str, output: Path | None, as_json: bool, everything: bool) -> None:
    """Show a run again.

    RUN is a number, a name, the path of a run file, or "last" for the newest, which is also what no RUN means.
    """
    format = _output.choose_format(format, as_json)
    if output is None:
        _output.refuse_binary(format, sys.stdout)
    found = _runs.find(_runs.store_here(), run, without=unread_tables(format))
    if output is None:
        render(found, format, file=sys.stdout, everything=everything)
        return
    with _output.open_output(output, "the report") as file:
        render(found, format, file=file, everything=everything)
