"""`hookmon export`: a run that goes on, by a process of its own. It reads what the run writes anyway, and asks for windows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hookmon.cli import _exporting, _output, _runs
from hookmon.core.errors import HookmonError

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.live import LiveRun
    from hookmon.export.exporters import Targets

_NICENESS = 5
_LOOK_FOR_RUNS_S = 2.0
_SHOWN_AFTER_S = 300.0  # how long a run that has ended can still be scraped, where others may come


@click.command("export", short_help="Export a running run from outside.")
@click.argument("run", default="", metavar="[RUN|PID]")
@click.option("--all", "is_all", is_flag=True, help="All runs of the project, also those that begin later; until it is ended.")
@click.option("--otlp", metavar="URL", help="Send to this endpoint; /v1/metrics where it has no path.")
@click.option("--prometheus", metavar="ADDR", help="Be scraped at this address: HOST:PORT, loopback without a host.")
@click.option("--stream", metavar="URL", help="Add to a stream of this Redis: redis://HOST:PORT/DB.")
@click.option("--interval", type=click.FloatRange(min=0.05, max=3600), metavar="SECONDS", help="How often; else as configured.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this file instead of hookmon.toml.")
@click.option("--no-config", is_flag=True, help="Read no configuration file.")
def command(
    run: str,
    is_all: bool,
    otlp: str | None,
    prometheus: str | None,
    stream: str | None,
    interval: float | None,
    config: Path | None,
    no_config: bool,
) -> None:
    """Export a run that goes on, metrics and to OTLP traces, as `hookmon run --export` does from within.

    RUN is a number, a name, or the path of a run file; PID is any process of a running run; without either it is the newest.
    Without --otlp, --prometheus and --stream, the tables [export.…] of the configuration say where to. It may start late, end
    early, be killed, and be two: the run is one instance, and its counters are cumulative. Ends with the run, or by Ctrl-C.
    """
    from hookmon.config.load import load

    if run and is_all:
        raise click.UsageError("--all is for all runs, and one is named")
    checked = load(Path.cwd(), config=config, no_config=no_config)
    tables: dict[str, dict[str, Any]] = {name: dict(table) for name, table in checked.exporters.items()}
    if otlp or prometheus or stream:
        known = tables
        tables = {"otlp": {**known.get("otlp", {}), "endpoint": otlp, "source": "--otlp"}} if otlp else {}
        tables |= {"prometheus": {**known.get("prometheus", {}), "listen": prometheus}} if prometheus else {}
        tables |= {"stream": {**known.get("stream", {}), "url": stream, "source": "--stream"}} if stream else {}
    if not tables:
        choices = "--otlp URL, --prometheus ADDR, --stream URL, or a table [export.…] in the configuration"
        raise HookmonError(f"where to: {choices}", code="export")
    for table in tables.values():
        table["interval"] = interval or table.get("interval", 0)
    with _exporting.prepared(tables, checked) as targets, _stopping() as is_stopped:
        assert targets is not None
        with suppress(OSError):
            os.nice(_NICENESS)
        if is_all:
            _follow_all(targets, is_stopped)
        else:
            _follow(_runs.open_live(run, with_examples=targets.traces is not None), targets, is_stopped)


class _Following:
    """One run that is exported."""

    def __init__(self, live: LiveRun, targets: Targets) -> None:
        from hookmon.collector.feed import Feed
        from hookmon.export.exporters import Exporters

        self._live = live
        self._exporters = Exporters(targets, live.run, _output.tell)
        self._feed = Feed(self._look, self._exporters.observers, time.monotonic_ns(), live.REST)
        self.is_over = False
        self.ended_at = 0.0
        self.number = live.run.id

    def tick(self) -> float:
        """Do what is due; return the seconds until there is something again."""
        self._feed.tick(time.monotonic_ns())
        if self.is_over:
            self.close()
            return 0.0
        return min(self._feed.wait_s(time.monotonic_ns()), _LOOK_FOR_RUNS_S)

    def close(self) -> None:
        """Wait for what is under way, and say what was lost."""
        self.is_over = True
        self.ended_at = time.monotonic()
        for observer in self._exporters.observers:
            observer.end(self._live.run)
        self._live.close()
        loss = self._exporters.loss()
        if loss:
            _output.tell(f"hookmon: export of run {self.number}: {loss} [export-lost]")
        shortage = self._exporters.shortage()
        if shortage:
            _output.tell(f"hookmon: export of run {self.number}: {shortage} [export-full]")

    def forget(self) -> None:
        """Show it no more."""
        self._exporters.forget()

    def _look(self, now_ns: int) -> Snapshot:
        snapshot = self._live.look(now_ns)
        self.is_over = self.is_over or snapshot.ended
        return snapshot


def _follow(live: LiveRun, targets: Targets, is_stopped: list[bool]) -> None:
    following = _Following(live, targets)
    _output.tell(f"hookmon: exporting run {following.number}")
    while not following.is_over and not is_stopped:
        _wait(following.tick(), is_stopped)
    if not following.is_over:
        following.close()


def _follow_all(targets: Targets, is_stopped: list[bool]) -> None:
    from hookmon.collector.live import LiveRun, find_running

    store = _runs.store_here()
    known: dict[str, _Following] = {}
    ended: list[_Following] = []
    next_look = 0.0
    while not is_stopped:
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + _LOOK_FOR_RUNS_S
            for run_file, run in find_running(store):
                if run.run_key not in known:
                    known[run.run_key] = _Following(LiveRun(run_file, run, with_examples=targets.traces is not None), targets)
                    _output.tell(f"hookmon: exporting run {run.id}")
        waits = [following.tick() for following in known.values() if not following.is_over]
        ended += [following for following in known.values() if following.is_over and following not in ended]
        for following in [old for old in ended if time.monotonic() - old.ended_at > _SHOWN_AFTER_S]:
            following.forget()
            ended.remove(following)
            known = {key: value for key, value in known.items() if value is not following}
        _wait(min([*waits, max(0.0, next_look - time.monotonic())]), is_stopped)
    for following in known.values():
        if not following.is_over:
            following.close()


@contextmanager
def _stopping() -> Iterator[list[bool]]:
    """Give a list that is empty until somebody wants us to end."""
    stopped: list[bool] = []
    before = {number: signal.signal(number, lambda *_: stopped.append(True)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(seconds: float, is_stopped: list[bool]) -> None:
    """Wait, and look up now and then: a signal only interrupts a sleep to go on with it."""
    end = time.monotonic() + seconds
    while not is_stopped and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
