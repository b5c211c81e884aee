"""`hookmon serve`: the collector of programs that were started without a launcher, and of those that have outlived theirs."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from hookmon import __version__
from hookmon.cli import _output
from hookmon.core.errors import HookmonError, NotRunningError

if TYPE_CHECKING:
    from hookmon.cli._served import Adopted, Served
    from hookmon.collector.spool import Request, Spool

_SEARCH_S = 5.0  # between two searches for runs without a launcher
_RUNG_S = 1.0  # after somebody has rung, who may be a launcher that is about to end
_REST_S = 30.0  # where there is nothing to follow


@click.command("serve", short_help="Collect from programs that nobody started by hookmon run.")
@click.option("--idle", type=click.FloatRange(min=1), metavar="SECONDS", help="End when there was nothing to follow for so long.")
@click.option("--status", "is_asked", is_flag=True, help="Show what the collector that runs is following.")
@click.option("--once", hidden=True, metavar="REQUEST", help="Answer one request and end.")
@_output.as_json
def command(idle: float | None, is_asked: bool, once: str | None, as_json: bool) -> int:
    """Collect from all programs of this user that `hookmon enable` and HOOKMON=1 have watched, until Ctrl-C or SIGTERM.

    There is one for each user and machine; the first such program starts it where there is none, and it ends two minutes after
    the last. It also takes over what outlives its `hookmon run`, or lost it. Its runs are those of the projects in which the
    programs work: `hookmon runs`, `report` and `top` have them there. Without a collector programs count on, and `hookmon report`
    reads what they count. Exit code 1 for --status where none runs, or where another one runs already.
    """
    from hookmon.collector.spool import Spool

    try:
        spool = Spool.of_user()
    except OSError as error:
        raise HookmonError(f"there is no place for the spool: {error}", code="no-run-folder") from error
    if is_asked:
        return _show_status(spool, as_json)
    os.umask(0o077)
    with suppress(OSError):
        os.chdir("/")  # no file system is kept busy
    collector = _Collector(spool, is_only_once=bool(once))
    if once:
        return collector.answer_once(once)
    if not spool.begin(collector.describe()):
        found = spool.status() or {}
        raise NotRunningError(f"hookmon serve runs already (process {found.get('pid', 'unknown')}); there is one for each user")
    from hookmon.config.pack_table import shipped_packs

    shipped_packs([])  # for all programs that will ask
    _say(f"serves {_user()} by {spool.folder}, process {os.getpid()}, hookmon {__version__}")
    collector.run(idle)
    return 0


class _Collector:
    """All runs that are followed."""

    def __init__(self, spool: Spool, *, is_only_once: bool = False) -> None:
        self._spool = spool
        self._is_only_once = is_only_once
        self._runs: list[Served | Adopted] = []
        self._is_stopped = False
        self._started_at = _now()

    def run(self, idle_s: float | None) -> None:
        """Follow programs until somebody ends it, or there was nothing to follow for so long."""
        waker, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)  # a handler alone would let the wait go on
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        next_search, rung_at, busy_at = 0.0, 0.0, time.monotonic()
        while not self._is_stopped:
            self._answer()
            now = time.monotonic()
            if now >= next_search:
                self._adopt()
                next_search = now + (_RUNG_S if now - rung_at < _SEARCH_S else _SEARCH_S if self._runs else _REST_S)
            waits = [self._tick(followed) for followed in list(self._runs)] or [_REST_S]
            now = time.monotonic()
            if self._runs:
                busy_at = now
            elif idle_s is not None:
                if now - busy_at >= idle_s and self._spool.end():
                    _say("ends: there is nothing to follow")
                    return
                waits.append(max(0.1, busy_at + idle_s - now))
            if self._spool.wait(max(0.0, min(*waits, next_search - now)), waker):
                rung_at = time.monotonic()
                next_search = min(next_search, rung_at + _RUNG_S)
        for followed in self._runs:
            followed.leave()
        self._spool.forget_status()
        left = f"{len(self._runs)} runs are" if len(self._runs) > 1 else "1 run is"
        _say(f"ends; {left} left to the next one, or to hookmon report" if self._runs else "ends")

    def answer_once(self, name: str) -> int:
        """Answer one request, and follow nothing: what the program counts is read when somebody asks for the report."""
        request = self._spool.read(name)
        if request is None:
            raise NotRunningError(f"no program waits that has asked by {name}", code="not-served")
        self._begin(request)
        return 0

    def describe(self) -> dict[str, Any]:
        """Return what it is and does, for `hookmon serve --status`."""
        runs = [followed.describe() for followed in self._runs]
        return {"pid": os.getpid(), "hookmon": __version__, "started_at": self._started_at, "runs": runs}

    def _stop(self, *_: object) -> None:
        self._is_stopped = True

    def _answer(self) -> None:
        for request in self._spool.requests():
            served = self._begin(request)
            if served is not None:
                self._runs.append(served)
                self._say_of(served, "begins")

    def _begin(self, request: Request) -> Served | None:
        """Answer a program; return its run, None where it gets none or does not wait any more."""
        from hookmon.collector.spool import seen_by

        if not self._spool.take(request):
            return None
        served = None
        try:
            with seen_by(request):
                served, answer = _prepare(request)
                if served is not None and not self._is_only_once:
                    served.follow()
        except Exception as error:  # noqa: BLE001  # the program waits, and others do
            answer = f"no {error!r}"
            if served is not None:
                served.leave()
                served = None
        if served is None:
            _say(f"process {request.pid} runs unwatched: {answer.removeprefix('no ')} [not-served]")
        with suppress(OSError):
            self._spool.answer(request, answer)
        return served

    def _adopt(self) -> None:
        """Take over run folders that have lost their launchers; what has no process any more is saved."""
        from hookmon.cli._served import Adopted
        from hookmon.collector import recover

        for folder, note, is_alive in recover.find_forsaken():
            try:
                if not is_alive:
                    recover.save_forsaken(note)
                    continue
                adopted = Adopted(folder, note)
            except (HookmonError, OSError):
                continue  # somebody else has it, or it cannot be read
            self._runs.append(adopted)
            self._say_of(adopted, "is taken over")

    def _tick(self, followed: Served | Adopted) -> float:
        try:
            wait = followed.tick()
        except Exception as error:  # noqa: BLE001  # one run that fails is no reason to leave the others
            _say(f"run {followed.number} cannot be followed any more: {error!r}")
            with suppress(HookmonError, OSError):
                followed.leave()
            self._runs.remove(followed)
            return 0.0
        if followed.is_over:
            self._runs.remove(followed)
            self._say_of(followed, "has ended")
        return wait

    def _say_of(self, followed: Served | Adopted, what: str) -> None:
        found = followed.describe()
        _say(f"run {found['run']} of {found['project']} {what}: process {found['pid']}, {found['command'][:200]}")
        self._spool.tell_status(self.describe())


def _prepare(request: Request) -> tuple[Served | None, str]:
    """Return the run of a program and the answer that it gets."""
    from hookmon.cli._served import Served
    from hookmon.config.load import load

    try:
        served = Served(request, load(request.folder))
        return served, f"run {served.prepare()}"
    except HookmonError as error:
        return None, f"no {'; '.join(line for line, _ in error.lines())}"
    except OSError as error:
        return None, f"no {error}"


def _show_status(spool: Spool, as_json: bool) -> int:
    found = spool.status()
    if as_json:
        _output.print_json(found)
        return 0 if found else 1
    from hookmon.report.screen import Column, Piece, Screen

    if found is None:
        click.echo("no hookmon serve runs for this user; programs with HOOKMON=1 start one")
        return 1
    screen = Screen(sys.stdout)
    screen.line((f"hookmon serve, process {found.get('pid', '?')}, since {str(found.get('started_at', ''))[:16]}", "bold"))
    runs: list[dict[str, Any]] = found.get("runs", [])
    cells: list[list[Piece]] = [
        [
            (str(row["run"]), "bold"),
            (row["kind"], "dim"),
            (str(row["pid"] or "–"), ""),
            (row["project"], ""),
            (row["command"], ""),
        ]
        for row in runs
    ]
    if cells:
        columns = [Column("run"), Column("", rank=2), Column("process"), Column("project", least=12), Column("command", least=12)]
        screen.table(columns, cells)
    else:
        screen.line(("nothing to follow now", "dim"))
    screen.write()
    return 0


def _user() -> str:
    from hookmon.collector.users import user_name

    return user_name(os.geteuid())


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _say(text: str) -> None:
    from hookmon.report.texts import inert

    _output.tell(inert(f"{_now()} hookmon serve {text}"))
