"""The live view, driven by keys in Textual's own pilot, beside a real run."""

from __future__ import annotations

import asyncio
import fcntl
import html
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.runs import HOOKMON, environment, hookmon_start, wait_until, watch, write

from hookmon.collector.live import LiveRun, find_running
from hookmon.collector.store import Store
from hookmon.collector.windows import History

pytest.importorskip("textual")

from textual.widgets import DataTable, Input, Static

from hookmon.cli._live_app import Detail, LiveApp

pytestmark = pytest.mark.usefixtures("warm_launcher")

PROGRAM = r"""
import gc, os, sys, threading, time; gc.collect(0)
def work(name): time.sleep(0.002)
def render(): pass
def fail(): raise ValueError
def hang(): time.sleep(3600)
threading.Thread(target=hang, daemon=True).start()
open("ready", "w")
while not os.path.exists("end"):
    work("a"); work("[red]b[/red]\x1b[31m\n\u202e"); render(); render(); render()
    try: fail()
    except ValueError: pass
"""
CONFIG = watch("__main__", "render", "fail", "hang") + watch("__main__", "work", span="work {arg0}")

HOSTILE = r"work [red]b[/red]\x1…31m\n\u202e"  # cut in the middle


def drive_app(
    folder: Path, drive: Callable[[LiveApp, Any], Awaitable[None]], *, size: tuple[int, int] = (120, 40), config: str = CONFIG
) -> None:
    """Start the program, show it, and let `drive` press keys."""
    write(folder, {"app.py": PROGRAM})
    (folder / ".git").mkdir()
    run = hookmon_start([sys.executable, "app.py"], cwd=folder, config=config)

    async def show() -> None:
        app = LiveApp(live, History(live.run.started_ns, 100_000_000))
        async with app.run_test(size=size) as pilot:
            await until(lambda: len(names(app)) == 4)
            await drive(app, pilot)

    try:
        wait_until((folder / "ready").exists, "the program")
        (found,) = find_running(Store.of_project(folder))
        live = LiveRun(*found)
        asyncio.run(show())
        live.close()
        (folder / "end").touch()
        run.finish()
    finally:
        if run.process.poll() is None:
            run.kill()


async def until(claim: Callable[[], bool], timeout: float = 20.0) -> None:
    """Wait until a claim about the view is true."""
    async with asyncio.timeout(timeout):
        while not claim():
            await asyncio.sleep(0.02)


def cells(app: LiveApp, name: str) -> list[list[str]]:
    """Return the text of a table."""
    table = app.screen_stack[0].query_one(f"#{name}", DataTable)
    return [[cell.plain for cell in table.get_row_at(place)] for place in range(table.row_count)]


def names(app: LiveApp) -> list[str]:
    return [row[0] for row in cells(app, "calls")]


def head(app: LiveApp) -> str:
    return str(app.screen_stack[0].query_one("#head", Static).render())


def calls_of(app: LiveApp, name: str) -> int:
    return next(int(row[8].replace(",", "")) for row in cells(app, "calls") if row[0] == name)


def picture(app: LiveApp) -> str:
    """Return what is drawn, as an SVG with its text as it is."""
    return html.unescape(app.export_screenshot()).replace("\xa0", " ")


def test_it_shows_calls_flights_and_processes(tmp_path: Path):
    """Names are text, whatever stands in them."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        await until(lambda: calls_of(app, "render") > 100)
        assert set(names(app)) == {"work a", HOSTILE, "render", "fail"}
        (hang,) = [row for row in cells(app, "flight") if row[1] == "hang"]
        assert hang[0].endswith("s")
        ((_, _, _, threads, rate, _, _, command),) = cells(app, "processes")
        assert (threads, command.endswith("app.py")) == ("2", True)
        assert float(rate.replace(",", "")) > 0
        assert "run 1  running" in head(app)
        assert "calls/s  p50" in head(app)
        await until(lambda: HOSTILE in picture(app))
        assert not set(picture(app)) & set("\x1b\u202e")

    drive_app(tmp_path, drive)


def test_signals_have_a_table_where_there_are_some(tmp_path: Path):
    """With what came to them in the window; without signals there is none."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        assert app.screen_stack[0].query_one("#signals", DataTable).display
        await until(lambda: any(row[0] == "gc pause, generation 0" and row[4].endswith("s") for row in cells(app, "signals")))

    async def drive_without(app: LiveApp, pilot: Any) -> None:
        assert not app.screen_stack[0].query_one("#signals", DataTable).display

    for name, config, driver in (("with", 'signals = ["gc"]\n' + CONFIG, drive), ("without", CONFIG, drive_without)):
        (tmp_path / name).mkdir()
        drive_app(tmp_path / name, driver, config=config)


def test_it_filters_and_sorts(tmp_path: Path):
    """While it is typed; through all figures and back."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        await pilot.press("slash", *"REN")
        await until(lambda: names(app) == ["render"])
        assert app.screen.query_one("#filter", Input).display
        await pilot.press("enter")
        assert not app.screen.query_one("#filter", Input).display
        assert "only REN" in head(app)
        await pilot.press("slash", *["backspace"] * 3, "escape")
        await until(lambda: len(names(app)) == 4)
        firsts = {}
        for _ in range(6):
            await pilot.press("s")
            firsts[app.sort] = names(app)
        assert app.sort == "self"
        assert firsts["calls"][0] == "render"
        assert firsts["errors"][0] == "fail"
        assert firsts["name"] == sorted(firsts["name"])
        assert firsts["self"][0].startswith("work")

    drive_app(tmp_path, drive)


def test_it_pauses_and_goes_on(tmp_path: Path):
    """The picture holds; what comes meanwhile is counted."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        await pilot.press("space")
        held = calls_of(app, "render")
        looks = app.history.now.at_ns
        await until(lambda: app.history.now.at_ns > looks + 500_000_000)
        assert calls_of(app, "render") == held
        assert "paused" in head(app)
        await pilot.press("p")
        assert calls_of(app, "render") > held

    drive_app(tmp_path, drive)


def test_a_mark_counts_anew_and_goes_again(tmp_path: Path):
    """In every window."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        await until(lambda: calls_of(app, "render") > 300)
        before = calls_of(app, "render")
        await pilot.press("m")
        assert "marked" in head(app)
        await until(lambda: len(names(app)) == 4)
        (whole,) = [counters.calls for (name, _, _), counters in app.history.now.totals.by_key.items() if name == "render"]
        assert calls_of(app, "render") <= whole - before
        await pilot.press("w", "w")
        assert app.window == "all"
        await pilot.press("u")
        assert calls_of(app, "render") > before
        assert "marked" not in head(app)

    drive_app(tmp_path, drive)


def test_a_detail_has_the_histogram_and_the_call_sites(tmp_path: Path):
    """Of the call under the cursor, and it goes on while it is shown."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        await pilot.press("slash", *"render", "enter", "enter")
        await until(lambda: isinstance(app.screen, Detail))
        text = lambda: str(app.screen.query_one("#detail", Static).render())  # noqa: E731
        await until(lambda: "█" in text())
        first = text()
        assert first.startswith("render\n")
        assert "__main__:render" in first
        assert "app.py:10" in first
        await until(lambda: text() != first)
        await pilot.press("escape")
        assert not isinstance(app.screen, Detail)
        await pilot.press("enter")
        assert isinstance(app.screen, Detail)
        await pilot.press("q")
        assert not isinstance(app.screen, Detail)
        assert app.is_running

    drive_app(tmp_path, drive)


@pytest.mark.parametrize("size", [(60, 20), (40, 10), (200, 60)])
def test_every_size_is_drawn(tmp_path: Path, size: tuple[int, int]):
    """Also a small one."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        assert "run 1" in picture(app)

    drive_app(tmp_path, drive, size=size)


def test_the_last_figures_stay_when_the_run_ends(tmp_path: Path):
    """Until somebody leaves."""

    async def drive(app: LiveApp, pilot: Any) -> None:
        (tmp_path / "end").touch()
        await until(lambda: "ended" in head(app))
        assert len(names(app)) == 4
        assert app.is_running
        await pilot.press("q")

    drive_app(tmp_path, drive)


def test_a_terminal_is_left_as_it_was(tmp_path: Path):
    """With the real driver: drawn, and gone with q."""
    write(tmp_path, {"app.py": PROGRAM})
    (tmp_path / ".git").mkdir()
    run = hookmon_start([sys.executable, "app.py"], cwd=tmp_path, config=CONFIG)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    before = termios.tcgetattr(theirs)
    try:
        wait_until((tmp_path / "ready").exists, "the program")
        env = environment(tmp_path, {"TERM": "xterm-256color"})
        command = [HOOKMON, "top", "--interval", "0.1"]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            drawn = b""
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                if select.select([ours], [], [], 0.1)[0]:
                    drawn += os.read(ours, 65536)
                if b"render" in drawn:
                    os.write(ours, b"q")
            process.kill()
        assert process.returncode == 0
        assert b"run 1" in drawn
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)
        run.kill()
