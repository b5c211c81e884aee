"""What is sent to the launcher reaches the program at once, whatever the launcher is doing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.odd_shards import make

from hookmon.collector import compiled, run_folder
from hookmon.collector.collect import Collector
from hookmon.collector.store import Run, RunFile
from hookmon.core import layout

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 2**22 + 1  # no process has this pid, or one after it
PLACES, SHARDS = 12_000, 2
MOST_CALLS = 120_000
"""Calls of functions, each of a tenth of a microsecond to one, between two looks at signals: a fraction of 200 ms anywhere."""

PROGRAM = """
import os, signal, sys
from hookmon.collector import launch, signals
inherited = signals.hold()
pid = launch.start(sys.argv[1:], dict(os.environ), inherited)
seen = []
def tick(look):
    if seen:
        return 0.0
    seen.append(1)
    while not os.path.exists("ready"):
        pass
    os.kill(os.getpid(), signal.SIGUSR1)
    while not os.path.exists("done"):  # the program makes it when it has got the signal
        look()
    return 0.0
code = launch.wait(pid, tick, lambda: print("ended", flush=True))
print(code, flush=True)
"""
WAITING = """
import os, signal
def take(number, frame):
    open("done", "w").close()
    os._exit(7)
signal.signal(signal.SIGUSR1, take)
open("ready", "w").close()
while True: signal.pause()
"""


class Counter:
    """Counts the calls of functions, of ours and of the interpreter's, between two looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.calls = 0
        self.most = 0

    def count(self, frame: Any, event: str, what: Any) -> None:
        """Take notice of a call, as sys.setprofile tells of it."""
        if event in ("call", "c_call"):
            self.calls += 1

    def look(self) -> None:
        """Be a look at signals."""
        self.looks += 1
        self.most = max(self.most, self.calls)
        self.calls = 0


def fold(tmp_path: Path) -> tuple[Counter, Run]:
    """Have the shards of processes that have ended folded and saved; return what was counted meanwhile."""
    folder = run_folder.make(tmp_path)
    for number in range(SHARDS):
        content = make(PLACES, 4_000, NOBODY + number, time.monotonic_ns())
        (folder / f"{NOBODY + number}-1{layout.SHARD_SUFFIX}").write_bytes(content)
    run = Run(1, "", ["program"], "", "0.1", run_folder=str(folder), started_ns=time.monotonic_ns())
    collector, counter = Collector(run, RunFile(tmp_path / "run-0001.sqlite")), Counter()
    while any(name.endswith(layout.SHARD_SUFFIX) for name in os.listdir(folder)):
        sys.setprofile(counter.count)
        collector.tick(counter.look)
        sys.setprofile(None)
        counter.look()
    return counter, collector.look()


@pytest.mark.parametrize("engine", ["compiled", "pure"])
def test_signals_are_looked_at_while_large_shards_are_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str):
    """Read, added up, handed to the observers and saved, with few calls between two looks; by Python as well."""
    if engine == "compiled" and compiled.engine is None:
        pytest.skip("the compiled engine was not built, or is not asked for")
    if engine == "pure":
        monkeypatch.setattr(compiled, "engine", None)
    counter, run = fold(tmp_path)
    assert sum(node.calls for node in run.nodes) == 2 * PLACES * SHARDS
    assert counter.looks > SHARDS * PLACES / 1_000
    assert counter.most < MOST_CALLS


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="signals can be waited for")
def test_a_signal_reaches_the_program_within_a_tick(tmp_path: Path):
    """And the launcher sees its end, which it was told of within that tick as well."""
    (tmp_path / "waiting.py").write_text(WAITING, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, sys.executable, "waiting.py"],
        env={"PYTHONPATH": str(ROOT / "agent") + os.pathsep + str(ROOT / "bootstrap"), "PATH": os.defpath},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines() == ["ended", "7"]
