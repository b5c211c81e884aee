"""The call tree, added up by name."""

from __future__ import annotations

import random

import pytest
from runs import MS, node

from hookmon.report.calls import by_kind, by_name, merge_alike, tree


def test_a_recursion_counts_once_in_the_total_and_always_in_self():
    """fact → fact → fact: the outermost total, all calls, the mean of all durations."""
    nodes = [
        node(-1, "fact", [9 * MS], children_ns=6 * MS),
        node(0, "fact", [6 * MS], children_ns=2 * MS),
        node(1, "fact", [2 * MS]),
    ]
    (row,) = by_name(nodes)
    figures = row.figures
    assert (figures.calls, figures.total_ns, figures.self_ns) == (3, 9 * MS, 9 * MS)
    assert (figures.min_ns, figures.max_ns, figures.mean_ns) == (2 * MS, 9 * MS, 17 * MS // 3 + 1)


def test_a_recursion_through_another_name_counts_once():
    """even → odd → even: each total is that of its outermost call."""
    nodes = [
        node(-1, "even", [9 * MS], children_ns=5 * MS),
        node(0, "odd", [5 * MS], children_ns=1 * MS),
        node(1, "even", [1 * MS]),
    ]
    totals = {row.name: row.figures.total_ns for row in by_name(nodes)}
    assert totals == {"even": 9 * MS, "odd": 5 * MS}


def test_the_same_name_beside_itself_adds_up():
    """Two places that call one function are one row; a name of another target is another row."""
    nodes = [
        node(-1, "a", [MS]),
        node(-1, "get", [2 * MS]),
        node(0, "get", [3 * MS]),
        node(0, "get", [5 * MS], target="other:get"),
    ]
    rows = {(row.name, row.target): row.figures.total_ns for row in by_name(nodes)}
    assert rows == {("a", "app:a"): MS, ("get", "app:get"): 5 * MS, ("get", "other:get"): 5 * MS}


def test_a_place_that_completed_no_call_is_in_the_tree_and_not_among_the_calls():
    """A call in flight has a node before it has a count."""
    nodes = [node(-1, "outer", []), node(0, "inner", [MS])]
    assert [row.name for row in by_name(nodes)] == ["inner"]
    assert [(row.name, row.parent) for row in tree(nodes)] == [("outer", -1), ("inner", 0)]


def test_calls_that_were_not_timed_change_no_time():
    """The smallest duration is that of a timed call, and the mean is over timed calls."""
    nodes = [node(-1, "a", [MS]), node(-1, "f", [4 * MS, 6 * MS])]
    nodes.append(node(0, "f", [], untimed=0))
    nodes[2].calls = nodes[2].untimed = 100
    figures = next(row.figures for row in by_name(nodes) if row.name == "f")
    assert (figures.calls, figures.untimed, figures.min_ns, figures.mean_ns) == (102, 100, 4 * MS, 5 * MS)


@pytest.mark.parametrize("share", [0.50, 0.95, 0.99])
def test_percentiles_are_those_of_the_sorted_list(share: float):
    """Histograms of two places are added; the answer is within 2.2 % of the exact one."""
    numbers = random.Random(1)
    durations = [int(numbers.lognormvariate(13, 2)) + 1 for _ in range(2_000)]
    (row,) = by_name([node(-1, "f", durations[:700]), node(-1, "f", durations[700:])])
    exact = sorted(durations)[int(share * 2_000) - 1]
    found = {0.50: row.figures.p50_ns, 0.95: row.figures.p95_ns, 0.99: row.figures.p99_ns}[share]
    assert found == pytest.approx(exact, rel=0.022)


def test_kinds_share_the_self_time():
    """Shares add up to one, the largest first."""
    kinds = by_kind([node(-1, "a", [3 * MS], kind="sql"), node(-1, "b", [MS], kind="cache"), node(-1, "c", [4 * MS], kind="sql")])
    assert [(row.kind, row.calls, row.self_ns, row.share) for row in kinds] == [
        ("sql", 2, 7 * MS, 0.875),
        ("cache", 1, MS, 0.125),
    ]


def test_rows_of_a_statement_and_waits_for_a_pool_are_no_calls_of_their_kind():
    """Their time is the kind's; a server that counts statements counts two."""
    nodes = [
        node(-1, "select", [3 * MS, 2 * MS], kind="sql"),
        node(-1, "sqlite3 fetch", [MS] * 5, kind="sql", part=True),
        node(-1, "pool wait", [MS], kind="sql", waits=True),
    ]
    (row,) = by_kind(nodes)
    assert (row.calls, row.waits, row.self_ns) == (2, 1, 11 * MS)


def test_targets_of_one_name_are_one_row_for_a_reader():
    """What reads alike is added up, nested calls once in the total; of functions of the user's own the place tells them apart."""
    nodes = [
        node(-1, "wait", [9 * MS], children_ns=2 * MS, target="subprocess:Popen.communicate"),
        node(0, "wait", [2 * MS], target="subprocess:Popen.wait"),
        node(-1, "run", [MS], target="a:run"),
        node(-1, "run", [MS], target="b:run"),
        node(-1, "wait", [MS], target="other:wait", kind="queue"),
    ]
    rows = by_name(nodes)
    for row in rows:
        row.location = {"a:run": "a.py:1", "b:run": "b.py:1"}.get(row.target, "")
    shown = merge_alike(rows, nodes)
    assert [(row.name, row.kind, row.location) for row in shown] == [
        ("wait", "function", ""),
        ("run", "function", "a.py:1"),
        ("run", "function", "b.py:1"),
        ("wait", "queue", ""),
    ]
    of = shown[0].figures
    assert (of.calls, of.total_ns, of.self_ns, of.max_ns) == (2, 9 * MS, 9 * MS, 9 * MS)
    assert [row.target for row in rows if row.kind == "function" and row.name == "wait"] == [
        "subprocess:Popen.communicate",
        "subprocess:Popen.wait",
    ]


def test_a_tree_of_any_depth_is_walked():
    """No recursion of ours: 20,000 calls inside each other."""
    nodes = [node(at - 1, "f", [MS]) for at in range(20_000)]
    (row,) = by_name(nodes)
    assert (row.figures.calls, row.figures.total_ns) == (20_000, MS)
