"""Series: what each name did in each interval, added up from shards that grow."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from hookmon.collector.counters import sum_of, totals_of
from hookmon.collector.feed import Snapshot
from hookmon.collector.merge import Tree, measure
from hookmon.collector.records import RawNode
from hookmon.collector.series import MOST_INTERVALS, MOST_NAMES, OTHER, SHORTEST_NS, Series
from hookmon.collector.shards import ShardData
from hookmon.collector.store import Node, Run
from hookmon.core.histogram import bucket_of
from hookmon.report.calls import by_name
from hookmon.report.series import CallPoints, over_time

MS = 1_000_000


def a_run(**more: object) -> Run:
    return Run(1, "", ["python"], "", "0.1.0", **more)  # type: ignore[arg-type]


def raw(name: str, durations_ns: Iterable[int], *, parent: int = -1, errors: int = 0, untimed: int = 0) -> RawNode:
    durations = list(durations_ns)
    buckets: dict[int, int] = {}
    for duration_ns in durations:
        buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
    return RawNode(parent, name, "sql", f"m:{name}", "", 0, sum(durations), 1, 2, 0, errors, 0, 0, untimed, buckets)


def shard(*nodes: RawNode) -> ShardData:
    return ShardData(1, 0, 0, 0, "", "", "", "", [], False, 0, list(nodes))


def rows(run: Run) -> dict[str, CallPoints]:
    return {row.name: row for row in over_time(run.series, run.interval_ns)}


def snapshot(at_ms: int, *shards: ShardData, **more: bool) -> Snapshot:
    """Return a snapshot of processes as they were read last."""
    for data in shards:
        measure(data, 0)
    return Snapshot(at_ms * MS, sum_of([totals_of(data.nodes) for data in shards]), **more)


def take(series: Series, at_ms: int, *shards: ShardData) -> None:
    series.observe(snapshot(at_ms, *shards))


def test_growth_stands_where_it_happened():
    """In the interval in the middle between two looks."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("q", [MS] * 3)))
    take(series, 500, shard(raw("q", [MS] * 3, errors=1)))
    take(series, 760, shard(raw("q", [MS] * 10, errors=1)))
    series.store()
    found = [(point.at_ns // MS, point.calls, point.errors, point.total_ns // MS) for point in rows(run)["q"].points]
    assert found == [(0, 3, 0, 3), (250, 0, 1, 0), (500, 7, 0, 7)]


def test_percentiles_are_those_of_the_interval():
    """Not of the whole run; within 9 %."""
    run = a_run()
    series = Series(run)
    slow = [100 * MS] * 20
    take(series, 250, shard(raw("q", [MS] * 100)))
    take(series, 500, shard(raw("q", [MS] * 100 + slow)))
    series.store()
    first, second = rows(run)["q"].points
    assert first.p99_ns == pytest.approx(MS, rel=0.095)
    assert second.p50_ns == pytest.approx(100 * MS, rel=0.095)


def test_shards_of_several_processes_add_up():
    """Also when one of them has ended and another of its name goes on."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("q", [MS] * 2)), shard(raw("q", [MS] * 5)))
    take(series, 500, shard(raw("q", [MS] * 2)), shard(raw("q", [MS] * 6)), shard(raw("q", [MS] * 10)))
    series.store()
    assert [point.calls for point in rows(run)["q"].points] == [7, 11]


def test_counters_that_moved_while_they_were_read_end_right():
    """A transaction gets its name: for a moment its calls stand under two, and at the end under one."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("request", [MS] * 2)))
    take(series, 500, shard(raw("request", [MS] * 3), raw("GET /", [MS] * 3)))
    take(series, 750, shard(raw("GET /", [MS] * 4)))
    series.observe(snapshot(800, shard(raw("request", [MS]), raw("GET /", [MS] * 4)), ended=True))
    series.store()
    found = {name: [point.calls for point in row.points] for name, row in rows(run).items()}
    assert found == {"request": [1], "GET /": [3, 1]}


def test_a_recursion_counts_once_in_a_total():
    """As in the table of calls."""
    run = a_run()
    series = Series(run)
    nodes = [raw("f", [9 * MS]), raw("g", [8 * MS], parent=0), raw("f", [7 * MS], parent=1)]
    take(series, 250, shard(*nodes))
    series.store()
    assert {name: (row.points[0].calls, row.points[0].total_ns // MS) for name, row in rows(run).items()} == {
        "f": (2, 9),
        "g": (1, 8),
    }


def test_intervals_double_when_the_run_grows():
    """There are never more than the limit, and nothing is lost by it."""
    run = a_run()
    series = Series(run)
    for at in range(1, 4 * MOST_INTERVALS):
        take(series, at * 250, shard(raw("q", [MS] * at)))
    series.store()
    points = rows(run)["q"].points
    assert run.interval_ns == 4 * SHORTEST_NS
    assert len(points) <= MOST_INTERVALS
    assert sum(point.calls for point in points) == 4 * MOST_INTERVALS - 1
    assert {point.calls for point in points[:-1]} == {4}


def test_names_beyond_the_limit_are_pooled():
    """Those with the least time; the sum stays whole, and a pooled name stays in the pool."""
    run = a_run()
    series = Series(run)
    many = [raw(f"q{number}", [(number + 1) * MS]) for number in range(3 * MOST_NAMES)]
    take(series, 250, shard(*many))
    take(series, 500, shard(*(raw(f"q{number}", [(number + 1) * MS] * 2) for number in range(3 * MOST_NAMES))))
    series.store()
    found = rows(run)
    assert len(found) <= MOST_NAMES + 1
    assert f"q{3 * MOST_NAMES - 1}" in found
    assert [point.calls for point in found[OTHER[0]].points] == [3 * MOST_NAMES - len(found) + 1] * 2
    assert sum(point.calls for row in found.values() for point in row.points) == 6 * MOST_NAMES


def test_a_series_goes_on_with_the_next_launcher():
    """What was saved stands, whether its shards had been folded or not; what came since stands in the last interval."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("q", [MS] * 4)), shard(raw("q", [MS] * 3), raw("r", [MS])))
    series.store()
    run.nodes = [Node(-1, "q", "sql", "m:q", calls=4, total_ns=4 * MS, buckets={bucket_of(MS): 4})]
    second = Series(run)
    folded = totals_of(run.nodes)
    alive = shard(raw("q", [MS] * 30), raw("r", [MS]), raw("new", [MS]))
    second.observe(Snapshot(10**15, sum_of([folded, totals_of(alive.nodes)]), is_late=True))
    second.store()
    found = rows(run)
    assert [point.calls for point in found["q"].points] == [34]
    assert [point.calls for point in found["r"].points] == [1]
    assert found["new"].points[0].at_ns == 0


def test_a_shard_that_is_lost_takes_nothing_away():
    """What was once read has happened."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("q", [MS] * 4)))
    series.store()
    second = Series(run)
    second.observe(snapshot(500))
    second.store()
    assert [point.calls for point in rows(run)["q"].points] == [4]


def test_sampled_times_are_scaled_as_in_the_table():
    """A call that was counted and not timed stands for as much time as the others took."""
    run = a_run()
    series = Series(run)
    data = shard(raw("q", [MS] * 10, untimed=30))
    take(series, 250, data)
    series.store()
    (point,) = rows(run)["q"].points
    assert (point.calls, point.total_ns) == (40, 40 * MS)


@pytest.mark.parametrize("points", ["", "{", "[[1]]", "[1]", '[[0,"a",0,0,[1]]]', "7"])
def test_a_damaged_series_is_not_continued(points: str):
    """The launcher goes on without it."""
    from hookmon.collector.store import CallSeries

    run = a_run(series=[CallSeries("q", "sql", "m:q", points)], interval_ns=SHORTEST_NS)
    series = Series(run)
    take(series, 250, shard(raw("q", [MS] * 4)))
    series.store()
    assert sum(point[1] for point in json.loads(run.series[0].points)) == 4


def test_the_sums_are_those_of_the_table():
    """For a tree with recursion and several places of one name."""
    run = a_run()
    series = Series(run)
    nodes = [raw("a", [5 * MS, 6 * MS]), raw("b", [MS] * 4, parent=0), raw("a", [MS], parent=1), raw("b", [2 * MS], errors=1)]
    tree = Tree()
    tree.add(shard(*nodes), 0)
    take(series, 250, shard(*nodes))
    series.store()
    table = {row.name: (row.figures.calls, row.figures.errors, row.figures.total_ns) for row in by_name(tree.nodes)}
    found = {
        name: tuple(sum(getattr(point, key) for point in row.points) for key in ("calls", "errors", "total_ns"))
        for name, row in rows(run).items()
    }
    assert found == table


def test_a_name_that_was_only_seen_for_a_moment_is_gone_at_the_end():
    """Its calls stand under the name that they have got."""
    run = a_run()
    series = Series(run)
    take(series, 250, shard(raw("request", [MS] * 2)))
    series.observe(snapshot(500, shard(raw("GET /", [MS] * 2)), ended=True))
    series.store()
    assert {name: [point.calls for point in row.points] for name, row in rows(run).items()} == {"GET /": [2]}


def test_an_interval_is_not_shorter_than_the_time_between_two_looks():
    """Where reading the shards takes long."""
    series = Series(a_run())
    series.observe(Snapshot(250 * MS, pace_ns=3 * SHORTEST_NS))
    assert (series.interval_ns, series.every_ns) == (4 * SHORTEST_NS, 4 * SHORTEST_NS)
    series.observe(Snapshot(251 * MS, pace_ns=9 * SHORTEST_NS))
    assert (series.interval_ns, series.every_ns) == (16 * SHORTEST_NS, 8 * SHORTEST_NS)
