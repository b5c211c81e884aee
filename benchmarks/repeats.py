"""How often `hookmon diff` calls something changed that is not: `python -m benchmarks.repeats --runs 100`.

Runs one small program many times under hookmon, compares each two of the runs, and counts the diffs with a row called changed;
and, as a measure of what a diff can see, in how many diffs a name would have been called slower if it alone, or all names, had
taken some times as long. Takes a minute or two. The runs differ by whatever else the machine does meanwhile: that is the point.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import tempfile
from itertools import combinations
from math import log2
from pathlib import Path

from benchmarks import limits
from hookmon.collector.store import Run, RunFile, Store
from hookmon.core.histogram import SUB_BUCKETS
from hookmon.core.record import replace
from hookmon.report.diff.machine import waits
from hookmon.report.diff.model import Diff, build

PROGRAM = Path(__file__).parent / "programs" / "repeat.py"
CONFIG = """\
[[watch]]
module = "__main__"
calls = ["handle"]
entry = true
kind = "request"
[[watch]]
module = "__main__"
calls = ["count", "order", "allocate", "query", "wait"]
"""
FACTORS = (1.25, 1.5, 2.0, 3.0, 10.0)


def main() -> int:
    """Measure, print, and end with 1 when more than 5 of 100 diffs are wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--loops", type=int, default=150, help="transactions in each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="repeats-") as folder:
        runs = repeat(Path(folder), options.runs, options.loops)
    waited = sorted(waits(run) or 0.0 for run in runs)
    print(f"{len(runs)} runs; seconds waited for a processor in each with one: {waited[0]:.2f} to {waited[-1]:.2f}")
    pairs = list(combinations(range(len(runs)), 2))
    wrong = {pair for pair in pairs if is_wrong(build(runs[pair[0]], runs[pair[1]]))}
    print(f"each two compared: {len(wrong)} of {len(pairs)} diffs have a row called changed")
    first = sum((0, other) in wrong for other in range(1, len(runs)))
    most = max(sum(at in pair for pair in wrong) for at in range(len(runs)))
    print(f"the first with its repeats: {first} of {len(runs) - 1}; the run with most such diffs: {most}")
    for a, b in sorted(wrong)[:5]:
        diff = build(runs[a], runs[b])
        print(f"  {a} and {b}: {', '.join(row.name for row in diff.changed_times)}; all together ×{diff.common:.2f}")
    some = pairs[:: max(1, len(pairs) // 200)]
    for factor in FACTORS:
        one = sum(sees(build(runs[a], slow_down(runs[b], factor, "order")), "order") for a, b in some)
        every = sum(sees(build(runs[a], slow_down(runs[b], factor)), "order") for a, b in some)
        print(f"one name ×{factor}: called slower in {one} of {len(some)}; all names: in {every}")
    return int(len(wrong) > max(1, len(pairs) * 0.05) or first > max(1, (len(runs) - 1) * 0.05))


def repeat(folder: Path, runs: int, loops: int) -> list[Run]:
    """Run the program again and again."""
    (folder / "hookmon.toml").write_text(CONFIG, "utf-8")
    hookmon = Path(sysconfig.get_path("scripts")) / "hookmon"
    command = [str(hookmon), "run", "--quiet", "--no-pack", "*", sys.executable, str(PROGRAM), str(loops)]
    found = []
    for _ in range(runs):
        limits.check(limits.run(command, limits.PROGRAM_S, cwd=folder))
        store = Store.of_project(folder)
        found.append(RunFile(store.run_file(store.numbers()[-1]).path).load())
    return found


def is_wrong(diff: Diff) -> bool:
    """Say whether anything is called changed: nothing is."""
    return bool(diff.changed_times or diff.changed_counts)


def sees(diff: Diff, name: str) -> bool:
    """Say whether a name is called slower."""
    return any(row.name == name and row.verdict == "slower" for row in diff.times)


def slow_down(run: Run, factor: float, name: str = "") -> Run:
    """Return the run as if the calls of one name, "" for all, had taken `factor` times as long."""
    step = round(log2(factor) * SUB_BUCKETS)
    nodes = [
        replace(
            node,
            buckets={bucket + step: calls for bucket, calls in node.buckets.items()},
            total_ns=round(node.total_ns * factor),
            self_ns=round(node.self_ns * factor),
        )
        if name in ("", node.name)
        else node
        for node in run.nodes
    ]
    return replace(run, nodes=nodes)


if __name__ == "__main__":
    sys.exit(main())
