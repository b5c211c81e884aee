"""The part of the screen that shows samples: where transactions and calls compute, line by line.

In: Sampling. Out: lines on a Screen. Nothing that is counted stands in the same table.
"""

from __future__ import annotations

from hookmon.report.samples import LineRow, SampledCall, Sampling
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.texts import count, duration, percent, short_place
from hookmon.report.transactions import MAIN

MOST_CALLS = 8
MOST_LINES = 4
_LEAST_SHARE = 0.02
_FLAW = 0.01
_BUSY = 1.5


def write_samples(screen: Screen, sampling: Sampling, *, everything: bool) -> None:
    """Write the sampled calls with their lines; nothing where nothing was sampled."""
    if not sampling.samples:
        return
    title = f"{count(sampling.samples)} at {sampling.rate} a second; what waits is in none"
    shown = write_rows(screen, sampling.calls, "Computing, by samples", title, flaws_of(sampling), everything=everything)
    left = sum(row.samples for row in sampling.calls[shown:])
    if left:
        rows = count(len(sampling.calls) - shown, "more row")
        screen.line((f"… and {count(left, 'sample')} in {rows}, with --all", "dim"))


def write_rows(
    screen: Screen, calls: list[SampledCall], title: str, aside: str = "", note: str = "", *, everything: bool = False
) -> int:
    """Write a table of sampled calls, each with its lines; return how many are shown, which are the first."""
    shown = shown_of(calls, everything=everything)
    if not shown:
        return 0
    screen.title(title, aside)
    if note:
        screen.paragraph(note, "dim", indent=2)
    cells: list[list[Piece]] = []
    for row in shown:
        cells.append([(title_of(row), "bold"), (count(row.samples), ""), (percent(row.share), "bold"), ("", ""), ("", "")])
        cells += [line_cells(line) for line in lines_of(row, everything=everything)]
    screen.table(COLUMNS, cells)
    return len(shown)


def shown_of(calls: list[SampledCall], *, everything: bool) -> list[SampledCall]:
    """Return the calls to be shown: the first of those that matter."""
    return [row for at, row in enumerate(calls) if everything or (at < MOST_CALLS and row.share >= _LEAST_SHARE)]


COLUMNS = [
    Column("in", least=24),
    Column("samples", rank=2),
    Column("share"),
    Column("function", rank=1, begins=True),
    Column("calls there", rank=3, begins=True),
]
"""Of tables of samples. A line's share is of the row that it stands under."""


def flaws_of(sampling: Sampling) -> str:
    """Say what is wrong with the samples, "" where that is little."""
    parts = []
    if sampling.lost > _FLAW * sampling.samples:
        parts.append(f"{percent(sampling.lost / (sampling.samples + sampling.lost))} of the samples could not be read")
    if sampling.mended > _FLAW * sampling.samples:
        share = percent(sampling.mended / sampling.samples)
        parts.append(f"of {share} a part of the stack was lost, and is put back as the others have it")
    if sampling.cpu_ns and sampling.ready_ns > _BUSY * sampling.cpu_ns:
        parts.append(f"they stand for {duration(sampling.ready_ns)}, of which {duration(sampling.cpu_ns)} had a processor")
    return "; ".join(parts)


def title_of(row: SampledCall) -> str:
    """Return the call and its transaction in words."""
    if row.transaction == row.name:
        return f"{row.name}: its own code"
    return row.name if row.transactions == [MAIN] else f"{row.transaction}: {row.name}"


def lines_of(row: SampledCall, *, everything: bool) -> list[LineRow]:
    """Return the lines to be shown: those that matter, and at least one."""
    if everything:
        return row.lines
    return [line for at, line in enumerate(row.lines[:MOST_LINES]) if not at or line.share >= _LEAST_SHARE]


def line_cells(line: LineRow) -> list[Piece]:
    """Return a line as a row of a table."""
    caller = f", from {short_place(line.caller)}" if line.caller else ""
    return [
        (f"  {short_place(line.location)}{caller}", "cyan"),
        (count(line.samples), "dim"),
        (percent(line.share), ""),
        (line.function, ""),
        (", ".join(line.calls), "dim"),
    ]
