"""A program that is run again has not changed, on whatever machine this is: the benchmark with few runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from support.runs import bare_run

ROOT = Path(__file__).resolve().parents[2]


def test_repeats_of_a_run_have_not_changed(tmp_path: Path):
    """Eight runs, each two compared: but for one run that a moment of the machine may have hit, one diff at most is wrong."""
    command = [sys.executable, "-m", "benchmarks.repeats", "--runs", "8", "--loops", "100"]
    done = bare_run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    wrong, counted = re.search(r"(\d+) of 28 diffs", done.stdout), re.search(r"without it: (\d+)", done.stdout)
    assert wrong is not None, done.stdout + done.stderr
    assert counted is not None
    assert done.exit_code == int(int(wrong[1]) > 1)
    assert int(counted[1]) <= 1, done.stdout


def test_a_run_of_a_slower_program_has_changed(tmp_path: Path):
    """All times ten times as long: no machine explains that."""
    command = [sys.executable, "-m", "benchmarks.repeats", "--runs", "2", "--loops", "100"]
    done = bare_run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    assert "all times ×10.0: called changed in 1 of 1" in done.stdout, done.stdout + done.stderr
