"""Signals that are no calls: as they stand in one shard, and added up over a run.

In: METRIC records with their buckets. Out: rows of the run's table `signals`, one for each name, unit and kind. Runs in the
launcher.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from math import isfinite

from hookmon.core import histogram, layout
from hookmon.core.record import Record, field, replace

_LARGEST = 2**62  # as in shards
_LOW = 0xFFFFFFFF
_RECORD = struct.Struct(f"=3Qd1Q2d{layout.METRIC_WORDS - 7}Q")


class Signal(Record):
    """A counter, gauge or histogram. `value` is the sum, of a gauge what was set last in any process."""

    name: str
    unit: str
    kind: str  # counter, gauge, histogram
    value: float
    count: int  # how often it was added to, set or recorded
    min: float  # of a gauge or histogram
    max: float
    at_ns: int = 0  # when a gauge was set last, CLOCK_MONOTONIC
    buckets: dict[int, int] = field(
        default_factory=dict
    )  # core.histogram's {bucket: count}, of the value in nanoseconds or units


def read_metrics(
    content: bytes, places: Iterable[int], strings: dict[int, str], buckets: Callable[[int], dict[int, int]]
) -> tuple[list[Signal], bool]:
    """Return the signals of the records at these words of a shard, and whether there are some that cannot be read.

    `buckets` returns the histogram of a number.
    """
    words = memoryview(content).cast("Q")
    found = [_read_metric(content, at, strings, buckets(words[at] >> 32)) for at in places]
    return [signal for signal in found if signal is not None], None in found


def _read_metric(content: bytes, at: int, strings: dict[int, str], buckets: dict[int, int]) -> Signal | None:
    _, names, kind, value, count, least, most, at_ns = _RECORD.unpack_from(content, at * 8)
    if not 0 < kind < len(layout.METRIC_KINDS) or not all(map(isfinite, (value, least, most))):
        return None
    return Signal(
        name=strings.get(names & _LOW, "") or "(unknown)",
        unit=strings.get(names >> 32, ""),
        kind=layout.METRIC_KINDS[kind],
        value=value,
        count=min(count, _LARGEST),
        min=least,
        max=most,
        at_ns=min(at_ns, _LARGEST),
        buckets=buckets,
    )


def add_signals(signals: list[Signal], others: Iterable[Signal]) -> None:
    """Add what another process has measured to the signals of a run."""
    known = {(signal.name, signal.unit, signal.kind): signal for signal in signals}
    for other in others:
        if not other.count:
            continue
        signal = known.get((other.name, other.unit, other.kind))
        if signal is None:
            signal = known[other.name, other.unit, other.kind] = copy_signal(other)
            signals.append(signal)
            continue
        if other.kind != "gauge":
            signal.value += other.value
        elif other.at_ns >= signal.at_ns:
            signal.value, signal.at_ns = other.value, other.at_ns
        signal.count += other.count
        signal.min = min(signal.min, other.min)
        signal.max = max(signal.max, other.max)
        histogram.add(signal.buckets, other.buckets)


def copy_signal(signal: Signal) -> Signal:
    """Return a signal that can be added to without changing this one."""
    return replace(signal, buckets=dict(signal.buckets))
