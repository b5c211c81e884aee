"""The run over time adds up to the run: in real programs with forks, kills and a launcher that dies."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from support.runs import Report, hookmon, hookmon_run, hookmon_start, wait_until, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

CONFIG = watch("__main__", "work", "fail", "deep")

PROGRAM = """
import os, signal, sys, time
def work(): time.sleep(0.0005)
def fail(): raise ValueError
def deep(n):
    if n: deep(n - 1)
def all_of_it(rounds):
    for _ in range(rounds):
        work(); deep(3)
        try: fail()
        except ValueError: pass
"""


def assert_sums(report: Report) -> None:
    """Hold the sum of each series against the table."""
    series = {row["name"]: row for row in report["series"]}
    for row in report["calls"]:
        points = series[row["name"]]
        for key in ("calls", "errors", "total_ns"):
            assert sum(points[key]) == row[key], (row["name"], key)
        assert points["at_ns"] == sorted(set(points["at_ns"]))
        assert all(at_ns % report["run"]["interval_ns"] == 0 for at_ns in points["at_ns"])


def run(folder: Path, code: str) -> Report:
    write(folder, {"app.py": PROGRAM + code})
    return hookmon_run([sys.executable, "app.py"], cwd=folder, config=CONFIG).report


def test_a_series_adds_up_to_the_table(tmp_path: Path):
    """Over more than one interval."""
    report = run(tmp_path, "all_of_it(600); time.sleep(3); all_of_it(600)")
    assert_sums(report)
    (work,) = [row for row in report["series"] if row["name"] == "work"]
    assert sum(work["calls"]) == 1_200
    assert len(work["at_ns"]) > 1


def test_forked_and_killed_workers_are_in_it(tmp_path: Path):
    """Each counts from its own shard, read to its end after its death."""
    code = """
pids = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        all_of_it(200 + number)
        if number % 2: os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    pids.append(pid)
all_of_it(300)
for pid in pids: os.waitpid(pid, 0)
"""
    report = run(tmp_path, code)
    assert_sums(report)
    assert sum(row["calls"] for row in report["calls"] if row["name"] == "work") == 300 + 4 * 200 + 6


def test_a_short_run_has_its_one_interval(tmp_path: Path):
    """Shorter than the time between two looks."""
    report = run(tmp_path, "all_of_it(1)")
    assert_sums(report)


def test_a_killed_launcher_leaves_a_series_that_adds_up(tmp_path: Path):
    """Whatever it had seen; the rest stands in the last interval."""
    write(tmp_path, {"app.py": PROGRAM + "\nall_of_it(500)\nopen('there', 'w').close()\ntime.sleep(0.5)\nall_of_it(7)\n"})
    started = hookmon_start([sys.executable, "app.py"], cwd=tmp_path, config=CONFIG)
    wait_until((tmp_path / "there").exists, "the program")
    os.kill(started.process.pid, signal.SIGKILL)
    started.finish()

    def report() -> Any:
        return json.loads(hookmon(["report", "last", "--format", "json"], cwd=tmp_path).stdout)

    wait_until(lambda: report()["run"]["state"] == "recovered", "the end of the program")
    assert sum(row["calls"] for row in report()["calls"] if row["name"] == "work") == 507
    assert_sums(report())


def test_processes_are_in_it(tmp_path: Path):
    """Memory and CPU time of all of them together."""
    report = run(tmp_path, "end = time.time() + 1.5\nwhile time.time() < end: pass\nall_of_it(1)")
    assert report["usage"][-1]["rss_bytes"] > 1_000_000
    assert 50_000_000 < sum(row["cpu_ns"] for row in report["usage"]) < 3_000_000_000
