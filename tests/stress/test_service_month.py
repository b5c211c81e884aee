"""A month of a service on a clock that the test moves: what is kept is exact and bounded."""

from __future__ import annotations

import os
from pathlib import Path

from support.moved_services import Moved, MovedStart, Program, Sums, add_to, store_in, sums_of_hours

from hookmon.services import limits, reading
from hookmon.services.clock import DAY_S, HOUR_S, MINUTE_S
from hookmon.services.recovery import settle

_NAMES = 40 if "HOOKMON_BOTH" in os.environ else 8
_FINE_DAYS = 3  # the last ones, in which there is a look every ten minutes; before that, one an hour


def test_a_month_is_kept_exactly_and_within_its_limits(tmp_path: Path):
    """A restart every night, a launcher killed each week, clocks set and machines asleep: hours are the runs' sums."""
    store, clock = store_in(tmp_path), Moved()
    expected: Sums = {}
    sizes = []
    for day in range(30):
        program = Program(_NAMES, 2, seed=day)
        start = MovedStart(store, "web", clock, program, version=str(day))
        step_s = HOUR_S if day < 30 - _FINE_DAYS else 10 * MINUTE_S
        for number in range(DAY_S // step_s):
            clock.pass_time(step_s)
            program.work()
            start.look()
            if number == 7:
                clock.jump({3: -HOUR_S, 11: 2 * HOUR_S, 17: -90}.get(day, 0))
        program.work()
        if day % 7 == 6:
            add_to(expected, start.kill())
            settle(store, clock.now_s())
        else:
            add_to(expected, start.end())
        sizes.append(store.path.stat().st_size)
    assert sums_of_hours(store, "web") == expected
    known = reading.starts(store, "web")
    assert [start.state for start in known] == [reading.RECOVERED if day % 7 == 6 else reading.ENDED for day in range(30)]
    with store.reading() as connection:
        (minutes,) = connection.execute("SELECT count(*) FROM minutes").fetchone()
        first, last = connection.execute("SELECT min(minute), max(minute) FROM minutes").fetchone()
        (hours,) = connection.execute("SELECT count(*) FROM hours").fetchone()
        (places,) = connection.execute("SELECT count(*) FROM places").fetchone()
        (totals,) = connection.execute("SELECT count(*) FROM starts WHERE totals IS NOT NULL").fetchone()
    assert (last - first) * MINUTE_S <= limits.MINUTES_S + 2 * HOUR_S
    assert minutes <= 6 * 24 * 2 + 20
    assert 29 * 24 <= hours <= 31 * 24
    assert (places, totals <= 22) == (_NAMES * 3, True)
    assert sizes[-1] < sizes[14] * 2 + 4_000_000  # hours add up, minutes do not
    assert "minutes before" in reading.services(store)[0].limits[0]
