"""What the interpreter does fast by itself it does fast with us: look-ups stay specialised, and nothing is left to collect."""

from __future__ import annotations

import sys

import pytest

from hookmon.probe.base.guard import FREE_THREADED

OPERATIONS = """
import dis
def operations(function, word):
    return {operation.opname for operation in dis.get_instructions(function, adaptive=True) if word in operation.opname}
"""


def test_the_look_up_of_a_watched_method_is_specialised(on, engine):
    """As that of a function; one that is not costs a look into a table that all classes share, and perhaps what stood there."""
    if engine == "pure":
        pytest.skip("the pure engine's stand-in is a class of wrapt's, whose look-ups are never specialised")
    if FREE_THREADED and sys.version_info < (3, 14):
        pytest.skip("CPython 3.13 specialises nothing where there is no GIL")
    recorded = on(f"""{OPERATIONS}
shop = module('''
class Boat:
    def row(self): pass
def use(boat):
    boat.row()
''')
watch(shop, "Boat.row")
boat = shop.Boat()
for _ in range(200): shop.use(boat)
found = operations(shop.use, "METHOD")
assert any("METHOD_WITH_VALUES" in operation for operation in found), found
""")
    assert recorded.calls() == {"Boat.row": 200}


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="since 3.13 a dictionary that was asked for shares the instance's values")
@pytest.mark.parametrize("name", ["size", "kind"])
def test_an_attribute_that_a_name_reads_stays_where_it_is(on, name):
    """An instance gets no dictionary by it, which would make each look-up of the program's own slower for good."""
    recorded = on(f"""{OPERATIONS}
shop = module('''
class Ware:
    kind = None
    def __init__(self): self.size = "large"; self.{name} = "large"
def sell(ware): pass
def use(ware): return ware.size
''')
watch(shop, "sell", span="sell {{arg0.{name}}}")
ware = shop.Ware()
for _ in range(200): shop.use(ware)
before = operations(shop.use, "LOAD_ATTR")
assert any("INSTANCE_VALUE" in operation for operation in before), before
for _ in range(200):
    shop.sell(ware)
    shop.use(ware)
assert operations(shop.use, "LOAD_ATTR") == before
""")
    assert recorded.calls() == {"sell large": 200}


def test_what_the_engine_reads_of_the_interpreter_is_as_it_expects(on, engine):
    """Frames, contexts, instances and loops of the versions that it knows; later and without a GIL it goes by the interface."""
    if engine == "pure":
        pytest.skip("the pure engine reads nothing past the interface")
    on("""
import asyncio, sys
from hookmon.probe import _engine
shop = module("async def find(): pass")
watch(shop, "*")
asyncio.run(shop.find())
has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
known = dict.fromkeys(("frames", "contexts", "trees", "values"), True) if has_gil and sys.version_info < (3, 14) else {}
if sys.version_info < (3, 12): known["loops"] = True
assert _engine.reads() == known, _engine.reads()
""")


KINDS = """
class Plain:
    kind = None
    def __init__(self, size): self.first = 1; self.size = size
class Slots:
    __slots__ = ("size",)
    def __init__(self, size): self.size = size
class Late(Plain):
    def __init__(self, size):
        for n in range(40): setattr(self, f"a{n}", n)
        self.size = size
class Asked(Plain):
    def __init__(self, size): super().__init__(size); self.__dict__
class Replaced(Plain):
    def __init__(self, size): super().__init__("never"); self.__dict__ = {"size": size}
class Deleted(Plain):
    def __init__(self, size): super().__init__("never"); del self.size; self.size = size
class Dict(dict):
    def __init__(self, size): self.size = size
class Text(str):
    size = None
    def __new__(cls, size): made = str.__new__(cls, "never"); made.size = size; return made
class Grown(Plain):
    def __init__(self, size):
        super().__init__("never")
        for n in range(40): self.__dict__[f"b{n}"] = n
        self.__dict__["size"] = size
"""


@pytest.mark.parametrize("kind", ["Plain", "Slots", "Late", "Asked", "Replaced", "Deleted", "Dict", "Text", "Grown"])
def test_an_attribute_is_read_wherever_the_instance_has_it(on, kind):
    """In its values, in a slot, in a dictionary that was asked for, replaced or grew: a route is the text there."""
    recorded = on(f"""
shop = module('''
{KINDS}
def route(ware): pass
def page(ware): route(ware)
''')
watch(shop, "page", kind="request", entry=True, span="page")
watch(shop, "route", kind="request", entry_name="page {{arg0.size}}")
for n in range(30):
    shop.page(shop.{kind}("large" if n % 3 else "small"))
    shop.page(shop.Plain("plain"))
""")
    assert recorded.calls() == {"page large": 20, "page small": 10, "page plain": 30}


@pytest.mark.parametrize("sets", ["", "own.set(n)", "token = own.set(n); own.reset(token)", "copies.append(copy_context())"])
def test_a_transaction_is_no_garbage(on, sets):
    """However the program uses its context meanwhile: what has ended is gone, without the collector."""
    recorded = on(f"""
import asyncio, gc
from contextvars import ContextVar, copy_context
shop = module('''
from contextvars import ContextVar, copy_context
own = ContextVar("own")
copies = []
def find(): pass
def page(n):
    {sets or "pass"}
    find()
async def load(n):
    page(n)
async def serve(n):
    await load(n)
''')
watch(shop, "find")
watch(shop, "page", "serve", kind="request", entry=True)
async def main():
    for n in range(20): await asyncio.create_task(shop.serve(n))
def requests():
    for n in range(20): shop.page(n)
    asyncio.run(main())
    shop.copies.clear()
requests()
gc.collect()
gc.set_debug(gc.DEBUG_SAVEALL)
for n in range(20): shop.page(n)
shop.copies.clear()
gc.collect()
ours = [value for value in gc.garbage if type(value).__module__.startswith("hookmon") or "hamt" in type(value).__name__]
gc.set_debug(0)
assert not ours, ours[:5]
""")
    assert recorded.calls()["page"] == 40
    assert recorded.calls()["serve"] == 20  # in which a page is that request


@pytest.mark.parametrize("keeps", ["gc.get_objects()", "copy_context()", "gc.get_referents(*gc.get_objects())"])
def test_a_program_may_hold_all_that_there_is(on, keeps):
    """What we keep for the next transaction may be in anybody's hands: it is left to them, and calls stay whose they are."""
    recorded = on(f"""
import gc
from contextvars import ContextVar, copy_context
shop = module('''
def find(): pass
def page(n, keep=None):
    find()
    if keep: kept.append(keep())
kept = []
''')
watch(shop, "find")
watch(shop, "page", kind="request", entry=True)
def keep(): return {keeps}
for n in range(5): shop.page(n)
shop.kept.append(keep())
for n in range(5): shop.page(n, keep)
between = keep()
shop.page(5)
del between
shop.kept.clear()
gc.collect()
for n in range(5): shop.page(n)
assert not list(copy_context().items())
""")
    assert recorded.code == 0, recorded.err
    assert recorded.calls() == {"page": 16, "find": 16}
