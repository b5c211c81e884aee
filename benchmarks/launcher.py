"""What `hookmon run` takes beside a program that goes on: `python -m benchmarks.launcher --against PATH_OF_TREE`.

Two launchers, one of this tree and one of another, run side by side, each with the same program: one that sleeps, and one with 8
workers which are at work a fifth of the time. Once they have come to rest, some seconds are measured: CPU time from the kernel's
clock of the process, wake-ups as its voluntary context switches, memory as it is at the end. Without `--against` only this tree.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.limits import STOP_S, Unavailable

PROGRAM = Path(__file__).resolve().parent / "programs" / "resting.py"
PROGRAMS = {"idle": 0, "8 busy workers": 8}
"""By name: how many workers there are."""

_START = "import sys; sys.path[:0] = sys.argv[1:3]; del sys.argv[1:3]; from hookmon.cli.main import main; sys.exit(main())"
_WATCHED = ("--watch", "__main__:turn,step,part")


@dataclass
class Found:
    """One launcher over a stretch of time."""

    cpu: float  # share of a core
    wakeups: float  # a second
    memory: int  # bytes
    peak: int  # the same at its highest


class Launcher:
    """A `hookmon run` of one tree with one program, until it is stopped."""

    def __init__(self, tree: Path, workers: int, folder: Path) -> None:
        """Start it. Raises Unavailable when its program does not come up."""
        paths = [str(tree / name) for name in ("agent", "bootstrap")]
        run = ["run", "--quiet", "--no-config", *_WATCHED, "--", sys.executable, str(PROGRAM), str(workers)]
        command = [sys.executable, "-c", _START, *paths, *run]
        self._process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self.stop()
            raise Unavailable(f"no program came up with the launcher of {tree}")

    def look(self) -> tuple[int, int]:
        """Return its CPU time by now, in nanoseconds, and its wake-ups."""
        return time.clock_gettime_ns(~self._process.pid << 3 | 2), self._read("voluntary_ctxt_switches")

    def memory(self) -> tuple[int, int]:
        """Return the bytes of memory that it has, and the most that it had."""
        return self._read("VmRSS") * 1024, self._read("VmHWM") * 1024

    def _read(self, name: str) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def stop(self) -> None:
        """End the program and its launcher."""
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(STOP_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        finally:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.communicate()


def measure(trees: Sequence[Path], workers: int, rest_s: float, stretch_s: float) -> list[Found]:
    """Run the launchers of several trees side by side; return what each took once `rest_s` seconds had gone."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, ExitStack() as stack:
        launchers = []
        for number, tree in enumerate(trees):
            folder = Path(name) / str(number)
            folder.mkdir()
            launchers.append(Launcher(tree, workers, folder))
            stack.callback(launchers[-1].stop)
        time.sleep(rest_s)
        began_ns, before = time.monotonic_ns(), [launcher.look() for launcher in launchers]
        time.sleep(stretch_s)
        after = [launcher.look() for launcher in launchers]
        stretch_ns = time.monotonic_ns() - began_ns
        found = []
        for launcher, (cpu_ns, wakeups), (later_ns, later) in zip(launchers, before, after, strict=True):
            memory, peak = launcher.memory()
            found.append(Found((later_ns - cpu_ns) / stretch_ns, (later - wakeups) / stretch_ns * 1e9, memory, peak))
        return found


def main() -> None:
    """Measure and print a line for each launcher and program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launcher", description="What hookmon run takes beside a program.")
    parser.add_argument("--against", type=Path, metavar="PATH_OF_TREE", help="another tree, whose engine is built as well")
    parser.add_argument("--rest", type=float, default=16, metavar="SECONDS", help="time before the measurement (16)")
    parser.add_argument("--seconds", type=float, default=30, help="time that is measured (30)")
    options = parser.parse_args()
    trees = [ROOT] + ([options.against.resolve()] if options.against else [])
    for name, workers in PROGRAMS.items():
        found = measure(trees, workers, options.rest, options.seconds)
        for tree, one in zip(("this tree", "other tree"), found, strict=False):
            memory = f"{one.memory / 1e6:.1f} MB ({one.peak / 1e6:.1f} at most)"
            print(f"{name:16} {tree:11} {one.cpu * 100:6.3f} % of a core {one.wakeups:6.1f} wake-ups/s   {memory}", flush=True)
        if len(found) > 1:
            print(f"{name:16} {'share':11} {found[0].cpu / found[1].cpu:6.2f}", flush=True)


if __name__ == "__main__":
    main()
