"""What a run says of the machine that it was made on, so that two runs can be compared."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.runs import hookmon_run

from hookmon.collector.store import Run, RunFile, Store

pytestmark = pytest.mark.process


def make_run(folder: Path, code: str) -> Run:
    """Return a run as it is kept."""
    (folder / "hookmon.toml").touch()
    assert hookmon_run([sys.executable, "-c", code], cwd=folder).exit_code == 0
    return RunFile(Store.of_project(folder).run_file(1).path).load()


def test_a_run_names_its_machine_without_its_name(tmp_path: Path):
    """The host is a digest; two runs have the same one."""
    run = make_run(tmp_path, "pass")
    assert (run.cores, len(run.host)) == (os.cpu_count(), 12)
    assert run.cpu
    assert os.uname().nodename not in (run.host, run.cpu)
    other = tmp_path / "other"
    other.mkdir()
    again = make_run(other, "pass")
    assert (again.host, again.cpu, again.cores) == (run.host, run.cpu, run.cores)


def test_the_time_of_others_is_not_the_programs_own(tmp_path: Path):
    """It is at most what the processors had to give."""
    run = make_run(tmp_path, "sum(range(10_000_000))")
    assert 0 <= run.others_ns <= (run.duration_ns + 10**9) * run.cores


@pytest.mark.skipif(sys.platform != "linux", reason="the scheduler's figures are Linux's")
def test_the_waits_of_a_process_are_read_from_outside(tmp_path: Path):
    """Also of one that has ended: a zombie still has them."""
    run = make_run(tmp_path, "import time; end = time.process_time() + 0.1\nwhile time.process_time() < end: pass")
    main = next(process for process in run.processes if process.pid == run.main_pid)
    assert main.ran_ns >= 100_000_000
    assert main.waited_ns >= 0
