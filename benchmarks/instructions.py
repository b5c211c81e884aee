"""Counts what a watched call adds in instructions, which repeats exactly on a noisy machine: `python benchmarks/instructions.py`.

Callgrind runs a loop of N calls twice, bare and then watched, in one process each, and counts the second N: what the interpreter
and the recorder do at first is in neither. The clock is one of our own, which takes the same step at each
look: by a real one every run finds other durations, and each new one of a histogram costs as much as sixty calls. Its
instructions are in the numbers, some ten for each look. "request" is a Flask
request of five GETs and two queries under `hookmon run`, with all packs, by the real clock: cachegrind runs N and 2 N of them,
watched and bare, and the difference of the differences is what watching adds; two such runs differ by some ten in a hundred
million. "off" and the like are "function" while it or others are switched off. Prints
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
REQUESTS = 400
"""How often the request is made at first, then twice that."""
CALLS = 3_000
"""How often others are called, and counted."""
LIBRARY = """
#include <time.h>
#include <valgrind/callgrind.h>
void begin_counting(void)
{
    CALLGRIND_ZERO_STATS;
}
void end_counting(void)
{
    CALLGRIND_DUMP_STATS;
}
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


def _count_calls(scenario: str, folder: str, library: str) -> tuple[int, int]:
    """Return the instructions of the loop, bare and watched. `library` has our clock, and tells callgrind when to count."""
    spec = find_spec("wrapt")
    wrapt = str(Path(spec.origin).parent) if spec is not None and spec.origin else ""
    environment = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT / "agent"), "HOOKMON_ENGINE": "compiled"}
    environment["LD_PRELOAD"] = library
    # the interpreter itself: a virtual environment's link, or a shim before it, would be what is measured
    program = [os.path.realpath(sys.executable), "-S", str(ROOT / "benchmarks" / "programs" / "counted.py")]
    with tempfile.TemporaryDirectory(prefix="callgrind-") as output:
        callgrind = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={output}/out")
        _errors_of([*callgrind, *program, scenario, str(CALLS), folder, wrapt], env=environment)
        bare, watched = (_total(Path(output, f"out.{number}")) for number in (2, 3))
    return bare, watched


def _total(path: Path) -> int:
    """Return the instructions that are counted in a file of callgrind."""
    counted = re.search(r"^totals: (\d+)$", path.read_text(), re.MULTILINE)
    if counted is None:
        raise RuntimeError(f"callgrind counted nothing: {path}")
    return int(counted[1])


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


def _count_requests(calls: int, folder: str) -> int:
    """Return the instructions of a whole run of requests."""
    options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    text = _run_requests(calls, folder, "valgrind", *options)
    counted = re.search(r"I +refs: +([\d,]+)", text)
    if counted is None:
        raise RuntimeError(f"cachegrind counted nothing: {text[-2000:]}")
    return int(counted[1].replace(",", ""))


def _make_library(folder: str) -> str:
    """Compile the clock that takes even steps and what tells callgrind when to count, and return the path of the library."""
    source, library = Path(folder, "counting.c"), Path(folder, "counting.so")
    source.write_text(LIBRARY)
    _errors_of([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", str(source), "-o", str(library)])
    return str(library)


def count_added(scenario: str) -> float:
    """Return the instructions that watching adds to a call."""
    with tempfile.TemporaryDirectory(prefix="hookmon-") as folder, tempfile.TemporaryDirectory(prefix="counting-") as beside:
        if scenario != "request":
            bare, watched = _count_calls(scenario, folder, _make_library(beside))
            return (watched - bare) / CALLS
        _run_requests(1, folder)  # or the first of them would also compile what has no .pyc yet
        runs = [(2 * REQUESTS, folder), (REQUESTS, folder), (2 * REQUESTS, ""), (REQUESTS, "")]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            watched2, watched1, bare2, bare1 = pool.map(lambda run: _count_requests(*run), runs)
        return ((watched2 - watched1) - (bare2 - bare1)) / REQUESTS


def reason_to_skip() -> str:
    """Return why nothing can be counted here, "" when it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if shutil.which(os.environ.get("CC", "cc")) is None:
        return f"there is no C compiler ({os.environ.get('CC', 'cc')}) for the clock that takes even steps"
    header = [os.environ.get("CC", "cc"), "-E", "-include", "valgrind/callgrind.h", "-x", "c", os.devnull]
    if limits.run(header, limits.PROGRAM_S).returncode:
        return "valgrind's headers are not there (valgrind/callgrind.h)"
    if not list((ROOT / "agent" / "hookmon" / "probe").glob("_engine*.so")):
        return "the compiled engine has not been built in this tree"
    return ""


def main() -> None:
    """Count all scenarios, or those that are named, and print JSON."""
    reason = reason_to_skip()
    if reason:
        print(json.dumps({"skipped": reason}))
        return
    scenarios = sys.argv[1:] or SCENARIOS
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(scenarios, pool.map(count_added, scenarios), strict=True))
    print(json.dumps({"python": sys.version.split()[0], "added": counts}, indent=1))


if __name__ == "__main__":
    main()
