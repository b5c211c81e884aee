"""What the report says of times is what passed, and on a busy machine as exactly as on an idle one.

One program measures itself while it is watched, each call twice: from within its body, which our measure holds, and around
the call, which holds ours. However long a process had to wait for its turn between two clocks, ours lies between the two.
All tests read that one run.
"""

from __future__ import annotations

import json
from math import ceil

import pytest
from support.runs import PYTHON, Report, calls, hookmon_run, parents, row, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

TIMED_WORK = """
    import asyncio, contextlib, time
    from time import perf_counter_ns as now  # the clock that the probe has, on Linux

    within = {}

    def spent(name, begin):
        within.setdefault(name, []).append(now() - begin)

    def nap(ms):
        begin = now()
        time.sleep(ms / 1000)
        spent("nap", begin)

    def spin(ms):
        begin = now()
        while now() < begin + ms * 1_000_000:
            pass
        spent("spin", begin)

    def parent():
        begin = now()
        time.sleep(0.006)
        child()
        child()
        spent("parent", begin)

    def child():
        time.sleep(0.004)

    def countdown(number):
        begin = now()
        time.sleep(0.005)
        result = countdown(number - 1) if number else "done"
        if number == 7:
            spent("countdown", begin)
        return result

    def numbers():
        for number in range(5):
            begin = now()
            time.sleep(0.002)
            spent("numbers", begin)
            yield number

    async def numbers_async():
        for number in range(5):
            begin = now()
            await asyncio.sleep(0.002)
            spent("numbers_async", begin)
            yield number

    @contextlib.contextmanager
    def lease():
        begin = now()
        time.sleep(0.005)
        spent("lease", begin)
        yield "leased"
        begin = now()
        time.sleep(0.003)
        spent("lease", begin)

    async def talk():
        begin = now()
        while now() < begin + 5_000_000:
            pass
        spent("steps of talk", begin)
        await asyncio.sleep(0.020)
        spent("talk", begin)

    def later():
        return wait()

    async def wait():  # not watched
        begin = now()
        await asyncio.sleep(0.020)
        spent("later", begin)

    async def fan_out():
        begin = now()
        await asyncio.gather(*[leaf() for _ in range(20)])
        spent("fan_out", begin)

    async def leaf():
        await asyncio.sleep(0.010)

    async def ping(number):
        await asyncio.sleep(number % 7 / 1000)
        await pong(number)
        await asyncio.sleep(0)
        await pong(number)

    async def pong(number):
        await asyncio.sleep(number % 3 / 1000)
"""

TIMED_PROGRAM = """
    import asyncio, json, time
    import timed

    truth = {}
    now = time.perf_counter_ns

    def measure(name, call, *args):
        begin = now()
        call(*args)
        truth.setdefault(name, []).append(now() - begin)

    for turn in range(200):
        measure("nap", timed.nap, 0.5 + turn * 37 % 200 / 20)
    for _ in range(20):
        measure("spin", timed.spin, 5)
        measure("parent", timed.parent)
    for _ in range(3):
        measure("countdown", timed.countdown, 7)

    def consume():
        inside = 0
        iterator = timed.numbers()
        while True:
            begin = now()
            number = next(iterator, None)
            inside += now() - begin
            if number is None:
                break
            time.sleep(0.004)
        truth.setdefault("numbers", []).append(inside)

    def borrow():
        begin = now()
        with timed.lease() as state:
            assert state == "leased"
            inside = now() - begin
            time.sleep(0.020)
            begin = now()
        truth.setdefault("lease", []).append(inside + now() - begin)

    for _ in range(3):
        consume()
        borrow()

    async def main():
        for _ in range(3):
            inside = 0
            iterator = timed.numbers_async()
            while True:
                begin = now()
                number = await anext(iterator, None)
                inside += now() - begin
                if number is None:
                    break
                await asyncio.sleep(0.004)
            truth.setdefault("numbers_async", []).append(inside)
            for name in ("talk", "later", "fan_out"):
                begin = now()
                await getattr(timed, name)()
                truth.setdefault(name, []).append(now() - begin)
        await asyncio.gather(*[timed.ping(number) for number in range(1000)])

    asyncio.run(main())
    print(json.dumps([timed.within, truth]))
"""

WATCHED = ["nap", "spin", "parent", "child", "countdown", "numbers", "numbers_async", "lease"]
WATCHED += ["talk", "later", "fan_out", "leaf", "ping", "pong"]

Durations = dict[str, list[int]]
Timed = tuple[Report, Durations, Durations]


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    """One run of TIMED_PROGRAM: the report, and {function: durations} measured within the bodies and around the calls."""
    folder = write(tmp_path_factory.mktemp("timed"), {"timed.py": TIMED_WORK, "app.py": TIMED_PROGRAM})
    result = hookmon_run([PYTHON, "app.py"], cwd=folder, config=watch("timed", *WATCHED))
    assert result.exit_code == 0, result.stderr
    within, around = json.loads(result.stdout)
    return result.report, within, around


@pytest.mark.parametrize("name", ["nap", "spin", "parent", "numbers", "numbers_async", "lease", "talk", "later", "fan_out"])
def test_total_is_the_time_that_passed(name: str, timed: Timed) -> None:
    """The total is wall time: of the call, of the body for generators and context managers, until the result for coroutines."""
    report, within, around = timed
    found = row(report, f"timed:{name}")
    assert found["calls"] == len(around[name])
    assert sum(within[name]) <= found["total_ns"] <= sum(around[name])


def test_self_is_without_children(timed: Timed) -> None:
    """The self time of a function is its total less what its watched callees took."""
    report, _, _ = timed
    found, child = row(report, "timed:parent"), row(report, "timed:child")
    assert found["self_ns"] == found["total_ns"] - child["total_ns"]
    assert child["calls"] == 40
    assert parents(report, "timed:child") == {"timed:parent"}


def test_mean_min_and_max_are_exact(timed: Timed) -> None:
    """Mean, smallest and largest duration are kept as they were, not as buckets."""
    report, within, around = timed
    found = row(report, "timed:nap")
    assert found["mean_ns"] == pytest.approx(found["total_ns"] / 200, abs=1)
    assert min(within["nap"]) <= found["min_ns"] <= min(around["nap"])
    assert max(within["nap"]) <= found["max_ns"] <= max(around["nap"])


@pytest.mark.parametrize(("key", "share"), [("p50_ns", 0.50), ("p95_ns", 0.95), ("p99_ns", 0.99)])
def test_percentiles_are_those_of_the_sorted_list(key: str, share: float, timed: Timed) -> None:
    """A percentile is within 2.2 % of the one read off the sorted durations."""
    report, within, around = timed
    at = ceil(share * 200) - 1
    lowest, highest = sorted(within["nap"])[at], sorted(around["nap"])[at]
    assert lowest / 1.022 <= row(report, "timed:nap")[key] <= highest * 1.022


def test_recursion_counts_once(timed: Timed) -> None:
    """Each call of a recursive function is counted, its time only once."""
    report, within, around = timed
    found = row(report, "timed:countdown")
    assert found["calls"] == 3 * 8
    assert sum(within["countdown"]) <= found["total_ns"] <= sum(around["countdown"])
    assert found["self_ns"] == found["total_ns"]


def test_active_is_the_time_in_steps(timed: Timed) -> None:
    """Of a coroutine the report tells the time in which it ran from the time in which it waited."""
    report, within, _ = timed
    found, leaf = row(report, "timed:talk"), row(report, "timed:leaf")
    assert sum(within["steps of talk"]) <= found["active_ns"] < found["total_ns"]
    assert leaf["active_ns"] < leaf["total_ns"]


def test_tasks_do_not_take_time_from_their_creator(timed: Timed) -> None:
    """Twenty tasks that run at once are not subtracted from the coroutine that waits for them."""
    report, within, around = timed
    found = row(report, "timed:fan_out")
    assert row(report, "timed:leaf")["calls"] == 60
    assert 0 <= found["self_ns"] <= found["total_ns"]
    assert sum(within["fan_out"]) <= found["total_ns"] <= sum(around["fan_out"])


def test_interleaved_tasks_are_never_parents_of_each_other(timed: Timed) -> None:
    """A thousand tasks in one thread each keep a call tree of their own."""
    report, _, _ = timed
    assert calls(report, "timed:ping") == 1000
    assert calls(report, "timed:pong") == 2000
    assert parents(report, "timed:ping") == {None}
    assert parents(report, "timed:pong") == {"timed:ping"}


def test_tree_adds_up(timed: Timed) -> None:
    """The calls table and the call tree are two views of the same numbers."""
    report, _, _ = timed
    in_tree: dict[str, int] = {}
    for node in report["tree"]:
        in_tree[node["target"]] = in_tree.get(node["target"], 0) + node["calls"]
    in_table = {row["target"]: row["calls"] for row in report["calls"]}
    assert in_tree == in_table
