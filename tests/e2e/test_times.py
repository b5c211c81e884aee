"""What the report says of times is what passed, within the bounds of the clock and of a shared machine.

One program measures itself while it is watched; all tests read that one run.
"""

from __future__ import annotations

import json
from math import ceil

import pytest
from support.runs import PYTHON, Report, calls, hookmon_run, parents, row, watch, write

TIMED_WORK = """
    import asyncio, contextlib, time

    def nap(ms):
        time.sleep(ms / 1000)

    def spin(ms):
        end = time.perf_counter_ns() + ms * 1_000_000
        while time.perf_counter_ns() < end:
            pass

    def parent():
        time.sleep(0.006)
        child()
        child()

    def child():
        time.sleep(0.004)

    def countdown(number):
        time.sleep(0.005)
        return countdown(number - 1) if number else "done"

    def numbers():
        for number in range(5):
            time.sleep(0.002)
            yield number

    async def numbers_async():
        for number in range(5):
            await asyncio.sleep(0.002)
            yield number

    @contextlib.contextmanager
    def lease():
        time.sleep(0.005)
        yield "leased"
        time.sleep(0.003)

    spun = []  # how long each spin of talk really took: on a busy machine more than was asked

    async def talk():
        begin = time.perf_counter_ns()
        while time.perf_counter_ns() < begin + 5_000_000:
            pass
        spun.append(time.perf_counter_ns() - begin)
        await asyncio.sleep(0.020)

    def later():
        return asyncio.sleep(0.020, "slept")

    async def fan_out():
        await asyncio.gather(*[leaf() for _ in range(20)])

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
    truth["steps of talk"] = timed.spun
    print(json.dumps(truth))
"""

SLACK_NS = 4_000_000  # the machine is shared: between two clock reads a process may have to wait for its turn

WATCHED = ["nap", "spin", "parent", "child", "countdown", "numbers", "numbers_async", "lease"]
WATCHED += ["talk", "later", "fan_out", "leaf", "ping", "pong"]

Timed = tuple[Report, dict[str, list[int]]]


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    """One run of TIMED_PROGRAM: the report, and {function: durations} as the program itself measured them."""
    folder = write(tmp_path_factory.mktemp("timed"), {"timed.py": TIMED_WORK, "app.py": TIMED_PROGRAM})
    result = hookmon_run([PYTHON, "app.py"], cwd=folder, config=watch("timed", *WATCHED))
    assert result.exit_code == 0, result.stderr
    return result.report, json.loads(result.stdout)


def assert_time(found_ns: int, truth_ns: float) -> None:
    """Claim that a time is within 1 % or 1 ms of the truth, whatever is more, and the machine's own jitter."""
    assert abs(found_ns - truth_ns) <= max(truth_ns / 100, 1_000_000) + SLACK_NS


@pytest.mark.parametrize("name", ["nap", "spin", "parent", "numbers", "numbers_async", "lease", "talk", "later", "fan_out"])
def test_total_is_the_time_that_passed(name: str, timed: Timed) -> None:
    """The total is wall time: of the call, of the body for generators and context managers, until the result for coroutines."""
    report, truth = timed
    found = row(report, f"timed:{name}")
    assert found["calls"] == len(truth[name])
    assert_time(found["total_ns"], sum(truth[name]))


def test_self_is_without_children(timed: Timed) -> None:
    """The self time of a function is its total less what its watched callees took."""
    report, truth = timed
    found = row(report, "timed:parent")
    assert_time(found["self_ns"], sum(truth["parent"]) - row(report, "timed:child")["total_ns"])
    assert row(report, "timed:child")["calls"] == 40
    assert parents(report, "timed:child") == {"timed:parent"}


def test_mean_min_and_max_are_exact(timed: Timed) -> None:
    """Mean, smallest and largest duration are kept as they were, not as buckets."""
    report, truth = timed
    found = row(report, "timed:nap")
    assert found["mean_ns"] == pytest.approx(found["total_ns"] / 200, abs=1)
    assert abs(found["min_ns"] - min(truth["nap"])) <= 100_000 + SLACK_NS
    assert abs(found["max_ns"] - max(truth["nap"])) <= 100_000 + SLACK_NS


@pytest.mark.parametrize(("key", "share"), [("p50_ns", 0.50), ("p95_ns", 0.95), ("p99_ns", 0.99)])
def test_percentiles_are_those_of_the_sorted_list(key: str, share: float, timed: Timed) -> None:
    """A percentile is within 2.2 % of the one read off the sorted durations."""
    report, truth = timed
    reference = sorted(truth["nap"])[ceil(share * 200) - 1]
    assert abs(row(report, "timed:nap")[key] - reference) <= 0.022 * reference + 100_000


def test_recursion_counts_once(timed: Timed) -> None:
    """Each call of a recursive function is counted, its time only once."""
    report, truth = timed
    found = row(report, "timed:countdown")
    assert found["calls"] == 3 * 8
    assert_time(found["total_ns"], sum(truth["countdown"]))
    assert_time(found["self_ns"], sum(truth["countdown"]))


def test_active_is_the_time_in_steps(timed: Timed) -> None:
    """Of a coroutine the report tells the time in which it ran from the time in which it waited."""
    report, truth = timed
    found = row(report, "timed:talk")
    assert_time(found["active_ns"], sum(truth["steps of talk"]))
    assert sum(truth["steps of talk"]) <= found["active_ns"] < found["total_ns"]
    assert row(report, "timed:leaf")["active_ns"] < row(report, "timed:leaf")["total_ns"]


def test_tasks_do_not_take_time_from_their_creator(timed: Timed) -> None:
    """Twenty tasks that run at once are not subtracted from the coroutine that waits for them."""
    report, truth = timed
    found = row(report, "timed:fan_out")
    assert row(report, "timed:leaf")["calls"] == 60
    assert 0 <= found["self_ns"] <= found["total_ns"]
    assert_time(found["total_ns"], sum(truth["fan_out"]))


def test_interleaved_tasks_are_never_parents_of_each_other(timed: Timed) -> None:
    """A thousand tasks in one thread each keep a call tree of their own."""
    report, _ = timed
    assert calls(report, "timed:ping") == 1000
    assert calls(report, "timed:pong") == 2000
    assert parents(report, "timed:ping") == {None}
    assert parents(report, "timed:pong") == {"timed:ping"}


def test_tree_adds_up(timed: Timed) -> None:
    """The calls table and the call tree are two views of the same numbers."""
    report, _ = timed
    in_tree: dict[str, int] = {}
    for node in report["tree"]:
        in_tree[node["target"]] = in_tree.get(node["target"], 0) + node["calls"]
    in_table = {each["target"]: each["calls"] for each in report["calls"]}
    assert in_tree == in_table
