"""The contract about cost: what is called so often that timing it would slow the program down is timed by samples."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import PYTHON, Report, blind_spots, calls, errors, hookmon_run, row, watch, write

CALLS = 400_000

PROGRAM = {
    "hot.py": """
        def cheap(fail=False):
            if fail:
                raise LookupError

        def outer():
            for _ in range(1000):
                cheap()
    """,
    "app.py": f"""
        import time
        import hot

        while time.process_time() < 1.05:  # the contract looks away from the first second
            pass
        for _ in range({CALLS} // 1000):
            hot.outer()
        for _ in range(500):
            try:
                hot.cheap(fail=True)
            except LookupError:
                pass
    """,
}


@pytest.fixture(scope="module", params=["compiled", "pure"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(folder: Path, engine: str, head: str) -> Report:
    """Run the hot program under a configuration that begins with `head`."""
    write(folder, PROGRAM)
    config = head + watch("hot", "cheap", "outer")
    return hookmon_run([PYTHON, "app.py"], cwd=folder, config=config, env={"HOOKMON_ENGINE": engine}).report


def test_counts_stay_exact_when_timing_is_sampled(tmp_path: Path, engine: str) -> None:
    """Of a target that costs more than its share only one call in 64 is timed; every call and error is counted."""
    report = run(tmp_path, engine, 'max_overhead = "1%"\n')
    cheap = row(report, "cheap")
    assert calls(report, "cheap") == CALLS + 500
    assert errors(report, "cheap") == 500
    assert calls(report, "outer") == CALLS // 1000
    assert cheap["untimed"] > CALLS // 2
    assert cheap["total_ns"] < row(report, "outer")["total_ns"] * 1.5


def test_the_report_says_which_target_is_sampled_from_when_and_why(tmp_path: Path, engine: str) -> None:
    """One sentence among the blind spots names the target, the share and the moment."""
    told = [text for text in blind_spots(run(tmp_path, engine, 'max_overhead = "1%"\n')) if "hot:cheap" in text]
    assert len(told) == 1
    assert "max_overhead is 1%" in told[0]
    assert "s of CPU time on" in told[0]
    assert "1 of 64" in told[0]


def test_off_times_every_call(tmp_path: Path, engine: str) -> None:
    """With `max_overhead = "off"` nothing is ever sampled."""
    report = run(tmp_path, engine, 'max_overhead = "off"\n')
    assert calls(report, "cheap") == CALLS + 500
    assert row(report, "cheap")["untimed"] == 0
    assert not [text for text in blind_spots(report) if "sampled" in text]


def test_what_costs_little_is_never_sampled(tmp_path: Path, engine: str) -> None:
    """A target below its share keeps every duration."""
    report = run(tmp_path, engine, 'max_overhead = "100%"\n')
    assert row(report, "cheap")["untimed"] == 0
