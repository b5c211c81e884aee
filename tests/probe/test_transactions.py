"""Calls belong to the request, job or test that they are made for, on both engines."""

from __future__ import annotations

import pytest

SHOP = '''
shop = module("""
import asyncio, contextvars, threading, time

class Response:
    def __init__(self, status): self.status = status

def app(method, rule="/users/<id>", status=200):
    session()
    middle(method, rule); touch()
    if status is None: raise ValueError
    return Response(status)

def middle(method, rule):
    route({"method": method}, rule)
    for _ in range(7):
        query("SELECT 1")
    query("SELECT 2")

def session(): query("SESSION")
def route(request, rule): return (request, rule)
def query(sql): pass

async def page(number):
    await find("/page/%d" % number)
    await asyncio.gather(*[fetch("part") for _ in range(6)])
    await asyncio.to_thread(load)

def load():
    for _ in range(5):
        query("LOAD")

async def find(rule): return rule
async def fetch(what): await asyncio.sleep(0.001)
async def spawn(): kept.append(asyncio.create_task(later()))
async def later():
    await asyncio.sleep(0.02)
    query("LATER")
kept = []
def job(name): query("JOB")
async def worker():
    await asyncio.sleep(0.02)
    job("one"); job("two")
async def start(): kept.append(asyncio.create_task(worker()))
def touch(): pass
""")
watch(shop, "app", kind="request", span="{method} (no route)", entry=True, entry_status="{result.status}")
watch(shop, "middle", "session")
watch(shop, "route", entry_name="{arg0.method} {result.1}")
watch(shop, "query", "fetch", kind="sql", span="{arg0}")
watch(shop, "page", "spawn", "start", kind="request", entry=True)
watch(shop, "find", entry_name="GET {result}")
watch(shop, "job", kind="task", span="job {arg0}", entry=True)
import asyncio, os
'''


@pytest.fixture(params=["pure", "compiled"])
def shop(fresh, request):
    """Run code after SHOP on one engine."""
    return lambda code: fresh(SHOP + code, env={"HOOKMON_ENGINE": request.param})


def counts(recorded):
    """Return the calls by path, those without a call left out."""
    return {path: node.calls for path, node in recorded.paths().items() if node.calls}


def test_a_request_is_named_by_its_route_with_all_that_came_before(shop):
    """What was over or open when the route was found moves to the name, with its counts and its place."""
    recorded = shop("for _ in range(3): shop.app('GET')\nshop.app('POST', '/')")
    assert counts(recorded) == {
        ("GET /users/<id>",): 3,
        ("GET /users/<id>", "session"): 3,
        ("GET /users/<id>", "session", "SESSION"): 3,
        ("GET /users/<id>", "middle"): 3,
        ("GET /users/<id>", "middle", "SELECT 1"): 21,
        ("GET /users/<id>", "middle", "SELECT 2"): 3,
        ("POST /",): 1,
        ("POST /", "session"): 1,
        ("POST /", "session", "SESSION"): 1,
        ("POST /", "middle"): 1,
        ("POST /", "middle", "SELECT 1"): 7,
        ("POST /", "middle", "SELECT 2"): 1,
    }
    sites = {path: node.call_site for path, node in recorded.paths().items()}
    assert sites["GET /users/<id>", "middle"].endswith("shop.py:9")
    assert sites["GET /users/<id>", "session", "SESSION"].endswith("shop.py:19")
    assert sites["GET /users/<id>",].startswith("<string>:")


def test_no_count_is_lost_or_made_when_a_request_moves(shop):
    """Totals and buckets of what moved are gone from where they were."""
    recorded = shop("for _ in range(200): shop.app('GET')")
    for path, node in recorded.paths().items():
        if path[0] == "GET (no route)":
            assert (node.calls, node.total_ns, node.errors, dict(node.buckets)) == (0, 0, 0, {}), path


def test_a_request_without_a_route_keeps_its_first_name(shop):
    """A route that finds nothing names nothing."""
    recorded = shop("shop.app('GET', None)")
    assert {path[0] for path in counts(recorded)} == {"GET (no route)"}
    recorded = shop("shop.route = lambda *a: None\nshop.app('GET')")
    assert ("GET (no route)",) in counts(recorded)


def test_a_status_from_500_on_is_an_error(shop):
    """So is an exception, which counts once."""
    errors = {200: 0, 404: 0, 500: 1, 503: 1}
    recorded = shop("".join(f"shop.app('S{status}', status={status})\n" for status in errors))
    paths = recorded.paths()
    assert {status: paths[f"S{status} /users/<id>",].errors for status in errors} == errors


def test_an_exception_is_an_error_of_the_request(shop):
    """Counted once, under its route."""
    recorded = shop("try: shop.app('GET', status=None)\nexcept ValueError: pass")
    node = recorded.paths()["GET /users/<id>",]
    assert (node.calls, node.errors) == (1, 1)


def test_what_is_called_per_transaction_is_known(shop):
    """In how many, how often at most, and where it repeats."""
    recorded = shop("for _ in range(4): shop.app('GET')")
    node = recorded.paths()["GET /users/<id>", "middle", "SELECT 1"]
    assert (node.transactions, node.most, node.repeated, node.repeated_calls, node.most_repeated) == (4, 7, 4, 28, 7)
    assert 0 < node.repeated_ns <= node.total_ns
    other = recorded.paths()["GET /users/<id>", "middle", "SELECT 2"]
    assert (other.transactions, other.most, other.repeated, other.repeated_calls) == (4, 1, 0, 0)


def test_thousands_of_calls_in_one_transaction_are_counted(shop):
    """More than are known one by one."""
    recorded = shop("""
watch(module("def many(): [shop.query('Q') for _ in range(20_000)]\\nimport sys; shop = sys.modules['shop']", "bulk"),
      "many", kind="task", entry=True)
import bulk
bulk.many(); bulk.many()
""")
    node = recorded.paths()["many", "Q"]
    assert (node.calls, node.most, node.repeated, node.repeated_calls) == (40_000, 20_000, 2, 40_000)


def test_tasks_and_threads_belong_to_the_request_that_started_them(shop):
    """Interleaved requests never get each other's; what runs at once does not count as a repetition."""
    recorded = shop("""
async def main(): await asyncio.gather(*[shop.page(number % 3) for number in range(30)])
asyncio.run(main())
""")
    expected = {}
    for number in range(3):
        name = f"GET /page/{number}"
        expected |= {(name,): 10, (name, "(concurrent)", "part"): 60, (name, "(concurrent)", "LOAD"): 50}
    assert counts(recorded) == expected
    parts = recorded.paths()["GET /page/0", "(concurrent)", "part"]
    assert (parts.transactions, parts.most, parts.repeated) == (10, 6, 0)
    loads = recorded.paths()["GET /page/0", "(concurrent)", "LOAD"]
    assert (loads.transactions, loads.most, loads.repeated, loads.most_repeated) == (10, 5, 10, 5)
    assert recorded.paths()["GET /page/0", "(concurrent)"].detached == "concurrent"


def test_what_comes_after_the_response_is_kept_apart(shop):
    """A task that outlives its request belongs to it, but not to its time; an entry in it is a transaction of its own."""
    recorded = shop("""
async def main():
    await shop.spawn(); await shop.start()
    await asyncio.gather(*shop.kept)
asyncio.run(main())
""")
    assert counts(recorded) == {
        ("spawn",): 1,
        ("spawn", "(after)", "LATER"): 1,
        ("start",): 1,
        ("job one",): 1,
        ("job one", "JOB"): 1,
        ("job two",): 1,
        ("job two", "JOB"): 1,
    }


def test_an_entry_inside_a_transaction_is_a_call(shop):
    """The outermost wins."""
    recorded = shop("watch(module('def outer(): shop.job(1)\\nimport shop', 'o'), 'outer', entry=True)\nimport o\no.outer()")
    nodes = recorded.paths()
    assert counts(recorded) == {("outer",): 1, ("outer", "job 1"): 1, ("outer", "job 1", "JOB"): 1}
    assert (nodes["outer", "job 1"].transactions, nodes["outer",].transactions) == (1, 0)


def test_the_slowest_are_kept_whole(shop):
    """Three of each name, with their calls in order."""
    recorded = shop("""
import time
shop.query = (lambda real: lambda sql: (time.sleep(shop.pause), real(sql)))(shop.query)
for shop.pause in (0, 0.001, 0.003, 0.002, 0, 0.004): shop.app('GET')
""")
    (shard,) = recorded.shards
    durations = sorted(example.duration_ns for example in shard.examples)
    assert len(durations) == 3
    assert durations[0] >= 9 * 2e6
    slowest = max(shard.examples, key=lambda example: example.duration_ns)
    assert slowest.duration_ns >= 9 * 4e6
    names = [shard.nodes[node].name for node, *_ in slowest.spans]
    assert names == ["session", "SESSION", "middle", *["SELECT 1"] * 7, "SELECT 2"]
    assert [start for _, _, start, _ in slowest.spans] == sorted(start for _, _, start, _ in slowest.spans)
    assert slowest.left_out == 0


def test_a_fork_inside_a_request_leaves_the_request_to_the_parent(shop):
    """The child's calls are its own; the parent's request ends as if nothing had been."""
    recorded = shop("""
def fork(sql):
    if os.fork() == 0:
        real('CHILD')
        os._exit(0)
    os.wait()
    real(sql)
real, shop.query = shop.query, fork
shop.middle('GET', '/')
shop.app('GET', '/x')
""")
    found = counts(recorded)
    assert found["GET /x",] == 1
    assert found["GET /x", "middle", "SELECT 1"] == 7
    assert recorded.calls()["CHILD"] == 17


def test_a_fork_beside_a_thread_of_a_request_keeps_nothing_of_it(shop):
    """In the child that thread is no more: it would never leave the transaction, which would stay for ever."""
    shop("""
import contextvars, threading
from hookmon.probe.transactions.context import visits
entered, done, left = threading.Event(), threading.Event(), []
def wait(sql):
    if sql == "SESSION" and threading.current_thread() is not threading.main_thread():
        entered.set()
        done.wait()
def fork():
    thread = threading.Thread(target=contextvars.copy_context().run, args=(shop.session,))
    thread.start()
    entered.wait()
    left.append(len(visits))
    if os.fork() == 0:
        os._exit(10 + len(visits))
    left.append(os.waitstatus_to_exitcode(os.wait()[1]))
    done.set()
    thread.join()
    left.append(len(visits))
shop.query, shop.touch = wait, fork
shop.middle = lambda method, rule: None  # the request keeps its first name until it ends
shop.app('GET')
assert left == [1, 10, 0], left
""")


def test_the_context_variable_is_as_it_was_after_a_request(shop):
    """Nothing of a request is left in the context of who called it."""
    shop("""
import contextvars
own = contextvars.ContextVar("own")
before = dict(contextvars.copy_context())
shop.app('GET')
try: shop.app('GET', status=None)
except ValueError: pass
assert dict(contextvars.copy_context()) == before
untouched, shop.touch = shop.touch, lambda: own.set(0)  # which the request sets for good
shop.app('GET')
assert dict(contextvars.copy_context()) == {**before, own: 0}
shop.touch = untouched
own.set(1)
shop.app('GET')
assert dict(contextvars.copy_context()) == {**before, own: 1}
def within():
    shop.app('GET')
    return dict(contextvars.copy_context())
assert contextvars.copy_context().run(within) == {**before, own: 1}
""")
