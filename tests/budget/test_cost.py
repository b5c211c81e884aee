"""What one watched call costs, and how long a large report takes: as ratios and generous bounds."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hookmon.collector.store import Node, Run, RunFile
from hookmon.core.histogram import bucket_of
from hookmon.report import FORMATS, render

AGENT = Path(__file__).resolve().parents[2] / "agent"

CALLS = """
import os, sys, types
from time import perf_counter_ns
import wrapt
from hookmon.probe.recording import recorder
recorder.wrapt_folder = os.path.dirname(wrapt.__file__)
recorder.start(sys.argv[1], "test")
from hookmon.probe.patching.patcher import patch_module
from hookmon.probe.patching.patches import Patches
from hookmon.probe.wrappers.make import is_timed
shop = types.ModuleType("shop")
exec("def quote(): pass", vars(shop))
exec("def plain(): pass", vars(shop))
plain = shop.plain  # another function: whoever holds the watched one keeps it from being watched
@wrapt.decorator
def through(wrapped, instance, args, kwargs): return wrapped(*args, **kwargs)
decorated = through(plain)
plan = dict(id=1, module="shop", calls=["quote"], span="", kind="function", nested=False, pack="", source="", adapter="",
            entry=False, entry_name="", entry_status="", entry_body="", waits=False)
patch_module(shop, "shop", [plan], Patches())
assert is_timed(shop.quote)
def cost(function):
    times = []
    for _ in range(15):
        started = perf_counter_ns()
        for _ in range(5000): function()
        times.append(perf_counter_ns() - started)
    return min(times) / 5000
cost(shop.quote), cost(decorated)
print(min(cost(shop.quote) / cost(decorated) for _ in range(3)), cost(shop.quote) - cost(plain))
"""


def test_a_watched_call_costs_at_most_two_and_a_half_empty_decorators(tmp_path: Path):
    """A no-op function, beside a wrapt decorator that does nothing, in the same process."""
    environment = {"PATH": os.defpath, "PYTHONPATH": str(AGENT)}
    command = [sys.executable, "-c", CALLS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    ratio, _ = map(float, done.stdout.split())
    assert ratio <= 2.5


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> RunFile:
    """A run file with 10,000 nodes, 200 deep."""
    run = Run(
        1, "", ["python", "app.py"], "2025-03-04T05:06:07+00:00", "0.1.0", state="finished", exit_code=0, duration_ns=10**10
    )
    for number in range(10_000):
        parent = -1 if number % 200 == 0 else number - 1
        durations = [1_000 * (number % 97 + 1), 5_000, 90_000_000]
        buckets: dict[int, int] = {}
        for duration_ns in durations:
            buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
        total_ns = sum(durations)
        run.nodes.append(
            Node(
                parent,
                f"name {number}",
                "function",
                f"app:name{number % 500}",
                "app.py:1",
                calls=3,
                total_ns=total_ns,
                self_ns=total_ns,
                buckets=buckets,
            )
        )
    run_file = RunFile(tmp_path_factory.mktemp("large") / "run-0001.sqlite")
    run_file.save(run)
    return run_file


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_of_ten_thousand_nodes_is_shown_in_two_seconds(large: RunFile, format: str):
    """Of the processor; read from its file and rendered. What others do on the machine only adds: the best of ten."""
    times = []
    for _ in range(10):
        content = io.BytesIO()
        file = io.TextIOWrapper(content, encoding="utf-8")
        started = time.process_time()
        render(large.load(), format, file=file, width=120)
        times.append(time.process_time() - started)
        assert b"name 1" in content.getvalue()
        if times[-1] < 2:
            break
    assert min(times) < 2
