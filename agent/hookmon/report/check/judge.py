"""Decides of each limit whether it is kept. In: limits as the configuration has them. Out: plain rows.

A limit on a count is exact. One against a base is broken only when the figure is beyond it and the change is more than noise,
as `hookmon diff` judges it: a gate that fails by chance is soon switched off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from hookmon.collector.counters import CallKey, Counters
from hookmon.collector.store import Run
from hookmon.core.record import Record
from hookmon.report import model
from hookmon.report.check.subjects import Subject, find_matching, find_near, subjects
from hookmon.report.diff import intervals
from hookmon.report.diff.intervals import Ratio
from hookmon.report.diff.machine import Machine, machine_between
from hookmon.report.diff.model import differences
from hookmon.report.texts import count, duration, fine_percent, location
from hookmon.report.titles import title_of

KEPT, BROKEN, UNJUDGED = "kept", "broken", "not judged"

_PER_REQUEST = "_per_request"
_VS_BASE = "_vs_base"


class LimitLike(Protocol):
    """What a limit has to tell: see `hookmon.config.budgets.Limit`."""

    @property
    def key(self) -> str:
        """The setting."""

    @property
    def number(self) -> float:
        """Nanoseconds, a share, a factor, or calls."""

    @property
    def text(self) -> str:
        """The limit as it was written."""

    @property
    def place(self) -> object:
        """Where it was written; `str()` is for people."""


class BudgetLike(Protocol):
    """What a budget has to tell: see `hookmon.config.budgets.Budget`."""

    @property
    def name(self) -> str:
        """A name or a glob."""

    @property
    def limits(self) -> Iterable[LimitLike]:
        """Its lines."""

    @property
    def place(self) -> object:
        """Where it begins."""


class Row(Record, slots=True):
    """One limit held against one transaction or call, or against nothing.

    `value` and `limit` are in the unit of the key; `shown` is the value for people, `reason` says why a limit is broken or could
    not be judged. `file` and `line` are those of the budget, `location` that of the call.
    """

    budget: str
    name: str
    key: str
    verdict: str
    value: float | None
    limit: float
    shown: str
    limit_text: str
    reason: str
    file: str
    line: int
    location: str

    @property
    def sentence(self) -> str:
        """The row in words."""
        what = f"{self.name}: {self.key}" if self.name else self.budget
        if self.verdict == UNJUDGED:
            return f"{what}: {self.reason}"
        sign = "within" if self.verdict == KEPT else "over"
        return f"{what} is {self.shown}, {sign} {self.limit_text}" + (f" ({self.reason})" if self.reason else "")


class Check(Record, slots=True):
    """All limits of a configuration, held against one run. `base` is the number of the run compared with, None for none."""

    run: int
    name: str
    command: list[str]
    base: int | None
    rows: list[Row]
    title: str = ""  # what the run is called in a sentence: `run 7`, or a service and a time
    base_title: str = ""

    def of(self, verdict: str) -> list[Row]:
        """Return the rows with a verdict."""
        return [row for row in self.rows if row.verdict == verdict]

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 when all is kept, 1 when a limit is broken, 3 when nothing could be judged.

        `strict` makes what could not be judged as bad as what is broken, unless it is all.
        """
        judged = len(self.rows) - len(self.of(UNJUDGED))
        if not judged:
            return 3
        return int(bool(self.of(BROKEN)) or (strict and judged < len(self.rows)))


def check(run: Run, budgets: Iterable[BudgetLike], base: Run | None = None) -> Check:
    """Hold budgets against a run; `base` is the run that limits of growth refer to."""
    budgets = list(budgets)
    bench = _Bench(run, base, budgets)
    rows = [row for budget in budgets for row in bench.judge(budget)]
    return Check(run.id, run.name, run.command, base.id if base else None, rows, title_of(run), title_of(base) if base else "")


class _Bench:
    """One run, and one to compare with, ready to be judged."""

    def __init__(self, run: Run, base: Run | None, budgets: list[BudgetLike]) -> None:
        self._report = model.build(run)
        self._subjects = subjects(self._report)
        self._base: dict[CallKey, Subject] | None = None
        self._apart: list[str] = []
        self._machine = Machine({}, (0, 0), (None, None))
        self._tests = sum(  # share one confidence, as the rows of a diff do
            len(find_matching(budget.name, self._subjects)) for budget in budgets for limit in budget.limits if _is_vs_base(limit)
        )
        if base is not None:
            report = model.build(base)
            self._base = {subject.key: subject for subject in subjects(report)}
            self._apart = differences(base, run)
            self._machine = machine_between(base, run, _by_key(report), _by_key(self._report))

    def judge(self, budget: BudgetLike) -> Iterable[Row]:
        found = find_matching(budget.name, self._subjects)
        for limit in budget.limits:
            if limit.key == "overhead":
                yield self._overhead(budget, limit)
            elif found:
                yield from (self._judge(budget, limit, subject) for subject in found)
            else:
                meant = find_near(budget.name, self._subjects)
                reason = "nothing of this name was called" + (f"; did you mean {meant}?" if meant else "")
                yield _row(budget, limit, "", UNJUDGED, None, reason)

    def _overhead(self, budget: BudgetLike, limit: LimitLike) -> Row:
        if self._report.header.window:
            return _row(
                budget,
                limit,
                "(service)",
                UNJUDGED,
                None,
                "of a service it is not known: hookmon check RUN holds it against one start",
            )
        share = self._report.header.overhead_share
        return _row(budget, limit, "(run)", BROKEN if share > limit.number else KEPT, share)

    def _judge(self, budget: BudgetLike, limit: LimitLike, subject: Subject) -> Row:
        place = location(subject.location, self._report.header.project)
        if _is_vs_base(limit):
            return self._against_base(budget, limit, subject, place)
        value, reason = _value(limit.key, subject)
        if value is None:
            return _row(budget, limit, subject.name, UNJUDGED, None, reason, place)
        if value > limit.number and self._is_cut(limit.key, subject, value / limit.number if limit.number else 2.0):
            reason = "its ends cut requests"
            return _row(budget, limit, subject.name, KEPT, value, reason, place)
        return _row(budget, limit, subject.name, BROKEN if value > limit.number else KEPT, value, "", place)

    def _is_cut(self, key: str, subject: Subject, ratio: float) -> bool:
        """Say whether calls in each request are more only because a window of a service ends within some.

        Such a request's calls may be in the window, and itself not. That is one at each end, or a hundredth of many side by side.
        """
        is_of_each = key.endswith(_PER_REQUEST) or key == "calls_per_request"
        transactions = subject.transactions if subject.is_transaction else subject.figures.calls
        return bool(self._report.header.window) and is_of_each and ratio <= 1 + max(0.01, 2 / max(1, transactions))

    def _against_base(self, budget: BudgetLike, limit: LimitLike, subject: Subject, place: str) -> Row:
        before = self._base.get(subject.key) if self._base is not None else None
        if self._base is None:
            reason = "there is no run to compare with: --against RUN"
        elif self._apart:
            reason = f"not comparable: {'; '.join(self._apart)}"
        elif before is None:
            reason = "it was not called in the run compared with"
        else:
            name = limit.key.removesuffix(_VS_BASE)
            judge = intervals.tail if name == "p95" else intervals.typical
            was, now = intervals.Durations(before.buckets), intervals.Durations(subject.buckets)
            noise = judge(was, now, self._tests, self._machine.allowance(subject.key))
            value = _growth(name, before, subject)
            if noise is None or value is None:
                reason = "too few calls to tell a change from noise"
            else:
                is_broken = value > limit.number and noise.low > 1.0
                verdict = BROKEN if is_broken else KEPT
                reason = "" if is_broken or value <= limit.number else f"that is noise: the true change is {_range_text(noise)}"
                return _row(budget, limit, subject.name, verdict, value, reason, place)
        return _row(budget, limit, subject.name, UNJUDGED, None, reason, place)


def _is_vs_base(limit: LimitLike) -> bool:
    return limit.key.endswith(_VS_BASE)


def _by_key(report: model.Report) -> dict[CallKey, Counters]:
    return {CallKey(row.name, row.kind, row.target): row.figures for row in report.calls}


def _growth(name: str, before: Subject, now: Subject) -> float | None:
    was, is_now = (getattr(subject.figures, f"{name}_ns") for subject in (before, now))
    return is_now / was if was else None


def _range_text(ratio: Ratio) -> str:
    return f"{(ratio.low - 1) * 100:+.0f} % to {(ratio.high - 1) * 100:+.0f} %"


def _value(key: str, subject: Subject) -> tuple[float | None, str]:
    """Return the figure that a limit is about, or None and why there is none."""
    figures = subject.figures
    if key == "calls":
        return figures.calls, ""
    if key == "errors":
        return (figures.errors / figures.calls if figures.calls else None), "no call of it ended"
    if key == "max_repetition":
        return subject.repetition, ""
    if key == "calls_per_request":
        value = None if subject.is_transaction else subject.calls_per_request
        return value, "it is a transaction itself" if subject.is_transaction else "it was called outside of transactions only"
    if key == "computing":
        computed_ns = subject.computing.computing_ns if subject.computing else None
        return computed_ns, "its CPU time was not measured" if subject.is_transaction else "it is no transaction"
    if key.endswith(_PER_REQUEST):
        kind = key.removesuffix(_PER_REQUEST)
        return (subject.per_request(kind), "") if subject.is_transaction else (None, "it is no transaction")
    timed: int = getattr(figures, f"{key}_ns")
    return timed, ""


def shown(key: str, value: float) -> str:
    """Return a value in the unit of its key, for people."""
    if key.endswith(_VS_BASE):
        return f"{(value - 1) * 100:+.1f} %"
    if key in ("errors", "overhead"):
        return fine_percent(value)
    if key in ("calls", "max_repetition"):
        return "fewer than 5" if key == "max_repetition" and not value else count(round(value))
    return f"{value:.6g}" if key.endswith(_PER_REQUEST) else duration(round(value))


def _row(
    budget: BudgetLike,
    limit: LimitLike,
    name: str,
    verdict: str,
    value: float | None,
    reason: str = "",
    place: str = "",
) -> Row:
    text = "" if value is None else shown(limit.key, value)
    file, _, line = str(limit.place).rpartition(":")
    is_placed = line.isdecimal()
    return Row(
        budget.name,
        name,
        limit.key,
        verdict,
        value,
        limit.number,
        text,
        limit.text,
        reason,
        file if is_placed else str(limit.place),
        int(line) if is_placed else 0,
        place,
    )
