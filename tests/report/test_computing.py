"""Computing or waiting: what the report makes of the CPU time of transactions."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
import runs
from runs import MS, S, node

from hookmon.collector.store import Example, Node, Run
from hookmon.report.check.judge import check
from hookmon.report.computing import Computing, sentence
from hookmon.report.diff import model as diffs
from hookmon.report.findings import findings
from hookmon.report.formats import json as json_format
from hookmon.report.formats import markdown, text
from hookmon.report.model import build
from hookmon.report.transactions import transactions


def measured(name: str, durations_ms: list[int], own_ms: int, *, beside_ms: int = 0, of: int = 0, **more: Any) -> Node:
    """Return a transaction; `own_ms` is computed in those that were measured, all of them unless `of` says how many."""
    count = of or len(durations_ms)
    measured_ns = sum(durations_ms[:count]) * MS
    sums = {"measured": count, "measured_for": len(durations_ms), "measured_ns": measured_ns}
    sums |= {"computed_ns": own_ms * MS, "beside_ns": beside_ms * MS}
    return node(-1, name, [ms * MS for ms in durations_ms], entry=True, **{"kind": "request"} | sums | more)


def computing(*nodes: Node) -> Computing:
    found = transactions(list(nodes), [], 1)[0].computing
    assert found is not None
    return found


def test_a_transaction_computes_and_else_it_waits():
    """150 ms, 20 of them by the processor; 95 of the others were in the database."""
    whole = measured("GET /", [150] * 4, 80, children_ns=380 * MS)
    own = computing(whole, node(0, "SELECT", [95 * MS] * 4, kind="sql"))
    assert (own.measured, own.computing_ns, own.waiting_ns, own.waiting_on) == (4, 20 * MS, 130 * MS, {"sql": 95 * MS})
    assert own.share == pytest.approx(20 / 150)
    assert sentence(own, 4) == "computing 20.0 ms, waiting 130 ms, of which sql 95.0 ms; CPU time was measured on all"


def test_a_share_is_told_of_all():
    """Of the measured ones a fifth was computing, so it is of the others."""
    own = computing(measured("GET /", [100, 100, 300, 300], 40, of=2))
    assert (own.measured, own.computing_ns, own.waiting_ns) == (2, 40 * MS, 160 * MS)


@pytest.mark.parametrize(
    ("measured_count", "calls", "words"),
    [(8, 8, "on all"), (1, 8, "on 1 of 8"), (100, 12_345, "on 1 of 123"), (7, 8, "on 7 of 8")],
)
def test_the_scale_is_said(measured_count: int, calls: int, words: str):
    """As one of so many, or as counted where that says nothing."""
    assert Computing(measured_count, 1, 0, 1, {}, 0.5).scale(calls) == words


def test_other_threads_compute_for_it_too():
    """What they do is no waiting, and never less than nothing waits."""
    own = computing(measured("GET /", [10] * 2, 4, beside_ms=30))
    assert (own.computing_ns, own.beside_ns, own.waiting_ns, own.share) == (17 * MS, 15 * MS, 0, 0.2)
    assert "computing 17.0 ms (15.0 ms of it in other threads and tasks), waiting 0 ns" in sentence(own, 2)


def test_a_database_in_the_thread_computes_itself():
    """SQLite: how much of its time was waiting is not known, and that is said; a template waits for nobody."""
    whole = measured("GET /", [100] * 2, 120, children_ns=200 * MS)
    own = computing(whole, node(0, "SELECT", [60 * MS] * 2, kind="sql"), node(0, "page", [40 * MS] * 2, kind="template"))
    assert own.waiting_on == {"sql": 40 * MS}
    assert sentence(own, 2) == "computing 60.0 ms, waiting 40.0 ms, of which at most sql 40.0 ms; CPU time was measured on all"


def test_what_was_not_measured_has_no_figures():
    """Neither a run of before nor greenlets."""
    assert transactions([node(-1, "GET /", [MS], kind="request", entry=True)], [], 1)[0].computing is None


def kinds_of(*nodes: Node, run_ms: int = 0) -> list[tuple[str, str]]:
    found = findings(transactions(list(nodes), [], 1), [], 0, "", run_ms * MS)
    return [(finding.kind, finding.severity) for finding in found if finding.kind == "computing"]


JUDGED = {
    "four fifths of twenty": ([measured("GET /", [100] * 20, 1_600)], 2_000, [("computing", "medium")]),
    "less than four fifths": ([measured("GET /", [100] * 20, 1_580)], 2_000, []),
    "too few of them": ([measured("GET /", [100] * 19, 1_900)], 2_000, []),
    "too few measured": ([measured("GET /", [100] * 400, 1_900, of=19)], 2_000, []),
    "little of the run": ([measured("GET /", [100] * 20, 1_900)], 40_000, []),
    "some of the run": ([measured("GET /", [100] * 20, 1_900)], 20_000, [("computing", "low")]),
    "in other threads": ([measured("GET /", [100] * 20, 100, beside_ms=1_900)], 2_000, []),
    "a database that computes": (
        [measured("GET /", [100] * 20, 1_900, children_ns=500 * MS), node(0, "SELECT", [25 * MS] * 20, kind="sql")],
        2_000,
        [],
    ),
    "a database beside it": (
        [measured("GET /", [100] * 20, 1_700, children_ns=300 * MS), node(0, "SELECT", [15 * MS] * 20, kind="sql")],
        2_000,
        [("computing", "medium")],
    ),
}


@pytest.mark.parametrize("case", JUDGED)
def test_what_mostly_computes_is_a_finding(case: str):
    """In its own thread, often enough, and where that matters to the run."""
    nodes, run_ms, expected = JUDGED[case]
    assert kinds_of(*nodes, run_ms=run_ms) == expected


def test_the_finding_says_what_would_help():
    """More workers: a process has a limit, by what one of them computes."""
    (found,) = findings(transactions([measured("GET /report", [100] * 20, 1_660)], [], 1), [], 0, "", 2 * S)
    assert found.title == "GET /report computes 83 % of its time in one thread: more workers, not a faster database"
    assert all(part in found.evidence for part in ("83.0 ms of 100 ms", "at most 12 a second", "save 17 %"))
    assert (found.time_ns, found.saving_ns) == (1_660 * MS, 0)


def web() -> Run:
    """Return a run with measured transactions and an example."""
    run = runs.run(
        nodes=[measured("GET /", [150] * 16, 40, of=2, children_ns=1_520 * MS), node(0, "SELECT", [95 * MS] * 16, kind="sql")]
    )
    run.examples = [Example(0, 1, 150 * MS, 200, 0, 4711, [], 21 * MS), Example(0, 1, 150 * MS, 200, 0, 4711, [])]
    return run


def rendered(write: Any, width: int = 120) -> str:
    file = StringIO()
    write(build(web()), file, width=width, everything=True)
    return file.getvalue()


SENTENCE = "computing 20.0 ms, waiting 130 ms, of which sql 95.0 ms; CPU time was measured on 1 of 8"


def test_the_screen_says_it_below_the_transaction():
    """And in a column of the table."""
    shown = rendered(text.write)
    assert SENTENCE in shown
    header = next(line for line in shown.splitlines() if "spent on" in line)
    assert " CPU " in header


def test_markdown_says_it():
    """A line for each."""
    assert f"- `GET /` takes 150 ms: {SENTENCE}" in rendered(markdown.write)


def test_json_has_it_and_of_the_examples():
    """None where an example was not measured."""
    found = json.loads(rendered(json_format.write))["transactions"][0]
    assert found["computing"] == {
        "measured": 2,
        "computing_ns": 20 * MS,
        "beside_ns": 0,
        "waiting_ns": 130 * MS,
        "waiting_on": {"sql": 95 * MS},
        "share": pytest.approx(20 / 150),
    }
    assert [example["computed_ns"] for example in found["examples"]] == [21 * MS, None]


def test_two_runs_stand_side_by_side():
    """Where both were measured."""
    (row,) = diffs.build(web(), web()).computing
    assert (row.transaction, row.measured_a, row.computing_a_ns, row.waiting_b_ns) == ("GET /", 2, 20 * MS, 130 * MS)
    assert diffs.build(web(), runs.web()).computing == []


class Limit:
    """One limit on computing."""

    key, text, place = "computing", "20ms", "hookmon.toml:1"

    def __init__(self, number: float) -> None:
        self.number = number


class Budget:
    """A budget of one limit."""

    place = "hookmon.toml:1"

    def __init__(self, name: str, ms: float) -> None:
        self.name, self.limits = name, [Limit(ms * MS)]


@pytest.mark.parametrize(
    ("name", "ms", "verdict"),
    [("GET /", 20, "kept"), ("GET /", 19, "broken"), ("SELECT", 20, "not judged"), ("GET /boom", 20, "not judged")],
)
def test_a_budget_holds_it(name: str, ms: float, verdict: str):
    """Of transactions that were measured; nothing else has CPU time."""
    run = web()
    run.nodes.append(node(-1, "GET /boom", [MS], kind="request", entry=True))
    (row,) = check(run, [Budget(name, ms)]).rows
    assert row.verdict == verdict
    assert row.shown == ("20.0 ms" if verdict != "not judged" else "")
