"""Spans that one call begins and another one ends: counted on both engines, and never left open by mistake."""

from __future__ import annotations

import pytest

LOOP = '''
loop = module("""
class Loop:
    def __init__(self, name="north"): self.name = name
    def epoch_begins(self, number=0): pass
    def epoch_ends(self): pass
    def epoch_is_given_up(self): pass
    def batch_begins(self): pass
    def batch_ends(self): pass

class Slotted:
    __slots__ = ()
    def epoch_begins(self): pass
    def epoch_ends(self): pass

class Fails(Exception): pass

def fit(loop, epochs=2, batches=3, fails=None, skips=()):
    for epoch in range(epochs):
        if "epoch_begins" not in skips: loop.epoch_begins(epoch)
        for batch in range(batches):
            loop.batch_begins()
            step()
            if (epoch, batch) == fails: raise Fails
            if "batch_ends" not in skips: loop.batch_ends()
        if "epoch_ends" not in skips: loop.epoch_ends()

def outer(*args, **kwargs): fit(*args, **kwargs)
def helper(function): function()
def step(): pass
def job(): step()

def lazily(loop):
    loop.epoch_begins()
    step()
    yield
    step()
    loop.epoch_ends()

async def train(loop, pause):
    for _ in range(2):
        loop.epoch_begins()
        await pause()
        step()
        loop.epoch_ends()
""")
watch(loop, "Loop.epoch_begins", until=["Loop.epoch_ends", "Loop.epoch_is_given_up"], span="epoch", kind="task", entry=True)
watch(loop, "Loop.batch_begins", until=["Loop.batch_ends"], span="batch of {self.name}")
watch(loop, "step", "fit", "helper")
watch(loop, "job", kind="task", entry=True)
from hookmon.probe.base import guard
from hookmon.probe.transactions import context, paired_spans
from contextlib import suppress
from contextvars import copy_context

def at_rest():
    assert not paired_spans._open, paired_spans._open
    assert context.members not in copy_context()
    assert recorder.current.lane.node is recorder.root and recorder.current.lane.trace is None
    assert not guard.failures, guard.failures
'''


@pytest.fixture(params=["pure", "compiled"])
def loop(fresh, request):
    """Run code after LOOP on one engine; nothing is open when it has run."""

    def run(code, **options):
        recorded = fresh(LOOP + code, env={"HOOKMON_ENGINE": request.param}, **options)
        assert [shard.lanes for shard in recorded.shards if shard.lanes] == []
        return recorded

    return run


def counts(recorded):
    """Return (calls, errors, interrupted) by path, those without a call left out."""
    return {
        path: (node.calls, node.errors, node.interrupted) for path, node in recorded.paths().items() if node.calls or node.errors
    }


EPOCHS = {
    ("fit",): (1, 0, 0),
    ("fit", "epoch"): (2, 0, 0),
    ("fit", "epoch", "batch of north"): (6, 0, 0),
    ("fit", "epoch", "batch of north", "step"): (6, 0, 0),
}


def test_what_lies_between_two_calls_is_a_span(loop):
    """What is called in it lies below it, named by the call that begins it; there is no transaction left open."""
    recorded = loop("loop.fit(loop.Loop()); at_rest()")
    assert counts(recorded) == EPOCHS
    node = recorded.paths()["fit", "epoch", "batch of north"]
    assert (node.transactions, node.most) == (2, 3)
    assert node.call_site.endswith("shop.py:21")


def test_its_time_is_that_between_the_two_calls(loop):
    """Inside of the program's own two measures, and outside of what lies in it."""
    recorded = loop("""
import time
class Timed(loop.Loop):
    def epoch_begins(self, number=0):
        self.outside = time.monotonic_ns()
        super().epoch_begins(number)
        self.inside = time.monotonic_ns()
    def epoch_ends(self):
        self.inside = time.monotonic_ns() - self.inside
        super().epoch_ends()
        print(self.inside, time.monotonic_ns() - self.outside)
loop.step = lambda: time.sleep(0.003)
loop.fit(Timed(), epochs=1); at_rest()
""")
    inside_ns, outside_ns = map(int, recorded.out.split())
    assert inside_ns <= recorded.paths()["fit", "epoch"].total_ns <= outside_ns


def test_an_exception_ends_all_that_is_open_with_the_call_around(loop):
    """As errors; what follows is as if it had not been."""
    recorded = loop("""
with suppress(loop.Fails): loop.fit(loop.Loop(), fails=(1, 1))
at_rest()
loop.job(); at_rest()
""")
    assert counts(recorded) == {
        ("fit",): (1, 1, 0),
        ("fit", "epoch"): (2, 1, 0),
        ("fit", "epoch", "batch of north"): (5, 1, 0),
        ("fit", "epoch", "batch of north", "step"): (5, 0, 0),
        ("job",): (1, 0, 0),
        ("job", "step"): (1, 0, 0),
    }
    assert recorded.paths()["job",].entry


def test_what_is_no_exception_interrupts(loop):
    """Ctrl-C in a batch is no error of the batch."""
    recorded = loop("""
loop.Fails = KeyboardInterrupt
with suppress(KeyboardInterrupt): loop.fit(loop.Loop(), fails=(0, 0))
at_rest()
""")
    assert counts(recorded)["fit", "epoch"] == counts(recorded)["fit", "epoch", "batch of north"] == (1, 0, 1)


def test_a_batch_without_an_end_ends_where_the_next_begins(loop):
    """The last one with its epoch. All are counted as interrupted."""
    recorded = loop("loop.fit(loop.Loop(), skips=['batch_ends']); at_rest()")
    assert counts(recorded) == EPOCHS | {("fit", "epoch", "batch of north"): (6, 0, 6)}


def test_an_epoch_without_an_end_ends_where_the_call_around_returns(loop):
    """Or where the next one begins."""
    recorded = loop("loop.fit(loop.Loop(), skips=['epoch_ends']); at_rest()")
    assert counts(recorded) == EPOCHS | {("fit", "epoch"): (2, 0, 2)}


def test_an_end_without_a_beginning_is_nothing(loop):
    """And one of another object neither."""
    recorded = loop("""
loop.fit(loop.Loop(), skips=["epoch_begins"])
one, other = loop.Loop(), loop.Loop()
one.epoch_begins(); other.epoch_ends(); other.batch_ends(); one.epoch_ends()
at_rest()
""")
    assert counts(recorded)["epoch",] == (1, 0, 0)
    assert ("fit", "epoch") not in recorded.paths()
    assert counts(recorded)["fit", "batch of north"] == (6, 0, 0)


def test_any_of_several_ends_will_do(loop):
    """A transaction of a database is committed or rolled back."""
    recorded = loop("one = loop.Loop(); one.epoch_begins(); one.epoch_is_given_up(); at_rest()")
    assert counts(recorded) == {("epoch",): (1, 0, 0)}


def test_without_a_watched_call_around_the_next_beginning_ends_it(loop):
    """Of the same object, or of any when the object is gone; nothing of the program is kept alive."""
    recorded = loop("""
import gc, weakref
one = loop.Loop()
with suppress(loop.Fails): loop.outer.__globals__["fit"]._self_function(one, fails=(0, 0))
one.epoch_begins(); one.epoch_ends()
at_rest()
with suppress(loop.Fails): loop.fit._self_function(loop.Loop(), fails=(0, 0))
gone = loop.Loop()
gone.epoch_begins()
gone = weakref.ref(gone)
assert gone() is None
one.epoch_begins(); one.epoch_ends()
at_rest()
""")
    assert counts(recorded)["epoch",] == (5, 0, 3)


def test_an_object_that_is_gone_takes_nobody_along(loop):
    """What has begun inside its epoch, of another object, goes on."""
    recorded = loop("""
first, second = loop.Loop(), loop.Loop("south")
first.epoch_begins()
second.epoch_begins(); second.batch_begins(); second.batch_ends()
del first
second.batch_begins(); second.batch_ends()
second.epoch_ends()
second.epoch_begins(); second.epoch_ends()
at_rest()
""")
    assert counts(recorded) == {
        ("epoch",): (2, 0, 1),
        ("epoch", "epoch"): (1, 0, 0),
        ("epoch", "epoch", "batch of south"): (2, 0, 0),
    }


def test_a_training_inside_an_epoch_is_part_of_it(loop):
    """Also one with the same object, in a callback say: the outer epoch goes on after it."""
    recorded = loop("""
one = loop.Loop()
def nested():
    loop.step = lambda: None
    loop.fit(one, 1, 1)
    loop.fit(loop.Loop("south"), 1, 1)
loop.step = nested
loop.fit(one, 1, 2); at_rest()
""")
    inside = ("fit", "epoch", "batch of north", "fit", "epoch")
    assert counts(recorded) == {
        ("fit",): (1, 0, 0),
        ("fit", "epoch"): (1, 0, 0),
        ("fit", "epoch", "batch of north"): (2, 0, 0),
        inside[:-1]: (2, 0, 0),
        inside: (2, 0, 0),
        (*inside, "batch of north"): (1, 0, 0),
        (*inside, "batch of south"): (1, 0, 0),
    }


def test_an_end_in_a_watched_call_inside_waits_for_its_return(loop):
    """Its time is taken where it was called."""
    recorded = loop("""
import time
def late():
    one.epoch_ends()
    time.sleep(0.05)
one = loop.Loop()
for _ in range(2):
    one.epoch_begins()
    loop.helper(late)
one.epoch_begins(); one.epoch_ends()
at_rest()
""")
    assert counts(recorded) == {("epoch",): (3, 0, 0), ("epoch", "helper"): (2, 0, 0)}
    assert recorded.paths()["epoch",].max_ns < 50_000_000


def test_a_step_of_a_generator_ends_what_has_begun_in_it(loop):
    """Whoever consumes it is no part of the epoch."""
    recorded = loop("""
watch(loop, "lazily")
for _ in loop.lazily(loop.Loop()): loop.step()
at_rest()
""")
    assert counts(recorded) == {
        ("lazily",): (1, 0, 0),
        ("lazily", "epoch"): (1, 0, 1),
        ("lazily", "epoch", "step"): (1, 0, 0),
        ("lazily", "step"): (1, 0, 0),
        ("step",): (1, 0, 0),
    }


@pytest.mark.parametrize("is_watched", [True, False], ids=["in a watched coroutine", "in an unwatched one"])
def test_tasks_that_take_turns_have_their_own(loop, is_watched):
    """In a task whose coroutine is not watched the epoch is counted, and its calls belong to it, beside it."""
    recorded = loop(f"""
import asyncio
if {is_watched}: watch(loop, "train")
async def main():
    await asyncio.gather(*[loop.train(loop.Loop(), lambda: asyncio.sleep(0.001)) for _ in range(5)])
asyncio.run(main())
at_rest()
""")
    place = ("train", "epoch") if is_watched else ("epoch",)
    step = (*place, "step") if is_watched else (*place, "(concurrent)", "step")
    assert counts(recorded)[place] == counts(recorded)[step] == (10, 0, 0)


def test_threads_have_their_own(loop):
    """With one object for all, whose ends are matched by thread; one that another thread ends goes on."""
    recorded = loop("""
import threading
one = loop.Loop()
threads = [threading.Thread(target=loop.fit, args=(one,)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not paired_spans._open
one.epoch_begins()
threading.Thread(target=one.epoch_ends).start()
loop.step()
one.epoch_ends()
at_rest()
""")
    assert counts(recorded) == {path: (8 * calls, 0, 0) for path, (calls, _, _) in EPOCHS.items()} | {
        ("epoch",): (1, 0, 0),
        ("epoch", "step"): (1, 0, 0),
    }


def test_a_thread_that_dies_in_an_epoch_leaves_its_lane_to_the_next(loop):
    """Which knows nothing of the epoch; that is counted when something begins there."""
    recorded = loop("""
import os, threading, time
one = loop.Loop()
def dies(): one.epoch_begins()
def lives():
    loop.step()
    one.epoch_begins(); one.epoch_ends()
for work in (dies, lives):
    thread = threading.Thread(target=work); thread.start(); thread.join()
    while len(os.listdir("/proc/self/task")) > 1: time.sleep(0.001)  # join returns a moment before the thread is gone
assert not paired_spans._open
""")
    assert counts(recorded) == {("epoch",): (2, 0, 1), ("step",): (1, 0, 0)}


def test_a_forked_child_leaves_the_epoch_to_its_parent(loop):
    """What it calls itself is at its own root; the parent's epoch is whole."""
    recorded = loop("""
import os
one = loop.Loop()
one.epoch_begins()
child = os.fork()
loop.step()
if not child:
    one.epoch_ends()
    one.epoch_begins(); one.epoch_ends()
    os._exit(0)
os.waitpid(child, 0)
one.epoch_ends()
at_rest()
""")
    assert recorded.calls() == {"epoch": 2, "step": 2}
    assert recorded.interrupted() == {}


def test_without_ends_no_more_is_kept_than_a_bound(loop):
    """Thousands of objects that begin and never end."""
    recorded = loop(
        """
kept = [loop.Loop() for _ in range(1000)]
for trainer in kept: trainer.epoch_begins()
assert len(paired_spans._open) == 1 and len(*paired_spans._open.values()) == paired_spans._MOST_OPEN
loop.step()
for trainer in kept: trainer.epoch_ends()
at_rest()
""",
    )
    assert recorded.calls()["epoch"] == 32


def test_an_object_that_takes_no_weak_reference_may_be_used(loop):
    """It is taken to be there still."""
    recorded = loop("""
watch(loop, "Slotted.epoch_begins", until=["Slotted.epoch_ends"], span="slotted")
one = loop.Slotted()
one.epoch_begins(); one.epoch_ends()
at_rest()
""")
    assert recorded.calls() == {"slotted": 1}


def test_a_class_that_two_modules_have_is_watched_once(loop):
    """Keras 3 has its class in a module whose name is that of a package in Keras 2."""
    recorded = loop("""
package = module("from loop import Loop", "package") if sys.modules.setdefault("loop", loop) else None
watch(package, "Loop.epoch_begins", until=["Loop.epoch_ends"], span="again")
loop.fit(loop.Loop()); at_rest()
""")
    assert counts(recorded) == EPOCHS


def test_class_and_static_methods_and_functions_may_be_ends(loop):
    """A function has no object: the innermost that is open ends."""
    recorded = loop("""
bank = module('''
class Bank:
    @classmethod
    def opens(cls): return cls
    @classmethod
    def closes(cls): pass
    @staticmethod
    def begins(name): return name
    @staticmethod
    def ends(): pass
def enter(): pass
def leave(): pass
''', "bank")
watch(bank, "Bank.opens", until=["Bank.closes"], span="open")
watch(bank, "Bank.begins", until=["Bank.ends"], span="business {arg0}")
watch(bank, "enter", until=["leave"])
assert bank.Bank.opens() is bank.Bank
assert bank.Bank.begins("a") == "a"
bank.enter(); bank.enter(); loop.step(); bank.leave()
bank.Bank.ends(); bank.Bank.closes()
at_rest()
""")
    assert counts(recorded) == {
        ("open",): (1, 0, 0),
        ("open", "business a"): (1, 0, 0),
        ("open", "business a", "enter"): (2, 0, 1),
        ("open", "business a", "enter", "step"): (1, 0, 0),
    }


def test_a_timed_function_may_be_an_end(loop):
    """Its own time is inside, whichever was patched first; a glob that meets an end leaves it alone."""
    recorded = loop("""
bank = module("class Bank:\\n def opens(self): pass\\n def closes(self): pass\\n def counts(self): pass", "bank")
watch(bank, "Bank.opens", "Bank.closes")
watch(bank, "Bank.opens", until=["Bank.closes"], span="open")
one = bank.Bank()
one.opens(); one.closes()
at_rest()
""")
    assert counts(recorded) == {
        ("open",): (1, 0, 0),
        ("open", "Bank.opens"): (1, 0, 0),
        ("open", "Bank.closes"): (1, 0, 0),
    }


def test_what_cannot_be_an_end_is_refused_with_the_reason(loop):
    """A coroutine function has not done its work when it returns; a class and a builtin function tell of no call."""
    recorded = loop("""
bank = module("from math import sin\\nasync def opens(): pass\\ndef closes(): yield\\nclass Door: pass", "bank")
watch(bank, "opens", until=["closes"])
watch(bank, "sin", until=["Door", "gone"])
""")
    states = {target: detail for target, (_, detail) in recorded.watches().items() if target.startswith("bank")}
    reason = "it is a coroutine or generator function, and a span from one call to another takes plain ones"
    assert states["bank:opens"] == states["bank:closes"] == reason
    assert states["bank:sin"] == "it is builtin_function_or_method, no function, and cannot be an end of a span"
    assert states["bank:Door"] == "it is type, no function, and cannot be an end of a span"
    assert "closes" in states["bank:gone"].split("\n")  # the names that are there


def test_results_signatures_and_tracebacks_are_the_programs_own(loop):
    """And there is no frame of ours."""
    loop("""
import inspect, traceback
assert str(inspect.signature(loop.Loop.epoch_begins)) == "(self, number=0)"
assert loop.Loop.epoch_ends.__qualname__ == "Loop.epoch_ends" and inspect.isfunction(loop.Loop.epoch_ends)
class Fails(loop.Loop):
    def epoch_begins(self, number=0): return super().epoch_begins(number, wrong=1)
with suppress(TypeError): loop.fit(Fails())
loop.fit._self_function.__globals__["step"] = lambda: 1 / 0
try: loop.fit(loop.Loop())
except ZeroDivisionError as error: frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
assert frames == ["<module>", "fit", "<lambda>"], frames
at_rest()
""")


def test_patches_of_ends_can_be_changed_back(loop):
    """What is open then ends with the call around it."""
    recorded = loop("""
own = vars(loop.Loop)["epoch_begins"]._self_function
patches.undo()
assert vars(loop.Loop)["epoch_begins"] is own
loop.fit(loop.Loop())
""")
    assert recorded.calls() == {}


def test_what_is_left_in_a_task_ends_with_what_is_around(loop):
    """Also where each span has a lane of its own."""
    recorded = loop("""
import asyncio
async def train(one):
    one.epoch_begins()
    one.batch_begins()
    await asyncio.sleep(0.001)
    one.epoch_ends()
async def main(): await asyncio.gather(*[train(loop.Loop()) for _ in range(3)])
asyncio.run(main())
at_rest()
""")
    assert counts(recorded)["epoch",] == (3, 0, 0)
    assert recorded.interrupted() == {"batch of north": 3}
