"""Each kind of call is counted exactly, and its time goes where it was spent."""

from __future__ import annotations

import importlib.util

import pytest

SYNC = """
shop = module('''
def quote(n=0):
    if n: quote(n - 1)
    return n
def fail(): raise ValueError("no")
def leave(error): raise error
def outer(): quote(); quote()
''')
watch(shop, "*")
"""


def test_calls_are_counted_with_their_callers(fresh):
    """A node for each pair of caller and name."""
    recorded = fresh(SYNC + "for _ in range(50): shop.outer()\nshop.quote()")
    assert {path: node.calls for path, node in recorded.paths().items()} == {
        ("outer",): 50,
        ("outer", "quote"): 100,
        ("quote",): 1,
    }


def test_recursion_is_a_path_of_nodes(fresh):
    """Each depth has its own."""
    recorded = fresh(SYNC + "shop.quote(40)")
    assert recorded.calls() == {"quote": 41}
    assert len(recorded.nodes) == 41


def test_errors_are_counted_and_pass_unchanged(fresh):
    """The very same exception arrives."""
    recorded = fresh(
        SYNC
        + """
error = OSError("x")
for make in (lambda: shop.fail(), lambda: shop.leave(error)):
    try:
        make()
    except Exception as caught:
        assert caught.__context__ is None
        if make.__name__ and isinstance(caught, OSError): assert caught is error
"""
    )
    assert recorded.errors() == {"fail": 1, "leave": 1}
    assert recorded.calls() == {"fail": 1, "leave": 1}


def test_interruptions_are_no_errors(fresh):
    """SystemExit, KeyboardInterrupt, GeneratorExit and CancelledError come from outside."""
    recorded = fresh(
        SYNC
        + """
import asyncio
for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()):
    try: shop.leave(error)
    except BaseException as caught: assert caught is error
"""
    )
    assert recorded.interrupted() == {"leave": 4}
    assert recorded.errors() == {}
    assert recorded.calls() == {"leave": 4}


def test_times_lie_where_they_were_spent(fresh):
    """Total includes children, self does not."""
    recorded = fresh("""
import time
shop = module('''
import time
def inner(): time.sleep(0.03)
def outer(): time.sleep(0.02); inner(); inner()
''')
watch(shop, "*")
shop.outer()
""")
    outer, inner = recorded.paths()["outer",], recorded.paths()["outer", "inner"]
    assert inner.total_ns >= 60_000_000
    assert outer.total_ns >= 80_000_000
    assert outer.self_ns == outer.total_ns - inner.total_ns
    assert inner.min_ns >= 30_000_000
    assert inner.max_ns >= inner.min_ns
    assert inner.min_ns + inner.max_ns == inner.total_ns


def test_threads_never_share_a_count(fresh):
    """64 threads, 1,000 calls each."""
    recorded = fresh(
        SYNC
        + """
import threading
def work():
    for _ in range(1000): shop.outer()
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work) for _ in range(64)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    )
    assert recorded.calls() == {"outer": 64_000, "quote": 128_000}
    assert set(recorded.paths()) == {("outer",), ("outer", "quote")}
    assert recorded.shards[0].lanes == []


def test_a_forked_child_counts_into_a_shard_of_its_own(fresh):
    """What was in flight at the fork belongs to the parent."""
    recorded = fresh("""
shop = module('''
import os
def quote(): pass
def split():
    child = os.fork()
    quote()
    return child
''')
watch(shop, "*")
for _ in range(3):
    child = shop.split()
    if not child:
        shop.quote(); shop.quote()
        os._exit(0)
    os.waitpid(child, 0)
""")
    assert len(recorded.shards) == 4
    assert recorded.calls() == {"split": 3, "quote": 3 + 3 * 3}
    assert {path: node.calls for path, node in recorded.paths().items()} == {
        ("split",): 3,
        ("split", "quote"): 3,
        ("quote",): 9,
    }


ASYNC = """
import asyncio
shop = module('''
import asyncio, contextlib, types
async def quote(pause=0.0, error=None):
    await asyncio.sleep(pause)
    if error: raise error
    return await price()
async def price(): return 5
async def feed(n):
    for number in range(n):
        await asyncio.sleep(0)
        yield number
def count(n):
    for number in range(n):
        got = yield number
    return "end"
@contextlib.contextmanager
def locked(): yield 1
@contextlib.asynccontextmanager
async def opened(): yield 2
def promised(future): return future
def made(): return price()
class Boat:
    async def row(self): return 1
    @classmethod
    async def build(cls): return 2
''')
watch(shop, "*", "Boat.*")
"""


def test_coroutines_count_when_they_end(fresh):
    """Nested ones below those that await them; results arrive."""
    recorded = fresh(ASYNC + "async def main():\n    for _ in range(20): assert await shop.quote() == 5\nasyncio.run(main())")
    assert {path: node.calls for path, node in recorded.paths().items()} == {("quote",): 20, ("quote", "price"): 20}


def test_tasks_never_become_each_others_parents(fresh):
    """1,000 that take turns."""
    recorded = fresh(
        ASYNC + "async def main(): await asyncio.gather(*(shop.quote(0.001) for _ in range(1000)))\nasyncio.run(main())"
    )
    assert {path: node.calls for path, node in recorded.paths().items()} == {("quote",): 1000, ("quote", "price"): 1000}
    assert recorded.shards[0].lanes == []


def test_a_coroutine_waits_and_works(fresh):
    """Total is wall time, active only its steps."""
    recorded = fresh(ASYNC + "asyncio.run(shop.quote(0.05))")
    node = recorded.paths()["quote",]
    assert node.total_ns >= 50_000_000
    assert 0 < node.active_ns < node.total_ns / 2
    assert node.steps == 2


def test_cancelled_and_failed_coroutines_are_told_apart(fresh):
    """One interrupted, one error, one that was never awaited and never counted."""
    recorded = fresh(
        ASYNC
        + """
async def main():
    task = asyncio.create_task(shop.quote(10))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    try: await shop.quote(error=KeyError(1))
    except KeyError: pass
asyncio.run(main())
shop.quote().close()
"""
    )
    assert recorded.calls() == {"quote": 2}
    assert recorded.errors() == {"quote": 1}
    assert recorded.interrupted() == {"quote": 1}


def test_a_coroutine_that_was_never_awaited_warns_once(fresh):
    """Python's own words; nothing is counted."""
    recorded = fresh(
        ASYNC
        + """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    shop.price()
assert [str(warning.message) for warning in seen] == ["coroutine 'price' was never awaited"], seen
"""
    )
    assert recorded.calls() == {}


def test_a_coroutine_that_is_awaited_again_counts_once(fresh):
    """The second await is a mistake of the program, and no call."""
    recorded = fresh(
        ASYNC
        + """
async def main():
    again = shop.price()
    await again
    try: await again
    except RuntimeError as error: assert "cannot reuse" in str(error)
asyncio.run(main())
"""
    )
    assert recorded.calls() == {"price": 1}
    assert recorded.errors() == {}


def test_generators_count_once_and_keep_their_protocol(fresh):
    """send, return value, close, throw, and one that is dropped half way."""
    recorded = fresh(
        ASYNC
        + """
assert list(shop.count(5)) == [0, 1, 2, 3, 4]
def delegate(): return (yield from shop.count(2))
walk = delegate(); next(walk); walk.send(1)
try: walk.send(2)
except StopIteration as end: assert end.value == "end"
half = shop.count(9); next(half); half.close()
half = shop.count(9); next(half); del half
bad = shop.count(9); next(bad)
try: bad.throw(KeyError("k"))
except KeyError: pass
shop.count(3)
import types
assert isinstance(shop.count(1), types.GeneratorType)
"""
    )
    assert recorded.calls() == {"count": 5}
    assert recorded.errors() == {"count": 1}
    assert recorded.interrupted() == {"count": 2}


def test_the_body_of_a_generator_is_timed_and_not_its_consumer(fresh):
    """Time between two steps is the consumer's."""
    recorded = fresh("""
shop = module('''
import time
def slow():
    for number in range(3):
        time.sleep(0.01)
        yield number
''')
watch(shop, "*")
import time
for _ in shop.slow(): time.sleep(0.1)
""")
    node = recorded.paths()["slow",]
    assert 30_000_000 <= node.total_ns < 300_000_000


def test_async_generators_count_once(fresh):
    """Exhausted, closed early, and with asend."""
    recorded = fresh(
        ASYNC
        + """
async def main():
    assert [number async for number in shop.feed(4)] == [0, 1, 2, 3]
    walk = shop.feed(9)
    assert await anext(walk) == 0
    assert await walk.asend(None) == 1
    await walk.aclose()
    assert await anext(shop.feed(0), "none") == "none"
asyncio.run(main())
"""
    )
    assert recorded.calls() == {"feed": 3}
    assert recorded.errors() == {}


def test_context_managers_count_their_own_body(fresh):
    """One call for each `with`; an error in the block passes through it."""
    recorded = fresh(
        ASYNC
        + """
async def main():
    async with shop.opened() as value: assert value == 2
for _ in range(3):
    with shop.locked() as value: assert value == 1
try:
    with shop.locked(): raise KeyError("k")
except KeyError: pass
asyncio.run(main())
"""
    )
    assert recorded.calls() == {"locked": 4, "opened": 1}


def test_a_context_manager_that_decorates_counts_each_use(fresh):
    """One call of the decorated function is one use."""
    recorded = fresh(
        ASYNC
        + """
@shop.locked()
def decorated(): return 7
assert decorated() == 7 and decorated() == 7
"""
    )
    assert recorded.calls() == {"locked": 2}


def test_a_function_that_returns_an_awaitable_is_followed(fresh):
    """A future to its end, a coroutine to its return."""
    recorded = fresh(
        ASYNC
        + """
async def main():
    loop = asyncio.get_running_loop()
    good, bad, gone = loop.create_future(), loop.create_future(), loop.create_future()
    for future in (good, bad, gone): assert shop.promised(future) is future
    loop.call_later(0.03, good.set_result, 3)
    bad.set_exception(OSError())
    gone.cancel()
    assert await good == 3
    await asyncio.gather(bad, gone, return_exceptions=True)
    assert await shop.made() == 5
asyncio.run(main())
"""
    )
    assert recorded.calls() == {"promised": 3, "made": 1, "price": 1}
    assert recorded.errors() == {"promised": 1}
    assert recorded.interrupted() == {"promised": 1}
    assert recorded.paths()["promised",].max_ns >= 30_000_000


def test_a_plain_result_that_looks_awaitable_stays_itself(fresh):
    """An object with `__await__` of its own is returned as it is."""
    recorded = fresh("""
shop = module('''
class Client:
    def __await__(self): yield
client = Client()
def connect(): return client
''')
watch(shop, "connect")
assert shop.connect() is shop.client
""")
    assert recorded.calls() == {"connect": 1}


def test_a_generator_that_is_a_coroutine_is_left_alone(fresh):
    """types.coroutine, by which event loops are built: nothing can stand in for its generator, so it is refused."""
    recorded = fresh("""
import asyncio, types
shop = module('''
import types
@types.coroutine
def trap(): return (yield)
''')
watch(shop, "trap")
async def main(): await shop.trap()
asyncio.run(main())
""")
    assert recorded.calls() == {}


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="there is no gevent here")
def test_greenlets_are_lanes(fresh):
    """They take turns and never become each other's parents."""
    recorded = fresh("""
import gevent.monkey
gevent.monkey.patch_all()
import gevent
recorder.use_greenlets()
shop = module('''
import time
def inner(): time.sleep(0.001)
def outer(): inner()
''')
watch(shop, "*")
gevent.joinall([gevent.spawn(shop.outer) for _ in range(300)])
""")
    assert {path: node.calls for path, node in recorded.paths().items()} == {("outer",): 300, ("outer", "inner"): 300}
    assert recorded.shards[0].lanes == []


def test_only_the_outermost_span_of_a_client_kind_counts(fresh):
    """requests over urllib3 over http.client is one call, unless a watch says nested."""
    recorded = fresh("""
shop = module('''
def low(): return 1
def high(): return low()
def deep(): return low()
''')
watch(shop, "low", "high", kind="http")
watch(shop, "deep", kind="http", nested=True)
shop.high(); shop.low(); shop.deep()
""")
    assert {path: node.calls for path, node in recorded.paths().items()} == {
        ("high",): 1,
        ("low",): 1,
        ("deep",): 1,
        ("deep", "low"): 1,
    }


def test_a_statement_that_goes_by_http_is_one_statement(fresh):
    """Its requests are none beside it; those of a call that is no statement, or that says nested, are."""
    recorded = fresh("""
shop = module('''
def post(): return 1
def query(): return post()
def connect(): return post()
def send(): return post()
def fetch(): return query()
''')
watch(shop, "post", "fetch", kind="http")
watch(shop, "query", kind="sql")
watch(shop, "connect", kind="sql", nested=True)
watch(shop, "send", kind="queue")
shop.query(); shop.connect(); shop.send(); shop.fetch()
""")
    assert {path: node.calls for path, node in recorded.paths().items()} == {
        ("query",): 1,
        ("connect",): 1,
        ("connect", "post"): 1,
        ("send",): 1,
        ("send", "post"): 1,
        ("fetch",): 1,
        ("fetch", "query"): 1,
    }


def test_what_runs_is_visible_from_outside(fresh):
    """A process that ends within a call leaves the stack of its lane."""
    recorded = fresh("""
shop = module('''
import os
def outer(): inner()
def inner(): os._exit(0)
''')
watch(shop, "*")
shop.outer()
""")
    (lane,) = recorded.shards[0].lanes
    assert [recorded.shards[0].nodes[index].name for index, _ in lane.stack] == ["outer", "inner"]
    assert recorded.calls() == {}


TASKS = """
shop = module('''
import asyncio
async def inner(): await asyncio.sleep(0)
async def job(pause): await inner(); await asyncio.sleep(pause)
async def crowd(): await asyncio.gather(*(job(0) for _ in range(50)))
''')
watch(shop, "inner", "job")
import asyncio
"""


def test_the_lanes_of_ended_tasks_serve_others_also_in_a_forked_child(fresh):
    """More of them at once than are kept, twice, and in the child anew."""
    recorded = fresh(
        TASKS
        + """
asyncio.run(shop.crowd())
asyncio.run(shop.crowd())
child = os.fork()
asyncio.run(shop.crowd())
if child: os.waitpid(child, 0)
"""
    )
    assert recorded.calls() == {"job": 200, "inner": 200}
    assert recorded.paths()["job", "inner"].calls == 200
    assert [shard.lanes for shard in recorded.shards] == [[], []]
    assert [shard.hidden_lanes for shard in recorded.shards] == [0, 0]


def test_a_lane_that_another_thread_takes_over_names_that_thread(fresh):
    """A task in flight is shown where it runs now."""
    recorded = fresh(
        TASKS
        + """
import threading
asyncio.run(shop.crowd())
def last():
    print(threading.get_ident(), flush=True)
    loop = asyncio.new_event_loop()
    loop.call_later(0.2, os._exit, 0)
    loop.run_until_complete(shop.job(60))
threading.Thread(target=last).start()
"""
    )
    (lane,) = recorded.shards[0].lanes
    assert (lane.ident, len(lane.stack)) == (int(recorded.out), 1)
