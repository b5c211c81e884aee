"""Sentences that say what is wrong, where, and what it would save. In: the rows of a run. Out: findings, the worst first.

A finding claims what was recorded and says how it was counted. That calls came one after the other is known of those in one
thread or task of one transaction; whether they could have been made at once is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from hookmon.collector.store import CallSeries
from hookmon.core.plan import CLIENT_KINDS
from hookmon.report.calls import CallRow
from hookmon.report.texts import count, duration, percent
from hookmon.report.transactions import MAIN, ChildRow, TransactionRow

if TYPE_CHECKING:
    from hookmon.report.series import Point

SEVERITIES = ("high", "medium", "low")

_HIGH, _MEDIUM = 0.20, 0.05  # of the time of the transactions that a finding is about
_DOMINATES = 0.5
_TASK = "task"
_WAITS = 0.10
_FUNCTION_REPEATS = 0.20  # a function that is called in a loop is no news unless it takes this share by itself
_OUTLIER = 10
_OUTLIER_CALLS = 20
_OUTLIER_NS = 10_000_000
_FEWEST_ERRORS = 5
_ERROR_RATE = 0.05
_FEWEST_IN_MAIN = 20
_BURST = 0.5  # of the calls in one stretch of time


@dataclass(slots=True)
class Finding:
    """`kind` is repetition, dominated, waiting, errors, burst or outlier; `location` is "path:line", "" where it is not known.

    `id` is the same for the same thing in every run. `saving_ns` is at most that much in the whole run, 0 where nothing can be
    said.
    """

    id: str
    kind: str
    severity: str
    title: str
    transaction: str
    call: str
    location: str
    evidence: str
    saving_ns: int


def location(call_site: str, project: str) -> str:
    """Return a call site, "path:line", relative to the project when it lies inside."""
    path, colon, line = call_site.rpartition(":")
    if not colon:
        return ""
    try:
        return f"{PurePath(path).relative_to(project)}:{line}" if project else call_site
    except ValueError:
        return call_site


def failing(calls: list[CallRow], series: list[CallSeries]) -> list[CallSeries]:
    """Return the series of calls that failed often enough for a burst: to unpack all of them takes long."""
    names = {(row.name, row.kind, row.target) for row in calls if row.figures.errors >= _FEWEST_ERRORS}
    return [row for row in series if (row.name, row.kind, row.target) in names]


def findings(transactions: list[TransactionRow], series: list[CallSeries], interval_ns: int, project: str) -> list[Finding]:
    """Return the findings of a run, the severest first and among those what saves most; locations are relative to `project`.

    `series` are the failing calls over time, in intervals of `interval_ns`. Raises RunFileError when they cannot be read.
    """
    found = [finding for row in transactions for finding in _of_transaction(row, project)]
    found += _bursts(series, interval_ns)
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), -each.saving_ns, each.title))


def _of_transaction(row: TransactionRow, project: str) -> Iterator[Finding]:
    whole_ns = row.figures.total_ns
    for child in row.children:
        if child.place == "after":
            continue
        repetition = _repetition(row, child, project) if row.name != MAIN else _loop(row, child, project)
        if repetition is not None:
            yield repetition
        elif child.waits:
            if whole_ns and child.figures.total_ns >= _WAITS * whole_ns:
                yield _waiting(row, child, project)
        elif row.name != MAIN and whole_ns and not child.place and _may_dominate(row, child):
            yield _dominated(row, child, project)
        yield from _of_call(row, child, project)
    if row.name != MAIN and _is_failing(row.figures.calls, row.figures.errors):
        title = f"{row.name} fails {percent(row.figures.errors / row.figures.calls)} of the time"
        evidence = f"{count(row.figures.errors)} of {count(row.figures.calls)} ended with an exception or a status from 500 on."
        yield _finding("errors", _severity(row.figures.errors, row.figures.calls), title, row.name, "", "", evidence, 0)


def _bursts(series: list[CallSeries], interval_ns: int) -> Iterator[Finding]:
    """Find calls that mostly go well, and at one time failed one after the other."""
    if not series:
        return
    from hookmon.report.series import over_time

    for row in over_time(series, interval_ns):
        if sum(point.errors for point in row.points) >= _BURST * sum(point.calls for point in row.points):
            continue
        stretch: list[Point] = []
        worst: list[Point] = []
        for point in row.points:
            is_bad = point.errors >= _BURST * point.calls and point.errors > 0
            follows = bool(stretch) and point.at_ns == stretch[-1].at_ns + interval_ns
            stretch = [*(stretch if follows else []), point] if is_bad else []
            if sum(each.errors for each in stretch) > sum(each.errors for each in worst):
                worst = stretch
        errors = sum(point.errors for point in worst)
        if errors < _FEWEST_ERRORS:
            continue
        lasted = duration(len(worst) * interval_ns)
        title = f"{row.name} failed {_times(errors)} within {lasted}"
        evidence = (
            f"{count(errors)} of {count(sum(point.calls for point in worst), 'call')} raised from {duration(worst[0].at_ns)} on; "
            f"of all others in the run {count(sum(point.errors for point in row.points) - errors)}."
        )
        yield _finding("burst", "medium", title, "", row.name, "", evidence, 0)


def _repetition(row: TransactionRow, child: ChildRow, project: str) -> Finding | None:
    """Find the same call from the same line, five times or more, one after the other: N+1 queries and their like."""
    whole_ns = row.figures.total_ns
    if not child.repeated or child.kind == _TASK or (child.waits and child.kind not in CLIENT_KINDS):
        return None  # batches of an epoch, and the wait for each: a loop over them is what an epoch is
    repeated_ns = child.repeated_ns
    if child.kind not in CLIENT_KINDS:  # what is called inside it is told by itself
        repeated_ns = repeated_ns * child.figures.self_ns // max(1, child.figures.total_ns)
        if repeated_ns < _FUNCTION_REPEATS * whole_ns:
            return None
    typical = child.repeated_calls / child.repeated
    lanes = "thread or task" if child.place else row.kind or "transaction"
    title = f"{row.name} calls {child.name} {_times(typical)} in a row"
    evidence = (
        f"Counted in {count(child.repeated)} of {count(max(row.figures.calls, child.repeated), lanes)} that called it five times "
        f"or more: {_times(typical)} typically, {_times(child.most_repeated)} at the most; "
        f"{duration(round(repeated_ns / child.repeated))} each time, {duration(repeated_ns)} in the run. "
        f"Saves up to that, less one call, if one call did the work of all."
    )
    saving_ns = round(repeated_ns * (1 - 1 / typical))
    place = location(child.call_site, project)
    return _finding("repetition", _severity(saving_ns, whole_ns), title, row.name, child.name, place, evidence, saving_ns)


def _loop(row: TransactionRow, child: ChildRow, project: str) -> Finding | None:
    """Find a client's call that is made many times in what is no transaction."""
    figures = child.figures
    if child.kind not in CLIENT_KINDS or not child.call_site or figures.calls < _FEWEST_IN_MAIN * row.figures.calls:
        return None
    if figures.total_ns < _MEDIUM * row.figures.total_ns:
        return None
    title = f"{child.name} is called {_times(figures.calls)}"
    evidence = (
        f"{count(figures.calls, 'call')} in all threads and processes, {duration(figures.total_ns)} together, "
        f"{duration(figures.mean_ns)} each. Outside of transactions it is not recorded who else called than the place that is "
        f"named, which was the first, nor what came one after the other."
    )
    place = location(child.call_site, project)
    severity = "medium" if figures.total_ns >= _HIGH * row.figures.total_ns else "low"  # a loop may be what a script is there for
    return _finding("repetition", severity, title, row.name, child.name, place, evidence, 0)


def _may_dominate(row: TransactionRow, child: ChildRow) -> bool:
    """Say whether a call takes most of a transaction's time; that batches take an epoch's is no news."""
    return child.figures.self_ns > _DOMINATES * row.figures.total_ns and not (child.kind == row.kind == _TASK)


def _dominated(row: TransactionRow, child: ChildRow, project: str) -> Finding:
    figures = child.figures
    share = figures.self_ns / row.figures.total_ns
    title = f"{row.name} spends {percent(share)} of its time in {child.name}"
    evidence = (
        f"{duration(figures.self_ns)} of {duration(row.figures.total_ns)}, the watched calls inside it taken off; "
        f"{_mean(child)} in each, p95 {duration(figures.p95_ns)} a call."
    )
    place = location(child.call_site, project)
    return _finding("dominated", "high" if share > 0.75 else "medium", title, row.name, child.name, place, evidence, 0)


def _waiting(row: TransactionRow, child: ChildRow, project: str) -> Finding:
    figures = child.figures
    share = figures.total_ns / row.figures.total_ns
    title = f"{row.name} waits {percent(share)} of its time in {child.name}"
    what, why = ("a pool or an executor", "it is too small for the load, or held too long")
    if child.kind not in CLIENT_KINDS:
        what, why = ("what is made elsewhere", "its making is too slow, or has too few workers")
    evidence = (
        f"{duration(figures.total_ns)} of {duration(row.figures.total_ns)} were spent waiting for {what}, "
        f"p95 {duration(figures.p95_ns)}, {duration(figures.max_ns)} at the most: {why}."
    )
    severity = _severity(figures.total_ns, row.figures.total_ns)
    place = location(child.call_site, project)
    return _finding("waiting", severity, title, row.name, child.name, place, evidence, figures.total_ns)


def _of_call(row: TransactionRow, child: ChildRow, project: str) -> Iterator[Finding]:
    figures = child.figures
    if _is_failing(figures.calls, figures.errors):
        title = f"{child.name} fails {percent(figures.errors / figures.calls)} of the time in {row.name}"
        evidence = f"{count(figures.errors)} of {count(figures.calls, 'call')} raised."
        severity = _severity(figures.errors, figures.calls)
        place = location(child.call_site, project)
        yield _finding("errors", severity, title, row.name, child.name, place, evidence, 0)
    may_be_odd = figures.max_ns >= _OUTLIER_NS and figures.calls >= _OUTLIER_CALLS and child.kind in CLIENT_KINDS
    if may_be_odd and figures.max_ns > _OUTLIER * figures.p95_ns:
        place = location(child.call_site, project)
        title = f"{child.name} once took {duration(figures.max_ns)} in {row.name}"
        evidence = f"Its p95 is {duration(figures.p95_ns)} over {count(figures.calls, 'call')}: it took more than ten times that."
        yield _finding("outlier", "low", title, row.name, child.name, place, evidence, 0)


def _is_failing(calls: int, errors: int) -> bool:
    return errors >= _FEWEST_ERRORS and errors >= _ERROR_RATE * calls


def _finding(
    kind: str, severity: str, title: str, transaction: str, call: str, location: str, evidence: str, saving_ns: int
) -> Finding:
    from hashlib import blake2s  # it loads OpenSSL, and many runs have no finding

    path = location.rpartition(":")[0]  # without the line, which moves with every edit
    digest = blake2s("\0".join((kind, transaction, call, path)).encode("utf-8", "replace"), digest_size=3).hexdigest()
    return Finding(f"{kind}-{digest}", kind, severity, title, transaction, call, location, evidence, saving_ns)


def _severity(part: float, whole: float) -> str:
    share = part / whole if whole else 0
    return "high" if share >= _HIGH else "medium" if share >= _MEDIUM else "low"


def _mean(child: ChildRow) -> str:
    return "one call" if child.per_call_mean == 1 else f"{child.per_call_mean:.3g} calls"


def _times(number: float) -> str:
    return f"{count(round(number))} times" if number >= 10 else f"{number:.2g} times"
