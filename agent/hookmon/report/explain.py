"""One finding with all that is known of it. In: a report and an id. Out: an Explanation, plain data."""

from __future__ import annotations

from difflib import get_close_matches

from hookmon.core.record import Record, field
from hookmon.report.advice import advice
from hookmon.report.findings import Finding
from hookmon.report.model import Report
from hookmon.report.samples import SampledCall
from hookmon.report.texts import location
from hookmon.report.transactions import ChildRow, ExampleRow, SpanRow, TransactionRow

MOST_STEPS = 30


class Step(Record, slots=True):
    """Spans of an example that stand in a row and are the same call: `times` of them, `duration_ns` together."""

    name: str
    kind: str
    location: str
    depth: int
    lane: int
    start_ns: int
    duration_ns: int
    times: int
    is_meant: bool  # the finding is about this call


class Explanation(Record, slots=True):
    """`example` is the slowest one that has the call in it, None where none was kept; its spans are in `steps`, folded.

    `sampled` are the samples that may belong to the transaction, by the watched calls that they fall under.
    """

    finding: Finding
    changes: list[str]
    example: ExampleRow | None
    steps: list[Step]
    sampled: list[SampledCall] = field(default_factory=list)


def find_near(report: Report, id: str) -> str:
    """Return the id that was probably meant, "" for none."""
    found = get_close_matches(id, [finding.id for finding in report.findings], n=1, cutoff=0.6)
    return found[0] if found else ""


def find(report: Report, which: str) -> Finding | None:
    """Return the finding of an id, of the beginning of one and no other, or of a rank, counted from 1; None for none."""
    exact = [finding for finding in report.findings if finding.id == which]
    begun = {finding.id: finding for finding in report.findings if which and finding.id.startswith(which)}
    if exact or len(begun) == 1:
        return (exact or list(begun.values()))[0]
    is_rank = which.isascii() and which.isdecimal() and 0 < int(which[:9]) <= len(report.findings)
    return report.findings[int(which) - 1] if is_rank else None


def explain(report: Report, which: str) -> Explanation | None:
    """Return what is known of a finding, None when the report has none of that id or rank."""
    finding = find(report, which)
    if finding is None:
        return None
    row = next((transaction for transaction in report.transactions if transaction.name == finding.transaction), None)
    child = _child(row, finding, report.header.project) if row else None
    example = _example(row, finding, child) if row else None
    steps = _steps(example, finding, child, report.header.project) if example else []
    sampled = [call for call in report.sampling.calls if finding.transaction in call.transactions]
    return Explanation(finding, advice(finding, child.kind if child else ""), example, steps, sampled)


def _child(row: TransactionRow, finding: Finding, project: str) -> ChildRow | None:
    named = [child for child in row.children if child.name == finding.call]
    exact = [child for child in named if location(child.call_site, project) == finding.location]
    return next(iter(exact or named), None)


def _example(row: TransactionRow, finding: Finding, child: ChildRow | None) -> ExampleRow | None:
    """Return the slowest example with the call in it; of a finding about the transaction itself, the slowest."""
    examples = sorted(row.examples, key=lambda example: -example.duration_ns)
    if not finding.call:
        failed = [example for example in examples if example.status >= 500]
        return next(iter(failed or examples), None)
    return next((example for example in examples if any(_is_meant(span, finding, child) for span in example.spans)), None)


def _is_meant(span: SpanRow, finding: Finding, child: ChildRow | None) -> bool:
    return bool(finding.call) and span.name == finding.call and (child is None or span.call_site == child.call_site)


def _steps(example: ExampleRow, finding: Finding, child: ChildRow | None, project: str) -> list[Step]:
    """Return the calls of an example, equal ones behind each other in one step. A part does not come between two of them."""
    steps: list[Step] = []
    parts: list[Step] = []  # those behind the last step that is no part
    for span in example.spans:
        key = (span.name, span.kind, location(span.call_site, project), span.depth, span.lane)
        last = len(steps) - len(parts) - 1  # of those that are no part
        near = parts if span.part else steps[last : last + 1]
        same = next((step for step in near if key == (step.name, step.kind, step.location, step.depth, step.lane)), None)
        if same is not None:
            same.times += 1
            same.duration_ns += span.duration_ns
            continue
        steps.append(Step(*key, span.start_ns, span.duration_ns, 1, _is_meant(span, finding, child)))
        parts = [*parts, steps[-1]] if span.part else []
    return steps
