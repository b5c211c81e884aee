"""Signals that are no calls, on both engines: what is measured is what the report has."""

from __future__ import annotations

import json

import pytest

INSTRUMENTS = """
from hookmon.adapter import signal
"""


def signals_of(recorded) -> dict[str, tuple[str, float, int, float, float]]:
    """Return {name: (kind, value, count, min, max)} of all processes together."""
    return {signal.name: (signal.kind, signal.value, signal.count, signal.min, signal.max) for signal in recorded.signals}


def test_a_counter_adds_up_what_all_threads_add(on):
    """Also what is no whole number; what is below zero or no number is left out."""
    recorded = on(
        INSTRUMENTS
        + """
import threading
sent = signal("sent", "By", "counter")
def work():
    for _ in range(1000): sent.add(2); sent.add(0.5)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for odd in (-1, float("nan"), float("inf"), "much", None): sent.add(odd)
assert signal("sent", "By", "counter") is sent
"""
    )
    assert signals_of(recorded)["sent"][:3] == ("counter", 10_000.0, 8_000)


def test_a_gauge_is_what_was_set_last_and_knows_its_least_and_most(on):
    """Below zero, too."""
    recorded = on(INSTRUMENTS + "gauge = signal('open', '1', 'gauge')\nfor value in (3, -2.5, 7, 1): gauge.set(value)")
    assert signals_of(recorded) == {"open": ("gauge", 1.0, 4, -2.5, 7.0)}


def test_a_histogram_has_each_value_in_its_bucket(on):
    """Seconds are told apart from a nanosecond on, all else from one on."""
    recorded = on(
        INSTRUMENTS
        + """
lag, rows = signal("lag", "s", "histogram"), signal("rows", "1", "histogram")
for value in (0.001, 0.001, 2.0): lag.record(value)
for value in range(1, 101): rows.record(value)
"""
    )
    found = {signal.name: signal for signal in recorded.signals}
    assert sorted(found["lag"].buckets.values()) == [1, 2]
    assert found["lag"].value == pytest.approx(2.002)
    assert sum(found["rows"].buckets.values()) == found["rows"].count == 100
    assert (found["rows"].min, found["rows"].max) == (1.0, 100.0)


def test_a_forked_child_begins_anew_and_both_add_up(on):
    """What was measured before the fork is the parent's alone; of a gauge the one counts that was set last."""
    recorded = on(
        INSTRUMENTS
        + """
sent, size, lag = signal("sent", "1", "counter"), signal("size", "1", "gauge"), signal("lag", "s", "histogram")
sent.add(1); size.set(1); lag.record(1)
if not os.fork():
    sent.add(10); size.set(10); lag.record(2)
    os._exit(0)
os.wait()
sent.add(100)
"""
    )
    by_process = sorted([signal.value for signal in shard.signals] for shard in recorded.shards)
    assert by_process == [[10, 10, 2], [101, 1, 1]]
    assert signals_of(recorded) == {
        "sent": ("counter", 111.0, 3, 0.0, 0.0),
        "size": ("gauge", 10.0, 2, 1.0, 10.0),
        "lag": ("histogram", 3.0, 2, 1.0, 2.0),
    }


def test_beyond_the_limit_nothing_is_kept_and_the_report_says_so(on):
    """Once for each process, with the first that was left out."""
    recorded = on(
        INSTRUMENTS
        + """
for number in range(205):
    signal(f"signal {number}", "1", "counter").add()
"""
    )
    assert len(recorded.signals) == 200
    assert [(kind, "signal 200 was the first" in detail) for kind, detail in recorded.notes()] == [("signals", True)]


def test_a_signal_of_no_kind_is_refused(on):
    """At once: it is a mistake in an adapter."""
    recorded = on(
        INSTRUMENTS
        + """
try: signal("sent", "1", "sum")
except ValueError as error: print(error)
"""
    )
    assert recorded.out == "'sum' is no kind of a signal: counter, gauge, histogram\n"


def test_pauses_of_the_collector_are_those_that_the_program_sees(on):
    """By generation, as often. Its own callbacks stand before and behind ours: one pair sees more of a pause, one less."""
    recorded = on(
        """
import gc, json, time
from hookmon.probe import signals
gc.disable()
signals.install(["gc"])
seen, started = {}, {}
def see(place, phase, info):
    if phase == "start":
        started[place] = time.perf_counter()
        return
    other = "behind" if place == "before" else "before"
    count, whole = seen.setdefault(other, {}).get(info["generation"], (0, 0.0))
    seen[other][info["generation"]] = (count + 1, whole + time.perf_counter() - started[other])
gc.callbacks.insert(0, lambda phase, info: see("before", phase, info))
gc.callbacks.append(lambda phase, info: see("behind", phase, info))
kept = [[number] for number in range(300_000)]
for generation in (0, 0, 0, 1, 1, 2):
    gc.collect(generation)
print(json.dumps(seen))
"""
    )
    longest, shortest = (
        {f"gc pause, generation {number}": seen for number, seen in by_generation.items()}
        for by_generation in map(json.loads(recorded.out).get, ("before", "behind"))
    )
    found = {signal.name: signal for signal in recorded.signals if signal.name.startswith("gc pause")}
    assert {name: signal.count for name, signal in found.items()} == {name: count for name, (count, _) in longest.items()}
    for name, signal in found.items():
        assert signal.unit == "s"
        assert shortest[name][1] <= signal.value <= longest[name][1]
