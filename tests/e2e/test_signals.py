"""Signals under a real `hookmon run`: on by name only, measured in every process, and in the report."""

from __future__ import annotations

import json

import pytest
from support.engines import ENGINES

from hookmon.collector.store import RunFile
from hookmon.core.errors import HookmonError
from hookmon.testing import Recorded, run

PROGRAM = """
import gc, json, os, time
gc.disable()
seen, whole_s, started = 0, 0.0, 0.0
def see(phase, info):
    global seen, whole_s, started
    if phase == "start": started = time.perf_counter()
    else: seen, whole_s = seen + 1, whole_s + time.perf_counter() - started
kept = [[number] for number in range(100_000)]
before = gc.get_stats()[2]["collections"]
gc.callbacks.append(see)
child = os.fork()
for _ in range(20): gc.collect()
if not child: os._exit(0)
os.wait()
print(json.dumps([before, seen, whole_s]))
"""


def run_with(engine: str, config: str) -> Recorded:
    """Run the program, which imports no library that a pack is for."""
    recorded = run(PROGRAM, config=config, env={"HOOKMON_ENGINE": engine})
    assert (recorded.exit_code, recorded.stderr) == (0, "")
    return recorded


@pytest.mark.parametrize("engine", ENGINES)
def test_pauses_of_the_collector_are_in_the_report_of_parent_and_child(engine: str):
    """As many and as long as a callback of the program's own has seen, and what came before it was there."""
    recorded = run_with(engine, 'signals = ["gc"]')
    before, seen, whole_s = json.loads(recorded.stdout)
    rows = {row["name"]: row for row in recorded.report["signals"]}
    full = rows["gc pause, generation 2"]
    assert 2 * seen <= full["count"] <= 2 * seen + before
    assert (full["kind"], full["unit"]) == ("histogram", "s")
    assert whole_s <= full["value"] * 1.1
    assert full["min"] <= full["p50"] <= full["p95"] <= full["p99"] <= full["max"] < 60
    assert full["mean"] == pytest.approx(full["value"] / full["count"])
    assert recorded.blind_spots == []


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_measured_that_is_not_named(engine: str):
    """And the probe is not even set up for a program without watched modules."""
    recorded = run_with(engine, "")
    assert recorded.report["signals"] == []
    assert recorded.report["processes"][0]["calls"] == 0


IN_A_CALL = """
import gc, time
gc.disable()
class Loop:
    def __init__(self): self.me = self
class Late:
    def __init__(self): self.me = self
    def __del__(self): finalize()
def finalize(): time.sleep(0.05)
kept = [[number] for number in range(300_000)]
def work():
    for _ in range(5): gc.collect()
def work_with_finalizers():
    Late()
    gc.collect()
gc.collect()
work()
work_with_finalizers()
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pause_is_taken_off_the_time_of_the_call_that_it_stops(engine: str):
    """To the nanosecond: it is a part of that call. One outside of all calls is a signal only."""
    config = 'signals = ["gc"]\n[[watch]]\nmodule = "__main__"\ncalls = ["work", "work_with_finalizers", "finalize"]\n'
    recorded = run(IN_A_CALL, packs=[], config=config, env={"HOOKMON_ENGINE": engine})
    nodes = recorded.report["tree"]
    named = {(nodes[node["parent"]]["name"] if node["parent"] >= 0 else "", node["name"]): node for node in nodes}
    work, pauses = named["", "work"], named["work", "gc"]
    assert (pauses["calls"], pauses["kind"]) == (5, "gc")
    assert work["self_ns"] == work["total_ns"] - pauses["total_ns"]
    assert work["self_ns"] < work["total_ns"] / 2
    last, finalizer = named["work_with_finalizers", "gc"], named["gc", "finalize"]
    assert finalizer["total_ns"] >= 0.05e9
    assert last["self_ns"] == last["total_ns"] - finalizer["total_ns"]
    full = next(row for row in recorded.report["signals"] if row["name"] == "gc pause, generation 2")
    assert full["count"] >= 7
    assert full["value"] * 1e9 > pauses["total_ns"] + last["total_ns"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_transaction_says_how_much_of_it_was_the_collector(engine: str):
    """Its time by kind has it, and as with the rows of a statement it is no call of its own."""
    config = 'signals = ["gc"]\n[[watch]]\nmodule = "__main__"\ncalls = ["work"]\nkind = "task"\nentry = true\n'
    recorded = run(IN_A_CALL, packs=[], config=config, env={"HOOKMON_ENGINE": engine})
    (job,) = (row for row in recorded.report["transactions"] if row["kind"])
    pauses = next(child for child in job["children"] if child["kind"] == "gc")
    assert (pauses["calls"], pauses["part"], pauses["transactions"]) == (5, True, 1)
    assert job["by_kind"]["gc"] == pauses["self_ns"]
    assert job["by_kind"]["gc"] + job["by_kind"]["task"] == job["total_ns"]
    assert [row["calls"] for row in recorded.report["kinds"] if row["kind"] == "gc"] == [0]


LOOP = """
import asyncio, functools, sys, time
def plain(duration_s): time.sleep(duration_s)
class Worker:
    def method(self): time.sleep(0.07)
async def step():
    time.sleep(0.12)
    await asyncio.sleep(0)
    time.sleep(0.06)
async def quick():
    for _ in range(100): await asyncio.sleep(0)
async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    task = asyncio.create_task(step())
    loop.call_soon(plain, 0.08)
    loop.call_soon(functools.partial(plain, 0.09))
    loop.call_soon(Worker().method)
    loop.call_later(0.001, lambda: time.sleep(0.055))
    loop.call_soon(time.sleep, 0.052)
    await task
    await quick()
    await asyncio.sleep(0.6)
asyncio.run(main(), debug="debug" in sys.argv)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_what_blocks_the_event_loop_is_what_asyncio_would_log(engine: str):
    """Each callback and step of 50 ms or more, by name and place, as long as asyncio's debug mode says, and no other."""
    recorded = run(LOOP, packs=[], config='signals = ["loop"]', env={"HOOKMON_ENGINE": engine}, args=["debug"])
    logged = [float(line.rpartition(" took ")[2].split()[0]) for line in recorded.stderr.splitlines() if " took " in line]
    rows = {row["name"].removeprefix("loop blocked by "): row for row in recorded.report["signals"]}
    blocked = {"step at app.py:6": 2, "plain at app.py:3": 2, "Worker.method at app.py:5": 1, "sleep": 1}
    blocked["lambda app.py:19 at app.py:19"] = 1
    assert {name: rows[name]["count"] for name in blocked} == blocked
    assert sum(row["count"] for row in rows.values()) == len(logged) >= 7
    assert sum(row["value"] for row in rows.values()) == pytest.approx(sum(logged), rel=0.2)
    assert rows["step at app.py:6"]["max"] == pytest.approx(max(logged), rel=0.2)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_in_a_callback_ends_the_loop_as_without_us(engine: str):
    """KeyboardInterrupt passes `Handle._run`; no frame of ours is in its traceback."""
    program = """
    import asyncio, os, signal, sys, traceback
    def stop(): raise KeyboardInterrupt
    async def main():
        asyncio.get_running_loop().call_soon(stop)
        await asyncio.sleep(60)
    try: asyncio.run(main())
    except KeyboardInterrupt: traceback.print_exc(file=sys.stdout)
    """
    recorded = run(program, packs=[], config='signals = ["loop"]', env={"HOOKMON_ENGINE": engine})
    plain = run(program, packs=[], env={"HOOKMON_DISABLE": "1"})
    assert "KeyboardInterrupt" in recorded.stdout
    assert recorded.stdout.replace(str(recorded.folder), "") == plain.stdout.replace(str(plain.folder), "")


def test_uvloop_is_named_as_what_cannot_be_seen():
    """It calls in C what runs in its loop."""
    pytest.importorskip("uvloop")
    recorded = run("import uvloop, asyncio", packs=[], config='signals = ["loop"]')
    assert [spot["kind"] for spot in recorded.blind_spots] == ["uvloop"]


def test_an_option_asks_for_a_signal_and_is_told_as_its_origin():
    """Beside those of the file; a name that is none is a mistake before the start."""
    recorded = run("import gc; gc.collect()", packs=[], config='signals = ["loop"]', options=["--signal", "gc", "--imports"])
    (row,) = (row for row in map(dict, settings_of(recorded)) if row["key"] == "signals")
    assert row["value"] == ["loop", "gc", "imports"]
    assert row["origin"] == "hookmon.toml:1, --signal gc, --imports"
    assert any(row["name"].startswith("gc pause") for row in recorded.report["signals"])
    with pytest.raises(HookmonError, match='--signal gcs: signal "gcs" is unknown; allowed: gc, imports, loop'):
        run("", options=["--signal", "gcs"])


def settings_of(recorded: Recorded) -> list[dict[str, object]]:
    """Return the configuration that the run keeps."""
    return RunFile(recorded.run_file).load().settings


def test_the_queue_of_a_thread_pool_has_a_length():
    """How much waits already when more is submitted: with one thread that is busy, all that came before."""
    program = """
    import threading
    from concurrent.futures import ThreadPoolExecutor
    taken, free = threading.Event(), threading.Event()
    def first(): taken.set(); free.wait()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(first); taken.wait()
        for _ in range(10): pool.submit(int)
        free.set()
    """
    recorded = run(program, packs=["executors"])
    (row,) = recorded.report["signals"]
    assert (row["name"], row["count"], row["max"], row["value"]) == ("executor queue length at submit", 11, 9, sum(range(10)))
