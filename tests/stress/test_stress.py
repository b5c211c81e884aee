"""First imports, processes and shards under everything at once: threads, forks, signals and imports at random, with exact counts.

`HOOKMON_STRESS_S` is for how many seconds each engine is put under it, 2 by default; `HOOKMON_STRESS_SEED` begins another series.
`.ci/stress` runs it for a minute, a hundred times.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from stress import program
from support.runs import PYTHON, Report, bare_run, blind_spots, calls, hookmon_run, watch

SECONDS = float(os.environ.get("HOOKMON_STRESS_S", "2"))
SEED = int(os.environ.get("HOOKMON_STRESS_SEED", "1"))
WATCHED = [*program.THREAD_MODULES, *program.CHILD_MODULES, *program.HANDLER_MODULES]
QUIET = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}  # from 3.12 on, a fork beside threads warns
TIMEOUT_S = SECONDS + 3 * program.STALLED_S


@pytest.mark.parametrize("engine", ["compiled", "pure"])
def test_every_call_of_every_process_is_counted(engine: str, tmp_path: Path) -> None:
    """What threads, forked children and handlers called is what the report says, and each process is one row."""
    shutil.copy(program.__file__, tmp_path)
    config = "".join(watch(module, "call") for module in WATCHED)
    command = [PYTHON, "program.py", str(SEED), str(SECONDS)]
    result = hookmon_run(command, cwd=tmp_path, config=config, env={**QUIET, "HOOKMON_ENGINE": engine}, timeout=TIMEOUT_S)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    called = Counter((tmp_path / "calls").read_text().split())
    told = _late_modules(result.report)
    differences = {}
    for module in WATCHED:
        counted = calls(result.report, f"{module}:call")
        is_told = module in program.HANDLER_MODULES and module in told and counted < called[module]
        if counted != called[module] and not is_told:
            differences[module] = (counted, called[module])
    assert not differences, f"(counted, called): {differences}\n" + "\n".join(blind_spots(result.report))
    born = (tmp_path / "born").read_text().split()
    rows = [row["pid"] for row in result.report["processes"] if row["calls"]]
    assert sorted(rows) == sorted(map(int, born))


def test_the_program_ends_by_itself_without_hookmon(tmp_path: Path) -> None:
    """The program is no trap of its own: bare, it comes to its end, and no process of it fails."""
    shutil.copy(program.__file__, tmp_path)
    result = bare_run([PYTHON, "program.py", str(SEED), str(min(SECONDS, 2))], cwd=tmp_path, env=dict(QUIET), timeout=TIMEOUT_S)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr


def _late_modules(report: Report) -> set[str]:
    """Return the modules of which the report says that they came while hookmon was getting ready: calls are missing."""
    late = [spot["detail"] for spot in report["blind_spots"] if spot["kind"] == "watched late"]
    return {module for module in WATCHED for detail in late if detail.startswith(f"{module} ")}
