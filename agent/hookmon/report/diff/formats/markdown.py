"""The diff for a pull request. Foreign text stands in code spans, where it cannot mention, link or format."""

from __future__ import annotations

from typing import TextIO

from hookmon.report.diff.model import CHANGED, Diff
from hookmon.report.diff.sides import Side
from hookmon.report.diff.wording import (
    ONLY,
    change,
    count_cells,
    durations,
    interval,
    ratio_text,
    reach,
    summarize_unchanged,
    verdict,
)
from hookmon.report.findings import Finding
from hookmon.report.formats.markdown import code, plain
from hookmon.report.texts import count, duration

MOST_ROWS = 25


def write(diff: Diff, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # no screen
    """Write the verdict, the counts and times that changed, and how many did not."""
    sides = [_name(side) for side in (diff.a, diff.b)]
    lines = [f"**{sides[0]} → {sides[1]}**: {verdict(diff)}", ""]
    lines += [f"- {name}: {plain(side.account)}" for name, side in zip(sides, (diff.a, diff.b), strict=True) if side.account]
    lines += [f"- Not comparable: {code(reason)}" for reason in diff.apart]
    lines += [f"- {note}" for note in diff.notes]
    lines += [_finding("New", finding) for finding in diff.new_findings]
    lines += [_finding("Gone", finding) for finding in diff.gone_findings]
    lines += [
        *_counts(diff, everything),
        *_times(diff, everything),
        *_computing(diff, everything),
        "",
        *summarize_unchanged(diff),
    ]
    if reach(diff):
        lines += ["", reach(diff)]
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write("\n".join([*lines, ""]).encode(encoding, "backslashreplace").decode(encoding))


def _finding(word: str, found: Finding) -> str:
    place = f", {code(found.location)}" if found.location else ""
    return f"- {word} finding: {code(found.title)}{place} ({code(found.id)})"


def _counts(diff: Diff, everything: bool) -> list[str]:
    rows = diff.counts if everything else diff.changed_counts
    shown = rows if everything else rows[:MOST_ROWS]
    lines = ["", "| Calls in | of | A | B |", "|:--|:--|--:|--:|"] if shown else []
    for row in shown:
        a, b = count_cells(row)
        name = code(row.name, in_table=True) if row.name else "itself"
        lines.append(f"| {code(row.transaction, in_table=True)} | {name} | {a} | {b} |")
    return [*lines, *_more(len(rows) - len(shown))]


def _times(diff: Diff, everything: bool) -> list[str]:
    rows = [row for row in diff.times if everything or row.verdict in CHANGED or row.verdict in ONLY]
    shown = rows if everything else rows[:MOST_ROWS]
    lines = ["", "| Time of | | A | B | Change | Between | |", "|:--|:--|--:|--:|--:|--:|:--|"] if shown else []
    for row in shown:
        figure, ratio = ratio_text(row)
        a, b = durations(row)
        said = change(ratio.value) if ratio else "–"
        cells = [code(row.name, in_table=True), figure, a, b, said, interval(ratio), row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, *_more(len(rows) - len(shown))]


def _computing(diff: Diff, everything: bool) -> list[str]:
    """Return where a change comes from: the CPU time of a transaction and the rest of its time, on average."""
    rows = diff.computing if everything else diff.changed_computing[:MOST_ROWS]
    lines = ["", "| Transaction | Computing A | B | Waiting A | B |", "|:--|--:|--:|--:|--:|"] if rows else []
    for row in rows:
        times = (row.computing_a_ns, row.computing_b_ns, row.waiting_a_ns, row.waiting_b_ns)
        lines.append(f"| {code(row.transaction, in_table=True)} | {' | '.join(map(duration, times))} |")
    return lines


def _more(hidden: int) -> list[str]:
    return ["", f"… and {count(hidden)} more."] if hidden else []


def _name(side: Side) -> str:
    if side.window:
        return f"{code(side.service)} {side.window}"
    return f"run {side.id}" + (f" {code(side.name)}" if side.name else "")
