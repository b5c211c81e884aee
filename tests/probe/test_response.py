"""A transaction that ends before the call that began it, futures and work of other threads and greenlets, on both engines."""

from __future__ import annotations

import pytest

SHOP = '''
shop = module("""
import asyncio, time
from hookmon.probe.transactions import context, response

def query(what): time.sleep(0.001)

def respond(status=200):
    context.set_status(status)
    response.finish_response()

def inner(status):
    query("before")
    respond(status)
    time.sleep(0.02)
    query("after")

def request(status=200):
    inner(status)
    query("last")
    if status is None: raise ValueError

async def handle(n, answers=None, until=None):
    query(n)
    if n == 1: await asyncio.sleep(0.01)
    respond() if answers is None else answers()
    await (asyncio.sleep(0.02) if until is None else until.wait())
    query(f"after {n}")
    await asyncio.gather(later(n), later(n))
    return n

async def later(n):
    query(f"later {n}")

def broken():
    respond()
    try: raise ValueError
    except ValueError: context.fail()

def fetch(n):
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.002, future.set_result, n)
    return future
async def fetches(count, parallel):
    for _ in range(count): await fetch(0)
    await asyncio.gather(*[fetch(0) for _ in range(parallel)])
""")
watch(shop, "request", "handle", "broken", "fetches", kind="request", entry=True)
watch(shop, "inner", "respond")
watch(shop, "query", kind="sql", span="{what}")
watch(shop, "fetch", kind="http", span="fetch")
import asyncio, os, time
'''


@pytest.fixture(params=["pure", "compiled"])
def shop(fresh, request):
    """Run code after SHOP on one engine."""
    return lambda code: fresh(SHOP + code, env={"HOOKMON_ENGINE": request.param})


def counts(recorded):
    """Return the calls by path, those without a call left out."""
    return {path: node.calls for path, node in recorded.paths().items() if node.calls}


def test_what_is_open_when_the_response_ends_is_counted_as_ended(shop):
    """Once, without the time that it still takes; what comes then is below (after), and counts in no transaction."""
    recorded = shop("for _ in range(5): shop.request()")
    assert counts(recorded) == {
        ("request",): 5,
        ("request", "inner"): 5,
        ("request", "inner", "before"): 5,
        ("request", "inner", "respond"): 5,
        ("request", "(after)", "after"): 5,
        ("request", "(after)", "last"): 5,
    }
    nodes = recorded.paths()
    assert nodes["request",].min_ns < 18e6, "the 20 ms after the response are not in it"
    assert nodes["request",].total_ns >= nodes["request", "inner"].total_ns
    assert nodes["request", "(after)"].detached == "after"
    assert (nodes["request",].transactions, nodes["request", "inner", "before"].transactions) == (0, 5)
    assert nodes["request", "(after)", "after"].transactions == 0


def test_examples_are_whole_when_the_response_ends_early(shop):
    """With the calls that were open, and without what came after."""
    recorded = shop("shop.request()")
    (shard,) = recorded.shards
    (example,) = shard.examples
    assert sorted(shard.nodes[node].name for node, *_ in example.spans) == ["before", "inner", "respond"]


@pytest.mark.parametrize(("code", "errors"), [("shop.request(503)", 1), ("shop.request(404)", 0), ("shop.broken()", 1)])
def test_an_error_after_the_response_counts_once(shop, code, errors):
    """Status and failure together make one error of one call."""
    recorded = shop(f"{code}\nfrom hookmon.probe.transactions import context\ncontext.fail()")
    name = code[5:].partition("(")[0]
    assert (recorded.paths()[name,].calls, recorded.paths()[name,].errors) == (1, errors)


def test_tasks_that_take_turns_end_their_own_responses(shop):
    """Also when the response of one is ended by another."""
    recorded = shop("""
from hookmon.probe.transactions import context, response
async def main():
    await asyncio.gather(*[shop.handle(n % 3) for n in range(30)])
asyncio.run(main())
""")
    expected = {("handle",): 30, ("handle", "respond"): 30}
    for n in range(3):
        expected |= {("handle", str(n)): 10, ("handle", "(after)", f"after {n}"): 10, ("handle", "(after)", f"later {n}"): 20}
    assert counts(recorded) == expected


def test_another_lane_may_end_a_response(shop):
    """One handler finishes another's: only that one is settled."""
    recorded = shop("""
from hookmon.probe.transactions import context, response
waiting = []
def wait(): waiting.append(context.current())
async def main():
    finished = asyncio.Event()
    first = asyncio.create_task(shop.handle("first", wait, finished))
    while not waiting: await asyncio.sleep(0)
    def wake():
        response.finish_response(waiting[0])
        finished.set()
    await asyncio.gather(first, shop.handle("second", wake))
asyncio.run(main())
""")
    assert counts(recorded) == {
        ("handle",): 2,
        ("handle", "first"): 1,
        ("handle", "second"): 1,
        ("handle", "(after)", "after first"): 1,
        ("handle", "(after)", "later first"): 2,
        ("handle", "after second"): 1,
        ("handle", "(concurrent)", "later second"): 2,
    }


def test_a_fork_after_the_response_counts_in_the_child(shop):
    """What the child calls is its own, and the parent's goes on below (after)."""
    recorded = shop("""
real, shop.inner = shop.inner, None
def inner(status):
    shop.respond(status)
    if os.fork() == 0:
        shop.query("child")
        os._exit(0)
    os.wait()
    shop.query("parent")
shop.inner = inner
shop.request()
""")
    found = counts(recorded)
    assert found["request",] == 1
    assert found["request", "(after)", "parent"] == 1
    assert sum(calls for path, calls in found.items() if path[-1] == "child") == 1


def test_a_future_belongs_to_the_transaction_that_waits_for_it(shop):
    """Beside its time; one after the other is a repetition, side by side is none."""
    recorded = shop("asyncio.run(shop.fetches(6, 4))\nasyncio.run(shop.fetches(0, 9))")
    assert counts(recorded)["fetches",] == 2
    awaited, gathered = sorted(
        (node for node in recorded.nodes if node.name == "fetch" and node.calls), key=lambda node: node.calls
    )
    assert (awaited.calls, awaited.repeated, awaited.most_repeated) == (6, 1, 6)
    assert (gathered.calls, gathered.repeated, gathered.most) == (4 + 9, 0, 9)
    assert recorded.nodes[awaited.parent].detached == recorded.nodes[gathered.parent].detached == "concurrent"
