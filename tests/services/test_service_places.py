"""Call trees reduced to places say by name, by transaction and by line what the trees say."""

from __future__ import annotations

from random import Random

import pytest

from hookmon.collector.counters import by_key
from hookmon.collector.rows import Node, Status
from hookmon.core.histogram import bucket_of
from hookmon.report.transactions import transactions
from hookmon.services.packing import pack, pack_one, pack_value, unpack, unpack_one, unpack_value
from hookmon.services.places import ENTRY, PEAKS, SITED, STATUS, SUMS, Counts, Place, Places, node_of


def random_tree(seed: int) -> list[Node]:
    """Return a tree with transactions, recursions, clients' calls within clients' calls, and what runs beside and after."""
    rng = Random(seed)
    nodes: list[Node] = []
    for _ in range(rng.randrange(30, 120)):
        parent = rng.randrange(-1, len(nodes)) if nodes else -1
        kind = rng.choice(["function", "function", "sql", "queue", "request", "template", "hook"])
        name = f"{kind} {rng.randrange(4)}"
        is_sited = kind in ("sql", "queue")
        node = Node(parent, name, kind, f"app:{name}", f"app.py:{rng.randrange(3)}" if is_sited else "app.py:1", sited=is_sited)
        node.entry = kind == "request"
        if rng.random() < 0.1 and parent >= 0:
            node = Node(parent, f"{nodes[parent].name} beside", "function", "", detached=rng.choice(["concurrent", "after"]))
        elif rng.random() < 0.9:
            for _ in range(rng.randrange(1, 6)):
                add_call(node, rng.randrange(100, 1_000_000))
            node.errors = rng.randrange(0, 2)
            node.transactions = rng.randrange(1, 3)
            node.most = rng.randrange(1, 5)
        nodes.append(node)
    return nodes


def add_call(node: Node, duration_ns: int) -> None:
    """Count a call."""
    node.min_ns = min(node.min_ns, duration_ns) if node.calls else duration_ns
    node.max_ns = max(node.max_ns, duration_ns)
    node.calls += 1
    node.total_ns += duration_ns
    node.self_ns += duration_ns // 3
    bucket = bucket_of(duration_ns)
    node.buckets[bucket] = node.buckets.get(bucket, 0) + 1


def reduced(nodes: list[Node], statuses: tuple[Status, ...] = ()) -> list[Node]:
    """Return the places of a tree as nodes."""
    places = Places()
    found = []
    indices: dict[int, int] = {}
    counted = places.count([(nodes, statuses)])
    for number, (place, counts) in enumerate(zip(places.rows, counted, strict=True)):
        if number and place.kind != STATUS:
            indices[number] = len(found)
            node = node_of(indices.get(place.parent, -1), place)
            for name, value in (*zip(SUMS, counts.sums, strict=True), *zip(PEAKS, counts.peaks, strict=True)):
                setattr(node, name, value)
            node.min_ns, node.buckets = counts.min_ns, counts.buckets
            found.append(node)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_places_say_what_the_tree_says(seed: int):
    """Calls, times, percentiles and the split by kind, of each name and in each transaction, are the same."""
    nodes = random_tree(seed)
    few = reduced(nodes)
    assert all(node.parent < at for at, node in enumerate(few))
    of_tree, of_places = by_key(nodes), by_key(few)
    assert {key for key, row in of_places.items() if row.calls} == {key for key, row in of_tree.items() if row.calls}
    for key, row in of_tree.items():
        if row.calls:
            other = of_places[key]
            for name in ("calls", "errors", "self_ns", "spent_ns", "min_ns", "max_ns", "buckets"):
                assert getattr(other, name) == getattr(row, name), (key, name)
            if not any(node.detached for node in nodes):
                assert other.total_ns == row.total_ns
    rows = {(row.name, row.kind): row for row in transactions(few, [], 1)}
    for row in transactions(nodes, [], 1):
        other = rows[row.name, row.kind]
        if row.name != "(main)":
            assert other.figures == row.figures
            assert (other.by_kind, other.after_ns) == (row.by_kind, row.after_ns)
            lines = [
                {(child.name, child.call_site, child.place, child.figures.calls) for child in each.children}
                for each in (row, other)
            ]
            assert lines[0] == lines[1]


def test_a_recursion_counts_its_time_once():
    """The inner calls stand below the outermost one, however deep they are."""
    nodes = [Node(-1, "GET /", "request", "app:get", entry=True)]
    nodes += [Node(depth, "walk", "function", "app:walk") for depth in range(5)]
    for node in nodes:
        add_call(node, 1_000)
    few = reduced(nodes)
    assert [(node.parent, node.name, node.calls) for node in few] == [(-1, "GET /", 1), (0, "walk", 1), (1, "walk", 4)]
    (walk,) = [row for key, row in by_key(few).items() if key.name == "walk"]
    assert (walk.calls, walk.total_ns, walk.spent_ns) == (5, 1_000, 5_000)


def test_statuses_stand_below_their_transaction():
    """One place for each status."""
    nodes = [Node(-1, "GET /", "request", "app:get", entry=True)]
    add_call(nodes[0], 1_000)
    places = Places()
    row = Status(0, 404, calls=1, errors=0, total_ns=1_000, min_ns=1_000, max_ns=1_000, buckets={bucket_of(1_000): 1})
    counts = places.count([(nodes, [row])])
    assert [(place.parent, place.name, place.kind) for place in places.rows[1:]] == [(-1, "GET /", "request"), (1, "404", STATUS)]
    assert counts[2].sums[0] == 1


def test_numbers_stay_while_a_run_goes_on():
    """A second look at a larger tree gives the known places their numbers."""
    places = Places()
    nodes = random_tree(3)
    before = places.count([(nodes[:20], ())])
    rows = list(places.rows)
    after = places.count([(nodes, ())])
    assert places.rows[: len(rows)] == rows
    assert len(before) <= len(after)


def test_a_difference_and_its_base_are_the_whole():
    """Also where counters shrink, as when a transaction gets its name."""
    places = Places()
    nodes = random_tree(5)
    early = places.count([(nodes, ())])
    rng = Random(5)
    for node in nodes:
        if node.calls and rng.random() < 0.3:
            node.calls, node.total_ns, node.self_ns, node.buckets = 0, 0, 0, {}
        elif rng.random() < 0.5:
            add_call(node, rng.randrange(100, 10_000_000))
    late = places.count([(nodes, ())])
    for before, now in zip(early, late, strict=True):
        grown = now.since(before)
        whole = Counts()
        for part in (before, grown):
            whole.add(part)
        assert whole.sums == now.sums
        assert {bucket: calls for bucket, calls in whole.buckets.items() if calls} == {
            bucket: calls for bucket, calls in now.buckets.items() if calls
        }
        assert grown.peaks[0] <= now.peaks[0]


def test_packed_counts_are_the_same_again():
    """And what is damaged is a ValueError, whatever it is."""
    places = Places()
    counts = dict(enumerate(places.count([(random_tree(1), ())])))
    content = pack(counts)
    assert unpack(content) == counts
    assert unpack(b"") == unpack(None) == {}
    assert unpack_one(pack_one(counts[1])) == counts[1]
    assert unpack_value(pack_value({"a": [1]})) == {"a": [1]}
    rng = Random(2)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        with pytest.raises(ValueError, match=r"."):
            unpack(bytes(damaged[: rng.choice([len(damaged), rng.randrange(1, len(damaged))])]))
    for wrong in (
        [[1]],
        {"a": 1},
        [["a", [], [], 0, []]],
        [[1, [1] * 99, [], 0, []]],
        [[1, [], [], 0, [1]]],
        [[[], [], [], 0, []]],
        7,
    ):
        with pytest.raises(ValueError, match=r"."):
            unpack(pack_value(wrong))


def test_a_line_counts_where_it_tells_calls_apart():
    """Without that, calls from two lines are one place."""
    rows = Places()
    sited = [rows.number(-1, "GET", "cache", "r:get", f"app.py:{line}", SITED) for line in (1, 2, 1)]
    plain = [rows.number(-1, "work", "function", "app:work", f"app.py:{line}", 0) for line in (1, 2, 1)]
    assert (len(set(sited)), len(set(plain))) == (2, 1)
    assert rows.rows[plain[0]] == Place(-1, "work", "function", "app:work", "app.py:1", 0)
    assert rows.number(-1, "GET /", "request", "app:get", "", ENTRY) != rows.number(-1, "GET /", "request", "app:get", "", 0)
