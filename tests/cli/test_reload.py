"""`hookmon reload` beside real runs: what is put in, what is taken out, in which processes, and what takes a restart."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.engines import ENGINES
from support.runs import Started, calls, hookmon, hookmon_start, wait_until, watch, watch_row, write

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("warm_launcher")]

SHOP = """
def ask(): return quote() + Basket().total()
def quote(): return price()
def price(): return 1
class Basket:
    def total(self): return 2
def nested():
    def inner(): return 1
    return inner
async def wait(): pass
"""

PROGRAM = """
import asyncio, os, subprocess, sqlite3, sys, time
import shop
from shop import price
inner = shop.nested()
database = sqlite3.connect(":memory:")
def step():
    for _ in range(10):
        shop.ask(); price(); inner(); asyncio.run(shop.wait()); database.execute("SELECT 1").fetchone()
def wait_for(name):
    while not os.path.exists(name): time.sleep(0.002)
name = sys.argv[1]
shop.ask()
open(f"{name}-ready", "w")
number = 0
while True:
    wait_for(f"{name}-go{number}")
    word = open(f"{name}-go{number}").read()
    if word == "end": break
    if word == "late": import late; late.go()
    elif word == "fork":
        if not os.fork(): step(); os._exit(0)
        os.wait()
    elif word == "setuid": os.setuid(65534)
    elif word == "child": subprocess.run([sys.executable, "-c", "import shop; shop.ask(); shop.price()"], check=True)
    else: step()
    open(f"{name}-done{number}", "w")
    number += 1
"""


class Program:
    """A program, of one process or two, that takes steps of ten calls each, and its configuration."""

    def __init__(self, folder: Path, run: Started, names: tuple[str, ...]) -> None:
        self.folder = folder
        self.run = run
        self._steps = dict.fromkeys(names, 0)

    def step(self, word: str = "step", name: str = "one") -> None:
        number = self._steps[name]
        self._steps[name] += 1
        unfinished = self.folder / "unfinished"
        unfinished.write_text(word)
        unfinished.replace(self.folder / f"{name}-go{number}")
        if word != "end":
            wait_until((self.folder / f"{name}-done{number}").exists, f"a step of {name}")

    def reload(self, config: str | None = None, *options: str, code: int = 0, beside: bool = True) -> list[str]:
        """Change the configuration and reload; the program takes steps meanwhile. Return what was told."""
        if config is not None:
            (self.folder / "hookmon.toml").write_text(config)
        started = Started([sys.executable, "-m", "hookmon", "reload", *options], cwd=self.folder)
        while beside and started.process.poll() is None:
            self.step()
        done = started.finish()
        assert done.exit_code == code, done.stderr
        return [line.partition("hookmon: run 1: ")[2] for line in done.stderr.splitlines()]

    def end(self) -> dict[str, Any]:
        for name in self._steps:
            self.step("end", name)
        done = self.run.finish()
        assert done.exit_code == 0, done.stderr
        return done.report


@contextmanager
def started(folder: Path, config: str, names: tuple[str, ...] = ("one",), **more: Any) -> Iterator[Program]:
    write(folder, {"app.py": PROGRAM, "shop.py": SHOP, "late.py": "def go(): pass\n"})
    (folder / ".git").mkdir()
    command = f"for name in {' '.join(names)}; do {sys.executable} app.py $name & done; wait"
    run = hookmon_start(["sh", "-ec", command], cwd=folder, config=config, **more)
    try:
        for name in names:
            wait_until((folder / f"{name}-ready").exists, name)
        yield Program(folder, run, names)
    finally:
        if run.process.poll() is None:
            run.kill()


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["calls"] for row in report["calls"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_watches_are_put_in_and_taken_out(tmp_path: Path, engine: str):
    """At the next watched call: functions that were handed on, methods, coroutines; what is taken out has no call any more."""
    with started(tmp_path, watch("shop", "ask", "quote"), env={"HOOKMON_ENGINE": engine}) as program:
        program.step()
        assert program.reload() == ["it watches what the configuration says"]
        before = program._steps["one"]
        told = program.reload(watch("shop", "ask", "price", "Basket.total", "wait"))
        assert told[0] == "taken out: shop:quote"
        assert sorted(told[1:]) == sorted(f"shop:{name}: put in in 1 process" for name in ("price", "Basket.total", "wait"))
        taken = program._steps["one"]
        for _ in range(3):
            program.step()
        report = program.end()
    found = counts(report)
    assert found["ask"] == 1 + 10 * (taken + 3)
    assert found["quote"] <= 1 + 10 * taken
    assert found["quote"] >= 1 + 10 * before
    assert 10 * 3 <= found["wait"] <= 10 * (taken + 3 - before)
    assert found["price"] in range(2 * found["wait"] - 1, 2 * found["wait"] + 3)
    assert [watch_row(report, f"shop:{name}")["status"] for name in ("price", "Basket.total", "wait")] == ["active"] * 3
    assert [spot["detail"].partition(":")[2][:5] for spot in report["blind_spots"] if spot["kind"] == "reloaded"] == ["quote"]


def test_what_was_taken_out_comes_back(tmp_path: Path):
    """A pack, too; and it counts as before, under the same name."""
    config = watch("shop", "ask", "quote")
    without = "[packs]\ndisable = ['sqlite3']\n" + watch("shop", "ask")
    with started(tmp_path, config) as program:
        program.step()
        assert program.reload(without, beside=False) == ["taken out: shop:quote, sqlite3"]
        program.step()
        assert program.reload(config, beside=False) == ["back again: shop:quote, sqlite3"]
        program.step()
        report = program.end()
    found = counts(report)
    assert (found["ask"], found["quote"], found["SELECT ?"]) == (31, 21, 20)
    assert [spot for spot in report["blind_spots"] if spot["kind"] == "reloaded"] == []


def test_each_process_takes_it_when_it_comes_to_it(tmp_path: Path):
    """One that is idle is named, and changes later; forks and processes that start afterwards have it from their start."""
    with started(tmp_path, watch("shop", "ask"), ("one", "two")) as program:
        told = program.reload(watch("shop", "ask", "price"), "--wait", "1")
        assert told[0] == "shop:price: put in in 1 process"
        assert "1 process will change at the next watched call or import: " in told[1]
        for name in ("one", "two"):
            program.step("step", name)
        assert program.reload(beside=False) == ["it watches what the configuration says"]
        steps = program._steps["one"]
        program.step("fork")
        program.step("child")
        program.step("late")
        report = program.end()
    found = counts(report)
    asks = 2 + 10 * (steps + 1) + 10 + 1
    assert found["ask"] == asks
    assert found["price"] >= 20 + 19 + 20 + 2
    assert watch_row(report, "shop:price")["status"] == "active"


def test_what_takes_a_restart_is_told_with_the_reason(tmp_path: Path):
    """A watch that differs, a glob of modules, a setting, a function inside another one; what is not found is named."""
    with started(tmp_path, watch("shop", "ask")) as program:
        config = 'max_overhead = "9%"\n' + watch("shop", "ask", span="asked") + watch("shop.**", "*")
        told = program.reload(config + watch("shop", "nothing", "nested.<locals>.inner", "price") + watch("late", "go"), code=1)
        assert told == [
            "takes a restart: max_overhead is 0.09 now, and was 0.05",
            "takes a restart: shop:ask is watched already, and differs in span",
            "takes a restart: shop.**:* stands for several modules, of which some are there already",
            "shop:nothing: not found in 1 process",
            "shop:nested.<locals>.inner: not found in 1 process; a function inside another one takes a restart",
            "shop:price: put in in 1 process",
            "late:go: waits for its module to be imported",
        ]
        again = program.reload(code=1)
        assert again == [*told[:3], "shop:nothing: not found in 1 process", told[4]]
        assert program.reload("nonsense", code=2) != []
        program.step("late")
        report = program.end()
    assert calls(report, "late:go") == 1
    assert "asked" not in counts(report)


def test_options_of_the_run_hold(tmp_path: Path):
    """--watch and --no-pack of `hookmon run` are read again, and not taken for something that was taken out."""
    options = ["--watch", "shop:quote", "--no-pack", "sqlite3"]
    with started(tmp_path, watch("shop", "ask"), options=options) as program:
        assert program.reload(watch("shop", "ask"), beside=False) == ["it watches what the configuration says"]
        assert program.reload("", beside=False) == ["taken out: shop:ask"]
        program.step()
        report = program.end()
    assert counts(report) == {"ask": 1, "quote": 11}


def test_everything_may_be_off_meanwhile(tmp_path: Path):
    """What is put in while all is off is counted when that is on again; what was taken out stays off."""
    with started(tmp_path, watch("shop", "ask", "quote")) as program:
        assert hookmon(["off"], cwd=tmp_path).exit_code == 0
        told = program.reload(watch("shop", "ask", "price"))
        assert told == ["taken out: shop:quote", "shop:price: put in in 1 process"]
        program.step()
        assert hookmon(["on"], cwd=tmp_path).exit_code == 0
        program.step()
        shown = json.loads(hookmon(["off", "--watch", "shop:price", "--json"], cwd=tmp_path).stdout)
        assert [row["what"] for row in shown[0]["off"]] == ["shop:price"]
        program.step()
        report = program.end()
    found = counts(report)
    assert (found["ask"], found["quote"], found["price"]) == (21, 1, 20)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_that_is_another_user_now_is_named():
    """It goes on as before: nothing that is new can be read by it. What is taken out is off in it all the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        with started(folder, watch("shop", "ask", "quote")) as program:
            program.step("setuid")
            told = program.reload(watch("shop", "ask", "price"), code=1)
            assert told[0] == "taken out: shop:quote"
            assert told[-1].startswith("process ")
            assert "takes a restart: " in told[-1]
            assert program.reload(code=1) == told[-1:]
            program.step()
            report = program.end()
    assert counts(report)["quote"] < counts(report)["ask"]
    assert "price" not in counts(report)
