"""`hookmon explain`: one finding with its evidence, the slowest example in which it occurs, and what to change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output, _time_range, _windows
from hookmon.core.errors import HookmonError
from hookmon.core.record import asdict

if TYPE_CHECKING:
    from hookmon.report.explain import Explanation


@click.command("explain", short_help="Explain a finding: evidence, an example, what to change.")
@click.argument("finding", default="1")
@click.argument("run", default="last", metavar="[RUN|SERVICE]")
@_time_range.options
@_output.as_json
def command(finding: str, run: str, last: str | None, since: str | None, until: str | None, as_json: bool) -> None:
    """Explain FINDING: the id of a finding in a report, its beginning, or its rank: 1 is the worst, and what no FINDING means.

    RUN is a number, a name, the path of a run file, or "last" for the newest, which is also what no RUN means. Of a SERVICE it is
    a finding of its last hour, or of the stretch that hookmon report showed: --last 10m, --since 14:00 --until 14:30.
    """
    from hookmon.report.explain import explain, find_near
    from hookmon.report.model import build
    from hookmon.report.titles import title_of

    found = _windows.find(run, (last, since, until))
    report = build(found)
    explanation = explain(report, finding)
    if explanation is None:
        meant = find_near(report, finding)
        others = f"it has {len(report.findings)}: hookmon report {run} --all" if report.findings else "it has none at all"
        hint = f"did you mean {meant}?" if meant and report.findings else others
        raise HookmonError(f"{title_of(found)} has no finding {finding!r}; {hint}", code="no-such-finding")
    if as_json:
        _output.print_json(asdict(explanation))
    else:
        _show(explanation)


def _show(explanation: Explanation) -> None:
    from hookmon.report.explain import MOST_STEPS
    from hookmon.report.sampled import write_rows
    from hookmon.report.screen import Column, Piece, Screen
    from hookmon.report.texts import count, duration
    from hookmon.report.transactions import trace_of

    finding, example = explanation.finding, explanation.example
    screen = Screen(sys.stdout)
    screen.paragraph(finding.title, "bold")
    aside = [(f"{finding.severity} · {finding.kind}", "dim"), (finding.location, "cyan")]
    aside += [(f"saves up to {duration(finding.saving_ns)} in the run", "")] if finding.saving_ns else []
    screen.flow([piece for piece in aside if piece[0]], between=" · ")
    screen.title("Evidence")
    screen.paragraph(finding.evidence)
    if example is not None:
        shown = explanation.steps[:MOST_STEPS]
        status = f", status {example.status}" if example.status else ""
        computed = "" if example.computed_ns is None else f", computing {duration(example.computed_ns)}"
        took = f"{duration(example.duration_ns)}{computed}{status}"
        screen.title("The slowest example", f"{finding.transaction}, {took}, process {example.pid}")
        if example.trace_id:
            screen.paragraph(trace_of(example))
        rows: list[list[Piece]] = []
        for step in shown:
            style = "bold" if step.is_meant else ""
            name = "  " * (step.depth - 1) + step.name + (f" ×{step.times}" if step.times > 1 else "")
            lane = "" if not step.lane else "beside"
            cells: list[Piece] = [(duration(step.start_ns), "dim"), (duration(step.duration_ns), style), (name, style)]
            rows.append([*cells, (lane, "dim"), (step.location, "cyan")])
        columns = [Column("at", rank=2), Column("took"), Column("call", least=24), Column("", rank=1), Column("from", least=16)]
        if rows:
            screen.table(columns, rows)
        left = len(explanation.steps) - len(shown)
        if left or example.left_out:
            hidden = [f"{count(left, 'more row')}" if left else "", f"{count(example.left_out)} shorter calls were not kept"]
            screen.line(("; ".join(text for text in hidden if text and (example.left_out or text is hidden[0])), "dim"))
    write_rows(screen, explanation.sampled, "Computing, by samples")
    screen.title("What to change")
    for text in explanation.changes:
        screen.paragraph(text)
    screen.write()
