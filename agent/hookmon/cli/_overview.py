"""Reads the last day of each service out of the store, for `hookmon history` without a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookmon.cli._days import ended_at
from hookmon.collector.counters import Counters
from hookmon.report.history.overview import HOURS, ServiceRow
from hookmon.services import reading
from hookmon.services.clock import HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from hookmon.services.store import ServiceStore


def read(store: ServiceStore, now: float) -> list[ServiceRow]:
    """Return a row for each service, by name. Raises StoreError."""
    with store.one_look():
        return _rows(store, now)


def _rows(store: ServiceStore, now: float) -> list[ServiceRow]:
    until = now // MINUTE_S * MINUTE_S
    first = (until // HOUR_S - HOURS + 1) * HOUR_S
    rows = []
    for service in reading.services(store):
        curve = reading.curve(store, service.name, first, until, by_hour=True)
        whole = Counters.sum_of(point.counters for point in curve)
        usage = reading.usage(store, service.name, first, until, by_hour=True)
        starts = reading.starts(store, service.name, first)
        rates: list[float | None] = [None] * HOURS
        for row in usage:
            rates[int((row.at_s - first) // HOUR_S)] = 0.0
        for point in curve:
            rates[int((point.at_s - first) // HOUR_S)] = point.counters.calls / min(HOUR_S, until - point.at_s)
        rows.append(
            ServiceRow(
                name=service.name,
                rates=rates,
                calls=whole.calls,
                errors=whole.errors,
                p50_ns=whole.p50_ns,
                p95_ns=whole.p95_ns,
                starts=sum(start.started_s >= first for start in starts),
                running=sum(ended_at(start, now) is None for start in starts),
                last_s=service.last_s,
            )
        )
    return rows
