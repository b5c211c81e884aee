"""Days of a service that tests lay over each other: hours with so many calls of one duration."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.histogram import bucket_of
from hookmon.report.history.model import Days, build
from hookmon.report.history.reading import Reading, Step, UsageStep
from hookmon.report.local_time import day_begins

BERLIN = ZoneInfo("Europe/Berlin")
MS = 1_000_000
GET = CallKey("GET /", "request", "flask:Flask.wsgi_app")
SQL = CallKey("SELECT", "sql", "sqlite3:execute")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    """Return the moment of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def counters(calls: int, each_ns: int = 10 * MS, errors: int = 0) -> Counters:
    """So many calls of one duration."""
    histograms = [{bucket_of(each_ns): calls}]
    return Counters(calls, errors, calls * each_ns, calls * each_ns, each_ns, each_ns, histograms=histograms)


def hours(
    day: str, per_hour: list[int | None], key: CallKey = GET, each_ns: int = 10 * MS, zone: ZoneInfo = BERLIN
) -> list[Step]:
    """One step for each hour from midnight on, with so many calls; None for an hour in which nothing ran."""
    begins = day_begins(date.fromisoformat(day), zone)
    return [
        Step(begins + 3600 * hour, begins + 3600 * (hour + 1), key, counters(calls, each_ns))
        for hour, calls in enumerate(per_hour)
        if calls is not None
    ]


def used(steps: list[Step]) -> list[UsageStep]:
    """A launcher ran in each step."""
    spans = sorted({(step.since, step.until) for step in steps})
    return [UsageStep(*span, cpu_ns=360_000_000_000, rss_bytes=100_000_000, processes=2) for span in spans]


def days_of(steps: list[Step], now: str, *, day: str = "", zone: ZoneInfo = BERLIN, **more: object) -> Days:
    """Return the days of a service `web` as they are seen at a moment; `more` are fields of the reading."""
    moment = at(now, zone)
    reading = Reading("web", moment // 60 * 60, steps, steps, used(steps), **more)  # type: ignore[arg-type]
    return build(reading, date.fromisoformat(day or now[:10]), now=moment, zone=zone)


THREE_DAYS = [
    *hours("2026-11-30", [5, 6, 7]),
    *hours("2026-11-29", [10] * 24, each_ns=20 * MS),
    *hours("2026-11-23", [20] * 24),
]
