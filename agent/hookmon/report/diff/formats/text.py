"""The diff on a screen: the verdict, counts that changed, times that changed; what is within noise is one line."""

from __future__ import annotations

from shlex import join
from typing import TextIO

from hookmon.report.cells import cell_len
from hookmon.report.diff.model import CHANGED, FASTER, SLOWER, CountRow, Diff, TimeRow
from hookmon.report.diff.sides import Side
from hookmon.report.diff.wording import ONLY, count_cells, durations, interval, ratio_text, reach, summarize_unchanged, verdict
from hookmon.report.diff.wording import change as said
from hookmon.report.findings import Finding
from hookmon.report.requests import fitted_title
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.texts import count, duration, ending, short_place

MOST_ROWS = 20

_STYLES = {SLOWER: "red", FASTER: "green"}


def write(diff: Diff, file: TextIO, *, width: int | None, everything: bool) -> None:
    """Write the screen."""
    screen = Screen(file, width)
    for letter, side in (("A", diff.a), ("B", diff.b)):
        _head(screen, letter, side)
    screen.line()
    screen.paragraph(f"{verdict(diff)}.".capitalize(), "bold")
    for reason in diff.apart:
        screen.paragraph(f"Not comparable: {reason}.", "yellow")
    for note in diff.notes:
        screen.paragraph(f"{note[0].upper()}{note[1:]}.", "dim")
    if reach(diff):
        screen.paragraph(reach(diff), "dim")
    _findings(screen, "New findings", diff.new_findings)
    _findings(screen, "Findings that are gone", diff.gone_findings)
    _counts(screen, diff, everything)
    _times(screen, diff, everything)
    _computing(screen, diff, everything)
    lines = [] if everything else summarize_unchanged(diff)
    if lines:
        screen.title("Not shown", "--all shows them")
        for line in lines:
            screen.paragraph(line, "dim")
    screen.write()


def _head(screen: Screen, letter: str, side: Side) -> None:
    if side.window:
        version = [(f"version {side.version}", "dim")] if side.version else []
        command: list[Piece] = [(join(side.command), "dim")] if side.command else []
        head: list[Piece] = [(f"{letter}  {side.service}", "bold"), (side.window, ""), (duration(side.duration_ns), ""), *version]
        screen.flow([*head, *command], between=" · ", indent=3)
        return
    name = f" {side.name}" if side.name else ""
    end = ending(side.exit_code, "exit code unknown")
    screen.flow(
        [
            (f"{letter}  run {side.id}{name}", "bold"),
            (join(side.command), ""),
            (side.started_at[:16].replace("T", " "), "dim"),
            (duration(side.duration_ns), ""),
            (end, "" if side.exit_code == 0 else "yellow"),
        ],
        between=" · ",
        indent=3,
    )
    if side.account:
        screen.flow([("  ", ""), *((word, "dim") for word in side.account.split(" "))], indent=5)


def _findings(screen: Screen, title: str, found: list[Finding]) -> None:
    if found:
        screen.title(title)
        for finding in found[:MOST_ROWS]:
            place = short_place(finding.location)
            title = fitted_title(finding, screen.room - len(finding.id) - 2 - (cell_len(place) + 2 if place else 0))
            screen.line((f"{finding.id}  ", "dim"), (title, ""), *([("  " + place, "cyan")] if place else []))


def _counts(screen: Screen, diff: Diff, everything: bool) -> None:
    rows = diff.counts if everything else diff.changed_counts
    if not rows:
        return
    shown = rows if everything else rows[:MOST_ROWS]
    more = f", {count(len(rows) - len(shown))} more with --all" if len(shown) < len(rows) else ""
    screen.title("Counts", f"exact; calls in each transaction, in (main) in the whole run{more}")
    columns = [Column("in", least=16), Column("call", least=20), Column("A"), Column("B"), Column("", least=7)]
    screen.table(columns, [_count(row) for row in shown])


def _count(row: CountRow) -> list[Piece]:
    a, b = count_cells(row)
    beside = {"": "", "concurrent": " (beside)", "after": " (after)"}.get(row.place, "")
    word = ONLY["only in B"] if not row.calls_a else ONLY["only in A"] if not row.calls_b else "changed" if row.changed else ""
    name = row.name + beside if row.name else f"(the {row.kind or 'transaction'} itself)"
    return [(row.transaction, ""), (name, ""), (a, ""), (b, "bold" if row.changed else ""), (word, "yellow")]


def _times(screen: Screen, diff: Diff, everything: bool) -> None:
    rows = [row for row in diff.times if everything or row.verdict in CHANGED or row.verdict in ONLY]
    if not rows:
        return
    shown = rows if everything else rows[:MOST_ROWS]
    more = f", {count(len(rows) - len(shown))} more with --all" if len(shown) < len(rows) else ""
    screen.title("Times", f"of a typical call, or p95 where that tells more{more}")
    columns = [
        Column("name", least=18),
        Column("", rank=3),
        Column("A"),
        Column("B"),
        Column("change"),
        Column("between", rank=1),
        Column("total A", rank=4),
        Column("total B", rank=4),
        Column("", least=12),
    ]
    screen.table(columns, [_time(row) for row in shown])


def _computing(screen: Screen, diff: Diff, everything: bool) -> None:
    rows = diff.computing if everything else diff.changed_computing[:MOST_ROWS]
    if not rows:
        return
    screen.title("Computing or waiting", "CPU time of a transaction and the rest of its time, on average")
    titles = ("computing A", "computing B", "waiting A", "waiting B")
    columns = [Column("name", least=18), *(Column(title) for title in titles)]
    times = [(row.computing_a_ns, row.computing_b_ns, row.waiting_a_ns, row.waiting_b_ns) for row in rows]
    screen.table(
        columns, [[(row.transaction, ""), *((duration(ns), "") for ns in own)] for row, own in zip(rows, times, strict=True)]
    )


def _time(row: TimeRow) -> list[Piece]:
    figure, ratio = ratio_text(row)
    a, b = durations(row)
    cells: list[Piece] = [(row.name, "bold" if row.is_transaction else ""), (figure, "dim")]
    cells += [(a if row.calls_a else "–", ""), (b if row.calls_b else "–", "")]
    cells += [(said(ratio.value) if ratio else "–", _STYLES.get(row.verdict, "")), (interval(ratio), "dim")]
    cells += [(duration(row.total_a_ns), "dim"), (duration(row.total_b_ns), "dim")]
    return [*cells, (row.verdict, _STYLES.get(row.verdict, "dim"))]
