"""Minutes and hours in UTC, and the same time on the wall of other days."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from support.moved_services import Moved

from hookmon.services.clock import DAY_S, HOUR_S, MINUTE_S, day_start, days_before, hour_of, minute_of

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")


def at(text: str, zone: ZoneInfo) -> float:
    """Return a time on the wall as seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_minutes_and_hours_are_those_of_utc():
    """No change of a zone repeats one or leaves one out."""
    moment = at("2026-11-30T21:06:45", ZoneInfo("UTC"))
    assert minute_of(moment) * MINUTE_S == at("2026-11-30T21:06:00", ZoneInfo("UTC"))
    assert hour_of(minute_of(moment)) * HOUR_S == at("2026-11-30T21:00:00", ZoneInfo("UTC"))
    twice = [at("2026-10-25T00:30:00", ZoneInfo("UTC")) + hour * HOUR_S for hour in (0, 1)]  # 02:30 on both walls
    assert hour_of(minute_of(twice[1])) - hour_of(minute_of(twice[0])) == 1


@pytest.mark.parametrize(
    ("now", "days", "then", "hours"),
    [
        ("2026-11-30T09:00", 1, "2026-11-29T09:00", 24),
        ("2026-10-26T09:00", 1, "2026-10-25T09:00", 24),
        ("2026-10-25T09:00", 1, "2026-10-24T09:00", 25),
        ("2026-03-29T09:00", 1, "2026-03-28T09:00", 23),
        ("2026-10-27T09:00", 7, "2026-10-20T09:00", 169),
    ],
    ids=["plain", "after", "put back", "put forward", "week"],
)
def test_a_day_before_is_the_same_time_on_the_wall(now: str, days: int, then: str, hours: int):
    """Whatever the clocks did meanwhile."""
    moment = at(now, BERLIN)
    assert days_before(moment, days, BERLIN) == at(then, BERLIN) == moment - hours * HOUR_S


def test_a_day_begins_at_midnight_of_its_zone():
    """A day of 25 hours as well, and in a zone of half an hour."""
    assert day_start(at("2026-10-25T23:59:59", BERLIN), BERLIN) == at("2026-10-25T00:00:00", BERLIN)
    assert at("2026-10-26T00:00:00", BERLIN) - day_start(at("2026-10-25T12:00", BERLIN), BERLIN) == DAY_S + HOUR_S
    assert day_start(at("2026-11-30T05:29:00", KOLKATA), KOLKATA) % HOUR_S == HOUR_S // 2


def test_the_next_minute_is_never_now():
    """Or the feed would turn on the spot."""
    clock = Moved(1_800_000_000.0)
    assert clock.to_next_minute_ns() == MINUTE_S * 10**9
    clock.pass_time(59.999)
    assert 900_000 <= clock.to_next_minute_ns() <= 1_100_000
    clock.pass_time(0.000_999_999_9)
    assert clock.to_next_minute_ns() >= 1
