"""A program that is run again has not changed, on whatever machine this is: the benchmark with few runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.runs import bare_run

pytestmark = pytest.mark.usefixtures("warm_launcher")

ROOT = Path(__file__).resolve().parents[2]


def test_repeats_of_a_run_have_not_changed(tmp_path: Path):
    """Eight runs, each two compared: at most one diff in 28 has a row called changed."""
    command = [sys.executable, "-m", "benchmarks.repeats", "--runs", "8", "--loops", "100"]
    done = bare_run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    assert done.exit_code == 0, done.stdout + done.stderr
    counted = re.search(r"each two compared: (\d+) of 28 diffs", done.stdout)
    assert counted is not None
    assert int(counted[1]) <= 1


def test_a_run_of_a_slower_program_has_changed(tmp_path: Path):
    """One name ten times as long: no machine explains that. Nor, on a quiet one, three times, or all names ten times as long."""
    command = [sys.executable, "-m", "benchmarks.repeats", "--runs", "2", "--loops", "100"]
    done = bare_run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=300)
    waited = re.search(r"waited for a processor in each with one: .* to ([\d.]+)", done.stdout)
    assert waited is not None, done.stdout + done.stderr
    is_quiet = float(waited[1]) <= 1
    assert "one name ×10.0: called slower in 1 of 1" in done.stdout, done.stdout + done.stderr
    assert "one name ×10.0: called slower in 1 of 1; all names: in 1" in done.stdout or not is_quiet, done.stdout + done.stderr
    assert "one name ×3.0: called slower in 1 of 1" in done.stdout or not is_quiet, done.stdout + done.stderr
