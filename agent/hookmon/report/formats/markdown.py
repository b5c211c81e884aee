"""The report for a pull request or an issue. Foreign text stands in code spans, where it cannot mention, link or format."""

from __future__ import annotations

import re
from shlex import join
from typing import TextIO

from hookmon.report.model import Report
from hookmon.report.notes import in_flight_text
from hookmon.report.sampled import flaws_of, lines_of, shown_of, title_of
from hookmon.report.texts import count, duration, ending, fine_percent, on_one_line, percent, short_place

MOST_CALLS = 25

_TITLES = ("Name", "Calls", "Total", "Self", "Mean", "p50", "p95", "p99", "Max", "Errors")

UNREAD = ("examples", "samples")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # no screen
    """Write the header line, the calls and what is to be noted."""
    text = "\n".join(
        [
            *_head(report),
            *_kinds(report),
            *_calls(report, everything),
            *_samples(report, everything),
            *_notes(report, everything),
            "",
        ]
    )
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span that it cannot end."""
    text = on_one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") or not text else ""
    span = f"{fence}{edge}{text}{edge}{fence}"
    return span.replace("|", "\\|") if in_table else span


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|&~])", r"\\\1", on_one_line(text))


def _head(report: Report) -> list[str]:
    header = report.header
    share_of = "CPU time" if header.cpu_ns else "the duration"
    parts = [
        duration(header.duration_ns),
        ending(header.exit_code, header.ending),
        count(header.processes, "process"),
        f"run {header.id}" + (f" {code(header.name)}" if header.name else ""),
    ]
    if header.overhead_is_known:
        cost = f"hookmon's own cost {duration(header.overhead_ns)}, {fine_percent(header.overhead_share)} of {share_of}"
        parts.append(cost)
    return [f"**{code(join(header.command))}** · " + " · ".join(parts)]


def _kinds(report: Report) -> list[str]:
    shares = [f"{_plain(row.kind)} {duration(row.self_ns)} ({percent(row.share)})" for row in report.kinds]
    return ["", "Self time by kind: " + ", ".join(shares)] if shares else []


def _calls(report: Report, everything: bool) -> list[str]:
    if not report.calls:
        return ["", *map(_plain, report.nothing)]
    shown = report.names if everything else report.names[:MOST_CALLS]
    lines = ["", f"| {' | '.join(_TITLES)} |", "|:--|" + "--:|" * (len(_TITLES) - 1)]
    for row in shown:
        of = row.figures
        times = (of.total_ns, of.self_ns, of.mean_ns, of.p50_ns, of.p95_ns, of.p99_ns, of.max_ns)
        cells = [code(row.name, in_table=True), count(of.calls), *map(duration, times), count(of.errors)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(shown) < len(report.names):
        lines += ["", f"… and {count(len(report.names) - len(shown))} more names."]
    return lines


def _samples(report: Report, everything: bool) -> list[str]:
    sampling = report.sampling
    shown = shown_of(sampling.calls, everything=everything)
    if not shown:
        return []
    lines = ["", f"Computing, by {count(sampling.samples, 'sample')}, {sampling.rate} a second; what waits is in none:"]
    lines += ["", "| In | Samples | Share | Function |", "|:--|--:|--:|:--|"]
    for row in shown:
        lines.append(f"| {code(title_of(row), in_table=True)} | {count(row.samples)} | {percent(row.share)} | |")
        for line in lines_of(row, everything=everything):
            place = code(short_place(line.location), in_table=True)
            function = code(line.function, in_table=True)
            lines.append(f"| · {place} | {count(line.samples)} | {percent(line.share)} of these | {function} |")
    left = sum(row.samples for row in sampling.calls) - sum(row.samples for row in shown)
    flaws = flaws_of(sampling)
    return lines + (["", f"… and {count(left, 'sample')} in more rows."] if left else []) + (["", f"{flaws}."] if flaws else [])


def _notes(report: Report, everything: bool) -> list[str]:
    found = [(f"{code(note.subject)}: " if note.subject else "") + note.text for note in report.notes]
    for call in report.in_flight:
        name = call.stack[-1][0] if call.stack else "(unknown)"
        found.append(f"In flight: {code(name)} {in_flight_text(call, report.header.state)} (process {call.pid}).")
    failed = [row for group in report.groups for row in group.failed if everything or not group.pack]
    failed += [row for group in report.groups for row in group.absent if not group.pack]
    found += [f"Watch {row.status}: {code(row.target)}" + (f" – {code(row.detail)}" if row.detail else "") for row in failed]
    found += [f"Blind spot, {code(spot.kind)}: {code(spot.detail)}" for spot in report.blind_spots]
    found += [f"Still running: {code(line)}" for line in report.still_running]
    most = len(found) if everything else 20
    more = [f"- … and {count(len(found) - most)} more"] if len(found) > most else []
    return ["", *(f"- {line}" for line in found[:most]), *more] if found else []
