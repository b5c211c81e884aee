"""Forks that Python is not told of: uWSGI's, and those of any program that embeds Python. Here by the C library's own fork()."""

from __future__ import annotations

import pytest

SHOP = """
import ctypes, threading
fork = ctypes.PyDLL(None).fork  # holds the GIL, as who forks in C does
shop = module('''
def quote(x=0): return x
def price(x=0): return x
''')
watch(shop, "*")
shop.quote()
"""


def test_each_process_that_was_forked_in_c_has_a_shard_of_its_own(fresh):
    """Known calls, new ones, threads, forks of Python in it, and a fork of which nothing is called before the next one."""
    recorded = fresh(
        SHOP
        + """
def child():
    for _ in range(100): shop.quote()
    for _ in range(50): shop.price()
    if not os.fork():
        for _ in range(10): shop.quote()
        os._exit(0)
    os.wait()
    thread = threading.Thread(target=shop.price); thread.start(); thread.join()
    os._exit(0)
children = []
for _ in range(3):
    children.append(fork())
    if not children[-1]:
        if not fork(): child()
        os.wait()
        child()
for pid in children: os.waitpid(pid, 0)
shop.quote()
""",
        env={"HOOKMON_ENGINE": "compiled"},
    )
    assert recorded.calls() == {"quote": 2 + 6 * 110, "price": 6 * 51}
    by_process = sorted(sum(sum(node.buckets.values()) for node in shard.nodes) for shard in recorded.shards)
    assert by_process == [2] + [10] * 6 + [151] * 6
    assert recorded.notes() == []


def test_nothing_is_written_into_the_parents_shard_while_it_waits(fresh):
    """Not a byte: calls that are open at the fork end in the child, and begin there, in memory of its own."""
    recorded = fresh(
        SHOP
        + """
from pathlib import Path
def inside(other):
    child = fork()
    if not child:
        if other: shop.price()
        return 0
    before = path.read_bytes()
    os.waitpid(child, 0)
    assert path.read_bytes() == before
    return child
(path,) = Path(os.environ["FOLDER"]).glob("*.shard")
shop.call = inside
watch(shop, "call")
for other in (False, True):
    if not shop.call(other):
        for number in range(300): shop.quote(); exec(f"def new{number}(): pass", vars(shop))
        os._exit(0)
""",
        env={"HOOKMON_ENGINE": "compiled"},
    )
    assert recorded.calls() == {"quote": 1 + 2 * 300, "call": 2, "price": 1}


@pytest.mark.parametrize("fork", ["os.fork", "ctypes.PyDLL(None).fork"])
def test_steps_go_on_in_a_fork_in_c_as_in_one_of_pythons(fresh, fork):
    """A coroutine that had begun is the parent's; what begins in its steps, and a generator that ends, counts in both."""
    recorded = fresh(
        """
import ctypes
shop = module('''
import types
@types.coroutine
def pause(): yield
async def serve():
    for _ in range(4):
        await pause()
        await one()
        quote()
async def one(): pass
def quote(): pass
def feed():
    for _ in range(4):
        price()
        yield
def price(): pass
''')
watch(shop, "serve", "one", "quote", "feed", "price")
serving, feeding = shop.serve(), shop.feed()
for _ in range(2): serving.send(None), next(feeding)
child = FORK()
try:
    while True: serving.send(None)
except StopIteration: pass
for _ in feeding: pass
if not child: os._exit(0)
os.waitpid(child, 0)
""".replace("FORK", fork),
        env={"HOOKMON_ENGINE": "compiled"},
    )
    assert recorded.calls() == {"serve": 1, "feed": 2, "one": 4 + 3, "quote": 4 + 3, "price": 4 + 2}


def test_the_pure_engine_counts_what_is_new_to_a_fork_in_c_and_says_what_it_cannot(fresh):
    """Nothing is handed out twice, and no counter is another's."""
    recorded = fresh(
        SHOP
        + """
children = []
for _ in range(3):
    children.append(fork())
    if not children[-1]:
        for _ in range(100): shop.price()
        shop.quote()
        os._exit(0)
for pid in children: os.waitpid(pid, 0)
""",
        env={"HOOKMON_ENGINE": "pure"},
    )
    assert recorded.calls() == {"quote": 4, "price": 300}
    assert [len(shard.nodes) for shard in recorded.shards] == [1, 2, 2, 2]
    assert [kind for kind, _ in recorded.notes()] == ["fork in C"] * 3


WITH_UWSGI = """
import sys, types
uwsgi = sys.modules["uwsgi"] = types.ModuleType("uwsgi")  # which is there in what uWSGI embeds
told = []
uwsgi.post_fork_hook = lambda: told.append(1)
"""


def test_requests_of_workers_that_uwsgi_forks_are_exact_with_the_pure_engine(fresh, prelude):
    """It is told by uWSGI, whose own hook of the program is called after it."""
    recorded = fresh(
        """
import ctypes
uwsgi = sys.modules["uwsgi"]
shop = module('def quote(): pass')
watch(shop, "quote")
shop.quote()
for _ in range(2):
    if not ctypes.PyDLL(None).fork():
        uwsgi.post_fork_hook()  # as uWSGI does
        for _ in range(100): shop.quote()
        os._exit(len(told))
    assert os.WEXITSTATUS(os.wait()[1]) == 1
""",
        prelude=WITH_UWSGI + prelude,
        env={"HOOKMON_ENGINE": "pure"},
    )
    assert recorded.calls() == {"quote": 201}
    assert recorded.notes() == []


def test_nothing_of_ours_runs_in_a_child_before_it_is_told(on):
    """Threads that are no more are cleared away first: Python code that ran then would let the program's signal handlers run."""
    on("""
import threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.15 raises, with -W error, that a process with threads forks
shop = module("def quote(x=0): return x")
watch(shop, "*")
called, done = threading.Semaphore(0), threading.Event()
def life():
    shop.quote()
    called.release()
    done.wait()
threads = [threading.Thread(target=life) for _ in range(3)]
for thread in threads: thread.start()
for _ in threads: called.acquire()
seen = []
sys.setprofile(lambda frame, event, argument: seen.append(frame.f_code.co_name) if event == "call" else None)
pid = os.fork()
sys.setprofile(None)
if not pid:
    os._exit(0 if seen[0] == "begin_anew" else 1)
status = os.waitpid(pid, 0)[1]
done.set()
for thread in threads: thread.join()
assert status == 0
assert shop.quote(1) == 1
threads = [threading.Thread(target=shop.quote) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
lanes = len(recorder._lanes)
assert lanes <= 4, lanes  # those of threads that have ended are used again
""")
