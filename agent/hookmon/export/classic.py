"""Classic histograms out of exponential ones: the counts up to a few fixed bounds, those of OpenTelemetry's conventions."""

from __future__ import annotations

from math import floor, log2

from hookmon.export.names import DATABASE
from hookmon.export.rows import Instrument, Spread

SCALE = 16  # buckets in an octave
_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_DATABASE = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_OTHERS = (0.001, *_HTTP, 30.0, 60.0, 300.0, 1800.0)
_AMOUNTS = tuple(10.0**power for power in range(10))


def bounds_of(instrument: Instrument) -> tuple[float, ...]:
    """Return the upper bounds, without the infinite one."""
    if instrument.unit != "s":
        return _AMOUNTS
    return _DATABASE if instrument == DATABASE else _HTTP if instrument.name.startswith("http.") else _OTHERS


def cumulative(spread: Spread, bounds: tuple[float, ...]) -> list[int]:
    """Return how many values lie below each bound. The bucket that a bound lies in is shared out, by rounding down."""
    found = []
    for bound in bounds:
        place = log2(bound) * SCALE  # the buckets below have indices of less
        within = floor(place)
        below = sum([count for index, count in spread.buckets.items() if index < within])
        found.append(below + floor(spread.buckets.get(within, 0) * (place - within)))
    return found
