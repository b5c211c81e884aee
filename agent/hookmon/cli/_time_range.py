"""What --last, --since, --until and --against mean: a stretch of time, in the words that people use for it.

In: what was typed, the moment of the command, and the time zone. Out: a TimeRange in seconds since 1970. Times of day are local
ones. Where a clock was put forward over a time that is meant, it is the moment of the jump; where a clock was put back, a stretch
begins with the first of two equal times and ends with the second. A length, as `1h` or `1d`, is time that passed, whatever the
clocks said meanwhile; a day earlier is the same times of day of the day before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from hookmon.core.record import Record
from hookmon.report.local_time import WEEKDAYS, local, moment_of, wall_of

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNIT_WORDS = ("s|sec|secs|second|seconds", "m|min|mins|minute|minutes", "h|hour|hours", "d|day|days", "w|week|weeks")
_UNIT = {word: words[0] for words in _UNIT_WORDS for word in words.split("|")}
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_LOOSE_TIME = re.compile(r"(\d{1,2})(?:[.h:]?(\d{2}))?\s*(am|pm|)")
_LOOSE_DATE = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_LAST_WEEK = ("last-week", "last week", "lastweek")
_LONGEST_S = 10 * 366 * 86_400
_T = TypeVar("_T")
_TOO_LONG = "so long nothing is kept"


class TimeRange(Record, frozen=True):
    """A stretch of time, in seconds since 1970; `until` itself is not in it."""

    since: float
    until: float


class _UnclearError(ValueError):
    """A word of time that means nothing; its text says why, and what may have been meant."""


def options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the parameters last, since and until."""
    for option in (
        click.option("--until", metavar="TIME", help="To this time; without it, to now."),
        click.option("--since", metavar="TIME", help="From this time on: 14:00, yesterday, 'monday 9:30', 2026-11-28."),
        click.option("--last", metavar="LENGTH", help="Only the last 10m, 1h, 2d."),
    ):
        verb = option(verb)
    return verb


def parse(last: str | None, since: str | None, until: str | None, *, now: float, zone: tzinfo | None = None) -> TimeRange | None:
    """Return the stretch that the three options mean, None where none of them was given.

    `zone` is that of the machine where it is None. A time of day without a day is the last one that has passed, and behind
    `since` the first one after it. What lies ahead ends now. Raises UsageError for what means nothing.
    """
    if last is None and since is None and until is None:
        return None
    if last is not None and since is not None:
        raise click.UsageError("--last is up to now, and --since has a beginning of its own: give one of them")
    if last is None and since is None:
        raise click.UsageError("--until needs a beginning: --since TIME or --last LENGTH")
    if last is not None:
        length_s = _of_option("--last", last, _length_s)
        end = now if until is None else _of_option("--until", until, lambda text: _end(text, None, now, zone))
        return TimeRange(end - length_s, end)
    begin = _of_option("--since", since or "", lambda text: _begin(text, now, zone))
    end = now if until is None else _of_option("--until", until, lambda text: _end(text, begin, now, zone))
    if end <= begin:
        raise click.UsageError(f"--until {until} is not after --since {since}")
    return TimeRange(begin, min(end, now))


def earlier(given: TimeRange, against: str, *, now: float, zone: tzinfo | None = None) -> TimeRange:
    """Return the stretch that another one is compared with: `yesterday`, `last-week`, a length earlier, or another day.

    `yesterday` are the same times of day, one day before; a length, as `2h`, is so much time before. Raises UsageError.
    """
    return _of_option("--against", against, lambda text: _earlier(given, text, now, zone))


def length_s(option: str, text: str) -> float:
    """Return the seconds of a length: `10m`, `1h30m`, `2 days`. Raises UsageError, which names the option."""
    return _of_option(option, text, _length_s)


def day(option: str, text: str, *, now: float, zone: tzinfo | None = None) -> date:
    """Return the day that is meant: today, yesterday, a day of the week (the last one), 2026-11-28. Raises UsageError."""
    return _of_option(option, text, lambda word: _day(word, local(now, zone).date()))


def _of_option(option: str, text: str, read: Callable[[str], _T]) -> _T:
    try:
        return read(" ".join(text.lower().split()))
    except _UnclearError as error:
        raise click.UsageError(f"{option} {text}: {error}") from error
    except (ValueError, OverflowError, OSError) as error:  # the calendar ends with the year 9999
        raise click.UsageError(f"{option} {text}: that is no time") from error


def _length_s(text: str) -> float:
    if not _LENGTH.fullmatch(text):
        raise _UnclearError(f"that is no length of time; {_meant_length(text)}")
    found = 0.0
    for number, word in _PART.findall(text):
        if word not in _UNIT:
            raise _UnclearError(f"{word} is no unit of time; {_meant_length(text)}")
        found += float(number) * _UNITS_S[_UNIT[word]]
    if not 0 < found <= _LONGEST_S:
        raise _UnclearError("that is no length of time; say 10m, 1h, 2d" if not found else _TOO_LONG)
    return found


def _meant_length(text: str) -> str:
    number = re.match(r"\d+", text)
    if number:
        letters = re.sub(r"[^a-z]", "", text[number.end() :])
        near = get_close_matches(letters, [word for word in _UNIT if len(word) > 1], n=1, cutoff=0.7)
        return f"did you mean {int(number[0])}{_UNIT[near[0]] if near else 'm'}?"
    if _is_moment(text):
        return f"did you mean --since {_quoted(text)}?"
    return "say 10m, 1h, 2d"


def _is_moment(text: str) -> bool:
    try:
        _moment(text, datetime(2026, 1, 1), None)
    except ValueError:
        return False
    return True


def _begin(text: str, now: float, zone: tzinfo | None) -> float:
    """Return the moment at which a stretch begins."""
    exact = _exact(text)
    if exact is not None:
        return _passed(exact, now)
    if text == "now":
        raise _UnclearError("nothing has come since; say --last 10m")
    wall, has_day, _ = _moment(text, wall_of(now, zone), None)
    moment = moment_of(wall, zone)
    if moment >= now and not has_day:
        moment = moment_of(wall - timedelta(days=1), zone)
    return _passed(moment, now)


def _end(text: str, begin: float | None, now: float, zone: tzinfo | None) -> float:
    """Return the moment at which a stretch ends; of a day alone it is the end."""
    exact = _exact(text)
    if exact is not None or text == "now":
        return now if exact is None else exact
    base = wall_of(now if begin is None else begin, zone)
    wall, has_day, has_time = _moment(text, wall_of(now, zone), base.date())
    if has_day and not has_time:
        return moment_of(wall + timedelta(days=1), zone)
    moment = moment_of(wall.replace(fold=1), zone)
    if has_day:
        return moment if begin is not None else _passed(moment, now)
    if begin is None:
        return moment if moment <= now else moment_of(wall - timedelta(days=1), zone)
    return moment if moment > begin else moment_of(wall + timedelta(days=1), zone)


def _earlier(given: TimeRange, text: str, now: float, zone: tzinfo | None) -> TimeRange:
    if _LENGTH.fullmatch(text):
        before_s = _length_s(text)
        return TimeRange(given.since - before_s, given.until - before_s)
    today = wall_of(given.until, zone).date()
    if text == "yesterday":
        days = 1
    elif text in _LAST_WEEK:
        days = 7
    else:
        try:
            days = (today - _day(text, wall_of(now, zone).date())).days
        except _UnclearError:
            near = get_close_matches(text, ["yesterday", "last-week", *WEEKDAYS], n=1)
            meant = f"did you mean {near[0]}?" if near else "say yesterday, last-week, 2h, 2026-11-28"
            raise _UnclearError(f"that is no earlier time; {meant}") from None
    if days <= 0:
        raise _UnclearError("that is no earlier day")
    first, last = (local(moment, zone).replace(tzinfo=None) - timedelta(days=days) for moment in (given.since, given.until))
    return TimeRange(moment_of(first, zone), moment_of(last.replace(fold=1), zone))


def _passed(moment: float, now: float) -> float:
    if moment >= now:
        raise _UnclearError("that is still to come")
    if moment < 0:
        raise _UnclearError(_TOO_LONG)
    return moment


def _exact(text: str) -> float | None:
    """Return the moment of a time with its offset, as `2026-11-28t14:00+01:00`; None for any other text."""
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def _moment(text: str, now: datetime, base: date | None) -> tuple[datetime, bool, bool]:
    """Return a local time, whether its day was said, and whether its time of day was.

    Without a day it is on `base`, or today where that is None.
    """
    head, _, tail = re.sub(r"(?<=\d)t(?=\d)", " ", text).rpartition(" ")
    found = _TIME.fullmatch(tail)
    if found:
        try:
            clock = time(int(found[1]), int(found[2]), int(found[3] or 0))
        except ValueError:
            raise _UnclearError(f"there is no {tail}") from None
        which = _day(head, now.date()) if head else base or now.date()
        return datetime.combine(which, clock), bool(head), True
    try:
        return datetime.combine(_day(text, now.date()), time()), True, False
    except _UnclearError as error:
        loose = _loose_time(tail)
        if loose and (not head or _is_moment(head)):
            raise _UnclearError(f"that is no time; did you mean {_quoted(f'{head} {loose}'.strip())}?") from None
        if _LENGTH.fullmatch(text):
            raise _UnclearError(f"that is a length; did you mean --last {text.replace(' ', '')}?") from None
        raise error


def _day(text: str, today: date) -> date:
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    weekdays = [name for name in WEEKDAYS if name.startswith(text) and len(text) >= 3]
    if weekdays:
        return today - timedelta(days=(today.weekday() - WEEKDAYS.index(weekdays[0])) % 7)
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise _UnclearError("there is no such day")
    loose = _LOOSE_DATE.fullmatch(text)
    if loose:
        raise _UnclearError(f"that is no date; did you mean {_iso(*map(int, loose.groups()))}?")
    near = get_close_matches(text, ["today", "yesterday", *WEEKDAYS], n=1)
    raise _UnclearError(
        f"that is no time; did you mean {near[0]}?" if near else "that is no time; say 14:00, yesterday, 2026-11-28"
    )


def _iso(first: int, second: int, year: int) -> str:
    """Return the date of three numbers, the day before the month unless that cannot be."""
    day, month = (first, second) if second <= 12 else (second, first)
    return f"{year}-{month:02}-{day:02}"


def _loose_time(text: str) -> str:
    found = _LOOSE_TIME.fullmatch(text)
    if not found:
        return ""
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] in ("am", "pm"):
        hour = hour % 12 + 12 * (found[3] == "pm")
    return f"{hour:02}:{minute:02}" if hour < 24 and minute < 60 else ""


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text else text
