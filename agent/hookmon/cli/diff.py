"""`hookmon diff`: two runs side by side. The diff is what was asked for, so it goes to stdout or to the file named."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hookmon.cli import _output, _runs
from hookmon.report.diff import FORMATS, render


@click.command("diff", short_help="Compare two runs: what changed, and what is noise.")
@click.argument("a")
@click.argument("b", default="last")
@click.option("--format", "format", type=click.Choice(FORMATS), default="text", show_default=True, help="How to write it.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout.")
@_output.format_as_json
@click.option("--all", "everything", is_flag=True, help="Show also what did not change.")
@click.option(
    "--noise",
    type=click.FloatRange(0, 100),
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="By how much two runs of an unchanged program may differ on this machine when it is quiet.",
)
def command(a: str, b: str, format: str, output: Path | None, as_json: bool, everything: bool, noise: float) -> None:
    """Compare run A with run B, which came later.

    A and B are numbers, names, or paths of run files; no B is the newest run. Counts are exact. A time is called changed only
    when it differs by more than two runs of an unchanged program do, with 95 % certainty for the whole diff. Where machine,
    interpreter or configuration differ, only counts are compared. The exit code is 0 whatever has changed: hookmon check judges.
    """
    from hookmon.report.diff.model import build

    format = _output.chosen_format(format, as_json)
    store = _runs.store_here()
    diff = build(_runs.find(store, a), _runs.find(store, b), noise=noise / 100)
    if output is None:
        render(diff, format, file=sys.stdout, everything=everything)
        return
    with _output.opened(output, "the diff") as file:
        render(diff, format, file=file, everything=everything)
