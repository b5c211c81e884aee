"""A service's days as plain data: one day over the day before and the same day of the week before, hour by hour.

In: a Reading, which is what a store kept of some days. Out: Days, all that a format shows and nothing of how it shows it.
The days lie over each other by the clock on the wall: 14:00 over 14:00, also where clocks were changed in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

from hookmon.collector.counters import Counters
from hookmon.core.record import Record
from hookmon.report.history.reading import Reading, Start, Step, UsageStep, sum_of
from hookmon.report.local_time import day_begins, day_name, local, moment_of, wall_of

HOUR_S = 3_600
FINE_S = 600
"""Points of a day of which only hours are kept are an hour apart, others ten minutes."""

DAYS_BEFORE = (0, 1, 7)
"""The days that are laid over each other: the day itself, the day before, the same day of the week before."""


class Figures(Record, slots=True):
    """What ended in one stretch. Percentiles are 0 where no call was timed."""

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    p50_ns: int = 0
    p95_ns: int = 0
    p99_ns: int = 0
    max_ns: int = 0


class Point(Record, slots=True):
    """A part of a day. `minute` is its beginning by the clock on the wall, since midnight.

    `seconds` is how much time it was: twice an hour where a clock was put back, less than one in the hour that goes on.
    """

    minute: int
    seconds: float
    counters: Counters

    @property
    def figures(self) -> Figures:
        """What ended in it. Made when somebody asks: most are never shown."""
        return figures_of(self.counters)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.counters.calls / self.seconds if self.seconds else 0.0


class Curve(Record, slots=True):
    """One name over one day: its points while something ran, its figures up to the day's `until`, and those of all the day."""

    points: list[Point]
    figures: Figures
    whole: Figures


class Row(Record, slots=True):
    """One name, with a curve for each day."""

    name: str
    kind: str
    curves: list[Curve]


class Mark(Record, slots=True):
    """A start, within a day; `minute` since midnight, by the clock on the wall."""

    at: float
    minute: int
    clock: str
    version: str
    command: list[str]
    ended: float | None


class Used(Record, slots=True):
    """What a day used. `seconds` is how long a launcher ran; CPU shares are of one processor."""

    seconds: float
    cpu_share: float
    rss_bytes: int
    processes: int
    launcher_cpu_share: float
    launcher_rss_bytes: int


class Day(Record, slots=True):
    """One day. `until` is how far its figures are compared, `minutes_apart` how wide its points are."""

    date: str
    name: str  # today, yesterday, Mon 23 Nov
    begins: float
    ends: float
    until: float
    until_clock: str
    minutes_apart: int
    skipped: tuple[int, int] | None  # minutes since midnight that no clock showed, as it was put forward
    is_kept: bool  # something ran, or its figures are still there
    starts: list[Mark]
    gaps: list[tuple[str, str]]  # clocks between which nothing ran, before and after which something did
    used: Used | None
    parts: dict[int, float]  # in which something ran: {minutes since midnight: how many seconds of it have passed}


class Days(Record, slots=True):
    """The days of a service, ready to be shown. The first of `days` is what was asked for; curves stand in their order."""

    service: str
    transaction: str
    noun: str  # what is counted: request, task, transaction, call
    now: str  # ISO 8601 with offset
    now_clock: str
    zone: str  # its name, now
    goes_on: bool  # the first day is today
    days: list[Day]
    whole: Row
    rows: list[Row]  # most time on the first day first
    running: int  # starts that go on
    last_start: Mark | None
    notes: list[str]


class _Clock:
    """What the clock on the wall shows. Rows have the same few moments, so each is asked for once."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._minutes: dict[float, int] = {}

    def minute(self, moment: float) -> int:
        """Return the minutes since midnight."""
        minute = self._minutes.get(moment)
        if minute is None:
            wall = wall_of(moment, self.zone)
            minute = self._minutes[moment] = wall.hour * 60 + wall.minute
        return minute

    def text(self, moment: float) -> str:
        """Return a moment as `14:05`."""
        return wall_of(moment, self.zone).strftime("%H:%M")


def build(reading: Reading, day: date, *, now: float, zone: tzinfo | None = None) -> Days:
    """Return the days of a reading: `day`, the day before, and the same day of the week before."""
    clock = _Clock(zone)
    today = wall_of(now, zone).date()
    days = [_day(reading, day - timedelta(days=before), today, clock) for before in DAYS_BEFORE]
    if day >= today:
        _set_ends(days, reading, clock)
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in reading.rows:
        groups.setdefault((step.key.name, step.key.kind), []).append(step)
    rows = [_row(*key, steps, days, clock) for key, steps in groups.items()]
    rows.sort(key=lambda row: (*(-curve.whole.total_ns for curve in row.curves), row.name))
    last = max(reading.starts, key=lambda start: start.at, default=None)
    return Days(
        service=reading.service,
        transaction=reading.transaction,
        noun=_noun(reading, rows),
        now=local(now, zone).isoformat(timespec="seconds"),
        now_clock=clock.text(now),
        zone=local(now, zone).tzname() or "",
        goes_on=day >= today,
        days=days,
        whole=_row("", "", reading.whole, days, clock),
        rows=rows,
        running=sum(start.ended is None for start in reading.starts),
        last_start=_mark(last, clock) if last else None,
        notes=[*reading.notes, *_clock_notes(days, clock)],
    )


def figures_of(counters: Counters) -> Figures:
    """Return what is shown of counters."""
    of = counters
    return Figures(of.calls, of.errors, of.total_ns, of.p50_ns, of.p95_ns, of.p99_ns, of.max_ns)


def _day(reading: Reading, which: date, today: date, clock: _Clock) -> Day:
    begins, ends = day_begins(which, clock.zone), day_begins(which + timedelta(days=1), clock.zone)
    usage = [step for step in reading.usage if begins <= step.since < ends]
    steps = [step for step in reading.whole if begins <= step.since < ends]
    spans: list[Step | UsageStep] = [*usage, *steps]
    widest_s = max((span.until - span.since for span in spans), default=0.0)
    part_s = HOUR_S if widest_s > FINE_S else FINE_S
    return Day(
        date=which.isoformat(),
        name=day_name(which, today),
        begins=begins,
        ends=ends,
        until=ends,
        until_clock="24:00",
        minutes_apart=part_s // 60,
        skipped=_skipped(which, clock) if ends - begins < 24 * HOUR_S else None,
        is_kept=bool(usage or steps),
        starts=[_mark(start, clock) for start in sorted(reading.starts, key=lambda start: start.at) if begins <= start.at < ends],
        gaps=_gaps(usage, clock),
        used=_used(usage),
        parts=_parts(begins, min(ends, reading.until), spans, part_s, clock),
    )


def _skipped(which: date, clock: _Clock) -> tuple[int, int] | None:
    """Return the minutes of a day that no clock showed: from the first of them on until where the clock went on."""
    midnight = datetime(which.year, which.month, which.day)
    for minute in range(0, 24 * 60, 15):
        shown = clock.minute(moment_of(midnight + timedelta(minutes=minute), clock.zone))
        if shown > minute:
            return minute, shown
    return None


def _parts(begins: float, ends: float, steps: Sequence[Step | UsageStep], part_s: int, clock: _Clock) -> dict[int, float]:
    width = part_s // 60
    live = {clock.minute(step.since) // width for step in steps}
    parts: dict[int, float] = {}
    moment = begins
    while moment < ends:
        slot = clock.minute(moment) // width
        if slot in live:
            parts[slot * width] = parts.get(slot * width, 0.0) + min(part_s, ends - moment)
        moment += part_s
    return parts


def _set_ends(days: list[Day], reading: Reading, clock: _Clock) -> None:
    """Say how far days are compared: the one that goes on as far as it got, the others to the same time of day.

    Of a day of which only hours are kept, it is the nearest one, and not before the first.
    """
    first, *others = days
    first.until = max(first.begins, min(reading.until, first.ends))
    wall = local(first.until, clock.zone).replace(tzinfo=None)
    for day in others:
        at = datetime.combine(date.fromisoformat(day.date), wall.time())
        day.until = moment_of(at.replace(fold=1), clock.zone) if first.until < first.ends else day.ends
        for step in reading.whole:
            if step.since < day.until < step.until:
                is_late = day.until - step.since >= (step.until - step.since) / 2 or step.since <= day.begins
                day.until = step.until if is_late else step.since
                break
    for day in days:
        if day.until < day.ends:
            day.until_clock = clock.text(day.until)


def _row(name: str, kind: str, steps: list[Step], days: list[Day], clock: _Clock) -> Row:
    by_day: list[list[Step]] = [[] for _ in days]
    for step in steps:
        for day, own in zip(days, by_day, strict=True):
            if day.begins <= step.since < day.ends:
                own.append(step)
                break
    return Row(name, kind, [_curve(own, day, clock) for own, day in zip(by_day, days, strict=True)])


def _curve(steps: list[Step], day: Day, clock: _Clock) -> Curve:
    parts: dict[int, list[Counters]] = {}
    for step in steps:
        slot = clock.minute(step.since) // day.minutes_apart * day.minutes_apart
        parts.setdefault(slot, []).append(step.counters)
    points = [Point(slot, seconds, sum_of(parts.get(slot, []))) for slot, seconds in sorted(day.parts.items())]
    until = [step.counters for step in steps if min(step.until, day.ends) <= day.until]
    rest = [step.counters for step in steps if min(step.until, day.ends) > day.until]
    compared = sum_of(until)
    return Curve(points, figures_of(compared), figures_of(sum_of([compared, *rest]) if rest else compared))


def _mark(start: Start, clock: _Clock) -> Mark:
    return Mark(start.at, clock.minute(start.at), clock.text(start.at), start.version, start.command, start.ended)


def _gaps(usage: list[UsageStep], clock: _Clock) -> list[tuple[str, str]]:
    """Return when nothing ran between two stretches in which something did."""
    found: list[tuple[str, str]] = []
    end = 0.0
    for step in sorted(usage, key=lambda step: step.since):
        if end and step.since > end:
            found.append((clock.text(end), clock.text(step.since)))
        end = max(end, step.until)
    return found


def _used(usage: list[UsageStep]) -> Used | None:
    seconds = sum(step.until - step.since for step in usage)
    if not seconds:
        return None
    return Used(
        seconds=seconds,
        cpu_share=sum(step.cpu_ns for step in usage) / 1e9 / seconds,
        rss_bytes=max(step.rss_bytes for step in usage),
        processes=max(step.processes for step in usage),
        launcher_cpu_share=sum(step.launcher_cpu_ns for step in usage) / 1e9 / seconds,
        launcher_rss_bytes=max(step.launcher_rss_bytes for step in usage),
    )


def _noun(reading: Reading, rows: list[Row]) -> str:
    if reading.transaction or not reading.has_transactions:
        return "call"
    kinds = {row.kind for row in rows}
    return kinds.pop() if kinds in ({"request"}, {"task"}) else "transaction"


def _clock_notes(days: list[Day], clock: _Clock) -> list[str]:
    """Return what to know of days on which clocks were changed, and of zones whose hours are not those of UTC."""
    found = []
    for day in days:
        hours = (day.ends - day.begins) / HOUR_S
        if hours != 24:
            was = "put forward" if hours < 24 else "put back"
            found.append(f"on {day.date} the clocks were {was}: that day has {hours:g} hours")
    past_s = (local(days[0].begins, clock.zone).utcoffset() or timedelta()).total_seconds() % HOUR_S
    if past_s and any(day.is_kept and day.minutes_apart == HOUR_S // 60 for day in days):
        found.append(
            f"hours are kept by UTC: here they begin at {int(past_s // 60):02} past, and count for the hour in which they begin"
        )
    return found
