"""The report for a terminal, or for whatever plain text is piped into."""

from __future__ import annotations

from shlex import join

from hookmon.collector.store import Process
from hookmon.report.calls import KindRow
from hookmon.report.cells import cell_len
from hookmon.report.head import write_head
from hookmon.report.imports import most_time
from hookmon.report.model import Report
from hookmon.report.notes import in_flight_text
from hookmon.report.own_screen import write_own
from hookmon.report.requests import write_details, write_findings, write_requests
from hookmon.report.sampled import write_samples
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.signals import quantity
from hookmon.report.texts import count, duration, ending, listing, on_one_line, percent, short_place, size
from hookmon.report.transactions import MAIN
from hookmon.report.watches import WatchGroup

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TextIO

MOST_CALLS = 25
MOST_IMPORTS = 20
MOST_PROCESSES = 8
MOST_LINES = 10

_LONGEST_PACK = 16
_STATES = {"gone": "end not seen"}
_WHERE = 10  # the column of places in the table of calls

_BAD = "red"
_ODD = "yellow"
_QUIET = "dim"
_UNKNOWN = "–"

UNREAD = ("samples",)


def write(report: Report, file: TextIO, *, width: int | None, everything: bool) -> None:
    """Write the whole screen."""
    screen = Screen(file, width)
    write_head(screen, report)
    if report.nothing:
        screen.line()
    for line in report.nothing:
        screen.paragraph(line, _ODD if line == report.nothing[0] else "")
    if report.own is not None and report.own.tree:
        _more(screen, report, write_own(screen, report.own, everything=everything))
    if any(row.name != MAIN for row in report.transactions):
        _more(screen, report, write_requests(screen, report.transactions, everything=everything))
        _more(screen, report, write_findings(screen, report.findings, everything=everything))
        write_details(screen, report.transactions, report.header.project, everything=everything)
    elif report.findings:
        _more(screen, report, write_findings(screen, report.findings, everything=everything))
    if report.calls:
        _kinds(screen, report)
    if report.names and (report.own is None or everything):
        _calls(screen, report, everything)
    write_samples(screen, report.sampling, everything=everything)
    _imports(screen, report, everything)
    _signals(screen, report, everything)
    _in_flight(screen, report, everything)
    _processes(screen, report, everything)
    _watched(screen, report, everything)
    _notes(screen, report, everything)
    _next(screen, report)
    screen.write()


def _more(screen: Screen, report: Report, hidden: int) -> None:
    if hidden > 0:
        how = f"hookmon report {report.header.id} --all" if report.header.id else "--all shows them"
        screen.line((f"… and {count(hidden)} more: {how}", _QUIET))


def _kinds(screen: Screen, report: Report) -> None:
    whole_ns = sum(max(0, row.self_ns) for row in report.kinds)
    longest = max(10, min(60, screen.width - max(50, *(28 + len(_calls_and_waits(row)) for row in report.kinds))))
    ran, what = duration(report.header.duration_ns), "in" if report.header.window else "the run took"
    screen.title("Time in watched calls", f"{duration(whole_ns)} of self time, all threads and tasks together; {what} {ran}")
    rows: list[list[Piece]] = []
    for row in report.kinds:
        halves = round(row.share * longest * 2)
        bar = "█" * (halves // 2) + "▌" * (halves % 2)
        rows.append(
            [
                (row.kind, ""),
                (bar, "cyan"),
                (duration(row.self_ns), ""),
                (percent(row.share), ""),
                (_calls_and_waits(row), _QUIET),
            ]
        )
    screen.table([Column("", least=8), Column("", rank=2, least=longest), Column(""), Column(""), Column("", rank=1)], rows)


def _calls_and_waits(row: KindRow) -> str:
    waits = count(row.waits, "wait") if row.waits else ""
    return ", ".join(filter(None, (count(row.calls, "call") if row.calls or not waits else "", waits)))


def _calls(screen: Screen, report: Report, everything: bool) -> None:
    shown = report.names if everything else report.names[:MOST_CALLS]
    columns = [
        Column("name", least=max(20, screen.width // 3)),
        Column("calls"),
        Column("total"),
        Column("self"),
        Column("mean", rank=4),
        Column("p50", rank=5),
        Column("p95", rank=3),
        Column("p99", rank=7),
        Column("max", rank=6),
        Column("errors", rank=2),
        Column("where", rank=1, least=24),
        Column("kind", rank=8, least=8),
        Column("target", rank=9, least=30),
    ]
    if not any(row.location for row in shown):
        del columns[_WHERE]
    rows: list[list[Piece]] = []
    for row in shown:
        of = row.figures
        times = (of.total_ns, of.self_ns, of.mean_ns, of.p50_ns, of.p95_ns, of.p99_ns, of.max_ns)
        timed = of.calls > of.untimed
        cells: list[Piece] = [(row.name, ""), (count(of.calls), "")]
        cells += [(duration(time_ns) if timed else _UNKNOWN, "bold" if at == 1 else "") for at, time_ns in enumerate(times)]
        cells += [(count(of.errors), _BAD if of.errors else _QUIET), (short_place(row.location), "cyan")]
        cells += [(row.kind, _QUIET), (row.target, _QUIET)]
        if len(columns) < len(cells):
            del cells[_WHERE]
        rows.append(cells)
    screen.title("Calls", "most self time first")
    screen.table(columns, rows)
    _more(screen, report, len(report.names) - len(shown))


def _imports(screen: Screen, report: Report, everything: bool) -> None:
    if not report.imports:
        return
    shown = report.imports if everything else most_time(report.imports, MOST_IMPORTS)
    columns = [
        Column("module", least=max(30, screen.width // 3)),
        Column("total"),
        Column("self"),
        Column("imports", rank=2),
        Column("errors", rank=1),
    ]
    rows: list[list[Piece]] = [
        [
            (f"{'  ' * row.depth}{row.name}", ""),
            (duration(row.total_ns), ""),
            (duration(row.self_ns), "bold"),
            (count(row.imports), ""),
            (count(row.errors), _BAD if row.errors else _QUIET),
        ]
        for row in shown
    ]
    whole_ns = sum(row.total_ns for row in report.imports if row.parent < 0)
    screen.title(
        "Imports",
        f"{count(len(report.imports), 'module')}, {duration(whole_ns)}; what Python imports at its start, before hookmon, is not "
        "among them",
    )
    screen.table(columns, rows)
    _more(screen, report, len(report.imports) - len(shown))


def _signals(screen: Screen, report: Report, everything: bool) -> None:
    if not report.signals:
        return
    shown = report.signals if everything else report.signals[:MOST_CALLS]
    columns = [
        Column("name", least=max(20, screen.width // 3)),
        Column("kind", rank=3, least=9),
        Column("count", rank=2),
        Column("value"),
        Column("mean", rank=4),
        Column("p50", rank=5),
        Column("p95", rank=6),
        Column("max", rank=1),
    ]
    rows: list[list[Piece]] = []
    for row in shown:
        is_spread = row.kind == "histogram"
        cells: list[Piece] = [(row.name, ""), (row.kind, _QUIET), (count(row.count), ""), (quantity(row.value, row.unit), "")]
        cells += [(quantity(value, row.unit) if is_spread else _UNKNOWN, "") for value in (row.mean, row.p50, row.p95)]
        rows.append([*cells, (quantity(row.max, row.unit) if row.kind != "counter" else _UNKNOWN, "")])
    screen.title("Signals", "what was measured that is no call; the value is the sum, of a gauge what was set last")
    screen.table(columns, rows)
    _more(screen, report, len(report.signals) - len(shown))


def _in_flight(screen: Screen, report: Report, everything: bool) -> None:
    if not report.in_flight:
        return
    shown = report.in_flight if everything else report.in_flight[:MOST_LINES]
    screen.title("In flight", "calls that had not returned, the longest first")
    for call in shown:
        name = call.stack[-1][0] if call.stack else "(unknown)"
        screen.flow(
            [(name, "bold"), (in_flight_text(call, report.header.state), _ODD), (f"(process {call.pid}, {call.lane})", _QUIET)],
            indent=2,
        )
        if len(call.stack) > 1:
            above = [(f"> {name}", _QUIET) for name, _ in call.stack[1:-1]]
            screen.flow([("  in", _QUIET), (call.stack[0][0], _QUIET), *above], indent=5)
    _more(screen, report, len(report.in_flight) - len(shown))


def _processes(screen: Screen, report: Report, everything: bool) -> None:
    if not report.processes:
        return
    shown = report.processes
    if not everything and len(shown) > MOST_PROCESSES:
        busiest = sorted(shown[1:], key=lambda process: (-process.calls, -process.cpu_ns))[: MOST_PROCESSES - 1]
        shown = [shown[0], *busiest]
    columns = [
        Column("pid"),
        Column("command", least=max(15, screen.width // 4)),
        Column("state", rank=1, least=18),
        Column("time"),
        Column("CPU"),
        Column("memory", rank=2),
        Column("threads", rank=5),
        Column("files", rank=6),
        Column("read", rank=7),
        Column("written", rank=8),
        Column("switches", rank=9),
        Column("calls", rank=3),
        Column("errors", rank=4),
    ]
    if report.header.window:
        screen.title("Starts", "each with all its processes; memory at its highest")
    else:
        screen.title("Processes", "memory, threads and files at their highest")
    rows = [_process(process) for process in shown]
    if report.header.window:  # of a start nobody keeps threads and files, and of its calls the transactions only
        unknown = slice(6, 11 if any(process.calls for process in report.processes) else None)
        del columns[unknown]
        for row in rows:
            del row[unknown]
    screen.table(columns, rows)
    _more(screen, report, len(report.processes) - len(shown))
    for line in report.still_running:
        screen.line(("still running: ", _ODD), (line, ""))


def _command(process: Process) -> Piece:
    if not any(process.command):
        return ("(ended before it was looked at)", _QUIET)
    return (join(process.command) if len(process.command) != 1 else process.command[0], "")  # one that named itself


def _process(process: Process) -> list[Piece]:
    calls: Piece = (count(process.calls), "") if process.python else ("not watched", _ODD)
    bad = process.exit_code not in (0, None)
    return [
        (str(process.pid or _UNKNOWN), ""),
        _command(process),
        (ending(process.exit_code, _STATES.get(process.state, process.state)), _BAD if bad else ""),
        (duration(process.duration_ns), ""),
        (duration(process.cpu_ns), ""),
        (size(process.rss_max_bytes) if process.rss_max_bytes else _UNKNOWN, ""),
        (count(process.threads_max) if process.threads_max else _UNKNOWN, ""),
        (count(process.files_max) if process.threads_max else _UNKNOWN, ""),
        (size(process.read_bytes), ""),
        (size(process.written_bytes), ""),
        (count(process.switches), ""),
        calls,
        (count(process.errors) if process.python else "", _BAD if process.errors else _QUIET),
    ]


def _watched(screen: Screen, report: Report, everything: bool) -> None:
    if not report.groups:
        return
    absent = [group.pack for group in report.groups if group.pack and group.absent and not group.active and not group.failed]
    if len(absent) == len(report.groups) and not everything:
        return
    screen.title("Watched")
    idle = [] if everything else [group for group in report.groups if group.pack and group.is_idle]
    told = [group for group in report.groups if group not in idle]
    rows = [(group.pack or "yours", text, style) for group in told for text, style in _group(group, everything)]
    if idle:
        rows.append(("not called", listing([group.pack for group in idle], 1000), _QUIET))
    if absent:
        unused = f"{listing(absent, 1000)} (never imported)" if everything else f"{count(len(absent), 'pack')} (never imported)"
        rows.append(("not used", unused, _QUIET))
    column = min(_LONGEST_PACK, max(cell_len(screen.clean(name)) for name, _, _ in rows)) if rows else 0
    before = ""
    for name, text, style in rows:
        label = screen.cut(screen.clean("" if name == before else name), column)
        words = screen.clean(on_one_line(text)).split(" ")
        screen.flow([(label + " " * (column + 1 - cell_len(label)), ""), *((word, style) for word in words)], indent=column + 2)
        before = name


def _group(group: WatchGroup, everything: bool) -> list[Piece]:
    """Return the lines of one pack or of the user's own watches; what the user named is never folded away when it failed."""
    rows: list[Piece] = []
    folded = [count(group.active, "target"), f"{count(len(group.called))} called"]
    if group.naming:
        folded.append(f"{count(len(group.naming))} for names")
    if group.failed and group.pack:
        folded.append(f"{count(len(group.failed))} not found or refused")
    ways = sorted({way for row in (*group.called, *group.uncalled) for way in row.via.split()}) if not group.pack else []
    if ways and ways != ["name"]:
        folded.append(f"watched by their {' and '.join(ways)}")
    if group.active or (group.pack and group.failed):
        rows.append((", ".join(folded), ""))
    if group.uncalled and (everything or not group.pack):
        reason = next((f" – {row.detail}" for row in group.uncalled if row.detail), "")
        rows.append(
            (f"no call seen: {listing([row.target for row in group.uncalled], 1000 if everything else 6)}{reason}", _QUIET)
        )
    if everything or not group.pack:
        rows += [(f"{row.status}: {row.target}" + (f" – {row.detail}" if row.detail else ""), _ODD) for row in group.failed]
    if not group.pack:
        shown = group.absent if everything else group.absent[:MOST_LINES]
        rows += [(f"{row.status}: {row.target}" + (f" – {row.detail}" if row.detail else ""), _ODD) for row in shown]
        if len(shown) < len(group.absent):
            rows.append((f"never imported: {count(len(group.absent) - len(shown))} more, with --all", _ODD))
    return rows


def _notes(screen: Screen, report: Report, everything: bool) -> None:
    if report.notes:
        screen.title("Notes")
        for note in report.notes:
            screen.paragraph(str(note), indent=2)
    spots = list(dict.fromkeys((spot.kind, spot.detail) for spot in report.blind_spots))
    shown = spots if everything else spots[:MOST_LINES]
    if spots:
        screen.title("Blind spots", "what could not be seen")
        for kind, detail in shown:
            screen.flow(
                [(f"{screen.clean(kind)}:", _ODD), *((w, "") for w in screen.clean(on_one_line(detail)).split(" "))], indent=2
            )
        _more(screen, report, len(spots) - len(shown))


def _next(screen: Screen, report: Report) -> None:
    if not report.next:
        return
    screen.title("Next")
    widest = [max(cell_len(screen.clean(row[at])) for row in report.next) for at in (0, 1)]
    if sum(widest) + 2 <= screen.room:
        screen.table([Column("", least=1), Column("", least=1)], [[(a, "cyan"), (b, _QUIET)] for a, b in report.next])
        return
    for command, _ in report.next:  # a command that is cut cannot be copied
        screen.flow([(word, "cyan") for word in screen.clean(command).split(" ")], indent=4)
