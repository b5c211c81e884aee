"""The tree of own functions, and what is suggested from it: on call trees that are written out here."""

from __future__ import annotations

import pytest

from hookmon.collector.samples import SampledFrame, SampledStack
from hookmon.collector.store import Node, Run
from hookmon.report.own import MOST_ROWS, name_of, own_of
from hookmon.report.suggest import suggest

OWN = {"own": True, "module": "**", "calls": ["**"], "id": 1}


def run_of(*rows: tuple[int, str, int, int], packs: tuple[str, ...] = ()) -> Run:
    """Return a run with nodes, (parent, name, self time, calls); names in `packs` are SQL."""
    nodes = [
        Node(parent, name, "sql" if name in packs else "function", f"app:{name}", calls=calls, total_ns=own_ns, self_ns=own_ns)
        for parent, name, own_ns, calls in rows
    ]
    for index in range(len(nodes) - 1, -1, -1):
        if nodes[index].parent >= 0:
            nodes[nodes[index].parent].total_ns += nodes[index].total_ns
    run = Run(id=1, name="", command=["app"], started_at="", hookmon="", project="/p", run_folder="", plan=[OWN])
    run.nodes = nodes
    run.places = {node.target: f"/p/app.py:{at}" for at, node in enumerate(nodes) if node.name not in packs}
    return run


def test_a_run_without_the_option_has_none() -> None:
    """Its watches are those that somebody named."""
    run = run_of((-1, "main", 5, 1))
    run.plan = []
    assert own_of(run) is None


def test_functions_that_pass_on_nearly_all_are_joined() -> None:
    """The figures are those of the last one; others stand below it."""
    own = own_of(run_of((-1, "main", 1, 1), (0, "start", 1, 1), (1, "build", 300, 1), (2, "read", 400, 9), (2, "write", 298, 9)))
    assert own is not None
    assert [(row.depth, name_of(row), row.total_ns) for row in own.tree] == [
        (0, "main > … > build", 998),
        (1, "read", 400),
        (1, "write", 298),
    ]
    assert [row.name for row in own.functions][:3] == ["read", "build", "write"]
    assert own.whole_ns == 1000


def test_a_recursion_is_one_row() -> None:
    """What is called at any depth of it stands below it once, and no share is above the whole."""
    own = own_of(run_of((-1, "walk", 10, 1), (0, "walk", 20, 2), (1, "visit", 30, 2), (1, "walk", 15, 4), (3, "visit", 25, 4)))
    assert own is not None
    assert [(row.depth, name_of(row), row.calls, row.total_ns) for row in own.tree] == [
        (0, "walk (recursive)", 7, 100),
        (1, "visit", 6, 55),
    ]


def test_what_packs_count_is_added_up_by_kind() -> None:
    """Unless own functions are called below it: then it stays what it is."""
    packs = ("select", "rows", "GET /")
    own = own_of(
        run_of((-1, "GET /", 10, 1), (0, "view", 20, 1), (1, "select", 30, 4), (2, "rows", 40, 4), packs=packs),
    )
    assert own is not None
    assert [(row.depth, name_of(row), row.calls, row.total_ns) for row in own.tree] == [
        (0, "GET /", 1, 100),
        (1, "view", 1, 90),
        (2, "sql", 4, 70),
    ]
    assert [row.name for row in own.functions] == ["view"]


def test_many_functions_take_no_more_than_a_screen() -> None:
    """The larger ones are shown, and the rest is one row with its share."""
    own = own_of(run_of((-1, "main", 0, 1), *((0, f"f{at}", 100 + at, 1) for at in range(60))))
    assert own is not None
    assert len(own.tree) <= MOST_ROWS
    assert own.tree[-1].hidden > 40
    assert sum(row.total_ns for row in own.tree[1:]) == own.whole_ns
    assert len(own.functions) == 61


def test_the_heaviest_are_suggested_and_not_what_holds_them_all() -> None:
    """To watch main says nothing, as long as others explain enough."""
    suggestion = suggest(
        run_of((-1, "main", 1, 1), (0, "load", 550, 3), (0, "price", 430, 7), *((0, f"f{at}", 1, 1) for at in range(19)))
    )
    assert suggestion is not None
    assert [(row.module, row.call, row.location) for row in suggestion.functions] == [
        ("app", "load", "app.py:1"),
        ("app", "price", "app.py:2"),
    ]
    assert suggestion.explained == pytest.approx(0.98)


def test_a_program_of_small_functions_is_explained_by_what_calls_them() -> None:
    """None of a thousand functions is worth a watch, so those are that hold many of them."""
    rows = [(-1, "main", 1, 1), (0, "read", 1, 1), (0, "write", 1, 1)]
    rows += [(1 + at % 2, f"f{at}", 10, 1) for at in range(1000)]
    suggestion = suggest(run_of(*rows))
    assert suggestion is not None
    assert {row.call for row in suggestion.functions} == {"read", "write"}
    assert suggestion.explained >= 0.97


def test_packs_are_not_suggested_and_lambdas_neither() -> None:
    """A pack watches on its own; a lambda has no name by which it could be found."""
    suggestion = suggest(run_of((-1, "main", 50, 1), (0, "select", 900, 9), (0, "<lambda>", 50, 9), packs=("select",)))
    assert suggestion is not None
    assert [row.call for row in suggestion.functions] == ["main"]


def test_samples_are_enough() -> None:
    """Functions of the project's files are suggested by their modules, with the samples of what they call."""
    run = run_of()
    run.plan = []
    run.sampled_frames = [
        SampledFrame("main", "/p/src/app/cli.py", 3, 9),
        SampledFrame("Repo.load", "/p/src/app/repo.py", 10, 12),
        SampledFrame("loads", "/usr/lib/python3/json/__init__.py", 299, 300),
        SampledFrame("total", "/p/src/app/__init__.py", 30, 31),
    ]
    run.sampled_stacks = [SampledStack([0, 1, 2], 60), SampledStack([0, 3], 38), SampledStack([0], 2)]
    suggestion = suggest(run)
    assert suggestion is not None
    assert suggestion.is_sampled
    assert {(row.module, row.call) for row in suggestion.functions} == {("app.repo", "Repo.load"), ("app", "total")}


def test_a_run_of_some_watches_suggests_nothing() -> None:
    """Nobody knows what the other functions took."""
    run = run_of((-1, "main", 5, 1))
    run.plan = []
    assert suggest(run) is None
