"""What a budget can be about: the transactions and calls of a run, found by name or glob.

A transaction is also a call; it is found once, as the transaction. An exact name comes before all globs, so that brackets and
question marks of a statement need no escape.
"""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.plan import CLIENT_KINDS
from hookmon.core.record import Record, field
from hookmon.report.calls import CallRow
from hookmon.report.computing import Computing
from hookmon.report.diff.intervals import Buckets
from hookmon.report.model import Report
from hookmon.report.transactions import MAIN, ChildRow, TransactionRow


class Subject(Record, slots=True):
    """One transaction or one call.

    `children` are what a transaction is made of, or the rows of a call inside of transactions. `calls_per_request` says how often
    a call was made in one transaction, on average, where that was most; None outside of transactions.
    """

    key: CallKey  # of a transaction the target is ""
    figures: Counters
    is_transaction: bool
    location: str = ""
    children: list[ChildRow] = field(default_factory=list)
    buckets: Buckets = field(default_factory=dict)
    calls_per_request: float | None = None
    computing: Computing | None = None  # of a transaction whose CPU time was measured

    @property
    def name(self) -> str:
        """What it is called."""
        return self.key[0]

    @property
    def transactions(self) -> int:
        """The transactions that it is about; (main) is one."""
        return 1 if self.name == MAIN else self.figures.calls

    def per_request(self, kind: str) -> float:
        """Return how many calls of a client kind there were in one transaction, on average."""
        calls = sum(child.figures.calls for child in self.children if child.kind == kind and child.is_call)
        return calls / self.transactions if self.transactions else 0.0

    @property
    def repetition(self) -> int:
        """The most calls of one kind of work, one after the other in one transaction; 0 for fewer than five."""
        rows = (child for child in self.children if not self.is_transaction or (child.kind in CLIENT_KINDS and not child.part))
        return max((child.most_repeated for child in rows), default=0)


def subjects(report: Report) -> list[Subject]:
    """Return the transactions of a run, then its calls."""
    found = [_transaction(row, report.calls) for row in report.transactions]
    entries = {CallKey(node.name, node.kind, node.target) for node in report.nodes if node.entry}
    inside = _inside(report.transactions)
    for row in report.calls:
        key = CallKey(row.name, row.kind, row.target)
        if key not in entries:
            rows, often = inside.get(key, ([], None))
            site = rows[0].call_site if rows else ""
            found.append(Subject(key, row.figures, False, site, rows, row.figures.buckets, often))
    return found


def _transaction(row: TransactionRow, calls: list[CallRow]) -> Subject:
    whole = Counters.sum_of(call.figures for call in calls if (call.name, call.kind) == (row.name, row.kind))
    return Subject(CallKey(row.name, row.kind, ""), row.figures, True, "", row.children, whole.buckets, computing=row.computing)


def _inside(rows: list[TransactionRow]) -> dict[CallKey, tuple[list[ChildRow], float]]:
    """Return the rows of each call inside of transactions, and how often it was called in one, where that was most."""
    found: dict[CallKey, tuple[list[ChildRow], float]] = {}
    for row in rows:
        calls: dict[CallKey, int] = {}
        for child in row.children if row.name != MAIN and row.figures.calls else ():
            key = CallKey(child.name, child.kind, child.target)
            calls[key] = calls.get(key, 0) + child.figures.calls
            found.setdefault(key, ([], 0.0))[0].append(child)
        for key, number in calls.items():
            children, often = found[key]
            found[key] = children, max(often, number / row.figures.calls)
    return found


def find_matching(pattern: str, all_of_them: list[Subject]) -> list[Subject]:
    """Return what a budget's name means; (main) only when it is named."""
    exact = [subject for subject in all_of_them if subject.name == pattern]
    return exact or [subject for subject in all_of_them if subject.name != MAIN and fnmatchcase(subject.name, pattern)]


def find_near(pattern: str, all_of_them: list[Subject]) -> str:
    """Return the name that was probably meant, "" for none."""
    names = {subject.name.lower(): subject.name for subject in all_of_them}
    found = get_close_matches(pattern.lower(), list(names), n=1, cutoff=0.5)
    return names[found[0]] if found else ""
