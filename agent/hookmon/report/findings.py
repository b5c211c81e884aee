"""Sentences that say what is wrong, where, and what it would save. In: the rows of a run. Out: findings, the worst first.

A finding claims what was recorded and says how it was counted. That calls came one after the other is known of those in one
thread or task of one transaction; whether they could have been made at once is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from hookmon.collector.store import CallSeries
from hookmon.core.layout import OTHER_NAMES
from hookmon.core.plan import CLIENT_KINDS, IMPORT, OWN
from hookmon.core.record import Record
from hookmon.report.calls import CallRow
from hookmon.report.computing import Computing
from hookmon.report.texts import count, duration, location, percent
from hookmon.report.transactions import MAIN, ChildRow, TransactionRow

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.report.series import Point

SEVERITIES = ("high", "medium", "low")

_HIGH, _MEDIUM = 0.20, 0.05  # of the time of the transactions that a finding is about
_WORTH = 0.01  # of the run: what takes less is never high, and what is no mistake but a fact is no finding
_DOMINATES = 0.5
_DOMINATES_BY_FAR = 0.75
_TASK = "task"
_WAITS = 0.10
_LONG_WAIT_NS = 10_000_000  # p95: to hand work to an idle thread takes a millisecond, to get the GIL from a busy one 5 and more
_FUNCTION_REPEATS = 0.20  # a function that is called in a loop is no news unless it takes this share by itself
_MANY = 20  # queries in a row: their own time is the smaller part of what an ORM takes for them
_OUTLIER = 10
_OUTLIER_CALLS = 20
_OUTLIER_NS = 10_000_000
_FEWEST_ERRORS = 5
_ERROR_RATE = 0.05
_FEWEST_IN_MAIN = 20
_BURST = 0.5  # of the calls in one stretch of time
_NO_ROUTE = "(no route)"  # what nobody has written: scanners, typing errors, servers without a pack for their routes
_FEWEST_MEASURED = 20
_COMPUTES = 0.8  # of a transaction's time: all else that it calls, were it done at once, would save a fifth
_FACTS = ("dominated", "outlier", "computing")  # true, and perhaps as it has to be: what can be mended stands above


class Finding(Record, slots=True):
    """`kind` is repetition, dominated, waiting, computing, errors, burst or outlier; `location` is "path:line", "" where it is
    not known.

    `id` is the same for the same thing in every run. `time_ns` is how long what it is about took in the whole run; `saving_ns`
    is at most that much of it, 0 where nothing can be said.
    """

    id: str
    kind: str
    severity: str
    title: str
    transaction: str
    call: str
    location: str
    evidence: str
    time_ns: int
    saving_ns: int


def failing_series(calls: list[CallRow], series: list[CallSeries]) -> list[CallSeries]:
    """Return the series of calls that failed often enough for a burst: to unpack all of them takes long."""
    names = {(row.name, row.kind, row.target) for row in calls if row.figures.errors >= _FEWEST_ERRORS}
    return [row for row in series if (row.name, row.kind, row.target) in names]


def findings(
    transactions: list[TransactionRow], series: list[CallSeries], interval_ns: int, project: str, run_ns: int = 0
) -> list[Finding]:
    """Return the findings of a run, the severest first and among those what saves most; locations are relative to `project`.

    `series` are the failing calls over time, in intervals of `interval_ns`. `run_ns` is what a finding's time is held against,
    0 where that is not known. Raises RunFileError when the series cannot be read.
    """
    calls = sum(row.figures.calls for row in transactions if row.name != MAIN)
    judge = _Judge(project, run_ns, calls)
    found = [finding for row in transactions if not row.name.endswith(_NO_ROUTE) for finding in _of_transaction(row, judge)]
    found += _bursts(series, interval_ns)
    return sorted(
        found, key=lambda finding: (SEVERITIES.index(finding.severity), finding.kind in _FACTS, -finding.saving_ns, finding.title)
    )


class _Judge(Record, slots=True):
    """What one run says about how much a finding matters. `transactions` is how many there were."""

    project: str
    run_ns: int
    transactions: int

    def is_worth(self, time_ns: float) -> bool:
        """Say whether something took enough of the run for a person to look at."""
        return time_ns >= _WORTH * self.run_ns

    def severity(self, part: float, whole: float, time_ns: float) -> str:
        """Return how severe a part of a whole is, which is `time_ns` of the run."""
        share = part / whole if whole else 0
        level = "high" if share >= _HIGH else "medium" if share >= _MEDIUM else "low"
        return "medium" if level == "high" and not self.is_worth(time_ns) else level

    def error_severity(self, row: TransactionRow, errors: int, calls: int, time_ns: int) -> str:
        """Return how severe errors are: what less than one of a hundred transactions has to do with is not the worst of a run."""
        matters = self.is_worth(time_ns) if row.name == MAIN else row.figures.calls >= _WORTH * self.transactions
        return self.severity(errors, calls, self.run_ns if matters else 0)

    def place(self, child: ChildRow) -> str:
        """Return where a call comes from."""
        return location(child.call_site, self.project)


def _of_transaction(row: TransactionRow, judge: _Judge) -> Iterator[Finding]:
    clients = [child for child in row.children if child.repeated and child.kind in CLIENT_KINDS and child.is_call]
    told = [child.repeated_calls / child.repeated for child in clients if not child.within]
    has_view = any(child.name.startswith("view ") for child in row.children)
    for child in row.children:
        if child.place == "after" or child.name == OTHER_NAMES or child.kind in (IMPORT, OWN):
            continue  # calls of many names are not one call, and a module is imported once
        if child.part:
            yield from _errors(row, child, judge)
            continue
        repetition = _repetition(row, child, told, judge) if row.name != MAIN else _loop(row, child, judge)
        if repetition is not None:
            yield repetition
        elif child.waits:
            if _is_long_wait(row, child, judge):
                yield _long_wait(row, child, judge)
        elif _may_dominate(row, child, has_view=has_view) and judge.is_worth(child.figures.self_ns):
            yield _dominant_call(row, child, judge)
        yield from _of_call(row, child, judge)
    of = row.figures
    if row.computing is not None and _mostly_computes(row, row.computing, judge):
        yield _computing(row, row.computing, judge)
    if row.name != MAIN and _is_failing(of.calls, of.errors):
        title = f"{row.name} fails {percent(of.errors / of.calls)} of the time"
        evidence = f"{count(of.errors)} of {count(of.calls)} ended with an exception or a status from 500 on."
        severity = judge.error_severity(row, of.errors, of.calls, of.total_ns)
        yield _finding("errors", severity, title, row.name, "", "", evidence, of.total_ns)


def _bursts(series: list[CallSeries], interval_ns: int) -> Iterator[Finding]:
    """Find calls that mostly go well, and at one time failed one after the other."""
    if not series:
        return
    from hookmon.report.series import over_time

    for row in over_time([row for row in series if not row.name.endswith(_NO_ROUTE)], interval_ns):
        if sum(point.errors for point in row.points) >= _BURST * sum(point.calls for point in row.points):
            continue
        stretch: list[Point] = []
        worst: list[Point] = []
        for point in row.points:
            is_bad = point.errors >= _BURST * point.calls and point.errors > 0
            follows = bool(stretch) and point.at_ns == stretch[-1].at_ns + interval_ns
            stretch = [*(stretch if follows else []), point] if is_bad else []
            if sum(point.errors for point in stretch) > sum(point.errors for point in worst):
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
        time_ns = sum(point.total_ns for point in worst)
        yield _finding("burst", "medium", title, "", row.name, "", evidence, time_ns)


def _repetition(row: TransactionRow, child: ChildRow, told: list[float], judge: _Judge) -> Finding | None:
    """Find the same call from the same line, five times or more, one after the other: N+1 queries and their like.

    `told` is how often clients' calls are repeated, which are told by themselves; what each of them is made of is not told again.
    """
    whole_ns = row.figures.total_ns
    if not child.repeated or child.kind == _TASK or child.waits:
        return None  # batches of an epoch, and the wait for each: a loop over them is what an epoch is; no wait does work
    typical = child.repeated_calls / child.repeated
    repeated_ns = max(child.repeated_ns, child.layer_ns)
    is_told = any(typical / 2 <= times <= typical * 2 for times in told)
    if child.within and is_told:
        return None
    if child.kind not in CLIENT_KINDS:  # what is called inside it is told by itself
        repeated_ns = repeated_ns * child.figures.self_ns // max(1, child.figures.total_ns)
        if repeated_ns < _FUNCTION_REPEATS * whole_ns or not judge.is_worth(repeated_ns):
            return None
        if child.kind == "hook" and is_told:
            return None  # the layer of a library around these calls
    title = f"{row.name} calls {child.name} {_times(typical)} in a row"
    orm_ns = repeated_ns - child.repeated_ns
    around = f", {duration(orm_ns)} of that in the ORM around the calls" if orm_ns > 0 else ""
    lanes = row.kind or "transaction"
    of_all = _of_lanes(child) if child.place else count(max(row.figures.calls, child.repeated), lanes)
    evidence = (
        f"Counted in {count(child.repeated)} of {of_all} that called it five times "
        f"or more: {_times(typical)} typically, {_times(child.most_repeated)} at the most; "
        f"{duration(round(repeated_ns / child.repeated))} each time, {duration(repeated_ns)} in the run{around}. "
        f"Saves up to that, less one call, if one call did the work of all."
    )
    saving_ns = round(repeated_ns * (1 - 1 / typical))
    severity = judge.severity(saving_ns, whole_ns, saving_ns)
    if severity == "low" and child.kind in CLIENT_KINDS and typical >= _MANY and judge.is_worth(whole_ns):
        severity = "medium"
    place = judge.place(child)
    return _finding("repetition", severity, title, row.name, child.name, place, evidence, repeated_ns, saving_ns)


def _of_lanes(child: ChildRow) -> str:
    return f"{count(child.repeated)} {'thread or task' if child.repeated == 1 else 'threads and tasks'}"


def _loop(row: TransactionRow, child: ChildRow, judge: _Judge) -> Finding | None:
    """Find a client's call that is made many times in what is no transaction. It may be what a script is there for."""
    figures = child.figures
    if child.kind not in CLIENT_KINDS or child.kind == "template" or not child.is_call or not child.call_site:
        return None  # pages are rendered one by one, whatever a program does
    if figures.calls < _FEWEST_IN_MAIN * row.figures.calls or figures.total_ns < _MEDIUM * (judge.run_ns or row.figures.total_ns):
        return None
    title = f"{child.name} is called {_times(figures.calls)}"
    evidence = (
        f"{count(figures.calls, 'call')} in all threads and processes, {duration(figures.total_ns)} together, "
        f"{duration(figures.mean_ns)} each. Outside of transactions it is not recorded who else called than the place that is "
        f"named, which was the first, nor what came one after the other."
    )
    return _finding("repetition", "low", title, row.name, child.name, judge.place(child), evidence, figures.total_ns)


def _may_dominate(row: TransactionRow, child: ChildRow, *, has_view: bool) -> bool:
    """Say whether a call takes most of a transaction's time, and that is news.

    None is that batches take an epoch's, that a request is its view, and a middleware whatever is watched nowhere inside.
    """
    is_whole = child.name.startswith("view ") or (child.name.startswith("middleware ") and not has_view)
    is_news = row.name != MAIN and not child.place and not is_whole and not (child.kind == row.kind == _TASK)
    return (
        is_news and 0 < _DOMINATES * row.figures.total_ns < child.figures.self_ns
    )  # 0: none has ended, as the program was killed


def _dominant_call(row: TransactionRow, child: ChildRow, judge: _Judge) -> Finding:
    """Tell of one; how long a single request took may be the imports of the first one, and a program's own code is its own."""
    figures = child.figures
    share = figures.self_ns / row.figures.total_ns
    title = f"{row.name} spends {percent(share)} of its time in {child.name}"
    evidence = (
        f"{duration(figures.self_ns)} of {duration(row.figures.total_ns)}, the watched calls inside it taken off; "
        f"{_mean(child)} in each, p95 {duration(figures.p95_ns)} a call."
    )
    is_another = child.kind in CLIENT_KINDS and child.kind != "template"
    is_high = share > _DOMINATES_BY_FAR and is_another and (row.figures.calls > 1 or row.kind == _TASK)
    severity = "high" if is_high else "medium" if row.figures.calls > 1 else "low"
    return _finding("dominated", severity, title, row.name, child.name, judge.place(child), evidence, figures.self_ns)


def _is_long_wait(row: TransactionRow, child: ChildRow, judge: _Judge) -> bool:
    """Say whether a wait is one for somebody. Outside of transactions, jobs are there to wait, and the run is the whole."""
    figures = child.figures
    whole_ns = row.figures.total_ns
    if row.name == MAIN:
        if child.kind == "queue":
            return False
        whole_ns = max(whole_ns, judge.run_ns)
    if not whole_ns or figures.p95_ns < _LONG_WAIT_NS:
        return False
    waited_ns = _waited_ns(child)
    return waited_ns >= _WAITS * whole_ns and judge.is_worth(waited_ns)


def _waited_ns(child: ChildRow) -> int:
    """Return the time of a wait: of a client's, which may open a connection in it, without the calls inside."""
    return child.figures.self_ns if child.kind in CLIENT_KINDS else child.figures.total_ns


def _long_wait(row: TransactionRow, child: ChildRow, judge: _Judge) -> Finding:
    figures = child.figures
    whole_ns = row.figures.total_ns
    waited_ns = all_ns = _waited_ns(child)
    title = f"{row.name} waits {percent(waited_ns / whole_ns)} of its time in {child.name}"
    of = f" of {duration(whole_ns)}"
    if row.name == MAIN:
        title, of = f"{child.name} took {duration(all_ns)}, outside of transactions", ""
        whole_ns = judge.run_ns or whole_ns
    elif child.place or waited_ns > whole_ns:  # of several threads and tasks, side by side
        mean = duration(round(all_ns / figures.calls))
        title, of = f"work of {row.name} waits {mean} each time in {child.name}", " in all threads and tasks"
    waited_ns = min(waited_ns, whole_ns)
    what, why = ("a pool or an executor", "it is too small for the load, or held too long")
    if child.kind not in CLIENT_KINDS:
        what, why = ("what is made elsewhere", "its making is too slow, or has too few workers")
    longest = f"p95 {duration(figures.p95_ns)}, {duration(figures.max_ns)} at the most"
    if all_ns < figures.total_ns:
        longest = "the watched calls inside it taken off"
    evidence = f"{duration(all_ns)}{of} were spent waiting for {what}, {longest}: {why}."
    severity = judge.severity(waited_ns, whole_ns, waited_ns)
    place = judge.place(child)
    return _finding("waiting", severity, title, row.name, child.name, place, evidence, all_ns, waited_ns)


def _mostly_computes(row: TransactionRow, computing: Computing, judge: _Judge) -> bool:
    """Say whether a transaction computes most of its time, in its own thread, and that matters to the run.

    Where a client's calls take a larger part than it waits, they compute themselves, as SQLite does in the thread that calls:
    there a faster database might help after all.
    """
    if computing.measured < _FEWEST_MEASURED or computing.share < _COMPUTES:
        return False
    clients_ns = sum(ns for kind, ns in row.by_kind.items() if kind in CLIENT_KINDS and kind != "template")
    is_own = clients_ns <= (1 - _COMPUTES) * row.figures.total_ns
    return is_own and computing.computing_ns * row.figures.calls >= _MEDIUM * judge.run_ns


def _computing(row: TransactionRow, computing: Computing, judge: _Judge) -> Finding:
    """Tell of one. A thread has one processor, and those of one interpreter take turns: what a process serves has a limit."""
    title = f"{row.name} computes {percent(computing.share)} of its time in one thread: more workers, not a faster database"
    own_ns = max(1, computing.computing_ns - computing.beside_ns)
    evidence = (
        f"{duration(own_ns)} of {duration(row.figures.mean_ns)} on average are CPU time of its own thread or task, measured "
        f"{computing.scale(row.figures.calls)} of {count(row.figures.calls, 'call')}. Where it is Python that "
        f"computes, one process ends at most {_rate(own_ns)}, however many threads it has: more processes let more of them run "
        f"at a time, less code makes each shorter. If all else that it calls took no time, it would save "
        f"{percent(1 - computing.share)}."
    )
    time_ns = computing.computing_ns * row.figures.calls
    severity = "medium" if time_ns >= _HIGH * judge.run_ns else "low"
    return _finding("computing", severity, title, row.name, "", "", evidence, time_ns)


def _rate(each_ns: int) -> str:
    per_second = 1e9 / each_ns
    return f"{per_second:,.0f} a second" if per_second >= 10 else f"{per_second * 60:.3g} a minute"


def _errors(row: TransactionRow, child: ChildRow, judge: _Judge) -> Iterator[Finding]:
    figures = child.figures
    if _is_failing(figures.calls, figures.errors):
        title = f"{child.name} fails {percent(figures.errors / figures.calls)} of the time {_where(row)}"
        evidence = f"{count(figures.errors)} of {count(figures.calls, 'call')} raised."
        severity = judge.error_severity(row, figures.errors, figures.calls, figures.total_ns)
        yield _finding("errors", severity, title, row.name, child.name, judge.place(child), evidence, figures.total_ns)


def _where(row: TransactionRow) -> str:
    return "outside of transactions" if row.name == MAIN else f"in {row.name}"


def _of_call(row: TransactionRow, child: ChildRow, judge: _Judge) -> Iterator[Finding]:
    figures = child.figures
    yield from _errors(row, child, judge)
    may_be_odd = figures.calls >= _OUTLIER_CALLS and child.kind in CLIENT_KINDS
    if row.name == MAIN:
        may_be_odd = may_be_odd and judge.is_worth(figures.max_ns)
    if (
        may_be_odd
        and figures.max_ns >= max(_OUTLIER_NS, _DOMINATES * row.figures.p50_ns)
        and figures.max_ns > _OUTLIER * figures.p95_ns
    ):
        title = f"{child.name} once took {duration(figures.max_ns)} {_where(row)}"
        evidence = f"Its p95 is {duration(figures.p95_ns)} over {count(figures.calls, 'call')}: it took more than ten times that."
        yield _finding("outlier", "low", title, row.name, child.name, judge.place(child), evidence, figures.max_ns)


def _is_failing(calls: int, errors: int) -> bool:
    return errors >= _FEWEST_ERRORS and errors >= _ERROR_RATE * calls


def _finding(
    kind: str,
    severity: str,
    title: str,
    transaction: str,
    call: str,
    location: str,
    evidence: str,
    time_ns: int,
    saving_ns: int = 0,
) -> Finding:
    from hookmon.core.digest import digest  # many runs have no finding

    path = location.rpartition(":")[0]  # without the line, which moves with every edit
    number = digest("\0".join((kind, transaction, call, path)), 3)
    return Finding(f"{kind}-{number}", kind, severity, title, transaction, call, location, evidence, time_ns, saving_ns)


def _mean(child: ChildRow) -> str:
    return "one call" if child.per_call_mean == 1 else f"{child.per_call_mean:.3g} calls"


def _times(number: float) -> str:
    return f"{count(round(number))} times" if number >= 10 else f"{number:.2g} times"
