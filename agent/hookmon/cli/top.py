"""`hookmon top`: a running run, live. It only reads what the run writes anyway, so the program does not know of it."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from shlex import quote
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output, _runs
from hookmon.core.errors import HookmonError

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.live import LiveRun
    from hookmon.collector.store import Run
    from hookmon.collector.windows import History
    from hookmon.services.live import LiveService

_NICENESS = 10
_SHORTEST_S = 0.1


@click.command("top", short_help="Watch a running run live.")
@click.argument("run", default="", metavar="[RUN|PID|SERVICE]")
@click.option("--plain", is_flag=True, help="Print a line each second; so it is where there is no terminal.")
@click.option("--filter", "wanted", default="", metavar="TEXT", help="Only calls whose name, kind or target holds TEXT.")
@click.option(
    "--interval", type=click.FloatRange(min=_SHORTEST_S), default=1.0, show_default=True, metavar="SECONDS", help="How often."
)
@_output.as_json
def command(run: str, plain: bool, wanted: str, interval: float, as_json: bool) -> None:
    """Watch a run while it goes on: rates, percentiles, what is in flight, processes.

    RUN is a number, a name, or the path of a run file; PID is any process of a running run; SERVICE is a name of hookmon run
    --service: all starts of it together, through restarts. Without any it is the newest run that goes on. The program is not
    touched: only files that it writes are read. --json prints one object a line. Ends with the run, by q or Ctrl-C. Exit code 1
    when nothing runs.
    """
    is_shown = not (plain or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    if is_shown and find_spec("textual") is None:
        raise HookmonError(
            "the live view needs Textual: pip install 'hookmon[top]'; hookmon top --plain works without", code="no-textual"
        )
    live = _runs.open_service(run) or _runs.open_live(run)
    from hookmon.collector.windows import History

    history = History(live.run.started_ns, round(interval * 1e9))
    with suppress(OSError):
        os.nice(_NICENESS)  # where CPU is short, the program has it first
    try:
        if is_shown:
            from hookmon.cli._live_app import LiveApp

            LiveApp(live, history, wanted).run()
        else:
            _print(live, history, wanted, as_json)
    finally:
        live.close()


class _Printer:
    """Prints a line for each snapshot but the first, which has nothing to be compared with."""

    def __init__(self, live: LiveRun | LiveService, history: History, wanted: str, as_json: bool) -> None:
        self.every_ns = history.every_ns
        self._live = live
        self._history = history
        self._wanted = wanted
        self._as_json = as_json
        self._is_first = True

    def observe(self, snapshot: Snapshot) -> None:  # noqa: ARG002  # the history has got it before
        """Print a line, from the history."""
        from hookmon.cli._live_rows import document, off_text, plain_line
        from hookmon.report.screen import Screen
        from hookmon.report.texts import inert_json

        if self._is_first:
            self._is_first = False
        elif self._as_json:
            line = document(self._live.run, self._history, self._wanted, self._live.switched)
            click.echo(inert_json(json.dumps(line, separators=(",", ":"))))
        else:
            screen = Screen(sys.stdout)
            screen.line(*plain_line(self._history, time.strftime("%H:%M:%S"), self._wanted, off_text(self._live.switched)))
            screen.write()
            sys.stdout.flush()

    def end(self, run: Run) -> str:
        """Say where the run can be seen from now on."""
        shows = f"hookmon report {run.id}" if run.id else f"hookmon history {quote(run.name)}"
        _output.tell(f"hookmon: {f'run {run.id}' if run.id else run.name} has ended; {shows} shows it")
        return ""


def _print(live: LiveRun | LiveService, history: History, wanted: str, as_json: bool) -> None:
    """Print a line after each interval until the run ends or nobody reads any more."""
    from hookmon.collector.feed import Feed

    printer = _Printer(live, history, wanted, as_json)
    feed = Feed(live.look, [history, printer], time.monotonic_ns(), live.REST)
    feed.tick(time.monotonic_ns())
    while not history.now.ended:
        if not _wait(feed.wait_s(time.monotonic_ns())):
            return
        feed.tick(time.monotonic_ns())
    printer.end(live.run)


def _wait(seconds: float) -> bool:
    """Wait; say at once that there is no reader of stdout any more."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError, AttributeError):  # closed, or not a file: whoever writes to it will see
        time.sleep(seconds)
        return True
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(seconds * 1000))
