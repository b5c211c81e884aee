"""Signals under a real `hookmon run`: on by name only, measured in every process, and in the report."""

from __future__ import annotations

import json

import pytest

from hookmon.testing import Recorded, run

PROGRAM = """
import gc, json, os, time
gc.disable()
seen, whole_s, started = 0, 0.0, 0.0
def see(phase, info):
    global seen, whole_s, started
    if phase == "start": started = time.perf_counter()
    else: seen, whole_s = seen + 1, whole_s + time.perf_counter() - started
kept = [[number] for number in range(100_000)]
before = gc.get_stats()[2]["collections"]
gc.callbacks.append(see)
child = os.fork()
for _ in range(20): gc.collect()
if not child: os._exit(0)
os.wait()
print(json.dumps([before, seen, whole_s]))
"""


def run_with(engine: str, config: str) -> Recorded:
    """Run the program, which imports no library that a pack is for."""
    recorded = run(PROGRAM, config=config, env={"HOOKMON_ENGINE": engine})
    assert (recorded.exit_code, recorded.stderr) == (0, "")
    return recorded


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_pauses_of_the_collector_are_in_the_report_of_parent_and_child(engine: str):
    """As many and as long as a callback of the program's own has seen, and what came before it was there."""
    recorded = run_with(engine, 'signals = ["gc"]')
    before, seen, whole_s = json.loads(recorded.stdout)
    rows = {row["name"]: row for row in recorded.report["signals"]}
    full = rows["gc pause, generation 2"]
    assert 2 * seen <= full["count"] <= 2 * seen + before
    assert (full["kind"], full["unit"]) == ("histogram", "s")
    assert whole_s <= full["value"] * 1.1
    assert full["min"] <= full["p50"] <= full["p95"] <= full["p99"] <= full["max"] < 60
    assert full["mean"] == pytest.approx(full["value"] / full["count"])
    assert recorded.blind_spots == []


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_nothing_is_measured_that_is_not_named(engine: str):
    """And the probe is not even set up for a program without watched modules."""
    recorded = run_with(engine, "")
    assert recorded.report["signals"] == []
    assert recorded.report["processes"][0]["calls"] == 0
