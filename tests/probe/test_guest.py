"""What must not change for the program, whatever it does."""

from __future__ import annotations

import importlib.util
import os

import pytest

PURE = os.environ.get("HOOKMON_ENGINE") == "pure" or importlib.util.find_spec("hookmon.probe._engine") is None

ALARM = """
import signal
shop = module("def quote(a, b): pass")
watch(shop, "quote", span="quote {arg0} {arg1}")
class Stop(Exception): pass
fired = 0
def handler(*_):
    global fired
    fired += 1
    raise Stop
signal.signal(signal.SIGALRM, handler)
caught = 0
for _ in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        for _ in range(3000): shop.quote(1, 2)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop: caught += 1
assert caught == fired, (caught, fired)
"""


def test_what_a_signal_handler_raises_arrives(fresh):
    """Time limits work that way: SIGALRM, SIGUSR1, an exception."""
    fresh(ALARM)


@pytest.mark.parametrize("name", ["coroutines.TimedCoroutine", "generators.TimedGenerator", "generators.TimedAsyncGenerator"])
def test_a_stand_in_that_was_never_finished_ends_in_silence(fresh, name: str):
    """An exception came between its making and its first line."""
    fresh(f"""
import hookmon.probe.wrappers.generators, hookmon.probe.wrappers.coroutines
half = hookmon.probe.wrappers.{name}.__new__(hookmon.probe.wrappers.{name})
print("made")
del half
""")


def test_the_class_of_a_result_is_not_asked(fresh):
    """A metaclass with __getattr__ is code of the program."""
    fresh("""
shop = module('''
asked = []
class Meta(type):
    def __getattr__(cls, name):
        asked.append(name)
        raise AttributeError(name)
class Thing(metaclass=Meta): pass
def thing(): return Thing()
''')
watch(shop, "thing")
shop.thing()
assert shop.asked == [], shop.asked
""")


def test_a_result_whose_class_has_every_attribute_stays_itself(fresh):
    """It is no coroutine."""
    fresh("""
shop = module('''
class Every(type):
    def __getattr__(cls, name): return lambda *_: None
class Thing(metaclass=Every): pass
made = Thing()
def thing(): return made
''')
watch(shop, "thing")
assert shop.thing() is shop.made
""")


def test_a_future_of_a_closed_loop_is_returned(fresh):
    """Following it is not worth an exception."""
    recorded = fresh("""
import asyncio
shop = module("def promised(future): return future")
watch(shop, "promised")
loop = asyncio.new_event_loop()
future = loop.create_future()
future.set_result(1)
loop.close()
assert shop.promised(future) is future
""")
    assert recorded.calls() == {"promised": 1}


def test_a_full_tree_counts_flat_and_exactly(fresh):
    """Beyond 32,768 nodes a name has one node for all its callers."""
    recorded = fresh("""
shop = module('''
def a(n): pass
def b(n): pass
def c(n): pass
def d(n): pass
''')
watch(shop, "*", span="{function} {arg0}")
for number in range(9_000):
    shop.a(number); shop.b(number); shop.c(number); shop.d(number)
for _ in range(5): shop.d(8_999)
""")
    calls = recorded.calls()
    assert sum(calls.values()) == 36_005
    assert calls["d 8999"] == 6
    assert sum(node.flat for node in recorded.nodes) == 36_000 - 32_768
    assert not recorded.shards[0].full


def test_a_process_without_a_run_folder_runs_on(fresh):
    """Nothing is recorded, nothing is said."""
    recorded = fresh(
        """
import shutil
shutil.rmtree(os.environ["FOLDER"])
os.mkdir(os.environ["FOLDER"])
child = os.fork()
if not child:
    shutil.rmtree(os.environ["FOLDER"])
    shop = module("def quote(): return 1")
    watch(shop, "quote")
    assert shop.quote() == 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert recorded.shards == []
