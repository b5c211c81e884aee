"""Counters: what was counted of calls, added up by name, added and taken away."""

from __future__ import annotations

import pytest

from hookmon.collector.counters import CallKey, Counters, Totals, by_key, sum_of, totals_of, walk_of
from hookmon.collector.merge import Tree, measure
from hookmon.collector.records import RawNode
from hookmon.collector.shards import ShardData
from hookmon.collector.store import Node

F = CallKey("f", "function", "m:f")
G = CallKey("g", "function", "m:g")


def node(parent: int, name: str, calls: int, total_ns: int, **more: object) -> Node:
    return Node(parent, name, "function", f"m:{name}", calls=calls, total_ns=total_ns, buckets={9: calls}, **more)  # type: ignore[arg-type]


def raw(parent: int, name: str, calls: int, total_ns: int, untimed: int = 0) -> RawNode:
    return RawNode(parent, name, "function", f"m:{name}", "app.py:1", 0, total_ns, 5, 9, 0, 1, 0, 0, untimed, {9: calls})


NESTED = [node(-1, "f", 1, 100), node(0, "g", 2, 80), node(1, "f", 3, 60), node(-1, "g", 1, 7), node(0, "f", 1, 1)]


def test_a_walk_says_which_calls_have_none_of_their_name_around_them():
    """In depth: what a place calls comes before its neighbour."""
    assert walk_of(NESTED) == [(0, True), (1, True), (2, False), (4, False), (3, True)]


def test_a_recursion_counts_once_in_its_total():
    """Its calls and its own time count each time."""
    found = by_key(NESTED)
    assert {key: (counters.calls, counters.total_ns, counters.spent_ns) for key, counters in found.items()} == {
        F: (5, 100, 161),
        G: (3, 87, 87),
    }


@pytest.mark.parametrize("parent", [7, 1, -9], ids=["beyond the end", "itself", "below the root"])
def test_a_parent_that_cannot_be_is_none(parent: int):
    """A damaged run file is still walked through."""
    assert walk_of([node(-1, "f", 1, 1), node(parent, "f", 1, 1)]) == [(0, True), (1, True)]


def test_a_shard_and_its_tree_have_the_same_counters():
    """Whether they are made of one process's nodes or of the run's: also where timing was sampled."""
    rows = [raw(-1, "f", 2, 900), raw(0, "g", 3, 500, untimed=2), raw(1, "f", 1, 40)]
    data = ShardData(1, 0, 0, 0, "", "", "", "", [], False, 0, rows)
    tree = Tree()
    tree.add(data, 0)
    assert by_key(tree.nodes) == by_key(data.nodes)
    assert by_key(tree.nodes)[G].total_ns == 500 * 5 // 3


def test_what_is_measured_is_part_of_every_figure():
    """The self time of a call in flight is not that of its callee."""
    data = ShardData(1, 0, 0, 0, "", "", "", "", [], False, 0, [raw(-1, "f", 1, 100), raw(0, "g", 1, 30)])
    measure(data, 0)
    assert {key: counters.self_ns for key, counters in by_key(data.nodes).items()} == {F: 70, G: 30}


def test_counters_are_added_and_taken_away():
    """What was added can be taken away again, exactly."""
    first, second = by_key(NESTED)[F], by_key([node(-1, "f", 4, 40, errors=2, min_ns=3, max_ns=12)])[F]
    whole = Counters.sum_of((first, second))
    assert (whole.calls, whole.errors, whole.total_ns, whole.max_ns, whole.buckets) == (9, 2, 140, 12, {9: 9})
    rest = whole.less(second)
    assert (rest.calls, rest.errors, rest.total_ns, rest.buckets) == (5, 0, 100, {9: 5})
    assert first.less(whole).buckets == {9: -4}
    assert (first.calls, first.buckets) == (5, {9: 5})


def test_what_has_shrunk_has_not_grown():
    """A transaction gets its name: its counters move away from the name that it had before."""
    before = Counters(5, 1, 90, sites={"a.py:1": 5}, histograms=[{9: 4, 10: 1}])
    now = Counters(4, 2, 80, sites={"a.py:1": 3, "b.py:2": 1}, histograms=[{9: 1, 10: 3}])
    grown = now.since(before)
    assert (grown.calls, grown.errors, grown.total_ns, grown.buckets, grown.sites) == (0, 1, 0, {10: 2}, {"b.py:2": 1})


def test_the_shortest_is_that_of_the_timed_calls():
    """Places where none was timed have a 0 that is no duration."""
    counters = Counters()
    for calls, untimed, min_ns, max_ns in ((2, 2, 0, 0), (3, 1, 40, 50), (1, 0, 30, 30), (4, 4, 0, 0)):
        place = node(-1, "f", calls, 1, min_ns=min_ns, max_ns=max_ns)
        place.untimed = untimed
        counters.add_node(place)
    assert (counters.min_ns, counters.max_ns) == (30, 50)
    assert Counters.sum_of((Counters(2, untimed=2), counters)).min_ns == 30


def test_totals_of_several_places_are_added_by_name():
    """A name that only one of them has keeps its counters; those of the parts stay as they are."""
    parts = [totals_of(NESTED), totals_of([node(-1, "g", 5, 50, entry=True, call_site="a.py:1")]), Totals()]
    whole = sum_of(parts)
    assert whole.by_key[F] is parts[0].by_key[F]
    assert (whole.by_key[G].calls, whole.by_key[G].sites, whole.transactions.calls) == (8, {"": 3, "a.py:1": 5}, 5)
    assert (parts[0].by_key[G].calls, parts[1].by_key[G].calls) == (3, 5)
