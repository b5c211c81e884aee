"""Holds `hookmon run --own` and `hookmon suggest` against programs of others: `python -m benchmarks.own --help`.

The libraries are installed into a folder that is no site-packages, so all of them are the program's own. For each program,
bare and watched runs take turns. Printed are: CPU time of the watched program by that of the bare one (the least of each);
the same until all is imported; the report's own cost by what it was (the difference of the least); at which place of the
report stands the function that cProfile puts first; and which share of the work the suggested watches explain on the next
run. Exits with 1 where a bound is not held. The time of what is not watched, or was given up, is its callers' for cProfile,
too; first by its times as they are counts as well as first by those less what it adds itself to each call.
"""

from __future__ import annotations

import argparse
import json
import os
import pstats
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from benchmarks import limits
from benchmarks.environments import ROOT
from benchmarks.own_programs import PACKAGES, PROGRAMS, write_inputs

BOUNDS = {"cpu": 1.25, "start": 1.3, "place": 3, "explained": 0.9}
TIMED = """\
import resource, sys, time
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
{imports}
imported, begun = cpu(), time.perf_counter()
{work}
print("\\n@", imported, cpu(), time.perf_counter() - begun)
"""
"""Prints CPU time until all is imported, and of the process, and what the work took, in seconds."""

Place = tuple[str, int, str]


def main() -> None:
    """Measure, print a line for each program."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own", description="What watching all own functions costs and tells."
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"{', '.join(PROGRAMS)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (5)")
    parser.add_argument("--libraries", type=Path, help="a folder with the libraries; else they are installed into .benchmarks")
    options = parser.parse_args()
    if unknown := set(options.programs) - set(PROGRAMS):
        parser.error(f"there is no program {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}")
    folder = ROOT / ".benchmarks" / f"own-{sys.version_info[0]}.{sys.version_info[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    libraries = options.libraries or _install(folder / "libraries")
    print("program       CPU  start  claimed  place  explained  first by cProfile")
    missed = False
    for name in options.programs or PROGRAMS:
        found = _measure(name, folder / name, libraries.resolve(), options.rounds)
        figures = (f"{found[key]:{width}.2f}" for key, width in (("cpu", 5), ("start", 6), ("claimed", 8)))
        print(f"{name:11}", *figures, f"{found['place']:6} {found['explained']:10.0%}  {found['first']}", flush=True)
        is_held = (
            all(found[key] <= BOUNDS[key] for key in ("cpu", "start", "place")) and found["explained"] >= BOUNDS["explained"]
        )
        missed = missed or not is_held
    sys.exit(missed)


def _install(libraries: Path) -> Path:
    if not libraries.exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(libraries), *PACKAGES]
        if limits.run(command, limits.PROGRAM_S).returncode:
            raise limits.Unavailable(f"{' '.join(command)} failed")
    return libraries


def _measure(name: str, folder: Path, libraries: Path, rounds: int) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    write_inputs(folder)
    (folder / "hookmon.toml").unlink(missing_ok=True)
    imports, work = dedent(PROGRAMS[name]).strip().split("\n---\n")
    (folder / "program.py").write_text(TIMED.format(imports=imports, work=work))
    runs = _Runs(folder, libraries)
    bare, own, report = [], [], {}
    for turn in range(rounds + 1):
        figures = [runs.bare(), runs.watched("--own")]
        if turn:  # the first ones make the byte code
            bare.append(figures[0])
            own.append(figures[1][0])
            report = figures[1][1]
    least = [[min(run[at] for run in some) for at in (0, 1)] for some in (bare, own)]
    firsts = runs.first_of_profile({row["location"] for row in report["own"]["functions"] if not row["given_up"]}, least[0][1])
    places = [row["location"] for row in report["own"]["functions"]]
    place, first = min((places.index(f"{file}:{line}") + 1, f"{of} ({Path(file).name}:{line})") for file, line, of in firsts)
    runs.hookmon("suggest", "--write", str(report["run"]["id"]))
    (_, _, work_s), again = runs.watched()
    explained_ns = sum(row["total_ns"] for row in again["tree"] if row["parent"] < 0)
    return {
        "cpu": least[1][1] / least[0][1],
        "start": least[1][0] / least[0][0],
        "claimed": report["run"]["overhead_ns"] / 1e9 / (least[1][1] - least[0][1]),
        "place": place,
        "explained": min(1.0, explained_ns / 1e9 / work_s),
        "first": first,
    }


class _Runs:
    """Runs of one program in its folder."""

    def __init__(self, folder: Path, libraries: Path) -> None:
        self._folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HOOKMON"))}
        self._environment = kept | {"PYTHONPATH": f"{libraries}{os.pathsep}{ROOT / 'agent'}{os.pathsep}{ROOT / 'bootstrap'}"}
        self._environment["PYTHONHASHSEED"] = "0"

    def _run(self, *command: str) -> list[float]:
        done = limits.run([sys.executable, *command], limits.PROGRAM_S, cwd=self._folder, env=self._environment)
        if done.returncode:
            raise limits.Unavailable(f"{' '.join(command)}: {done.stderr[-2000:]}")
        figures = done.stdout.rpartition("@")[2].split()
        return [float(figure) for figure in figures] if "@" in done.stdout else []

    def bare(self) -> list[float]:
        """Return CPU time until all is imported, of the process, and the time of the work, in seconds."""
        return self._run("program.py")

    def hookmon(self, *words: str) -> list[float]:
        return self._run("-c", "from hookmon.cli.main import main; main()", *words)

    def watched(self, *options: str) -> tuple[list[float], dict[str, Any]]:
        """Return the same, and the report."""
        where = ("--output", "report.json", "--format", "json")
        figures = self.hookmon("run", *options, *where, sys.executable, "program.py")
        return figures, json.loads((self._folder / "report.json").read_text("utf-8"))

    def first_of_profile(self, watched: set[str], bare_s: float) -> list[Place]:
        """Return the watched functions that cProfile puts first, where the time of all others is their callers'.

        That is by its times as they are, and by those less what it adds itself to each call: `bare_s` is the CPU time of the
        program without it.
        """
        self._run("-m", "cProfile", "-o", "out.prof", "program.py")
        stats: dict[Place, Any] = pstats.Stats(str(self._folder / "out.prof")).stats  # type: ignore[attr-defined]
        added_s = (sum(figures[2] for figures in stats.values()) - bare_s) / sum(figures[1] for figures in stats.values())
        return [_first(stats, watched, off_s) for off_s in (0.0, max(0.0, added_s))]


def _first(stats: dict[Place, Any], watched: set[str], off_s: float) -> Place:
    time_of = {place: max(0.0, figures[2] - figures[1] * off_s) for place, figures in stats.items()}
    own = dict.fromkeys((place for place in stats if f"{place[0]}:{place[1]}" in watched), 0.0)
    for _ in range(60):  # callers of callers; what runs in a circle fades
        passed: dict[Place, float] = {}
        for place, some in time_of.items():
            if place in own:
                own[place] += some
                continue
            callers = stats[place][4]
            whole = sum(figures[3] for figures in callers.values())
            for caller, figures in callers.items() if whole else ():
                passed[caller] = passed.get(caller, 0.0) + some * figures[3] / whole
        time_of = passed
    return max(own, key=own.__getitem__)


if __name__ == "__main__":
    main()
