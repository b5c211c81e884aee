"""`hookmon open`: shows a run as a page in the browser. The page lies beside the run, where only its owner can read it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from hookmon.cli import _output, _pages, _runs

if TYPE_CHECKING:
    from hookmon.collector.store import Run


@click.command("open", short_help="Show a run as a page in the browser.")
@click.argument("run", default="last")
@click.option("--no-browser", is_flag=True, help="Write the page and print its path, no more.")
@_output.as_json
def command(run: str, no_browser: bool, as_json: bool) -> None:
    """Write a run as one page, print its path, and open it in the browser.

    RUN is a number, a name, the path of a run file, or "last" for the newest, which is also what no RUN means. The page lies
    beside the run and goes with it; hookmon report --format html --output FILE writes one to keep or to send. Without a
    display only the path is printed.
    """
    store = _runs.store_here()
    found = _runs.find(store, run)
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
