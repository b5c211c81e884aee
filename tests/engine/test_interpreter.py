"""What the interpreter does fast by itself it does fast with us: look-ups stay specialised, and nothing is left to collect."""

from __future__ import annotations

import sys

import pytest

OPERATIONS = """
import dis
def operations(function, word):
    return {each.opname for each in dis.get_instructions(function, adaptive=True) if word in each.opname}
"""


def test_the_look_up_of_a_watched_method_is_specialised(on, engine):
    """As that of a function; one that is not costs a look into a table that all classes share, and perhaps what stood there."""
    if engine == "pure":
        pytest.skip("the pure engine's stand-in is a class of wrapt's, whose look-ups are never specialised")
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
assert any("METHOD_WITH_VALUES" in each for each in found), found
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
assert any("INSTANCE_VALUE" in each for each in before), before
for _ in range(200):
    shop.sell(ware)
    shop.use(ware)
assert operations(shop.use, "LOAD_ATTR") == before
""")
    assert recorded.calls() == {"sell large": 200}


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
ours = [each for each in gc.garbage if type(each).__module__.startswith("hookmon") or "hamt" in type(each).__name__]
gc.set_debug(0)
assert not ours, ours[:5]
""")
    assert recorded.calls()["page"] == 60
