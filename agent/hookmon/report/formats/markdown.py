"""The report for a pull request or an issue. Foreign text stands in code spans, where it cannot mention, link or format."""

from __future__ import annotations

import re
from shlex import join

from hookmon.report.account import sentence as account_sentence
from hookmon.report.account import warning
from hookmon.report.computing import sentence
from hookmon.report.imports import most_time
from hookmon.report.model import Report
from hookmon.report.notes import in_flight_text
from hookmon.report.own import MOST_FUNCTIONS, calls_of, name_of
from hookmon.report.pure_engine import remark_of
from hookmon.report.sampled import flaws_of, lines_of, shown_of, title_of
from hookmon.report.signals import quantity
from hookmon.report.statuses import says_something, summary
from hookmon.report.texts import count, duration, ending, fine_percent, on_one_line, percent, short_place

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

MOST_CALLS = 25
MOST_IMPORTS = 20
MOST_TRANSACTIONS = 8

_WHERE = "Where"
_TITLES = ("Name", _WHERE, "Calls", "Total", "Self", "Mean", "p50", "p95", "p99", "Max", "Errors")

UNREAD = ("examples", "samples")


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:  # noqa: ARG001  # no screen
    """Write the header line, the calls and what is to be noted."""
    tables = [
        *_computing(report, everything),
        *_statuses(report, everything),
        *_calls(report, everything),
        *_samples(report, everything),
        *_imports(report, everything),
        *_signals(report, everything),
    ]
    head = [*_head(report), *_account(report), *_engine(report), *_kinds(report), *_own(report)]
    text = "\n".join([*head, *tables, *_notes(report, everything), ""])
    encoding = getattr(file, "encoding", None) or "utf-8"
    file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span that it cannot end."""
    text = on_one_line(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") or not text else ""
    span = f"{fence}{edge}{text}{edge}{fence}"
    return span.replace("|", "\\|") if in_table else span


def plain(text: str) -> str:
    """Return text that means what it says."""
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
    if header.window:
        version = [f"version {plain(header.version)}"] if header.version else []
        parts = [
            header.window,
            duration(header.duration_ns),
            count(header.processes, "start"),
            *version,
            code(join(header.command)),
        ]
        return [f"**{code(header.service)}** · " + " · ".join(parts)]
    return [f"**{code(join(header.command))}** · " + " · ".join(parts)]


def _account(report: Report) -> list[str]:
    account = report.account
    if account is None:
        return []
    lines = ["", f"{plain(account_sentence(account))}."]
    if account.command:
        lines += ["", f"To see the rest: {code(account.command)}"]
    if text := warning(account):
        lines += ["", f"**{plain(text)}**"]
    return lines


def _engine(report: Report) -> list[str]:
    remark = remark_of(report)
    if remark is None:
        return []
    commands = f"{plain(remark.text)} {', '.join(map(code, remark.commands))}" if remark.commands else ""
    return [line for text in (commands, *map(plain, remark.more)) if text for line in ("", text)]


def _kinds(report: Report) -> list[str]:
    shares = [f"{plain(row.kind)} {duration(row.self_ns)} ({percent(row.share)})" for row in report.kinds]
    return ["", "Self time by kind: " + ", ".join(shares)] if shares else []


def _own(report: Report) -> list[str]:
    """Return who has most time of a run with --own, and the tree that leads there."""
    if report.own is None or not report.own.tree:
        return []
    lines = ["", "| Self | Share | Calls | Own function | Where |", "|--:|--:|--:|:--|:--|"]
    for function in report.own.functions[:MOST_FUNCTIONS]:
        cells = [duration(function.self_ns), percent(function.self_share), calls_of(function)]
        lines.append(f"| {' | '.join(cells)} | {code(function.name, in_table=True)} | {code(function.location, in_table=True)} |")
    lines += ["", "| Total | Share | Calls | Call tree | Where |", "|--:|--:|--:|:--|:--|"]
    for row in report.own.tree:
        cells = [duration(row.total_ns), percent(row.share), calls_of(row)]
        name = f"… {count(row.hidden)} more" if row.hidden else code(name_of(row), in_table=True)
        where = code(row.location, in_table=True) if row.location else ""
        lines.append(f"| {' | '.join(cells)} | {'&nbsp;&nbsp;' * row.depth}{name} | {where} |")
    return lines


def _computing(report: Report, everything: bool) -> list[str]:
    """Return a line for each transaction whose CPU time was measured: most time first."""
    rows = [row for row in report.transactions if row.computing]
    shown = rows if everything else rows[:MOST_TRANSACTIONS]
    lines = [
        f"- {code(row.name)} takes {duration(row.figures.mean_ns)}: {sentence(row.computing, row.figures.calls)}"
        for row in shown
        if row.computing
    ]
    if len(shown) < len(rows):
        lines.append(f"- … and {count(len(rows) - len(shown))} more")
    return ["", *lines] if lines else []


def _statuses(report: Report, everything: bool) -> list[str]:
    """Return a line for each transaction with more than success: most time first."""
    rows = [row for row in report.transactions if says_something(row.statuses)]
    shown = rows if everything else rows[:MOST_TRANSACTIONS]
    lines = [f"- {code(row.name)} by status: {plain(summary(row.statuses))}" for row in shown]
    if len(shown) < len(rows):
        lines.append(f"- … and {count(len(rows) - len(shown))} more")
    return ["", *lines] if lines else []


def _calls(report: Report, everything: bool) -> list[str]:
    if not report.names:
        return ["", *map(plain, report.nothing)]
    shown = report.names if everything else report.names[:MOST_CALLS]
    has_places = any(row.location for row in shown)
    titles = [title for title in _TITLES if has_places or title != _WHERE]
    texts = 2 if has_places else 1
    lines = ["", f"| {' | '.join(titles)} |", "|" + ":--|" * texts + "--:|" * (len(titles) - texts)]
    for row in shown:
        of = row.figures
        times = (of.total_ns, of.self_ns, of.mean_ns, of.p50_ns, of.p95_ns, of.p99_ns, of.max_ns)
        place = [code(short_place(row.location), in_table=True) if row.location else ""] if has_places else []
        cells = [code(row.name, in_table=True), *place, count(of.calls), *map(duration, times), count(of.errors)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(shown) < len(report.names):
        lines += ["", f"… and {count(len(report.names) - len(shown))} more names."]
    return lines


def _imports(report: Report, everything: bool) -> list[str]:
    if not report.imports:
        return []
    shown = report.imports if everything else most_time(report.imports, MOST_IMPORTS)
    lines = ["", "| Import | Total | Self | Imports | Errors |", "|:--|" + "--:|" * 4]
    for row in shown:
        name = "\u2003" * row.depth + code(row.name, in_table=True)  # an em space, which no table takes away
        lines.append(
            f"| {name} | {duration(row.total_ns)} | {duration(row.self_ns)} | {count(row.imports)} | {count(row.errors)} |"
        )
    if len(shown) < len(report.imports):
        lines += ["", f"… and {count(len(report.imports) - len(shown))} more imports."]
    return lines


def _signals(report: Report, everything: bool) -> list[str]:
    if not report.signals:
        return []
    shown = report.signals if everything else report.signals[:MOST_CALLS]
    lines = ["", "| Signal | Kind | Count | Value | Mean | p50 | p95 | Max |", "|:--|:--|" + "--:|" * 6]
    for row in shown:
        is_spread = row.kind == "histogram"
        cells = [code(row.name, in_table=True), row.kind, count(row.count), plain(quantity(row.value, row.unit))]
        cells += [plain(quantity(value, row.unit)) if is_spread else "–" for value in (row.mean, row.p50, row.p95)]
        cells.append(plain(quantity(row.max, row.unit)) if row.kind != "counter" else "–")
        lines.append(f"| {' | '.join(cells)} |")
    if len(shown) < len(report.signals):
        lines += ["", f"… and {count(len(report.signals) - len(shown))} more signals."]
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
