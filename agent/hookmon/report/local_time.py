"""Moments and the clocks that people look at. Pure computation; days on which clocks are changed are right.

A moment is in seconds since 1970. A zone of None is that of the machine, with the rules of `TZ`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def local(moment: float, zone: tzinfo | None = None) -> datetime:
    """Return a moment as a local time that knows its zone; that of the machine where `zone` is None."""
    return datetime.fromtimestamp(moment, zone) if zone else datetime.fromtimestamp(moment).astimezone()


def moment_of(wall: datetime, zone: tzinfo | None = None) -> float:
    """Return the moment of a local time without a zone; `fold` chooses of two. One that no clock showed is that of the jump."""
    moment = wall.replace(tzinfo=zone).timestamp()
    if wall_of(moment, zone) == wall.replace(fold=0):
        return moment
    low, high = sorted((moment, wall.replace(tzinfo=zone, fold=1 - wall.fold).timestamp()))
    before = local(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local(middle, zone).utcoffset() == before else (low, middle)
    return high


def wall_of(moment: float, zone: tzinfo | None = None) -> datetime:
    """Return what a clock on the wall shows: a local time without a zone, the same for both of a clock that was put back."""
    return local(moment, zone).replace(tzinfo=None, fold=0)


def day_begins(which: date, zone: tzinfo | None = None) -> float:
    """Return the moment at which a day begins: its midnight, or the jump where the clocks skip that."""
    return moment_of(datetime(which.year, which.month, which.day), zone)


def stretch(since: float, until: float, zone: tzinfo | None = None) -> str:
    """Return a stretch of time: `2026-11-30 13:05 to 14:05`, `2026-11-29 23:00 to 2026-11-30 01:00`.

    Where the clocks were changed within it, the names of both times are added.
    """
    begin, end = local(since, zone), local(until, zone)
    is_changed = begin.utcoffset() != end.utcoffset()
    first, second = (clock(moment, with_zone=is_changed) for moment in (begin, end))
    day = "" if begin.date() == end.date() else f"{end.date().isoformat()} "
    return f"{begin.date().isoformat()} {first} to {day}{second}"


def clock(moment: datetime, *, with_zone: bool = False) -> str:
    """Return a time of day as `14:05`, with seconds where it has some, and the name of its zone where that is wanted."""
    text = moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
    return f"{text} {moment.tzname()}" if with_zone else text


def day_name(which: date, today: date) -> str:
    """Return `today`, `yesterday`, or the day as `Sat 28 Nov`, with the year where it is another one."""
    if which == today:
        return "today"
    if which == today - timedelta(days=1):
        return "yesterday"
    year = f" {which.year}" if which.year != today.year else ""
    return f"{WEEKDAYS[which.weekday()][:3].capitalize()} {which.day} {_MONTHS[which.month - 1]}{year}"
