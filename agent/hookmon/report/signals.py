"""Signals of a run for readers: what was measured that is no call, with its percentiles."""

from __future__ import annotations

from hookmon.collector.store import Signal
from hookmon.core import layout
from hookmon.core.histogram import middle_ns, middle_of_amounts, quantiles_ns
from hookmon.core.record import Record
from hookmon.report.texts import count as amount
from hookmon.report.texts import duration, location, short_place, size

_SHARES = (0.5, 0.95, 0.99)
_BEYOND = 2**62
_LONGEST = 1e15  # what is written out


class SignalRow(Record, slots=True):
    """One signal. All but `count` are in its unit; `mean` and percentiles are those of a histogram, else 0."""

    name: str
    kind: str
    unit: str
    count: int
    value: float  # the sum; of a gauge, what was set last
    min: float
    max: float
    mean: float
    p50: float
    p95: float
    p99: float


def signal_rows(signals: list[Signal], project: str = "") -> list[SignalRow]:
    """Return the rows of a run's signals, by name. A place at the end of a name, " at file:line", is relative to the project."""
    return [_row(signal, project) for signal in sorted(signals, key=lambda signal: (signal.name, signal.unit, signal.kind))]


def _row(signal: Signal, project: str) -> SignalRow:
    name, at, place = signal.name.rpartition(" at ")
    mean = p50 = p95 = p99 = 0.0
    if signal.kind == "histogram" and signal.count:
        scale = layout.METRIC_SCALES.get(signal.unit, 0)
        found = quantiles_ns(signal.buckets, _SHARES, 0, _BEYOND, middle_ns if scale else middle_of_amounts)
        p50, p95, p99 = (max(signal.min, min(signal.max, value / (scale or 1))) for value in found)
        mean = signal.value / signal.count
    return SignalRow(
        name=f"{name} at {short_place(location(place, project) or place)}" if at else signal.name,
        kind=signal.kind,
        unit=signal.unit,
        count=signal.count,
        value=signal.value,
        min=signal.min,
        max=signal.max,
        mean=mean,
        p50=p50,
        p95=p95,
        p99=p99,
    )


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit as text: seconds as a duration, bytes as a size."""
    if unit == "s" and abs(value) < _LONGEST:
        return duration(round(value * 1e9))
    if unit == "By" and 0 <= value < _LONGEST:
        return size(round(value))
    number = amount(round(value)) if abs(value) < _LONGEST and value == round(value) else f"{value:.3g}"
    return number if unit in ("", "1") else f"{number} {unit}"
