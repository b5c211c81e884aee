"""Which transactions are measured is drawn by lot: a share of them stands for all, whatever their order."""

from __future__ import annotations

DRAW = """
from hookmon.probe.transactions import computing

def draw(wanted, calls, kinds):
    '''Return {kind: (measured, stands for)} of transactions that take turns.'''
    entry, found = object(), {}
    for number in range(calls):
        kind = kinds[number % len(kinds)]
        stands_for = computing._choose(entry)
        computing._shares[entry].wanted = wanted(number)
        measured, whole = found.get(kind, (0, 0))
        found[kind] = measured + bool(stands_for), whole + stands_for
    return found
"""


def test_each_kind_is_measured_by_its_share(fresh):
    """Of kinds that take turns in any rhythm, a tenth of each is measured, and stands for all of them."""
    fresh(f"""{DRAW}
for kinds in ("ab", "abc", "aaaaaaaaab", "a" * 99 + "b"):
    found = draw(lambda number: 10, 200_000, kinds)
    for kind, (measured, stands_for) in found.items():
        calls = 200_000 * kinds.count(kind) // len(kinds)
        assert abs(measured / calls - 0.1) < 0.01, (kinds, found)
        assert abs(stands_for / calls - 1) < 0.1, (kinds, found)
""")


def test_a_share_that_changes_leaves_the_sums_unbiased(fresh):
    """One of two, later one of forty: those of the second half stand for as many as those of the first."""
    fresh(f"""{DRAW}
halves = {{0: 0, 1: 0}}
entry = object()
for number in range(400_000):
    half = number // 200_000
    halves[half] += computing._choose(entry)
    computing._shares[entry].wanted = (2, 40)[half]
assert abs(halves[0] / 200_000 - 1) < 0.05, halves
assert abs(halves[1] / 200_000 - 1) < 0.05, halves
""")


def test_the_share_keeps_the_readings_within_their_part(fresh):
    """Two readings of a microsecond: all of what takes 2 ms, one of ten of what takes 100 µs, the first sixteen of anything."""
    fresh(f"""{DRAW}
computing._reading_ns = 1_000
for duration_ns, wanted in ((2_000_000, 1), (1_100_000, 1), (105_000, 10), (10_050, 100), (1, 1_000)):
    entry = object()
    assert computing._choose(entry) == 1
    share = computing._shares[entry]
    for number in range(100):
        computing._adapt(entry, 2, duration_ns)
        assert share.wanted == (1 if number < 16 else wanted), (duration_ns, number, share.wanted)
""")


def test_a_span_that_two_functions_bound_in_a_task_is_not_measured(fresh):
    """Between them its thread runs other tasks; in a thread it is measured."""
    fresh("""
import asyncio, time
shop = module('''
class Box:
    def begin(self): pass
    def end(self): pass
''')
watch(shop, "Box.begin", span="box", kind="task", entry=True, until=["Box.end"])
from hookmon.probe.transactions import context

def stands_for():
    box = shop.Box()
    box.begin()
    found = context.current().stands_for
    box.end()
    return found

async def in_a_task(): return stands_for()
assert stands_for() == 1
assert asyncio.run(in_a_task()) == 0
assert stands_for() == 1
""")
