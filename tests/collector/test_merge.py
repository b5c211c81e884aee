"""Shards add up to a run."""

from __future__ import annotations

from collections.abc import Iterable

from hookmon.collector.merge import Tree, calls_of, in_flight
from hookmon.collector.records import RawLane, RawNode
from hookmon.collector.shards import ShardData
from hookmon.core import layout
from hookmon.core.histogram import bucket_of


def raw(parent: int, name: str, durations_ns: Iterable[int] = (), **more) -> RawNode:
    """Return a node whose calls took the given times."""
    durations = list(durations_ns)
    buckets: dict[int, int] = {}
    for duration_ns in durations:
        buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
    plain = {
        "kind": "function",
        "target": f"app:{name}",
        "call_site": "app.py:1",
        "flags": 0,
        "total_ns": sum(durations),
        "min_ns": min(durations, default=0),
        "max_ns": max(durations, default=0),
        "active_ns": 0,
        "errors": 0,
        "interrupted": 0,
        "steps": 0,
        "untimed": 0,
        "buckets": buckets,
    }
    return RawNode(parent=parent, name=name, **plain | more)


def data(*nodes: RawNode, lanes: Iterable[RawLane] = ()) -> ShardData:
    """Return a shard."""
    return ShardData(1, 0, 0, 0, "0.1", "pure", "3.12", "python", [], False, 0, nodes=list(nodes), lanes=list(lanes))


def tree(*shards: ShardData, now_ns: int = 0) -> Tree:
    """Return the tree of some shards."""
    made = Tree()
    for shard in shards:
        made.add(shard, now_ns)
    return made


def test_self_is_total_less_the_children():
    """Grandchildren are the children's."""
    nodes = tree(data(raw(-1, "a", [100, 100]), raw(0, "b", [60, 50]), raw(1, "c", [30]), raw(0, "d", [40]))).nodes
    assert {node.name: node.self_ns for node in nodes} == {"a": 50, "b": 80, "c": 30, "d": 40}


def test_self_is_never_negative():
    """A task that outlives its creator's span."""
    assert [node.self_ns for node in tree(data(raw(-1, "a", [10]), raw(0, "b", [50]))).nodes] == [0, 50]


def test_a_completed_child_of_a_call_in_flight_takes_nothing_from_the_completed():
    """a was called once for 100, and is now 70 into its second call, with a b of 60 behind it."""
    shard = data(raw(-1, "a", [100]), raw(0, "b", [80, 60]), lanes=[RawLane(1, "thread", [(0, 930)])])
    first, second = tree(shard, now_ns=1_000).nodes
    assert (first.total_ns, first.self_ns) == (100, 30)
    assert (second.total_ns, second.self_ns) == (140, 140)


def test_a_flat_node_has_no_self_time_and_takes_none():
    """Its time is inside its callers' self time."""
    nodes = tree(data(raw(-1, "a", [100]), raw(-1, "b", [40], flags=layout.FLAG_FLAT))).nodes
    assert [node.self_ns for node in nodes] == [100, 0]


def test_two_processes_add_up():
    """Calls, errors, times, buckets; the smallest and the largest of both."""
    made = tree(
        data(raw(-1, "a", [100, 9], errors=1), raw(0, "b", [5])),
        data(raw(-1, "z", [1]), raw(-1, "a", [300], errors=1, interrupted=1, active_ns=7, steps=2)),
        data(raw(-1, "b", [70])),
    )
    found = {(node.parent, node.name): node for node in made.nodes}
    both = found[-1, "a"]
    assert (both.calls, both.errors, both.interrupted, both.total_ns) == (3, 2, 1, 409)
    assert (both.min_ns, both.max_ns, both.active_ns, both.steps) == (9, 300, 7, 2)
    assert both.buckets == {bucket_of(100): 1, bucket_of(9): 1, bucket_of(300): 1}
    assert found[0, "b"].calls == found[-1, "b"].calls == 1


def test_the_order_of_processes_does_not_matter():
    """The same figures, whoever ends first."""

    def shards():
        return [data(raw(-1, "a", [3]), raw(0, "b", [1])), data(raw(-1, "b", [7]), raw(-1, "a", [9])), data(raw(-1, "a"))]

    def figures(made: Tree):
        names: list[tuple] = []
        for node in made.nodes:
            names.append((*(names[node.parent] if node.parent >= 0 else ()), node.name))
        return {
            name: (node.calls, node.total_ns, node.self_ns, node.min_ns, node.max_ns)
            for name, node in zip(names, made.nodes, strict=True)
        }

    assert figures(tree(*shards())) == figures(tree(*reversed(shards())))


def test_calls_that_were_not_timed_leave_the_smallest_alone():
    """A full shard counts them, and knows no duration."""
    made = tree(data(raw(-1, "a", [], untimed=5)), data(raw(-1, "a", [40, 50])), data(raw(-1, "a", [], untimed=1)))
    (node,) = made.nodes
    assert (node.calls, node.untimed, node.min_ns, node.max_ns) == (8, 6, 40, 50)


def test_a_copy_can_be_added_to():
    """The original stays as it was."""
    made = tree(data(raw(-1, "a", [1])))
    copy = made.copy()
    copy.add(data(raw(-1, "a", [2]), raw(0, "b", [1])), 0)
    assert [(node.calls, sum(node.buckets.values())) for node in made.nodes] == [(1, 1)]
    assert [node.calls for node in copy.nodes] == [2, 1]


def test_a_tree_goes_on_from_saved_nodes():
    """As after a killed launcher."""
    made = Tree(tree(data(raw(-1, "a", [1]), raw(0, "b", [1]))).nodes)
    made.add(data(raw(-1, "a", [2]), raw(0, "b", [2])), 0)
    assert [(node.name, node.calls) for node in made.nodes] == [("a", 2), ("b", 2)]


def test_what_runs_is_told_with_its_age():
    """Longest first, outermost first."""
    shard = data(
        raw(-1, "a"),
        raw(0, "b"),
        lanes=[RawLane(7, "thread", [(0, 900), (1, 990)]), RawLane(8, "task", [(1, 100)])],
    )
    found = in_flight(shard, 1_000, killed=True)
    assert [(call.lane, call.stack, call.since_ns) for call in found] == [
        ("task", [("b", 900)], 900),
        ("thread 7", [("a", 100), ("b", 10)], 10),
    ]
    assert calls_of(shard) == (0, 0)


def test_cpu_time_adds_up_over_processes():
    """Of those that were measured, each as often as it stands for others; none has computed longer than it took."""
    one = raw(-1, "GET /", [100] * 8, computing=(2, 8, 800, 300, 40))
    other = raw(-1, "GET /", [100] * 2, computing=(2, 2, 200, 201, 0))  # read while one was being added
    (node,) = tree(data(one), data(other), data(raw(-1, "GET /", [100]))).nodes
    assert (node.measured, node.measured_for, node.measured_ns, node.computed_ns, node.beside_ns) == (4, 10, 1_000, 500, 40)


def test_a_recursion_that_is_one_place_has_the_self_time_of_all_its_calls():
    """A takes 2 and calls B, which takes 3 and calls A again, which takes 1 and calls B, which takes 2."""
    tree = Tree()
    shard = data(raw(-1, "A", [8]), raw(0, "B", [6, 2]), raw(1, "A", [3], flags=layout.FLAG_FOLDED))

    tree.add(shard, 0)

    assert [(node.name, node.calls, node.self_ns) for node in tree.nodes] == [("A", 1, 3), ("B", 2, 5), ("A", 1, 0)]
    assert [node.total_ns for node in tree.nodes] == [8, 5, 3]  # what B calls in the inner A stands below the outer one


def test_a_direct_recursion_that_is_one_place():
    """It adds no total."""
    tree = Tree()

    tree.add(data(raw(-1, "A", [8]), raw(0, "A", [3, 2], flags=layout.FLAG_FOLDED), raw(0, "C", [1])), 0)

    assert [(node.self_ns, node.total_ns) for node in tree.nodes] == [(7, 8), (0, 5), (1, 1)]
    assert sum(node.self_ns for node in tree.nodes) == 8
