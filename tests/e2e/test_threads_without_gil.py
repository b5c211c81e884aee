"""Threads that run at the same time, on a free-threaded CPython: exact sums, no GIL, and nobody waits for another."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support.interpreters import need_engine
from support.runs import blind_spots, calls, hookmon_run, watch, write

AGENT = str(Path(__file__).resolve().parents[2] / "agent")
ENGINES = pytest.mark.parametrize("engine", ["compiled", "pure"])


def free_threaded() -> str:
    """Return a free-threaded interpreter, this one or one on PATH, or skip the test."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return sys.executable
    found = shutil.which("python3.14t") or shutil.which("python3.13t")
    if found is None:
        pytest.skip("there is no free-threaded Python here")
    return found


SHOP = """
import asyncio
def quote(x): return x
def fail(x): raise KeyError(x)
def walk(n): yield from range(n)
def named(text): pass
async def price(n):
    await asyncio.sleep(0)
    return quote(n)
class Basket:
    def __init__(self): self.total = quote(1)
"""
PROGRAM = """
import asyncio, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
import shop
def job(_=0):
    for n in range(60):
        shop.quote(n)
        shop.Basket()
        shop.named(str(n % 20))
        for _ in shop.walk(2): shop.quote(1)
        try: shop.fail(n)
        except KeyError: pass
    async def main(): await asyncio.gather(*(shop.price(n) for n in range(10)))
    asyncio.run(main())
for turn in range(4):
    threads = [threading.Thread(target=job) for _ in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
with ThreadPoolExecutor(4) as pool: list(pool.map(job, range(12)))
walks = [shop.walk(3) for _ in range(8)]
for walk in walks: next(walk)
threads = [threading.Thread(target=lambda walk=walk: list(walk)) for walk in walks]
for thread in threads: thread.start()
for thread in threads: thread.join()
child = os.fork()
if not child:
    job()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(sys._is_gil_enabled())
"""
CONFIG = (
    '[packs]\ndisable = ["*"]\n'
    + watch("shop", "quote", "fail", "walk", "price", "Basket")
    + watch("shop", "named", span="say {arg0}")
)


@ENGINES
def test_threads_are_counted_exactly_without_the_gil(engine: str, tmp_path: Path) -> None:
    """Functions, errors, generators that change the thread, classes, names, tasks, a pool, and a fork."""
    python = free_threaded()
    if engine == "compiled":
        need_engine(python)
    write(tmp_path, {"shop.py": SHOP, "app.py": PROGRAM})
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert result.stdout == "False\n", result.stderr
    jobs = 4 * 6 + 12 + 1
    counted = {name: calls(result.report, f"shop:{name}") for name in ("quote", "fail", "walk", "named", "price", "Basket")}
    assert counted == {
        "quote": jobs * (60 * 4 + 10),
        "fail": jobs * 60,
        "walk": jobs * 60 + 8,
        "named": jobs * 60,
        "price": jobs * 10,
        "Basket": jobs * 60,
    }
    assert {row["engine"] for row in result.report["processes"]} == {engine}
    assert blind_spots(result.report) == []


SCALE = """
import statistics, threading, time
import shop
CALLS = 40_000
def work(spent):
    begun_ns = time.thread_time_ns()
    for _ in range(CALLS): shop.quote(1)
    spent.append(time.thread_time_ns() - begun_ns)
def turn(number):
    spent = []
    threads = [threading.Thread(target=work, args=(spent,)) for _ in range(number)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return sum(spent) / number
turn(2)
pairs = [(turn(1), turn(2)) for _ in range(9)]
print(statistics.median(two / one for one, two in pairs))
"""


def test_a_call_in_two_threads_costs_what_it_does_in_one(tmp_path: Path) -> None:
    """By the CPU time of each thread, in turns: what threads wait for in memory would be in it. 2 / 1.11 is 1.8."""
    python = need_engine(free_threaded())
    write(tmp_path, {"shop.py": "def quote(x): return x\n", "app.py": SCALE})
    config = 'max_overhead = "off"\n[packs]\ndisable = ["*"]\n' + watch("shop", "quote")
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": "compiled"})
    assert calls(result.report, "shop:quote") == 40_000 * (2 + 9 * 3)
    assert float(result.stdout) < 2 / 1.8


def test_the_engine_leaves_the_gil_disabled() -> None:
    """An extension that does not say so would have it taken back with a warning."""
    python = need_engine(free_threaded())
    code = f"import sys; sys.path.insert(0, {AGENT!r}); import hookmon.probe._engine; print(sys._is_gil_enabled())"
    done = subprocess.run([python, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
