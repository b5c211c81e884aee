"""Counts what a watched call adds in instructions, which repeats exactly on a noisy machine: `python benchmarks/instructions.py`.

Cachegrind runs a loop of N and of 2 N calls, watched and bare. The difference of two runs is that of N calls, without the
start; the difference of those differences is what watching adds. The clock is one of our own, which takes the same step at each
look: by a real one every run finds other durations, and each new one of a histogram costs as much as sixty calls. Its
instructions are in the numbers, some ten for each look; two runs differ by some ten in a hundred million. "request" is a Flask
request of five GETs and two queries under `hookmon run`, with all packs, by the real clock. "off" and the like
are "function" while it or others are switched off. Prints
{"added": {scenario: instructions a call}, …} or {"skipped": reason}.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import limits  # this is started as a script: what lies beside it is found

ROOT = Path(__file__).resolve().parents[1]
CALLS = {"request": 400}
"""How often a scenario is called at first, then twice that; the others, OFTEN."""
OFTEN = 3_000
CLOCK = """
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static long ns = 1000000000000;
    ns += 1000;
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}
"""
SCENARIOS = (
    "function",
    "method",
    "named",
    "coroutine",
    "nested",
    "coded",
    "numbers",
    "awaited",
    "off",
    "off by name",
    "others off",
    "request",
)


def _run(scenario: str, calls: int, folder: str, clock: str, *before: str) -> str:
    """Run the loop, watched where a folder is given, and return what came on stderr. `clock` is the library with our clock."""
    if scenario == "request":
        return _run_requests(calls, folder, *before)  # by the real clock, which the launcher needs
    spec = find_spec("wrapt")
    wrapt = str(Path(spec.origin).parent) if spec is not None and spec.origin else ""
    environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT / "agent"), "HOOKMON_ENGINE": "compiled"}
    environment["LD_PRELOAD"] = clock
    # the interpreter itself: a virtual environment's link, or a shim before it, would be what is measured
    command = [*before, os.path.realpath(sys.executable), "-S"]
    command += [str(ROOT / "benchmarks" / "programs" / "counted.py"), scenario, str(calls), folder, wrapt]
    return _errors_of(command, env=environment)


def _run_requests(calls: int, folder: str, *before: str) -> str:
    """Call the application that often, under the launcher where a folder is given."""
    launcher = [str(Path(sysconfig.get_path("scripts")) / "hookmon"), "run", "--no-config", "--quiet"] if folder else []
    command = [*launcher, *before, sys.executable, str(ROOT / "benchmarks" / "programs" / "flask_request.py"), str(calls)]
    environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "HOOKMON_ENGINE": "compiled", "HOME": folder}
    return _errors_of(command, env=environment, cwd=folder or None)


def _errors_of(command: list[str], **options: Any) -> str:
    """Run a command and return what came on stderr, where cachegrind writes."""
    done = limits.run(command, limits.PROGRAM_S, **options)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stderr


def _instructions(scenario: str, calls: int, folder: str, clock: str) -> int:
    """Return the instructions of a whole run."""
    options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    text = _run(scenario, calls, folder, clock, "valgrind", *options)
    counted = re.search(r"I +refs: +([\d,]+)", text)
    if counted is None:
        raise RuntimeError(f"cachegrind counted nothing: {text[-2000:]}")
    return int(counted[1].replace(",", ""))


def _make_clock(folder: str) -> str:
    """Compile the clock that takes even steps, and return the path of the library."""
    source, library = Path(folder, "clock.c"), Path(folder, "clock.so")
    source.write_text(CLOCK)
    _errors_of([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", str(source), "-o", str(library)])
    return str(library)


def count_added(scenario: str) -> float:
    """Return the instructions that watching adds to a call."""
    calls = CALLS.get(scenario, OFTEN)
    with (
        tempfile.TemporaryDirectory(prefix="hookmon-") as folder,
        tempfile.TemporaryDirectory(prefix="clock-") as beside,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        clock = _make_clock(beside)
        _run(scenario, 1, folder, clock)  # or the first of them would also compile what has no .pyc yet
        runs = [(2 * calls, folder), (calls, folder), (2 * calls, ""), (calls, "")]
        watched2, watched1, bare2, bare1 = pool.map(lambda run: _instructions(scenario, *run, clock), runs)
    return ((watched2 - watched1) - (bare2 - bare1)) / calls


def reason_to_skip() -> str:
    """Return why nothing can be counted here, "" when it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if shutil.which(os.environ.get("CC", "cc")) is None:
        return f"there is no C compiler ({os.environ.get('CC', 'cc')}) for the clock that takes even steps"
    if not list((ROOT / "agent" / "hookmon" / "probe").glob("_engine*.so")):
        return "the compiled engine has not been built in this tree"
    return ""


def main() -> None:
    """Count all scenarios, or those that are named, and print JSON."""
    reason = reason_to_skip()
    if reason:
        print(json.dumps({"skipped": reason}))
        return
    counts = {scenario: count_added(scenario) for scenario in sys.argv[1:] or SCENARIOS}
    print(json.dumps({"python": sys.version.split()[0], "added": counts}, indent=1))


if __name__ == "__main__":
    main()
