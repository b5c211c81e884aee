"""What very many processes cost the launcher: one look after the other at 1,000 shards of 5,000 places each, and the last one.

    python -m benchmarks.shards                   the shards are copies of one that a process writes, in a folder of their own

Every process of the run is one that sleeps, but its shard says that it has counted. Prints the CPU time and memory of
the launcher's side. 2 GB of disk or memory (--folder) are needed.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.limits import need
from hookmon.collector import run_folder
from hookmon.collector.collect import Collector
from hookmon.collector.identity import identify, look_at, own_peak_bytes
from hookmon.collector.signals import next_arrival
from hookmon.collector.store import Run, RunFile
from hookmon.core import layout

_WRITER = """
import os, sys
from hookmon.probe.recording import recorder
recorder.wrapt_folder = sys.argv[2]
recorder.start(sys.argv[1], "0.1")
from hookmon.probe.wrappers.make import wrappers
from hookmon.probe.base.target import Target
target = Target("shop:f", "function", "", "", True)
places, names = int(sys.argv[3]), int(sys.argv[4])
def leaf(): pass
def inner(first):
    for number in range(first, first + 10): leaves[number % names]()
leaves = [wrappers.Timed(leaf, target.span(f"leaf {number}"), None, -1) for number in range(names)]
inners = [wrappers.Timed(inner, target.span(f"inner {number}"), None, -1) for number in range(places // 11)]
for _ in range(3):
    for first, call in enumerate(inners): call(first * 10)
os._exit(0)
"""


def main() -> None:
    """Measure and print."""
    need("wrapt")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shards", description="What very many processes cost the launcher."
    )
    parser.add_argument("--processes", type=int, default=1_000)
    parser.add_argument("--places", type=int, default=5_000)
    parser.add_argument("--names", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60, help="how long it is looked at (60)")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the shards are to lie (/dev/shm)")
    options = parser.parse_args()
    folder = run_folder.make(options.folder)
    children: list[subprocess.Popen[bytes]] = []
    try:
        shard = _write_one(options.places, options.names)
        children += [subprocess.Popen(["sleep", "100000"]) for _ in range(options.processes)]
        _copy(shard, folder, [child.pid for child in children])
        print(f"{options.processes} shards, {len(shard) / 1e6:.1f} MB each; this process has {_memory()} before", flush=True)
        _look_on(folder, options.seconds)
    finally:
        for child in children:
            child.kill()
            child.wait()
        run_folder.remove(folder)


def _write_one(places: int, names: int) -> bytes:
    """Return a shard as a process writes it."""
    import wrapt

    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = [sys.executable, "-c", _WRITER, folder, str(Path(wrapt.__file__).parent), str(places), str(names)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "agent")})
        (path,) = Path(folder).glob(f"*{layout.SHARD_SUFFIX}")
        content = path.read_bytes()
    return content[: struct.unpack_from("=Q", content, layout.HEADER_USED * 8)[0] * 8]


def _copy(shard: bytes, folder: Path, pids: list[int]) -> None:
    """Write a shard for each process, which it is made the owner of."""
    for pid in pids:
        stat = look_at(pid)
        assert stat is not None
        identity = identify(pid, stat)
        own = bytearray(shard)
        words = {layout.HEADER_PID: pid, layout.HEADER_NAMESPACE: identity.namespace, layout.HEADER_STARTED: identity.started}
        for word, value in words.items():
            struct.pack_into("=Q", own, word * 8, value)
        (folder / f"{pid}-{time.monotonic_ns()}{layout.SHARD_SUFFIX}").write_bytes(own)


def _look_on(folder: Path, seconds: float) -> None:
    """Do what the launcher does, and print what it took."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        run = Run(1, "", ["benchmark"], "", "0.1", run_folder=str(folder), started_ns=time.monotonic_ns())
        collector = Collector(run, RunFile(Path(name) / "run-0001.sqlite"))
        end = time.monotonic() + seconds
        ticks: list[int] = []
        began_ns = time.thread_time_ns()
        while time.monotonic() < end:
            before_ns = time.thread_time_ns()
            wait_s = collector.tick()
            ticks.append(time.thread_time_ns() - before_ns)
            next_arrival(wait_s)
        whole_ns = time.thread_time_ns() - began_ns
        read = sum(own.calls for own in collector._shards.totals().by_key.values())
        ticks.sort()
        longest, median = ticks[-1] / 1e6, ticks[len(ticks) // 2] / 1e6
        share = whole_ns / seconds / 1e7
        print(
            f"{len(ticks)} looks in {seconds:.0f} s: {share:.2f} % of a core, {longest:.0f} ms at most, half of them {median:.1f}"
        )
        print(f"{read:,} calls were read by then, {_memory()}", flush=True)
        before_ns = time.thread_time_ns()
        whole = collector.look()
        print(
            f"the last look, which reads all: {(time.thread_time_ns() - before_ns) / 1e9:.1f} s of CPU, "
            f"{sum(node.calls for node in whole.nodes):,} calls, {_memory()}"
        )


def _memory() -> str:
    now = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    return f"{now / 1e6:.0f} MB ({own_peak_bytes() / 1e6:.0f} at most)"


if __name__ == "__main__":
    main()
