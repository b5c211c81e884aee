"""Days on a screen: a sentence, the days over each other as lines of bars, and each name beside what it was."""

from __future__ import annotations

from collections.abc import Callable
from shlex import join
from typing import TextIO

from hookmon.report.history.model import Curve, Day, Days, Point, Row
from hookmon.report.history.reading import sum_of
from hookmon.report.history.wording import change, gaps, headline, is_slower, reach, sentence, state, used, version_changes
from hookmon.report.screen import Column, Piece, Screen
from hookmon.report.sparkline import spark
from hookmon.report.texts import count, duration

MOST_ROWS = 12
MOST_STARTS = 5

_CELLS = 24  # of a day: hours
_CLOCKS = "0     6     12    18    "
_NARROW = 64  # below there is room for figures only
_WIDE = 116  # from this width on there is room for a second line of bars


def write(days: Days, file: TextIO, *, width: int | None, everything: bool) -> None:
    """Write the screen."""
    screen = Screen(file, width)
    _head(screen, days)
    if any(day.is_kept for day in days.days):
        _days(screen, days)
        _starts(screen, days, everything)
        _rows(screen, days, everything)
        _used(screen, days)
    _notes(screen, days)
    screen.write()


def _head(screen: Screen, days: Days) -> None:
    first = days.days[0]
    clock = f" {days.now_clock} {days.zone}".rstrip() if days.goes_on else ""
    pieces: list[Piece] = [
        (days.service, "bold"),
        (f"{first.date}{clock}", "dim"),
        (state(days), ""),
    ]
    last = days.last_start
    if last:
        version = f", version {last.version}" if last.version else ""
        day = "" if first.begins <= last.at < first.ends else f"{_day_of(days, last.at)} "
        pieces.append((f"last start {day}{last.clock}{version}", ""))
    screen.flow(pieces, between=" · ")
    screen.line()
    screen.paragraph(f"{headline(days)}.", "bold")


def _day_of(days: Days, moment: float) -> str:
    return next((day.name for day in days.days if day.begins <= moment < day.ends), "earlier")


def _days(screen: Screen, days: Days) -> None:
    shown = [(at, day) for at, day in enumerate(days.days) if day.is_kept or not at]
    curves = days.whole.curves
    tops = [
        max((value(point) for at, _ in shown for point in _hours(curves[at], days.days[at])), default=0.0)
        for value in (_rate, _p95)
    ]
    to = "" if days.days[0].until >= days.days[0].ends else f"; figures to {days.days[0].until_clock}"
    screen.title(_title(days), f"bars: calls by the hour{to}")
    has_bars = screen.width >= _NARROW
    columns = [
        Column("", least=9),
        Column(_CLOCKS, rank=0 if has_bars else 6, least=_CELLS),
        Column("calls"),
        Column("errors"),
        Column("p50", rank=2),
        Column("p95"),
        Column("p99", rank=3),
        Column("p95 by the hour", rank=1, least=_CELLS),
        Column("all day", rank=4),
    ]
    rows: list[list[Piece]] = []
    for at, day in shown:
        of = curves[at].figures
        cells: list[Piece] = [(day.name, "bold" if not at else "")]
        cells.append((spark(_cells(days, at, curves[at], _rate), tops[0]), "cyan" if not at else ""))
        cells += [(count(of.calls), ""), (count(of.errors), "red" if of.errors else "dim")]
        cells += [(_time(ns), "") for ns in (of.p50_ns, of.p95_ns, of.p99_ns)]
        cells += [(spark(_cells(days, at, curves[at], _p95), tops[1]), "cyan" if not at else "")]
        rows.append([*cells, (count(curves[at].whole.calls), "dim")])
        if not at and day.starts and has_bars:
            rows.append([("started", "dim"), (_marks(day), "yellow"), *[("", "")] * 7])
    if screen.width < _WIDE or not tops[1]:
        del columns[7]
        rows = [[*row[:7], *row[8:]] for row in rows]
    screen.table(columns, rows)
    if reach(days):
        screen.paragraph(sentence(reach(days)), "dim")


def _title(days: Days) -> str:
    if days.transaction:
        return days.transaction
    return "All calls" if days.noun == "call" else f"All {days.noun}s"


def _hours(curve: Curve, day: Day) -> list[Point]:
    """Return the points of a day, an hour each, whatever their width."""
    return curve.points if day.minutes_apart >= 60 else [_hour(group) for group in _by_hour(curve.points).values()]


def _by_hour(points: list[Point]) -> dict[int, list[Point]]:
    groups: dict[int, list[Point]] = {}
    for point in points:
        groups.setdefault(point.minute // 60, []).append(point)
    return groups


def _hour(points: list[Point]) -> Point:
    """Return several points as one."""
    seconds = sum(point.seconds for point in points)
    return Point(points[0].minute // 60 * 60, seconds, sum_of([point.counters for point in points]))


def _rate(point: Point) -> float:
    return point.rate


def _p95(point: Point) -> float:
    return float(point.figures.p95_ns)


def _cells(days: Days, at: int, curve: Curve, value: Callable[[Point], float]) -> list[float | None]:
    """Return a value for each hour: None where nothing ran, below zero for hours that are still to come or never were."""
    day = days.days[at]
    known = {point.minute // 60: value(point) for point in _hours(curve, day)}
    hours = _CELLS
    if days.goes_on and not at and day.until < day.ends:
        hour, minute = map(int, day.until_clock.split(":"))
        hours = hour + (minute > 0)
    return [known.get(hour, _never(hour, day)) if hour < hours else -1.0 for hour in range(_CELLS)]


def _never(hour: int, day: Day) -> float | None:
    return -1.0 if day.skipped and day.skipped[0] <= hour * 60 < day.skipped[1] else None


def _marks(day: Day) -> str:
    hours = {mark.minute // 60 for mark in day.starts}
    return "".join("▲" if hour in hours else " " for hour in range(_CELLS)).rstrip()


def _starts(screen: Screen, days: Days, everything: bool) -> None:
    marks = days.days[0].starts
    if not marks and not any(day.gaps for day in days.days):
        return
    screen.title("Starts", f"{count(len(marks))} {days.days[0].name}" + _on_others(days))
    told = version_changes(marks)
    shown = told if everything else told[-MOST_STARTS:]
    if len(shown) < len(told):
        screen.line((f"… {count(len(told) - len(shown))} before, with --all", "dim"))
    for mark, version in shown:
        pieces: list[Piece] = [(f"{mark.clock}  ", ""), (f"{version}  " if version else "", "dim"), (join(mark.command), "dim")]
        screen.line(*[piece for piece in pieces if piece[0]])
    for day in days.days:
        if day.gaps:
            screen.paragraph(f"Nothing ran {day.name} from {gaps(day)}.", "yellow")


def _on_others(days: Days) -> str:
    others = [f"{count(len(day.starts))} {day.name}" for day in days.days[1:] if day.is_kept]
    return f"; {', '.join(others)}" if others else ""


def _rows(screen: Screen, days: Days, everything: bool) -> None:
    rows = [row for row in days.rows if everything or any(curve.figures.calls for curve in row.curves[:2])]
    if not rows:
        return
    shown = rows if everything else rows[:MOST_ROWS]
    more = f", {count(len(rows) - len(shown))} more with --all" if len(shown) < len(rows) else ""
    noun = "call" if days.transaction else days.noun
    where = f"Inside {days.transaction}" if days.transaction else f"Each {noun}"
    has_day, has_week = days.days[1].is_kept, days.days[2].is_kept
    screen.title(where, f"most time first{f'; beside it {days.days[1].name}' if has_day else ''}{more}")
    columns = [
        Column("name", least=16),
        Column(_CLOCKS, rank=2, least=_CELLS),
        Column("calls"),
        Column("", rank=1),
        Column("errors", rank=1),
        Column("p50", rank=4),
        Column("p95"),
        Column("was", rank=1),
        Column(days.days[2].name, rank=3),
    ]
    left_out = {3, 7} if not has_day else set()
    left_out |= {8} if not has_week else set()
    cells = [[cell for at, cell in enumerate(_row(days, row)) if at not in left_out] for row in shown]
    screen.table([column for at, column in enumerate(columns) if at not in left_out], cells)


def _row(days: Days, row: Row) -> list[Piece]:
    now, then, week = (curve.figures for curve in row.curves)
    top = max((point.rate for curve, day in zip(row.curves, days.days, strict=True) for point in _hours(curve, day)), default=0.0)
    line = spark(_cells(days, 0, row.curves[0], _rate), top)
    changed = change(now.calls, then.calls) if days.days[1].is_kept else ""
    return [
        (row.name, "bold"),
        (line, "cyan"),
        (count(now.calls), ""),
        (changed, "dim"),
        (count(now.errors), "red" if now.errors else "dim"),
        (_time(now.p50_ns), ""),
        (_time(now.p95_ns), "red" if is_slower(now, then) else ""),
        (_time(then.p95_ns), "dim"),
        (_time(week.p95_ns), "dim"),
    ]


def _time(duration_ns: int) -> str:
    return duration(duration_ns) if duration_ns else "–"


def _used(screen: Screen, days: Days) -> None:
    told = [(day.name, used(day)) for day in days.days[:2] if used(day)]
    if told and not days.transaction:
        screen.title("Used")
        for name, text in told:
            screen.paragraph(f"{name}: {text}", indent=2)


def _notes(screen: Screen, days: Days) -> None:
    if days.notes:
        screen.title("To know")
        for note in days.notes:
            screen.paragraph(f"{note}.", "dim", indent=2)  # it may begin with a name, which keeps its letters
