"""Signals of many processes become those of one run."""

from __future__ import annotations

import struct

import pytest

from hookmon.collector.metrics import Signal, add_signals, read_metrics
from hookmon.core import layout


def record(kind: int = 1, value: float = 5.0, count: int = 2, least: float = 0.0, most: float = 0.0) -> bytes:
    """Return the bytes of a shard's METRIC record that is called "sent" and has the number 7."""
    head = layout.record_head(layout.METRIC, layout.METRIC_WORDS, 7)
    return struct.pack("=3QdQ2dQ", head, 1 | 2 << 32, kind, value, count, least, most, 9)


def test_a_record_becomes_a_signal():
    """With the buckets of its number."""
    ((signal,), are_damaged) = read_metrics(record(), [0], {1: "sent", 2: "By"}, {7: {3: 2}}.__getitem__)
    assert not are_damaged
    assert signal == Signal("sent", "By", "counter", 5.0, 2, 0.0, 0.0, 9, {3: 2})


@pytest.mark.parametrize(
    "damaged",
    [record(kind=0), record(kind=4), record(kind=2**40), record(value=float("nan")), record(most=float("inf"))],
    ids=["no kind", "unknown kind", "large kind", "no number", "infinite"],
)
def test_a_damaged_record_is_left_out_and_told_of(damaged: bytes):
    """The others are read."""
    signals, are_damaged = read_metrics(damaged + record(), [0, layout.METRIC_WORDS], {1: "sent"}, lambda number: {})
    assert are_damaged
    assert [signal.value for signal in signals] == [5.0]


def test_counters_and_histograms_are_summed_and_of_gauges_the_last_one_holds():
    """Whichever process is read first; what was never measured is not in the run."""
    signals: list[Signal] = []
    for at_ns, value in ((2, 30.0), (1, 10.0)):
        add_signals(
            signals,
            [
                Signal("sent", "By", "counter", value, 1, 0.0, 0.0),
                Signal("open", "1", "gauge", value, 1, value, value, at_ns),
                Signal("lag", "s", "histogram", value, 1, value, value, buckets={int(value): 1}),
                Signal("never", "1", "counter", 0.0, 0, 0.0, 0.0),
            ],
        )
    assert signals == [
        Signal("sent", "By", "counter", 40.0, 2, 0.0, 0.0),
        Signal("open", "1", "gauge", 30.0, 2, 10.0, 30.0, 2),
        Signal("lag", "s", "histogram", 40.0, 2, 10.0, 30.0, buckets={30: 1, 10: 1}),
    ]
