"""--last, --since, --until and --against: what they mean on ordinary days and on those on which the clocks are changed."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import click
import pytest

from hookmon.cli import _time_range
from hookmon.cli._time_range import TimeRange
from hookmon.report.local_time import stretch

BERLIN = ZoneInfo("Europe/Berlin")  # clocks forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00
NOW = "2026-11-30 14:05"  # a Monday


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    """The moment of a local time; "+" at its end for the second of two."""
    wall = datetime.fromisoformat(text.rstrip("+"))
    return wall.replace(tzinfo=zone, fold=text.endswith("+")).timestamp()


def parse(last: str | None = None, since: str | None = None, until: str | None = None, now: str = NOW) -> TimeRange:
    """What the options mean in Berlin."""
    found = _time_range.parse(last, since, until, now=at(now), zone=BERLIN)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("90s", 90),
        ("1h", 3_600),
        ("1h30m", 5_400),
        ("1.5h", 5_400),
        ("2 days", 172_800),
        ("1 Hour 5 min", 3_900),
        ("1w", 604_800),
    ],
)
def test_a_length_is_a_number_and_a_unit_or_several(text: str, seconds: int) -> None:
    """`10m`, `1h30m`, `2 days`: up to now."""
    assert parse(last=text) == TimeRange(at(NOW) - seconds, at(NOW))


def test_none_of_the_options_means_no_stretch() -> None:
    """Then a verb does what it always did."""
    assert _time_range.parse(None, None, None, now=0) is None


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("14:00", None, "2026-11-30 14:00", NOW),
        ("14:00", "14:30", "2026-11-30 14:00", NOW),  # half of it is still to come
        ("13:00", "13:30", "2026-11-30 13:00", "2026-11-30 13:30"),
        ("13:00:20", "13:30:40", "2026-11-30 13:00:20", "2026-11-30 13:30:40"),
        ("23:00", None, "2026-11-29 23:00", NOW),  # the last 23:00 there was
        ("23:00", "01:00", "2026-11-29 23:00", "2026-11-30 01:00"),
        ("yesterday", None, "2026-11-29 00:00", NOW),
        ("yesterday", "yesterday", "2026-11-29 00:00", "2026-11-30 00:00"),  # a day ends with its end
        ("Yesterday 22:00", "23:30", "2026-11-29 22:00", "2026-11-29 23:30"),
        ("today", "now", "2026-11-30 00:00", NOW),
        ("friday", "sat", "2026-11-27 00:00", "2026-11-29 00:00"),
        ("monday 9:30", None, "2026-11-30 09:30", NOW),
        ("2026-11-28", "2026-11-28", "2026-11-28 00:00", "2026-11-29 00:00"),
        ("2026-11-28T14:00", "2026-11-28 14:30", "2026-11-28 14:00", "2026-11-28 14:30"),
        ("2026-11-28T14:00Z", "2026-11-28T14:30-05:00", "2026-11-28 15:00", "2026-11-28 20:30"),
    ],
)
def test_times_of_day_are_local_and_the_last_that_passed(since: str, until: str | None, begin: str, end: str) -> None:
    """A day may stand before them; behind a beginning it is the first such time after it."""
    assert parse(since=since, until=until) == TimeRange(at(begin), at(end))


def test_a_length_may_end_before_now() -> None:
    """`--last 10m --until 14:00` are the ten minutes before two o'clock."""
    assert parse(last="10m", until="14:00") == TimeRange(at("2026-11-30 13:50"), at("2026-11-30 14:00"))
    assert parse(last="10m", until="15:00") == TimeRange(at("2026-11-29 14:50"), at("2026-11-29 15:00"))


@pytest.mark.parametrize(
    ("last", "since", "until", "told"),
    [
        ("10", None, None, "--last 10: that is no length of time; did you mean 10m?"),
        ("10x", None, None, "x is no unit of time; did you mean 10m?"),
        ("2 huors", None, None, "huors is no unit of time; did you mean 2h?"),
        ("0m", None, None, "that is no length of time"),
        ("40y", None, None, "y is no unit of time"),
        ("9999999w", None, None, "so long nothing is kept"),
        ("9" * 400 + "w", None, None, "so long nothing is kept"),
        ("yesterday", None, None, "did you mean --since yesterday?"),
        ("monday 9:30", None, None, "did you mean --since 'monday 9:30'?"),
        ("", None, None, "say 10m, 1h, 2d"),
        (None, "2h", None, "that is a length; did you mean --last 2h?"),
        (None, "14", None, "did you mean 14:00?"),
        (None, "14.30", None, "did you mean 14:30?"),
        (None, "2pm", None, "did you mean 14:00?"),
        (None, "12am", None, "did you mean 00:00?"),
        (None, "yesterday 9", None, "did you mean 'yesterday 09:00'?"),
        (None, "yesteday", None, "did you mean yesterday?"),
        (None, "28.11.2026", None, "did you mean 2026-11-28?"),
        (None, "11/28/2026", None, "did you mean 2026-11-28?"),
        (None, "25:00", None, "there is no 25:00"),
        (None, "2026-02-30", None, "there is no such day"),
        (None, "2026-12-24", None, "that is still to come"),
        (None, "today 15:00", None, "that is still to come"),
        (None, "now", None, "say --last 10m"),
        (None, "when it broke", None, "say 14:00, yesterday, 2026-11-28"),
        (None, "1066-10-14", None, "so long nothing is kept"),
        (None, "yesterday", "9999-12-31", "--until 9999-12-31: that is no time"),
        (None, "2026-11-28 14:00", "2026-11-28 13:00", "--until 2026-11-28 13:00 is not after --since 2026-11-28 14:00"),
        (None, None, "14:00", "--until needs a beginning"),
        ("1h", "14:00", None, "give one of them"),
    ],
)
def test_what_means_nothing_is_refused_with_what_was_meant(
    last: str | None, since: str | None, until: str | None, told: str
) -> None:
    """One line: the option, what was typed, and what may have been meant."""
    with pytest.raises(click.UsageError) as caught:
        parse(last, since, until)
    assert told in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("against", "begin", "end"),
    [
        ("yesterday", "2026-11-29 13:05", "2026-11-29 14:05"),
        ("last-week", "2026-11-23 13:05", "2026-11-23 14:05"),
        ("Last Week", "2026-11-23 13:05", "2026-11-23 14:05"),
        ("2h", "2026-11-30 11:05", "2026-11-30 12:05"),
        ("friday", "2026-11-27 13:05", "2026-11-27 14:05"),
        ("2026-11-20", "2026-11-20 13:05", "2026-11-20 14:05"),
    ],
)
def test_the_stretch_before_has_the_same_times_of_day(against: str, begin: str, end: str) -> None:
    """Of another day, or so much earlier."""
    now = at(NOW)
    assert _time_range.earlier(TimeRange(now - 3_600, now), against, now=now, zone=BERLIN) == TimeRange(at(begin), at(end))


@pytest.mark.parametrize(
    ("against", "told"),
    [
        ("yesterdy", "did you mean yesterday?"),
        ("lastweek?", "did you mean last-week?"),
        ("today", "that is no earlier day"),
        ("nightly", "say yesterday, last-week, 2h, 2026-11-28"),
        ("2x", "did you mean 2m?"),
    ],
)
def test_what_is_no_earlier_time_is_refused(against: str, told: str) -> None:
    """With what may have been meant."""
    with pytest.raises(click.UsageError) as caught:
        _time_range.earlier(TimeRange(at(NOW) - 60, at(NOW)), against, now=at(NOW), zone=BERLIN)
    assert caught.value.message.startswith(f"--against {against}: ")
    assert told in caught.value.message


def test_a_day_earlier_is_no_24_hours_when_the_clocks_were_put_forward() -> None:
    """The Monday after: the same times of day, which are 23 hours back until the jump, and a length is a length."""
    now = at("2026-03-29 12:00")
    given = TimeRange(at("2026-03-29 11:00"), now)
    earlier = _time_range.earlier(given, "yesterday", now=now, zone=BERLIN)
    assert earlier == TimeRange(at("2026-03-28 11:00"), at("2026-03-28 12:00"))
    assert now - earlier.until == 23 * 3_600
    assert _time_range.earlier(given, "24h", now=now, zone=BERLIN).until == now - 24 * 3_600
    assert parse(last="1d", now="2026-03-29 12:00").since == at("2026-03-28 11:00")


def test_a_time_that_no_clock_showed_is_the_moment_of_the_jump() -> None:
    """02:30 on that day does not exist: the clocks went from 02:00 to 03:00."""
    jump = at("2026-03-29 03:00")
    assert parse(since="2026-03-29 02:30", now="2026-03-29 12:00").since == jump
    given = TimeRange(at("2026-03-30 02:15"), at("2026-03-30 04:00"))
    earlier = _time_range.earlier(given, "yesterday", now=at("2026-03-30 04:00"), zone=BERLIN)
    assert earlier == TimeRange(jump, at("2026-03-29 04:00"))


def test_a_time_that_came_twice_begins_with_the_first_and_ends_with_the_second() -> None:
    """02:30 to 02:30 on the day on which the clocks went back is an hour."""
    found = parse(since="2026-10-25 02:30", until="2026-10-25 02:30", now="2026-10-25 12:00")
    assert found == TimeRange(at("2026-10-25 02:30"), at("2026-10-25 02:30+"))
    assert found.until - found.since == 3_600
    assert stretch(found.since, found.until, BERLIN) == "2026-10-25 02:30 CEST to 02:30 CET"


def test_a_day_may_have_23_or_25_hours() -> None:
    """From its midnight to the next."""
    for text, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        found = parse(since=text, until=text)
        assert found.until - found.since == hours * 3_600


def test_a_day_whose_midnight_was_skipped_begins_at_the_jump() -> None:
    """In Beirut the clocks go forward at midnight."""
    beirut = ZoneInfo("Asia/Beirut")
    found = _time_range.parse(None, "2026-03-29", "2026-03-29", now=at(NOW), zone=beirut)
    assert found == TimeRange(at("2026-03-29 01:00", beirut), at("2026-03-30 00:00", beirut))


def test_without_a_zone_it_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rules count as well: those of `TZ`."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        for since, until, day in (("23:00", "01:00", None), ("2026-10-25 02:30", "2026-10-25 02:30", "2026-10-25")):
            own = _time_range.parse(None, since, until, now=at(NOW))
            assert own == parse(since=since, until=until)
            assert own is not None
            assert stretch(own.since, own.until) == stretch(own.since, own.until, BERLIN), day
    finally:
        monkeypatch.undo()
        time.tzset()
