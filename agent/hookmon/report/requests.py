"""The part of the screen that answers first: which requests are slow, is it SQL, HTTP or the code, and from which line.

In: the transactions and findings of a report. Out: lines on a Screen.
"""

from __future__ import annotations

from hookmon.core.plan import CLIENT_KINDS, GC, IMPORT, OWN
from hookmon.report.cells import cell_len
from hookmon.report.computing import sentence
from hookmon.report.findings import Finding
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.statuses import says_something, summary
from hookmon.report.statuses import sentence as status_sentence
from hookmon.report.texts import count, duration, inert, location, percent, short_place, shorten
from hookmon.report.transactions import MAIN, ChildRow, TransactionRow, merge_alike, trace_of

MOST_ROWS = 8
MOST_FINDINGS = 4
MOST_CHILDREN = 6
_MUCH = 0.05
_SHORTEST_NAME = 10

_STYLES = {"high": "red", "medium": "yellow", "low": "dim"}
_TITLES = {"request": "Requests", "task": "Tasks"}
_CODE = "code"
_STATUS = 3  # the columns
_CPU = 9


def write_requests(screen: Screen, rows: list[TransactionRow], *, everything: bool) -> int:
    """Write the table of transactions; return how many were left out."""
    own = [row for row in rows if row.name != MAIN]
    shown = own if everything else own[:MOST_ROWS]
    kinds = {row.kind for row in own}
    title = _TITLES.get(next(iter(kinds)), "Transactions") if len(kinds) == 1 else "Transactions"
    screen.title(title, "most time first; share of the time, and calls in each")
    columns = [
        Column("name", least=max(18, screen.width // 5)),
        Column("calls"),
        Column("errors", rank=2),
        Column("status", rank=4, least=14),
        Column("p50", rank=1),
        Column("p95", rank=2),
        Column("p99", rank=5),
        Column("max", rank=3),
        Column("total", rank=6),
        Column("CPU", rank=5),
        Column("spent on", least=40, begins=True),
    ]
    rows_of = [_request(row) for row in shown]
    if not any(row.computing for row in shown):
        del columns[_CPU]
        for cells in rows_of:
            del cells[_CPU]
    if not any(says_something(row.statuses) for row in shown):
        del columns[_STATUS]
        for cells in rows_of:
            del cells[_STATUS]
    screen.table(columns, rows_of)
    return len(own) - len(shown)


def _request(row: TransactionRow) -> list[Piece]:
    of = row.figures
    cells: list[Piece] = [(row.name, "bold"), (count(of.calls), ""), (count(of.errors), "red" if of.errors else "dim")]
    cells.append((summary(row.statuses), "") if row.statuses else ("", ""))
    cells += [(duration(duration_ns), "") for duration_ns in (of.p50_ns, of.p95_ns, of.p99_ns, of.max_ns, of.total_ns)]
    computing = duration(row.computing.computing_ns) if row.computing else "–"
    return [*cells, (computing, ""), (spent_on(row), "")]


def spent_on(row: TransactionRow) -> str:
    """Return the split of a transaction's time in words: `sql 71 % (52), cache 4 % (5), code 25 %`."""
    whole_ns = sum(row.by_kind.values()) or 1
    shares: dict[str, int] = {}
    for kind, own_ns in row.by_kind.items():
        label = kind if _is_told_apart(kind, row) else _CODE
        shares[label] = shares.get(label, 0) + own_ns
    calls: dict[str, float] = {}
    for child in row.children:
        if _is_told_apart(child.kind, row) and child.place != "after" and child.is_call:
            calls[child.kind] = calls.get(child.kind, 0) + child.per_call_mean
    for kind in calls:
        shares.setdefault(kind, 0)
    parts = [
        f"{label} {percent(own_ns / whole_ns)}" + (f" ({calls[label]:.3g})" if label in calls else "")
        for label, own_ns in sorted(shares.items(), key=lambda item: -item[1])
    ]
    return ", ".join(parts)


def _is_told_apart(kind: str, row: TransactionRow) -> bool:
    """Say whether the split names a kind: clients' calls, what is no call, and what hooks take of a job, a test or an epoch."""
    return kind in CLIENT_KINDS or kind in (GC, IMPORT, OWN) or (kind == "hook" and row.kind == "task")


def write_findings(screen: Screen, found: list[Finding], *, everything: bool) -> int:
    """Write the findings; return how many were left out."""
    shown = found if everything else found[:MOST_FINDINGS]
    if shown:
        screen.title("Findings", "what was recorded, the worst first")
    for finding in shown:
        title = fitted_title(finding, screen.room - 7)
        first, *words = screen.clean(title).split(" ")
        severity: list[Piece] = [(f"{finding.severity:<6}", _STYLES[finding.severity]), (first, "bold")]
        screen.flow([*severity, *((word, "bold") for word in words)], indent=7)
        aside: list[Piece] = [(" " * 7 + finding.id, "dim")]
        if finding.saving_ns:
            aside.append((f"saves up to {duration(finding.saving_ns)} in the run", ""))
        if finding.location:
            aside.append((short_place(finding.location), "cyan"))
        screen.flow(aside, between=" · ", indent=7)
        if everything:
            screen.paragraph(finding.evidence, indent=0)
    return len(found) - len(shown)


def fitted_title(finding: Finding, room: int) -> str:
    """Return the title of a finding with its foreign names shorten, so that what it counts is not cut off."""
    title = inert(finding.title)
    for name in sorted({inert(finding.call), inert(finding.transaction)} - {""}, key=len, reverse=True):
        over = cell_len(title) - room
        if over > 0 and len(name) > _SHORTEST_NAME:
            title = title.replace(name, shorten(name, max(_SHORTEST_NAME, len(name) - over)))
    return title


def write_details(screen: Screen, rows: list[TransactionRow], project: str, *, everything: bool) -> None:
    """Write what is called inside of transactions: of all, or of the one that takes most time."""
    own = [row for row in rows if row.name != MAIN and (row.children or row.computing or says_something(row.statuses))]
    for row in own if everything else own[:1]:
        children = merge_alike(row.children)
        shown = children if everything else children[:MOST_CHILDREN]
        hidden = len(children) - len(shown)
        cells = [_child(row, child, project) for child in shown]
        if _has_much_of_its_own(row):
            cells.insert(sum(child.figures.self_ns > row.figures.self_ns for child in shown), _itself(row))
        more = f", {count(hidden)} more with --all" if hidden else ""
        screen.title(f"Inside {screen.clean(row.name)}", f"most self time first{more}" if children else "")
        if row.computing:
            screen.paragraph(sentence(row.computing, row.figures.calls))
        if says_something(row.statuses):
            screen.paragraph(f"by status {status_sentence(row.statuses)}")
        told = max((example for example in row.examples if example.parent_id), key=lambda own: own.duration_ns, default=None)
        if told is not None:
            screen.paragraph(f"{duration(told.duration_ns)} in {trace_of(told)}")
        if not cells:
            continue
        columns = [
            Column("call", least=max(20, screen.width // 4)),
            Column("each"),
            Column("most", rank=2),
            Column("self"),
            Column("share", rank=1),
            Column("p95", rank=3),
            Column("errors", rank=4),
            Column("from", least=20),
        ]
        screen.table(columns, cells)


def _most(child: ChildRow) -> str:
    """Return the most calls in one transaction, "–" where it is not known."""
    at_least = "≥ " if child.per_call_max < child.per_call_bound else ""
    return f"{at_least}{count(child.per_call_max)}" if child.per_call_max else "–"


def _has_much_of_its_own(row: TransactionRow) -> bool:
    """Say whether a job or an epoch has much code of its own: of requests the split says it, theirs being the framework's."""
    return row.kind == "task" and row.figures.self_ns >= _MUCH * row.figures.total_ns


def _itself(row: TransactionRow) -> list[Piece]:
    own_ns = row.figures.self_ns
    share = own_ns / row.figures.total_ns if row.figures.total_ns else 0.0
    return [("(its own code)", ""), ("1", ""), ("–", ""), (duration(own_ns), "bold"), (percent(share), ""), *[("", "")] * 3]


def _child(row: TransactionRow, child: ChildRow, project: str) -> list[Piece]:
    of = child.figures
    share = of.self_ns / row.figures.total_ns if row.figures.total_ns else 0.0
    place = {"": "", "concurrent": " (beside)", "after": " (after)"}[child.place]
    return [
        (child.name + place, ""),
        (f"{child.per_call_mean:.3g}", ""),
        (_most(child), ""),
        (duration(of.self_ns), "bold"),
        (percent(share), ""),
        (duration(of.p95_ns), ""),
        (count(of.errors), "red" if of.errors else "dim"),
        (short_place(location(child.call_site, project)), "cyan"),
    ]
