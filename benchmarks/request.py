"""What watching adds to a Flask request of five GETs and two queries: `python -m benchmarks.request --pairs 60`.

Processes of `programs/flask_request.py` take turns on one processor, bare and under `hookmon run` with all packs, in an order
drawn by lot. Each tells the CPU time of a request in its quieter stretches. Two processes of one program differ by where their
memory lies, by 2 % and more, which is most of what is looked for; so there are many, and of their differences three estimates,
each with the interval in which 95 % of the results lie when processes are drawn again (bootstrap).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import limits

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "benchmarks" / "programs" / "flask_request.py"
DRAWS = 4_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.request", description="What watching adds to a Flask request.")
    parser.add_argument("--pairs", type=int, default=60, help="processes of each kind (60)")
    options = parser.parse_args()
    limits.need("flask", "redis")
    found: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(options.pairs):
        for is_watched in random.sample((True, False), 2):
            found[is_watched].append(_run(is_watched))
    bare = statistics.median(found[False])
    for name, middle in (("median", statistics.median), ("middle half", _middle_half), ("lower quartile", _lower_quartile)):
        low, high = _interval(found, middle)
        added = middle(found[True]) - middle(found[False])
        print(f"{name:14} bare {bare:.1f} µs, added {added:+.2f} µs ({low:+.2f} to {high:+.2f})")


def _run(is_watched: bool) -> float:
    """Return the CPU time of a request in one process, in microseconds."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        hookmon = str(Path(sysconfig.get_path("scripts")) / "hookmon")
        launcher = [hookmon, "run", "--no-config", "--quiet"] if is_watched else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOOKMON"))}
        command = [*launcher, sys.executable, str(PROGRAM), "timed"]
        return float(limits.check(limits.run(command, limits.PROGRAM_S, cwd=folder, env=environment)))


def _middle_half(values: list[float]) -> float:
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return statistics.fmean(ordered[quarter : len(ordered) - quarter])


def _lower_quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]


def _interval(found: dict[bool, list[float]], middle: Callable[[list[float]], float]) -> tuple[float, float]:
    drawn = sorted(
        middle(random.choices(found[True], k=len(found[True]))) - middle(random.choices(found[False], k=len(found[False])))
        for _ in range(DRAWS)
    )
    return drawn[round(DRAWS * 0.025)], drawn[round(DRAWS * 0.975)]


if __name__ == "__main__":
    main()
