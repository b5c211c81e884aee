"""The imports of a run as a tree: what stands below what, and whose time is whose."""

from __future__ import annotations

import csv
import io
import json

import pytest
from runs import MS, node, run

from hookmon.collector.store import Node
from hookmon.report import render
from hookmon.report.imports import ImportRow, imports, most_time


def module(parent: int, name: str, duration_ms: int, *, children_ms: int = 0, **more: int) -> Node:
    """Return the node of an import."""
    of = {"kind": "import", "target": "importlib:import"} | more
    return node(parent, name, [duration_ms * MS], children_ns=children_ms * MS, **of)


def own(parent: int, duration_ms: int) -> Node:
    """Return the node of what hookmon did meanwhile."""
    return node(parent, "hookmon", [duration_ms * MS], kind="hookmon", target="hookmon:import")


NODES = [
    module(-1, "shop", 100, children_ms=75),
    module(0, "json", 5),
    module(0, "shop.prices", 60, children_ms=40),
    own(2, 20),
    module(3, "marshal", 15),  # imported by hookmon
    node(2, "quote", [20 * MS], children_ns=8 * MS),
    module(5, "decimal", 8),  # imported by a watched call at that time
    own(0, 10),
    module(-1, "late", 1, errors=1),
]


def shown(rows: list[ImportRow]) -> list[tuple[int, str, int, int]]:
    """Return (depth, name, total, self) of rows, in milliseconds."""
    return [(row.depth, row.name, row.total_ns // MS, row.self_ns // MS) for row in rows]


def test_what_hookmon_did_is_in_no_figure():
    """Nor what it imported itself. A watched call is a module's own time, but for the modules imported in it."""
    rows = imports(NODES)
    assert shown(rows) == [
        (0, "shop", 70, 25),
        (1, "shop.prices", 40, 32),
        (2, "decimal", 8, 8),
        (1, "json", 5, 5),
        (0, "late", 1, 1),
    ]
    assert [row.parent for row in rows] == [-1, 0, 1, 0, -1]
    assert [row.errors for row in rows] == [0, 0, 0, 0, 1]


def test_a_module_still_being_imported_has_the_time_of_those_inside():
    """So that the tree can be read from the top."""
    nodes = [node(-1, "huge", [], kind="import"), module(0, "part", 30), module(-1, "small", 2)]
    assert shown(imports(nodes)) == [(0, "huge", 30, 0), (1, "part", 30, 30), (0, "small", 2, 2)]


def test_those_with_the_most_time_are_never_without_their_parents():
    """In the order of the tree, also where times are equal."""
    nodes = [module(-1, "b", 10), module(-1, "a", 10, children_ms=10), module(1, "a.x", 10), module(-1, "c", 9)]
    rows = imports(nodes)
    for most in range(5):
        kept = most_time(rows, most)
        assert len(kept) == min(most, 4)
        assert all(row.parent < 0 or rows[row.parent] in kept for row in kept)


def text_of(format: str, nodes: list[Node], *, everything: bool = False) -> str:
    """Return the report of a run with these nodes."""
    file = io.StringIO()
    render(run(nodes=nodes), format, file=file, width=120, everything=everything)
    return file.getvalue()


def test_the_text_report_has_the_tree_and_folds_the_rest():
    """Imports are no rows of the table of calls."""
    nodes = [*NODES, *(module(-1, f"small{number}", 0) for number in range(30))]
    lines = text_of("text", nodes).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Imports  35 modules, 71.0 ms"))
    table = [line.split() for line in lines[at + 2 : at + 7]]
    assert [row[0] for row in table] == ["shop", "shop.prices", "decimal", "json", "late"]
    assert [len(line) - len(line.lstrip()) for line in lines[at + 2 : at + 6]] == [2, 4, 6, 4]
    assert "… and 15 more" in lines[at + 22]
    calls = lines[next(number for number, line in enumerate(lines) if line.startswith("Calls")) + 1 : at]
    assert any("quote" in line for line in calls)
    assert not any("shop" in line for line in calls)
    assert "small29" in text_of("text", nodes, everything=True)


def test_a_run_without_imports_says_nothing_of_them():
    """As long as nobody asks."""
    assert "Imports" not in text_of("text", [node(-1, "quote", [MS])])


def test_json_and_markdown_have_the_tree():
    """And CSV has them among the calls, by their kind."""
    rows = json.loads(text_of("json", NODES))["imports"]
    assert [(row["name"], row["parent"], row["depth"]) for row in rows][:2] == [("shop", -1, 0), ("shop.prices", 0, 1)]
    assert "| \u2003`shop.prices` | 40.0 ms | 32.0 ms | 1 | 0 |" in text_of("markdown", NODES)
    kinds = {row["name"]: row["kind"] for row in csv.DictReader(io.StringIO(text_of("csv", NODES)))}
    assert (kinds["shop"], kinds["quote"], kinds["hookmon"]) == ("import", "function", "hookmon")


@pytest.mark.parametrize("everything", [False, True])
def test_hostile_names_of_modules_are_inert(everything: bool):
    """A module may be called anything."""
    nodes = [module(-1, "a\x1b[31m|b\n`c`", 3)]
    assert "\x1b" not in text_of("text", nodes, everything=everything) + text_of("markdown", nodes, everything=everything)
