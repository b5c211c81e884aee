"""A diff as plain data: everything that a format or a page shows of two runs, and nothing of how it shows it.

Counts are exact, so each difference is one. Times are estimates, so a difference is one only when it is beyond what two runs of
an unchanged program differ by; where machine, interpreter or configuration differ, they are not compared at all.
"""

from __future__ import annotations

from hookmon.collector.counters import CallKey, Counters, Walk, by_key, walk_of
from hookmon.collector.store import Run, no_collection
from hookmon.core.record import Record
from hookmon.report.diff import intervals
from hookmon.report.diff.computing import ComputingRow, compare
from hookmon.report.diff.intervals import Allowance, Durations, Ratio
from hookmon.report.diff.machine import NOISE as NOISE_SHARE
from hookmon.report.diff.machine import allowance_of_windows, machine_between
from hookmon.report.diff.sides import Side, is_empty, notes_on, side_of
from hookmon.report.diff.traffic import keep_beyond_traffic, traffic_note
from hookmon.report.diff.watches import WHOLE_RUN, Unshared, find_unshared, whole_run
from hookmon.report.findings import Finding, findings
from hookmon.report.model import time_at_work, watched_processes
from hookmon.report.transactions import MAIN, TransactionRow, transactions

SLOWER, FASTER, NOISE = "slower", "faster", "within noise"
MIXED = "mixed"
FEW, APART = "too few calls", "not comparable"
GONE, NEW = "only in A", "only in B"

CHANGED = frozenset((SLOWER, FASTER, MIXED))
"""Verdicts on a time that say that it changed."""


class CountRow(Record, slots=True):
    """How often something was called in transactions of one name, in the rest of the program, (main), or in the (whole run).

    The last is where the runs do not have the same watches for transactions. `changed` is never said of what not both watched.

    `name` is "" for the transactions themselves. `per_a` and `per_b` are calls in one transaction, for (main) in the whole run.
    """

    transaction: str
    name: str
    kind: str
    target: str
    place: str  # "", "concurrent" or "after", as in `transactions.ChildRow`
    calls_a: int
    calls_b: int
    errors_a: int
    errors_b: int
    per_a: float
    per_b: float
    changed: bool


class TimeRow(Record, slots=True):
    """How long the calls of one name took. Durations are 0 where there was no call.

    `typical` compares geometric means, `tail` 95th percentiles; None where there is nothing to compare. `verdict` is mixed when
    one of them became slower and the other faster.
    """

    name: str
    kind: str
    target: str
    is_transaction: bool
    calls_a: int
    calls_b: int
    total_a_ns: int
    total_b_ns: int
    typical_a_ns: int
    typical_b_ns: int
    p95_a_ns: int
    p95_b_ns: int
    typical: Ratio | None
    tail: Ratio | None
    verdict: str

    @property
    def has_changed(self) -> bool:
        """Say whether the time changed for certain."""
        return self.verdict in CHANGED


class Diff(Record, slots=True):
    """Two runs side by side.

    `apart` says why times are not comparable, empty where they are. `common` is how many times as long the calls of B took as
    those of A in the middle of all names. Counts come transaction by transaction; times with the largest difference in the
    total first.
    """

    a: Side
    b: Side
    apart: list[str]
    notes: list[str]
    common: float
    counts: list[CountRow]
    times: list[TimeRow]
    new_findings: list[Finding]
    gone_findings: list[Finding]
    computing: list[ComputingRow]

    @property
    def changed_counts(self) -> list[CountRow]:
        """The counts that differ."""
        return [row for row in self.counts if row.changed]

    @property
    def changed_times(self) -> list[TimeRow]:
        """The times that changed for certain."""
        return [row for row in self.times if row.has_changed]

    @property
    def changed_computing(self) -> list[ComputingRow]:
        """How transactions compute and wait whose time changed for certain."""
        changed = {(row.name, row.kind) for row in self.changed_times}
        return [row for row in self.computing if (row.transaction, row.kind) in changed]


@no_collection()
def build(a: Run, b: Run, *, noise: float = NOISE_SHARE) -> Diff:
    """Compare two runs; `noise` is the share by which the calls of one name may differ by themselves."""
    sides = (side_of(a), side_of(b))
    apart = differences(a, b)
    walks = (walk_of(a.nodes), walk_of(b.nodes))
    rows_a, rows_b = (transactions(run.nodes, [], watched_processes(run), walk) for run, walk in zip((a, b), walks, strict=True))
    found_a, found_b = (
        {finding.id: finding for finding in findings(rows, [], 0, run.project, time_at_work(run, rows))}
        for rows, run in ((rows_a, a), (rows_b, b))
    )
    watches = find_unshared(a, b)
    common, times = _times(a, b, walks, None if apart else noise)
    if watches:
        _compare_what_both_watched(times, watches)
        known = {"", *(row.name for row in rows_a)} & {"", *(row.name for row in rows_b)}, _names(a) & _names(b)
        found_a, found_b = (
            {key: finding for key, finding in found.items() if _is_of(finding, *known)} for found in (found_a, found_b)
        )
    counts = _counts_of_runs(a, b, watches) if watches.moves else _counts(rows_a, rows_b, watches)
    notes = notes_on(a, b)
    if a.since_s and b.since_s:
        keep_beyond_traffic(counts)
        notes += filter(None, [traffic_note(counts)])
    return Diff(
        *sides,
        apart=apart,
        notes=notes,
        common=common,
        counts=counts,
        times=times,
        new_findings=[finding for key, finding in found_b.items() if key not in found_a],
        gone_findings=[finding for key, finding in found_a.items() if key not in found_b],
        computing=compare(rows_a, rows_b),
    )


def differences(a: Run, b: Run) -> list[str]:
    """Return why the times of two runs cannot be compared, one reason for each sentence."""
    reasons: list[str] = []
    if is_empty(a) or is_empty(b):
        return reasons  # that nothing ran in it says all
    if a.since_s and b.since_s and not (a.host and b.host):
        pass  # one store is of one machine; that of a start is not known any more when its run file is gone
    elif not a.host or not b.host:
        reasons.append("it is not known on which machines the runs were made")
    else:
        for what, of_a, of_b in (("machine", a.host, b.host), ("processor", a.cpu, b.cpu), ("number of cores", a.cores, b.cores)):
            if of_a != of_b:
                reasons.append(f"the {what} differs" + ("" if what == "machine" else f": {of_a} and {of_b}"))
    for what, of_a, of_b in (("interpreter", a.python, b.python), ("engine", a.engine, b.engine)):
        if of_a != of_b:
            reasons.append(f"the {what} differs: {of_a or 'none'} and {of_b or 'none'}")
    watches = find_unshared(a, b)
    return [*reasons, watches.sentence] if watches else reasons


_ChildKey = tuple[str, str, str, str]  # name, kind, target, place


def _compare_what_both_watched(times: list[TimeRow], watches: Unshared) -> None:
    for row in times:
        if row.verdict in (GONE, NEW) and watches.covers(row.target):
            row.verdict = APART


def _names(run: Run) -> set[str]:
    return {"", *(node.name for node in run.nodes if node.calls)}


def _is_of(finding: Finding, transactions: set[str], calls: set[str]) -> bool:
    """Say whether a finding is about what both runs have."""
    return finding.transaction in transactions and finding.call in calls


def _counts_of_runs(a: Run, b: Run, watches: Unshared) -> list[CountRow]:
    """Compare the calls of each name in the whole run."""
    sums_a, sums_b = whole_run(a.nodes), whole_run(b.nodes)
    rows = []
    for key in dict.fromkeys([*sums_b, *sums_a]):
        a_sum, b_sum = sums_a.get(key) or Counters(), sums_b.get(key) or Counters()
        rows.append(_count(WHOLE_RUN, (*key, ""), a_sum.calls, b_sum.calls, a_sum.errors, b_sum.errors, 1, 1))
    return _without_unshared(rows, watches)


def _without_unshared(rows: list[CountRow], watches: Unshared) -> list[CountRow]:
    for row in rows:
        row.changed = row.changed and not watches.covers(row.target)
    return rows


def _counts(rows_a: list[TransactionRow], rows_b: list[TransactionRow], watches: Unshared) -> list[CountRow]:
    by_name_a, by_name_b = ({(row.name, row.kind): row for row in rows} for rows in (rows_a, rows_b))
    found: list[CountRow] = []
    for key in dict.fromkeys([*by_name_b, *by_name_a]):
        a, b = by_name_a.get(key), by_name_b.get(key)
        name, kind = key
        if name != MAIN:
            (calls_a, errors_a), (calls_b, errors_b) = _calls(a), _calls(b)
            found.append(_count(name, ("", kind, "", ""), calls_a, calls_b, errors_a, errors_b, 1, 1))
        if a is not None and b is not None:
            found += _children(a, b)
        elif name == MAIN:
            found += _children(a or _empty(b), b or _empty(a))
    return _without_unshared(found, watches) if watches else found


def _calls(row: TransactionRow | None) -> tuple[int, int]:
    return (row.figures.calls, row.figures.errors) if row else (0, 0)


def _empty(row: TransactionRow | None) -> TransactionRow:
    assert row is not None
    return TransactionRow(row.name, row.kind, Counters(), {}, [], [], 0)


def _children(a: TransactionRow, b: TransactionRow) -> list[CountRow]:
    inside_a, inside_b = _inside(a), _inside(b)
    of_a, of_b = (1, 1) if a.name == MAIN else (a.figures.calls, b.figures.calls)
    rows = []
    for key in dict.fromkeys([*inside_b, *inside_a]):
        (calls_a, errors_a), (calls_b, errors_b) = inside_a.get(key, (0, 0)), inside_b.get(key, (0, 0))
        rows.append(_count(a.name, key, calls_a, calls_b, errors_a, errors_b, of_a, of_b))
    return rows


def _inside(row: TransactionRow) -> dict[_ChildKey, tuple[int, int]]:
    """Return (calls, errors) of what was called; lines are added up, since an edit moves them. Parts of calls are none."""
    found: dict[_ChildKey, tuple[int, int]] = {}
    for child in row.children:
        if child.part:
            continue
        key = (child.name, child.kind, child.target, child.place)
        calls, errors = found.get(key, (0, 0))
        found[key] = calls + child.figures.calls, errors + child.figures.errors
    return found


def _count(
    transaction: str, key: _ChildKey, calls_a: int, calls_b: int, errors_a: int, errors_b: int, of_a: int, of_b: int
) -> CountRow:
    changed = calls_a * of_b != calls_b * of_a or errors_a * of_b != errors_b * of_a
    per_a, per_b = (calls / of if of else float(calls) for calls, of in ((calls_a, of_a), (calls_b, of_b)))
    return CountRow(transaction, *key, calls_a, calls_b, errors_a, errors_b, per_a, per_b, changed)


def _times(a: Run, b: Run, walks: tuple[Walk, Walk], noise: float | None) -> tuple[float, list[TimeRow]]:
    """Return what all names share, and each name; `noise` is None where times are not comparable."""
    sums_a, sums_b = (by_key(run.nodes, walk) for run, walk in zip((a, b), walks, strict=True))
    entries = {CallKey(node.name, node.kind, node.target) for run in (a, b) for node in run.nodes if node.entry}
    keys = [key for key in dict.fromkeys([*sums_b, *sums_a]) if _has_calls(sums_a.get(key)) or _has_calls(sums_b.get(key))]
    pairs = [(_Calls(sums_a.get(key) or Counters()), _Calls(sums_b.get(key) or Counters())) for key in keys]
    tests = sum(_tests(calls_a, calls_b) for calls_a, calls_b in pairs)
    machine = machine_between(a, b, sums_a, sums_b)
    of_windows = allowance_of_windows(noise or 0) if a.since_s and b.since_s else None
    rows = []
    for key, pair in zip(keys, pairs, strict=True):
        allowed = None if noise is None else of_windows or machine.allowance(key, noise)
        rows.append(_time(key, *pair, key in entries, tests, allowed))
    rows.sort(key=lambda row: (not row.has_changed, -abs(row.total_b_ns - row.total_a_ns), row.name, row.target))
    return machine.common, rows


def _has_calls(figures: Counters | None) -> bool:
    return figures is not None and figures.calls > 0


class _Calls:
    """One name in one run."""

    __slots__ = ("durations", "figures")

    def __init__(self, figures: Counters) -> None:
        self.figures = figures
        self.durations = Durations(figures.buckets)


def _tests(a: _Calls, b: _Calls) -> int:
    calls = min(a.durations.calls, b.durations.calls)
    return (calls >= intervals.FEWEST_CALLS) + (calls >= intervals.FEWEST_FOR_TAIL)


def _time(key: CallKey, a: _Calls, b: _Calls, is_transaction: bool, tests: int, allowed: Allowance | None) -> TimeRow:
    typical = tail = None
    if not a.figures.calls or not b.figures.calls:
        verdict = NEW if b.figures.calls else GONE
    elif allowed is None:
        verdict = APART
    else:
        typical = intervals.typical(a.durations, b.durations, tests, allowed)
        tail = intervals.tail(a.durations, b.durations, tests, allowed)
        verdict = _verdict(typical, tail)
    return TimeRow(
        *key,
        is_transaction,
        a.figures.calls,
        b.figures.calls,
        a.figures.total_ns,
        b.figures.total_ns,
        a.durations.geometric_mean_ns,
        b.durations.geometric_mean_ns,
        a.durations.tail_ns(a.figures.min_ns, a.figures.max_ns),
        b.durations.tail_ns(b.figures.min_ns, b.figures.max_ns),
        typical,
        tail,
        verdict,
    )


def _verdict(typical: Ratio | None, tail: Ratio | None) -> str:
    if typical is None:
        return FEW
    real = {SLOWER if ratio.value > 1 else FASTER for ratio in (typical, tail) if ratio is not None and ratio.is_real}
    return MIXED if len(real) > 1 else next(iter(real), NOISE)
