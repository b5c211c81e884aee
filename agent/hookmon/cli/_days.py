"""Reads days of a service out of the store, for `hookmon history`.

Of each day there are hours. Minutes replace them where they make a comparison exact or a curve finer: the hour of yesterday in
which it was as late as now, and, for pages, all of today and yesterday in parts of ten minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.errors import StoreError
from hookmon.report.history.model import DAYS_BEFORE, FINE_S
from hookmon.report.history.reading import Reading, Start, Step, UsageStep, sum_of
from hookmon.report.local_time import day_begins, local, moment_of
from hookmon.services import names, reading
from hookmon.services.clock import MINUTE_S
from hookmon.services.off import blind_spots, unpack_stretches

if TYPE_CHECKING:
    from hookmon.services.names import Names
    from hookmon.services.store import ServiceStore

_ALL = CallKey("", "", "")
_SILENT_S = 300
"""A launcher writes each minute, or waits for others that do."""

_FINE_DAYS = 2
"""Days, from the first on, that may be had in minutes."""


class DaysReader:
    """Reads the three days that lie over each other: a day, the day before, and the same day of the week before."""

    def __init__(self, store: ServiceStore, service: str, day: date, *, now: float, zone: tzinfo | None = None) -> None:
        self._store = store
        self._service = service
        self._now = now
        self._zone = zone
        self._until = now // MINUTE_S * MINUTE_S  # of the minute that goes on nothing is in the store
        self._days = [
            (day_begins(which, zone), day_begins(which + timedelta(days=1), zone))
            for which in (day - timedelta(days=before) for before in DAYS_BEFORE)
        ]
        self._same_time = [
            moment_of(datetime.combine(day - timedelta(days=before), local(self._until, zone).time()), zone)
            for before in DAYS_BEFORE
        ]

    def read(self, transaction: str = "", *, is_fine: bool = False) -> Reading:
        """Return what is kept of the days; of one transaction, what was called in it. `is_fine` is for curves.

        Raises StoreError where there is no such service or transaction, or the store cannot be read.
        """
        with self._store.one_look():
            return self._read(transaction, is_fine=is_fine)

    def _read(self, transaction: str, *, is_fine: bool) -> Reading:
        found = Reading(self._service, self._until, transaction=transaction)
        own = self._steps(names.by_transaction, is_fine=is_fine)
        if transaction:
            self._refuse_unknown(transaction, own)
            found.whole = [step for step in own if step.key.name == transaction]
            found.rows = self._steps(
                lambda *given, **more: names.inside(given[0], given[1], transaction, *given[2:], **more), is_fine=is_fine
            )
        elif own:
            found.rows = own
            found.whole = self._steps(self._read_whole, is_fine=is_fine)
        else:
            found.has_transactions = False
            found.rows = self._steps(
                lambda *given, **more: names.inside(given[0], given[1], None, *given[2:], **more), is_fine=is_fine
            )
            found.whole = found.rows
        found.usage = self._usage()
        first = min(begins for begins, _ in self._days)
        starts = reading.starts(self._store, self._service, first, max(ends for _, ends in self._days))
        found.starts = [Start(start.started_s, ended_at(start, self._now), start.version, start.command) for start in starts]
        found.notes = next((row.limits for row in reading.services(self._store) if row.name == self._service), [])
        switched = [row for start in starts for row in unpack_stretches(start.switched)]
        begins, ends = self._days[0][0], min(self._days[0][1], self._now)
        found.notes += (spot.detail for spot in blind_spots(switched, begins, ends, self._now))
        found.notes += (
            f"the launcher of the start at {local(start.started_s, self._zone):%H:%M} was killed, or is stopped: what came after "
            f"{local(start.seen_s, self._zone):%H:%M} is added when hookmon run --service begins again"
            for start in starts
            if start.ended_s is None and ended_at(start, self._now) is not None
        )
        return found

    def _read_whole(
        self, store: ServiceStore, service: str, since_s: float, until_s: float, *, by_hour: bool = False
    ) -> list[Names]:
        """Return what was counted of all transactions together, which is kept as such, as names are read."""
        return [
            names.Names(point.at_s, point.length_s, {_ALL: point.counters})
            for point in reading.curve(store, service, since_s, until_s, by_hour=by_hour)
        ]

    def _refuse_unknown(self, transaction: str, own: list[Step]) -> None:
        if any(step.key.name == transaction for step in own):
            return
        from difflib import get_close_matches

        known = names.transaction_names(self._store, self._service)
        if transaction in known:
            return
        near = get_close_matches(transaction, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known[:20])}" if known else "; it has none"
        raise StoreError(f"{self._service} has no transaction {transaction}{meant}", code="no-such-transaction")

    def _steps(self, read: Callable[..., list[Names]], *, is_fine: bool) -> list[Step]:
        """Return what was counted, in steps that do not overlap."""
        found: list[Step] = []
        for at, (begins, ends) in enumerate(self._days):
            ends = min(ends, self._until)
            if begins >= ends:
                continue
            if is_fine and at < _FINE_DAYS:
                found += self._parts(read(self._store, self._service, begins, ends), begins, ends)
                continue
            rows = [row for row in read(self._store, self._service, begins, ends, by_hour=True) if begins <= row.at_s < ends]
            same = self._same_time[at]
            parted = [row for row in rows if at and row.at_s < same < row.at_s + row.length_s]
            for row in parted:
                minutes = read(self._store, self._service, row.at_s, row.at_s + row.length_s)
                if all(minute.length_s == MINUTE_S for minute in minutes):
                    rows.remove(row)
                    rows += minutes
            found += (
                Step(row.at_s, min(row.at_s + row.length_s, ends), key, of) for row in rows for key, of in row.counters.items()
            )
        return found

    def _parts(self, rows: list[Names], begins: float, ends: float) -> list[Step]:
        """Return minutes as parts of ten minutes each; what is an hour stays one."""
        parts: dict[tuple[float, CallKey], list[Counters]] = {}
        found: list[Step] = []
        for row in rows:
            if not begins <= row.at_s < ends:
                continue
            for key, counters in row.counters.items():
                if row.length_s > FINE_S:
                    found.append(Step(row.at_s, min(row.at_s + row.length_s, ends), key, counters))
                else:
                    parts.setdefault((begins + (row.at_s - begins) // FINE_S * FINE_S, key), []).append(counters)
        found += (Step(at_s, min(at_s + FINE_S, ends), key, sum_of(own)) for (at_s, key), own in parts.items())
        return found

    def _usage(self) -> list[UsageStep]:
        """Return what was used: in minutes where they are there, so that gaps are as short as they were."""
        found: list[UsageStep] = []
        for at, (begins, ends) in enumerate(self._days):
            ends = min(ends, self._until)
            if begins < ends:
                rows = reading.usage(self._store, self._service, begins, ends, by_hour=at >= _FINE_DAYS)
                found += _joined([_usage_step(row, ends) for row in rows if begins <= row.at_s < ends])
        return found


def ended_at(start: reading.Start, now: float) -> float | None:
    """Return when a start ended, None while it goes on. One that has not written for some minutes was killed."""
    if start.ended_s is not None or now - start.seen_s < _SILENT_S:
        return start.ended_s
    return start.seen_s


def _usage_step(row: reading.Usage, ends: float) -> UsageStep:
    until = min(row.at_s + row.length_s, ends)
    return UsageStep(row.at_s, until, row.cpu_ns, row.rss_bytes, row.processes, row.launcher_cpu_ns, row.launcher_rss_bytes)


def _joined(steps: list[UsageStep]) -> list[UsageStep]:
    """Return minutes that follow one another within ten of the clock as one: days are made of thousands."""
    found: list[UsageStep] = []
    for step in steps:
        last = found[-1] if found else None
        if last is None or step.since != last.until or step.since % FINE_S == 0:
            found.append(step)
            continue
        last.until = step.until
        last.cpu_ns += step.cpu_ns
        last.launcher_cpu_ns += step.launcher_cpu_ns
        last.rss_bytes = max(last.rss_bytes, step.rss_bytes)
        last.processes = max(last.processes, step.processes)
        last.launcher_rss_bytes = max(last.launcher_rss_bytes, step.launcher_rss_bytes)
    return found
