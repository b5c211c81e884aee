"""Without the GIL the pure engine takes a lock where it counts; here that path is forced."""

from __future__ import annotations

from threading import RLock

import pytest

THREADS = """
shop = module('''
def quote(n=0):
    if n == 3: raise KeyError(n)
def outer():
    for n in range(5):
        try: quote(n)
        except KeyError: pass
    list(walk())
def walk(): yield from range(3)
async def price(): return 1
def named(text): pass
''')
watch(shop, "quote", "outer", "walk", "price")
watch(shop, "named", span="say {arg0}")
import threading
def work():
    for n in range(300):
        shop.outer()
        shop.named(str(n % 100))
        try: shop.price().send(None)
        except StopIteration: pass
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import os
child = os.fork()
if child: os.waitpid(child, 0)
else: shop.outer(); os._exit(0)
"""


def test_counts_are_exact_without_the_gil(fresh, prelude):
    """On any interpreter, as if it had none; on one that has none, really."""
    forced = "import sys; sys._is_gil_enabled = lambda: False\n"
    check = "from hookmon.probe.base import guard; assert guard.FREE_THREADED\n"
    recorded = fresh(check + THREADS, prelude=forced + prelude, env={"HOOKMON_ENGINE": "pure"})
    calls = recorded.calls()
    assert sum(calls.pop(f"say {n}") for n in range(100)) == 2400
    assert calls == {"outer": 2401, "quote": 12005, "walk": 2401, "price": 2400}
    assert recorded.errors() == {"quote": 2401}


FORKS = """
import os, signal, time
shop = module("def quote(): pass")
watch(shop, "quote")
children = []
def fork(*_):
    children.append(os.fork())
    if children[-1]: signal.setitimer(signal.ITIMER_REAL, 0.001)
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.001)
end = time.monotonic() + 20  # for every child, whatever goes wrong
while len(children) < 40 and 0 not in children and time.monotonic() < end:
    shop.quote()
if 0 in children:
    shop.quote()
    os._exit(0)
signal.setitimer(signal.ITIMER_REAL, 0)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


@pytest.mark.skipif(not hasattr(RLock(), "_recursion_count"), reason="no lock of Python 3.11.2 tells how often it is held")
def test_a_fork_inside_the_lock_leaves_it_held_in_the_child(fresh, prelude):
    """Where a signal handler forks while we count: the child goes on in there, and lets go of it."""
    forced = "import sys; sys._is_gil_enabled = lambda: False\n"
    recorded = fresh(FORKS, prelude=forced + prelude, env={"HOOKMON_ENGINE": "pure"})
    assert recorded.code == 0, recorded.err
