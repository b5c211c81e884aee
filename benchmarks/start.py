"""What a start takes: `python -m benchmarks.start [--scripts FOLDER] [--rounds N]`.

Each way to start `python -c 'print(1, flush=True)'` takes turns with the bare one, round after round. Told are the medians of the
ratios, and the middle half of them: CPU time of the whole (wait4, children included) and the time until the first line of the
program. hookmon is run as it is installed in FOLDER, where `hookmon`, `python` and the others (pyinstrument, coverage, wrapture,
ddtrace-run, opentelemetry-instrument) are looked for; who is not there is left out. The same for a project with 150 packs, on and
off, for one with 20 kept runs, and for all of it on one processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = ("-c", "print(1, flush=True)")
PACKS = 150
SETTLE_S = 0.3
"""Before the first run: what has just been written is not remembered."""


@dataclass
class Way:
    """One way to start the program, in a folder of its own, with what it took beside a bare start in each round."""

    name: str
    command: list[str]
    folder: Path
    processors: set[int]
    cpu: list[float] = field(default_factory=list)
    first_line: list[float] = field(default_factory=list)

    def take(self) -> tuple[float, float]:
        """Start it and return CPU seconds of all and seconds until the first line."""
        reading, writing = os.pipe()
        started = time.perf_counter()
        pid = os.fork()
        if not pid:
            os.dup2(writing, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.chdir(self.folder)
            os.sched_setaffinity(0, self.processors)
            os.execv(self.command[0], self.command)
        os.close(writing)
        first = os.read(reading, 1)
        line_s = time.perf_counter() - started
        while os.read(reading, 65536):
            pass
        os.close(reading)
        _, status, usage = os.wait4(pid, 0)
        if status or not first:
            raise SystemExit(f"{self.name}: ended with {os.waitstatus_to_exitcode(status)}")
        return usage.ru_utime + usage.ru_stime, line_s


def ways(scripts: Path, folder: Path) -> list[Way]:
    """Return all ways there are, the bare one first."""
    python = str(scripts / "python")
    all_processors, one = os.sched_getaffinity(0), {max(os.sched_getaffinity(0))}
    quiet = [str(scripts / "hookmon"), "run", "--quiet"]
    packs = [word for path in _packs(folder / "packs") for word in ("--pack", str(path))]
    peers = {
        "pyinstrument": ["pyinstrument", "-o", os.devnull, *PROGRAM],
        "coverage run": ["coverage", "run", str(folder / "program.py")],
        "wrapture": ["wrapture", "run", "python", *PROGRAM],
        "ddtrace-run": ["ddtrace-run", python, *PROGRAM],
        "opentelemetry-instrument": ["opentelemetry-instrument", python, *PROGRAM],
    }
    (folder / "program.py").write_text("print(1, flush=True)\n")
    for name in ("plain", "few", "many", "off", "kept", "one", "peers"):
        (folder / name).mkdir()
    found = [
        Way("bare", [python, *PROGRAM], folder, all_processors),
        Way("hookmon --version", [str(scripts / "hookmon"), "--version"], folder, all_processors),
        Way("hookmon run --quiet", [*quiet, python, *PROGRAM], folder / "plain", all_processors),
        Way("hookmon run, with its report", [*quiet[:2], python, *PROGRAM], folder / "plain", all_processors),
        Way(f"with {PACKS} packs", [*quiet, *packs, python, *PROGRAM], folder / "many", all_processors),
        Way(f"with {PACKS} packs off", [*quiet, *packs, "--no-pack", "*", python, *PROGRAM], folder / "off", all_processors),
        Way("with 20 kept runs", [*quiet, python, *PROGRAM], folder / "kept", all_processors),
        Way("bare, on one processor", [python, *PROGRAM], folder, one),
        Way("hookmon run --quiet, on one processor", [*quiet, python, *PROGRAM], folder / "one", one),
        Way("hookmon run --output", [*quiet[:2], "--output", "report", python, *PROGRAM], folder / "few", all_processors),
    ]
    for name, words in peers.items():
        if (scripts / words[0]).exists():
            found.append(Way(name, [str(scripts / words[0]), *words[1:]], folder / "peers", all_processors))
    return found


def _packs(folder: Path) -> list[Path]:
    """Write packs of a user until there are PACKS with those of hookmon."""
    folder.mkdir()
    own = len(list((Path(__file__).resolve().parents[1] / "agent" / "hookmon" / "packs").glob("*.toml")))
    paths = [folder / f"made{number}.toml" for number in range(PACKS - own)]
    for number, path in enumerate(paths):
        head = f'[[watch]]\nmodule = "made{number}.part'
        tail = '"\ncalls = ["Client.get", "Client.put"]\nkind = "http"\n'
        watches = "".join(f"{head}{part}{tail}" for part in range(5))
        path.write_text(f'[pack]\ndescription = "number {number}"\n\n{watches}')
    return paths


def measure(found: Sequence[Way], rounds: int) -> None:
    """Let all ways take turns, each beside the bare one before it that has as many processors."""
    for way in found:
        for _ in range(22 if "kept" in way.name else 2):
            way.take()
            time.sleep(0 if "kept" in way.name else SETTLE_S)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, end="\r")
        bare = (1.0, 1.0)
        for way in found:
            taken = way.take()
            if way.name.startswith("bare"):
                bare = taken
            if "processor" not in way.name and not way.name.startswith("bare"):
                bare_of_all = found[0].take()
                way.cpu.append(taken[0] / bare_of_all[0])
                way.first_line.append(taken[1] / bare_of_all[1])
            else:
                way.cpu.append(taken[0] / bare[0])
                way.first_line.append(taken[1] / bare[1])


def _told(ratios: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:6.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Measure and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=Path, default=Path(sys.executable).parent, help="where hookmon and the others are")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-start-") as folder:
        os.environ["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            os.environ.pop(name, None)
        found = ways(arguments.scripts.absolute(), Path(folder))
        measure(found, arguments.rounds)
    print(f"{'':40}{'CPU time / bare':>24}{'first line / bare':>26}")
    for way in found:
        print(f"{way.name:40}{_told(way.cpu):>24}{_told(way.first_line):>26}")


if __name__ == "__main__":
    main()
