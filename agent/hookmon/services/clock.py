"""Which minute, hour and day a moment falls into.

In: seconds since 1970, as a Clock says them. Out: numbers of minutes and hours in UTC, which no change of a time zone repeats or
leaves out; and moments of earlier days, at the same time on the wall of a zone. Pure computation but for `Clock`.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
MINUTES = HOUR_S // MINUTE_S
"""In an hour."""


class Clock:
    """The clocks of this machine. Tests move one of their own."""

    def now_s(self) -> float:
        """Return the seconds since 1970, which may jump in both directions."""
        return time.time()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC, which stands still while the machine sleeps."""
        return time.monotonic_ns()

    def to_next_minute_ns(self) -> int:
        """Return the nanoseconds until the minute on the wall is over, 1 at least."""
        return max(1, round((MINUTE_S - self.now_s() % MINUTE_S) * 1e9))


def minute_of(at_s: float) -> int:
    """Return the number of the minute in UTC, counted from 1970."""
    return int(at_s // MINUTE_S)


def hour_of(minute: int) -> int:
    """Return the number of the hour in UTC that a minute belongs to."""
    return minute // MINUTES


def days_before(at_s: float, days: int, zone: tzinfo | None = None) -> float:
    """Return the same time on the wall some days earlier, in a zone, None for that of this machine.

    So 09:00 stays 09:00 across a change of daylight saving time, where the day between has 23 or 25 hours. A time that the
    other day has not is the one that the clock showed instead; of one that it has twice, it is the first.
    """
    wall = datetime.fromtimestamp(at_s, zone)
    earlier = wall.replace(tzinfo=None) - timedelta(days=days)
    return earlier.replace(tzinfo=zone).timestamp() if zone is not None else earlier.timestamp()


def day_start(at_s: float, zone: tzinfo | None = None) -> float:
    """Return when the day of a moment began, in a zone, None for that of this machine."""
    wall = datetime.fromtimestamp(at_s, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    return wall.replace(tzinfo=zone).timestamp() if zone is not None else wall.timestamp()
