"""Other interpreters of one process: counted like the first, with the same engine, and nothing of them is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.interpreters import need, need_engine_of_others
from support.runs import blind_spots, calls, hookmon_run, watch, write

ENGINES = pytest.mark.parametrize("engine", ["compiled", "pure"])
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]

SHOP = """
import asyncio
def quote(x): return x
def fail(x): raise KeyError(x)
def walk(n): yield from range(n)
async def price(n):
    await asyncio.sleep(0)
    return quote(n)
class Basket:
    def __init__(self): self.total = quote(1)
"""
JOB = """
import sys; sys.path.insert(0, ".")
import asyncio, threading, shop
def work():
    for n in range(20):
        shop.quote(n)
        list(shop.walk(3))
        shop.Basket()
        try: shop.fail(n)
        except KeyError: pass
async def main(): await asyncio.gather(*(shop.price(n) for n in range(10)))
def job(_=0):
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    work()
    for thread in threads: thread.join()
    asyncio.run(main())
"""
PROGRAM = """
import os
try:
    import _interpreters
    execute = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as _interpreters
    execute = _interpreters.run_string
import shop, job
def left():
    maps = open("/proc/self/maps").read()
    return len(os.listdir("/proc/self/fd")), maps.count(".shard")
open_ones = []
for turn in range(12):
    one = _interpreters.create()
    open_ones.append(one)
    for _ in range(2):
        failed = execute(one, "import job; job.job()" if _ else "import sys; sys.path.insert(0, '.')")
        assert failed is None, failed
        shop.quote(1)
    while len(open_ones) > 3: _interpreters.destroy(open_ones.pop(0))
    if turn == 4: first = left()
for one in open_ones[1:]: _interpreters.destroy(one)
job.job()
print(first, left())
_interpreters.destroy(open_ones[0])
"""
WATCH = '[packs]\ndisable = ["*"]\n' + watch("shop", "quote", "fail", "walk", "price", "Basket")
A_JOB = {"quote": 130, "fail": 60, "walk": 60, "price": 10}


def counts(report: dict) -> dict[str, int]:
    """Return the calls of each function."""
    return {name: calls(report, f"shop:{name}") for name in A_JOB}


@ENGINES
@pytest.mark.parametrize("version", VERSIONS if "HOOKMON_BOTH" in os.environ else VERSIONS[2:3])
def test_interpreters_are_counted_exactly_and_leave_nothing(engine: str, version: str, tmp_path: Path) -> None:
    """One after the other in one thread, some at a time: exact counts, by one engine; no descriptor and no mapping stays."""
    python = need_engine_of_others(need(version)) if engine == "compiled" else need(version)
    write(tmp_path, {"shop.py": SHOP, "job.py": JOB, "app.py": PROGRAM})
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=WATCH, env={"HOOKMON_ENGINE": engine})
    first, last = result.stdout.strip().strip("()").split(") (")
    first_open, first_mapped = map(int, first.split(", "))
    last_open, last_mapped = map(int, last.split(", "))
    assert last_open <= first_open
    assert last_mapped <= first_mapped
    expected = {name: 13 * number for name, number in A_JOB.items()}
    expected["quote"] += 24
    assert counts(result.report) == expected
    assert [row["engine"] for row in result.report["processes"]] == [engine]
    assert blind_spots(result.report) == []


CLOSED = """
import os, resource, time
try:
    import _interpreters
    execute = _interpreters.exec
except ImportError:
    import _xxsubinterpreters as _interpreters
    execute = _interpreters.run_string
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import shop
shop.quote(1)
open_one = _interpreters.create()
execute(open_one, "import sys; sys.path.insert(0, '.'); import shop; shop.quote(1)")
for _ in range(80):
    one = _interpreters.create()
    assert execute(one, "import sys; sys.path.insert(0, '.'); import shop; shop.quote(1)") is None
    _interpreters.destroy(one)
def files(): return [name for name in os.listdir(os.environ["HOOKMON_RUN"]) if name.endswith((".shard", ".born"))]
end = time.monotonic() + 60
while len(files()) > 3 and time.monotonic() < end: time.sleep(0.05)
print(sorted(name.rpartition(".")[2] for name in files()), flush=True)
execute(open_one, "shop.quote(1)")
shop.quote(1)
os.kill(os.getpid(), 9)
"""


@ENGINES
@pytest.mark.parametrize("version", VERSIONS if "HOOKMON_BOTH" in os.environ else VERSIONS[2:3])
def test_the_shard_of_a_closed_interpreter_is_folded_while_its_process_runs(engine: str, version: str, tmp_path: Path) -> None:
    """Shards and notes of eighty are gone, but for those of the open ones; what these count later, to a kill, counts too."""
    python = need_engine_of_others(need(version)) if engine == "compiled" else need(version)
    write(tmp_path, {"shop.py": SHOP, "app.py": CLOSED})
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=WATCH, env={"HOOKMON_ENGINE": engine})
    assert result.stdout == "['born', 'shard', 'shard']\n", result.stderr
    assert calls(result.report, "shop:quote") == 1 + 1 + 80 + 2
    assert len(result.report["processes"]) == 1


POOL = """
from concurrent.futures import InterpreterPoolExecutor
import job
if __name__ == "__main__":
    with InterpreterPoolExecutor(3) as pool:
        list(pool.map(job.job, range(12)))
        job.job()
"""


@ENGINES
@pytest.mark.parametrize("version", ["3.14", "3.15"])
def test_interpreters_of_a_pool_are_counted_while_they_run_side_by_side(engine: str, version: str, tmp_path: Path) -> None:
    """Each has a lock of its own: nothing of the engine is shared."""
    python = need_engine_of_others(need(version)) if engine == "compiled" else need(version)
    write(tmp_path, {"shop.py": SHOP, "job.py": JOB, "app.py": POOL})
    result = hookmon_run([python, "app.py"], cwd=tmp_path, config=WATCH, env={"HOOKMON_ENGINE": engine})
    assert result.exit_code == 0, result.stderr
    assert counts(result.report) == {name: 13 * number for name, number in A_JOB.items()}
    assert [row["engine"] for row in result.report["processes"]] == [engine]
