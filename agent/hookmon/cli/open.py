"""`hookmon open`: shows a run as a page in the browser. The page lies beside the run, where only its owner can read it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from hookmon.cli import _output, _pages, _runs, _time_range, _windows

if TYPE_CHECKING:
    from hookmon.collector.store import Run


@click.command("open", short_help="Show a run as a page in the browser.")
@click.argument("run", default="last", metavar="[RUN|SERVICE]")
@_time_range.options
@click.option("--no-browser", is_flag=True, help="Write the page and print its path, no more.")
@_output.as_json
def command(run: str, last: str | None, since: str | None, until: str | None, no_browser: bool, as_json: bool) -> None:
    """Write a run as one page, print its path, and open it in the browser.

    RUN is a number, a name, the path of a run file, or "last" for the newest, which is also what no RUN means. Of a SERVICE it is
    its last hour, or a stretch: --last 10m, --since 14:00 --until 14:30; hookmon history --open has its days. The page of a run
    lies beside the run and goes with it; hookmon report --format html --output FILE writes one to keep or to send. Without a
    display only the path is printed.
    """
    store = _runs.store_here()
    found = _windows.find(run, (last, since, until))
    own = store.run_file(found.id).page if _runs.is_kept(store, found) else None
    path = _pages.write(own, partial(_render, found))
    if as_json:
        _output.print_json({"run": found.id, "path": str(path)})
    else:
        click.echo(str(path))
    if not no_browser:
        _pages.show(path)


def _render(run: Run, file: TextIO) -> None:
    from hookmon.report import render

    render(run, "html", file=file)
