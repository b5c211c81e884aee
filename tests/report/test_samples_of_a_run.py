"""Which call a sampled stack falls under, worked out by hand."""

from __future__ import annotations

import io
from typing import Any

import pytest
import runs
from runs import MS

from hookmon.collector.samples import SampledFrame, SampledProcess, SampledStack
from hookmon.collector.store import Run
from hookmon.report import render
from hookmon.report.explain import explain
from hookmon.report.model import build
from hookmon.report.samples import branches, functions, sampled_calls, sampling

PROJECT = "/srv/shop"
FRAMES = {
    "module": SampledFrame("<module>", f"{PROJECT}/app.py", 90, 1),
    "loop": SampledFrame("BaseEventLoop._run_once", "/usr/lib/python3.12/asyncio/base_events.py", 1900, 1880),
    "entry": SampledFrame("Flask.__call__", "/venv/lib/python3.12/site-packages/flask/app.py", 1500, 1499),
    "list": SampledFrame("list_all", f"{PROJECT}/app.py", 12, 10),
    "buy": SampledFrame("buy", f"{PROJECT}/app.py", 22, 20),
    "quote": SampledFrame("quote", f"{PROJECT}/pricing.py", 33, 30),
    "quote 34": SampledFrame("quote", f"{PROJECT}/pricing.py", 34, 30),
    "encode": SampledFrame("JSONEncoder.encode", "/usr/lib/python3.12/json/encoder.py", 200, 183),
    "helper": SampledFrame("helper", f"{PROJECT}/pricing.py", 44, 40),
}
PLACES = {"app:list_all": f"{PROJECT}/app.py:10", "app:buy": f"{PROJECT}/app.py:20", "pricing:quote": f"{PROJECT}/pricing.py:30"}


def shop(*stacks: tuple[str, int]) -> Run:
    """Return a run of a shop, with samples: names of frames, and how many."""
    request: dict[str, Any] = {"kind": "request", "entry": True, "target": "flask.app:Flask.__call__"}
    nodes = [
        runs.node(-1, "GET /list", [10 * MS], children_ns=9 * MS, **request),
        runs.node(0, "list_all", [9 * MS], children_ns=4 * MS, target="app:list_all"),
        runs.node(1, "quote", [4 * MS], target="pricing:quote"),
        runs.node(-1, "POST /buy", [20 * MS], children_ns=19 * MS, **request),
        runs.node(3, "buy", [19 * MS], children_ns=8 * MS, target="app:buy", call_site=f"{PROJECT}/app.py:22"),
        runs.node(4, "quote", [8 * MS], target="pricing:quote"),
        runs.node(4, "select ?", [1 * MS], kind="sql", target="sqlite3:Cursor.execute", call_site=f"{PROJECT}/app.py:22"),
        runs.node(3, "(concurrent)", [], target="", detached="concurrent"),
        runs.node(7, "pack", [5 * MS], target="app:pack"),
    ]
    run = runs.run(nodes=nodes, project=PROJECT, places=PLACES | {"app:pack": f"{PROJECT}/app.py:50"})
    run.sampled_frames = [*FRAMES.values(), SampledFrame("pack", f"{PROJECT}/app.py", 51, 50)]
    names = [*FRAMES, "pack"]
    run.sampled_stacks = [SampledStack([names.index(name) for name in text.split(", ")], samples) for text, samples in stacks]
    run.sampled_processes = [SampledProcess(4711, 100, sum(samples for _, samples in stacks))]
    return run


def where(stack: str) -> tuple[list[str], list[str]]:
    """Return the transactions and the names of the call that a stack falls under."""
    (row,) = sampled_calls(shop((stack, 1)))
    return row.transactions, row.names


BOTH = ["GET /list", "POST /buy"]

WHERE = {
    "outside of all": ("module, helper", ["(main)"], []),
    "an entry that routes share": ("module, entry", BOTH, BOTH),
    "what one route alone calls": ("module, entry, buy", ["POST /buy"], ["buy"]),
    "below that": ("module, entry, buy, helper", ["POST /buy"], ["buy"]),
    "what both call, within one": ("module, entry, list, quote, helper", ["GET /list"], ["quote"]),
    "what both call, without what is between": ("module, entry, quote", BOTH, ["quote"]),
    "another thread of a transaction": ("module, pack", ["POST /buy"], ["pack"]),
    "a task that a watched call's loop runs": ("module, entry, buy, loop, pack", ["POST /buy"], ["pack"]),
    "a recursion": ("module, entry, buy, quote, helper, quote 34", ["POST /buy"], ["quote"]),
    "a stack without its beginning": ("quote", BOTH, ["quote"]),
}


@pytest.mark.parametrize(("stack", "transactions", "names"), WHERE.values(), ids=WHERE)
def test_a_sample_falls_under_the_innermost_watched_call(stack: str, transactions: list[str], names: list[str]):
    """Its watched functions lead down the call tree; where they lead to several places, all of these are named."""
    assert where(stack) == (transactions, names)


CALLBACKS = {
    "called by who calls callbacks": ("module, fire, mail", ["save: mail"]),
    "a method": ("module, fire, audit, helper", ["save: Audit.saved"]),
    "called by somebody else": ("module, mail", []),
}


@pytest.mark.parametrize(("stack", "names"), CALLBACKS.values(), ids=CALLBACKS)
def test_a_callback_is_known_by_its_name_and_who_calls_it(stack: str, names: list[str]):
    """All callbacks of one registration share its target, which is another function."""
    run = runs.run(
        nodes=[
            runs.node(-1, f"save: {name}", [MS], kind="hook", target="bus:on", call_site=f"{PROJECT}/bus.py:4")
            for name in ("mail", "Audit.saved")
        ],
        plan=[{"id": 1, "module": "bus", "calls": ["on"], "pack": "", "source": "", "hook": {}}],
        places={"bus:on": f"{PROJECT}/plug.py:10"},
    )
    frames = {
        "module": FRAMES["module"],
        "helper": FRAMES["helper"],
        "fire": SampledFrame("fire", f"{PROJECT}/bus.py", 4, 3),
        "mail": SampledFrame("mail", f"{PROJECT}/plug.py", 12, 10),
        "audit": SampledFrame("Audit.saved", f"{PROJECT}/plug.py", 22, 20),
    }
    run.sampled_frames = list(frames.values())
    run.sampled_stacks = [SampledStack([list(frames).index(name) for name in stack.split(", ")], 1)]
    assert [row.names for row in sampled_calls(run)] == [names]


def test_lines_have_shares_of_their_call():
    """The share of a call is of all samples."""
    run = shop(("module, entry, buy, quote", 6), ("module, entry, buy, quote 34", 2), ("module, helper", 8))
    row = sampled_calls(run)[1]
    assert (row.names, row.samples, row.share) == (["quote"], 8, 0.5)
    assert [(line.location, line.function, line.samples, line.share) for line in row.lines] == [
        ("pricing.py:33", "quote", 6, 0.75),
        ("pricing.py:34", "quote", 2, 0.25),
    ]


def test_a_line_of_a_library_says_which_line_led_there():
    """The innermost one of the program's own."""
    (row,) = sampled_calls(shop(("module, entry, buy, quote, encode", 1)))
    assert (row.lines[0].location, row.lines[0].caller) == ("/usr/lib/python3.12/json/encoder.py:200", "pricing.py:33")


def test_a_line_names_the_watched_calls_without_a_stack():
    """Those of functions in C: their time is in the samples of the line."""
    (row,) = sampled_calls(shop(("module, entry, buy", 1)))
    assert row.lines[0].calls == ["select ?"]


def test_functions_have_self_and_total_samples():
    """A function that is twice on a stack was there once."""
    run = shop(("module, entry, buy, quote, helper, quote 34", 3), ("module, helper", 1))
    found = {row.function: row for row in functions(run)}
    assert (found["quote"].self_samples, found["quote"].total_samples) == (3, 3)
    assert (found["helper"].self_samples, found["helper"].total_samples) == (1, 4)
    assert (found["quote"].file, found["quote"].line, found["quote"].target) == (f"{PROJECT}/pricing.py", 30, "pricing:quote")
    assert (found["<module>"].total_share, found["helper"].self_share) == (1.0, 0.25)
    assert found["helper"].target == ""


def test_branches_are_as_wide_as_their_children_and_they_themselves():
    """A parent stands before its children."""
    run = shop(("module, entry, buy, quote", 6), ("module, entry, buy", 1), ("module, helper", 2))
    found = branches(run)
    for at, branch in enumerate(found):
        assert branch.parent < at
        assert branch.samples == branch.self_samples + sum(child.samples for child in found if child.parent == at)
    assert [(branch.function, branch.samples, branch.kind) for branch in found][:3] == [
        ("<module>", 9, ""),
        ("Flask.__call__", 7, "request"),
        ("buy", 7, "function"),
    ]


def test_counted_and_sampled_figures_stand_in_different_tables():
    """Those of the calls are what they are without samples."""
    with_samples, without = shop(("module, entry, buy, quote", 6)), shop()
    assert build(with_samples).calls == build(without).calls
    assert build(with_samples).transactions == build(without).transactions
    assert sampling(without).calls == []


def rendered(run: Run, format: str) -> str:
    """Return the report of a run."""
    file = io.StringIO()
    render(run, format, file=file, width=120)
    return file.getvalue()


SHOWN = {
    "text": [
        "Computing, by samples  40 at 100 a second; what waits is in none",
        "20 % of the samples could not be read; of 5 % a part of the stack was lost, and is put back as the others have it",
        "POST /buy: quote",
        "one of GET /list, POST /buy: its own code",
        "(no watched call)",
        "pricing.py:33",
    ],
    "markdown": [
        "Computing, by 40 samples, 100 a second; what waits is in none:",
        "| `POST /buy: quote` | 24 | 60 % | |",
        "| · `pricing.py:33` | 20 | 83 % of these | `quote` |",
    ],
}


@pytest.mark.parametrize("format", SHOWN)
def test_samples_stand_in_a_table_of_their_own(format: str):
    """With what is wrong with them."""
    run = shop(
        ("module, entry, buy, quote", 20), ("module, entry, buy, quote 34", 4), ("module, entry", 10), ("module, helper", 6)
    )
    run.sampled_processes[0].lost, run.sampled_processes[0].mended = 10, 2
    text = rendered(run, format)
    for part in SHOWN[format]:
        assert part in text
    assert "samples" not in rendered(shop(), format)


def test_a_finding_is_explained_with_the_samples_of_its_transaction():
    """Those that are of another one for sure are not there."""
    run = runs.web()
    entry = next(node for node in run.nodes if node.entry)
    run.sampled_frames = [SampledFrame("<module>", "/srv/app.py", 3, 1)]
    run.sampled_stacks = [SampledStack([0], 5)]
    report = build(run)
    name = report.findings[0].transaction
    assert entry.name
    assert explain(report, "1").sampled == []
    target = next(node.target for node in run.nodes if node.name == name)
    run.places[target] = "/srv/app.py:1"
    found = explain(build(run), "1").sampled
    assert [name in row.transactions for row in found] == [True]
    assert [line.location for row in found for line in row.lines] == ["/srv/app.py:3"]
