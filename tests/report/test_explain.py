"""A finding with its evidence, the slowest example that has it, and what to change."""

from __future__ import annotations

import runs
from runs import MS

from hookmon.collector.store import Example
from hookmon.report.explain import explain, find_near
from hookmon.report.model import Report, build


def report() -> Report:
    """Return a run with three examples: the slowest has no query of the loop in it."""
    run = runs.web()
    run.project = "/srv/shop"

    def example(duration_ns: int, spans: list[tuple[int, int, int, int]]) -> Example:
        return Example(0, 0, duration_ns, 200, 0, 4711, spans)

    loop = [(1, 0, 0, 40 * MS), *((2, 0, at * MS, MS) for at in range(20)), (3, 0, 21 * MS, MS)]
    run.examples = [example(90 * MS, [(1, 0, 0, 80 * MS)]), example(50 * MS, loop), example(45 * MS, loop)]
    return build(run)


def repetition(found: Report) -> str:
    return next(finding.id for finding in found.findings if finding.kind == "repetition")


def test_the_slowest_example_that_has_the_call_is_shown():
    """Calls of one line in a row are one step; the step that is meant is marked."""
    found = report()
    explanation = explain(found, repetition(found))
    assert explanation is not None
    assert explanation.example is not None
    assert explanation.example.duration_ns == 50 * MS
    steps = [(step.name, step.times, step.duration_ns, step.depth, step.location, step.is_meant) for step in explanation.steps]
    assert steps == [
        ("view", 1, 40 * MS, 1, "", False),
        ("SELECT name", 20, 20 * MS, 2, "views.py:31", True),
        ("SELECT name", 1, MS, 2, "views.py:40", False),
    ]


def test_what_to_change_depends_on_the_kind_of_call():
    """A loop of queries becomes one query."""
    found = report()
    explanation = explain(found, repetition(found))
    assert explanation is not None
    assert "WHERE id IN" in explanation.changes[0]
    assert "hookmon diff" in explanation.changes[-1]


def test_every_finding_of_a_run_can_be_explained():
    """Each with something to do about it."""
    found = report()
    assert {finding.kind for finding in found.findings} >= {"repetition", "waiting", "errors"}
    for finding in found.findings:
        explanation = explain(found, finding.id)
        assert explanation is not None
        assert len(explanation.changes) == 2


def test_a_finding_of_which_no_example_was_kept_has_none():
    """Its evidence stands alone."""
    found = report()
    waiting = next(finding.id for finding in found.findings if finding.kind == "waiting")
    explanation = explain(found, waiting)
    assert explanation is not None
    assert (explanation.example, explanation.steps) == (None, [])


def test_an_unknown_id_has_a_near_one():
    """A digit that is missing."""
    found = report()
    id = repetition(found)
    assert explain(found, id[:-1] + "x") is None
    assert find_near(found, id[:-1] + "x") == id
    assert find_near(found, "zzz") == ""


def test_a_finding_is_meant_by_its_id_the_beginning_of_it_or_its_rank():
    """As long as that is of one alone; the worst is the first."""
    found = report()
    worst, *others = found.findings
    for which in (worst.id, worst.id[:-2], "1"):
        explanation = explain(found, which)
        assert explanation is not None
        assert explanation.finding is worst
    last = explain(found, str(len(found.findings)))
    assert last is not None
    assert last.finding is others[-1]
    for which in ("0", str(len(found.findings) + 1), "", "e-", "-1", "9" * 5_000):
        assert explain(found, which) is None
