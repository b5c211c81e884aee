"""Days in words: how the day compares, when the service was started, and what is missing."""

from __future__ import annotations

from shlex import quote

from hookmon.report.history.model import Day, Days, Figures, Mark
from hookmon.report.texts import count, duration, fine_percent, percent, size

FEW_CALLS = 20
"""Below so many calls nothing is said of how one day's percentiles compare with another's."""

_EQUAL = 0.005  # a share that would be shown as no percent
_ALIKE = 0.05  # a difference of less than this share is none
_MOST_LISTED = 4


def sentence(text: str) -> str:
    """Return a sentence of its own: with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def headline(days: Days) -> str:
    """Return the verdict as a headline. A name keeps its letters."""
    said = verdict(days)
    return said if days.transaction else said[0].upper() + said[1:]


def verdict(days: Days) -> str:
    """Return how the day compares with the day before, in one sentence."""
    day, before = days.days[0], days.days[1]
    now, then = (days.whole.curves[at].figures for at in (0, 1))
    to = "" if day.until >= day.ends else f" to {day.until_clock}"
    what = f"{days.transaction}: " if days.transaction else ""
    shown = f"hookmon report {quote(days.service)} --last 10m shows it"
    if not day.is_kept and days.goes_on and day.starts and not days.running:
        return f"{what}{day.name} it ran, but that minute is not over: {shown}"
    if not day.is_kept and days.goes_on and days.running:
        return f"{what}{day.name} it runs, but its first minute is not over: {shown}"
    if not day.is_kept:
        return f"{what}{day.name}{to} nothing ran, or nothing is kept of it"
    told = f"{what}{day.name}{to} {count(now.calls, days.noun)}"
    if not before.is_kept:
        parts = [f"p95 {duration(now.p95_ns)}"] if now.p95_ns else []
        return ", ".join([told, *parts, _errors(now, None, before)]) + f"; {before.name} nothing ran, or nothing is kept of it"
    parts = [_more(now.calls, then.calls, before.name)]
    if now.p95_ns:
        parts.append(f"p95 {duration(now.p95_ns)}{_times(now, then, before.name)}")
    return "; ".join([f"{told}, {parts[0]}", *parts[1:], _errors(now, then, before)])


def _more(now: int, then: int, name: str) -> str:
    if not then:
        return f"none {name}" if now else f"as {name}"
    share = now / then - 1
    if abs(share) < _ALIKE:
        return f"as many as {name}"
    if share >= 1:
        return f"{_ratio(now / then)} times as many as {name}"
    return f"{percent(abs(share))} {'more' if share > 0 else 'fewer'} than {name}"


def _times(now: Figures, then: Figures, name: str) -> str:
    if not then.p95_ns:
        return ""
    ratio = now.p95_ns / then.p95_ns
    if min(now.calls, then.calls) < FEW_CALLS:
        return f", {name} {duration(then.p95_ns)}"
    if abs(ratio - 1) < _ALIKE:
        return f", as {name}"
    if ratio >= 2:
        return f", {_ratio(ratio)} times that of {name}"
    return f", {percent(abs(ratio - 1))} {'slower' if ratio > 1 else 'faster'} than {name}"


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:,.0f}"


def _errors(now: Figures, then: Figures | None, before: Day) -> str:
    told = count(now.errors, "error") if now.errors else "no error"
    if then is None or now.errors == then.errors:
        return told if then is None or not now.errors else f"{told}, as {before.name}"
    return f"{told}, {before.name} {count(then.errors) if then.errors else 'none'}"


def change(now: int, then: int) -> str:
    """Return how a number differs from an earlier one: `+12 %`, `×3.4`, `=` for less than half a percent, a dash for nothing."""
    if not then:
        return "–" if not now else "new"
    ratio = now / then
    if ratio >= 2:
        return f"×{_ratio(ratio)}"
    if abs(ratio - 1) < _EQUAL:
        return "="
    return f"{'+' if ratio > 1 else '-'}{percent(abs(ratio - 1))}"


def is_slower(now: Figures, then: Figures) -> bool:
    """Say whether a p95 is half as much again as an earlier one, of enough calls to tell."""
    return min(now.calls, then.calls) >= FEW_CALLS and now.p95_ns >= 1.5 * then.p95_ns > 0


def reach(days: Days) -> str:
    """Return of which days the figures reach to another time than those of the first, "" where it is the same for all."""
    odd = [day for day in days.days[1:] if day.is_kept and day.until_clock != days.days[0].until_clock]
    return "; ".join(f"of {day.name} only hours are kept: its figures are to {day.until_clock}" for day in odd)


def state(days: Days) -> str:
    """Return whether the service runs."""
    if days.running > 1:
        return f"{count(days.running)} starts are running"
    return "running" if days.running else "not running" if days.last_start else "never started"


def version_changes(marks: list[Mark]) -> list[tuple[Mark, str]]:
    """Return each start with what it was: its version where it has one, and `same version` where it is that of the one before."""
    found: list[tuple[Mark, str]] = []
    for at, mark in enumerate(marks):
        is_same = at > 0 and mark.version == marks[at - 1].version
        found.append((mark, "" if not mark.version else "same version" if is_same else f"version {mark.version}"))
    return found


def used(day: Day) -> str:
    """Return what a day used: `CPU 12 % of a processor, memory 310 MB, 5 processes; hookmon 0.1 %, 24 MB`; "" for unknown."""
    of = day.used
    if of is None or not (of.cpu_share or of.rss_bytes or of.processes):
        return ""
    told = f"CPU {percent(of.cpu_share)} of a processor, memory up to {size(of.rss_bytes)}"
    told += f", up to {count(of.processes, 'process')}" if of.processes > 1 else ""
    return f"{told}; hookmon's launcher {fine_percent(of.launcher_cpu_share)}, {size(of.launcher_rss_bytes)}"


def gaps(day: Day) -> str:
    """Return when nothing ran on a day, "" where that was never."""
    told = [f"{begin} to {end}" for begin, end in day.gaps[:_MOST_LISTED]]
    more = len(day.gaps) - len(told)
    return ", ".join(told) + (f" and {count(more, 'more time')}" if more else "")
