"""`hookmon open`: shows a run as a page in the browser. The page lies beside the run, where only its owner can read it."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output, _runs
from hookmon.core.errors import RunFileError

if TYPE_CHECKING:
    from hookmon.collector.store import Run, Store


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
    path = _write(store, found)
    if as_json:
        _output.print_json({"run": found.id, "path": str(path)})
    else:
        click.echo(str(path))
    if not no_browser and _has_display():
        import webbrowser

        webbrowser.open(path.as_uri())


def _write(store: Store, run: Run) -> Path:
    """Write the page, whole or not at all, readable by its owner only, and return where it is."""
    from hookmon.report import render

    is_kept = _is_kept(store, run)
    folder = store.folder if is_kept and os.access(store.folder, os.W_OK) else Path(tempfile.gettempdir())
    try:
        number, name = tempfile.mkstemp(prefix="hookmon-", suffix=".html", dir=folder)
        with open(number, "w", encoding="utf-8", newline="\n") as file:
            render(run, "html", file=file)
        if folder != store.folder:
            return Path(name)
        path = store.run_file(run.id).page
        os.replace(name, path)
    except OSError as error:
        raise _output.written(folder, "the page", error) from error
    return path


def _is_kept(store: Store, run: Run) -> bool:
    """Say whether a run is one of this project's: a run file from elsewhere may have the same number."""
    with suppress(RunFileError):
        return run.id in store.numbers() and store.run_file(run.id).head().started_at == run.started_at
    return False


def _has_display() -> bool:
    """Say whether a browser would have a screen: text browsers would take over this terminal."""
    if sys.platform == "darwin":
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))
