"""A shard that is read on says what it says when it is read anew, whatever its process has done meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.runs import PYTHON, hookmon_start, wait_until

from hookmon.collector import run_folder
from hookmon.collector.counters import totals_of
from hookmon.collector.live import find_running
from hookmon.collector.merge import measure
from hookmon.collector.processes import Processes
from hookmon.collector.shard_set import Shard, ShardSet
from hookmon.collector.shards import Content, Reading, ShardReader
from hookmon.collector.store import Store
from hookmon.core import layout
from hookmon.core.errors import ShardError

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import random, sys
from hookmon.core import layout
from hookmon.probe.recording import notes, recorder
recorder.wrapt_folder = sys.argv[2]
recorder.start(sys.argv[1], "0.1")
from hookmon.probe.wrappers.make import wrappers
from hookmon.probe.base.target import Target
target = Target("shop.pricing:quote", "cache", "redis", "", True)
dice = random.Random(int(sys.argv[3]))
def work(depth, width):
    if depth:
        timed[dice.randrange(width)](depth - 1, width)
    if dice.random() < 0.1:
        raise ValueError
    sum(range(dice.choice((1, 10, 1000, 100_000))))
timed = [wrappers.Timed(work, target.span(f"quote {number}"), None, -1) for number in range(60)]
print(flush=True)
for line in sys.stdin:
    for _ in range(dice.choice((0, 1, 5, 50))):
        try: timed[dice.randrange(3)](dice.randrange(5), dice.choice((1, 3, 60)))
        except ValueError: pass
    notes.note("early reference", f"{line} was taken")
    print(flush=True)
"""


def compare(reading: Reading, content: Content) -> Reading:
    """Read on and anew, and see that both say the same; return what to go on with."""
    anew = Reading(content)
    now_ns = 1 << 60  # the same for all: what is in flight is not measured again where nothing has changed
    measure(anew.data, now_ns)
    has_changed = reading.read_on(content)
    if has_changed is None:
        reading = Reading(content)
    if has_changed is not False:
        measure(reading.data, now_ns)
    for name in ("nodes", "lanes", "examples", "statuses", "signals", "damaged", "lanes_made", "full", "hidden_lanes"):
        assert getattr(reading.data, name) == getattr(anew.data, name), name
    left, right = (totals_of(data.nodes, data.statuses) for data in (reading.data, anew.data))
    assert left == right
    return reading


@pytest.mark.parametrize("engine", ["compiled", "pure"])
@pytest.mark.parametrize("seed", range(4 if "HOOKMON_BOTH" in os.environ else 2))
def test_reading_on_is_reading_anew(tmp_path: Path, seed: int, engine: str):
    """Counters, new places, names and octaves, after any number of calls."""
    import wrapt

    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(wrapt.__file__).parent), str(seed)]
    env = {"PYTHONPATH": str(ROOT / "agent"), "PATH": os.defpath, "HOOKMON_ENGINE": "" if engine == "compiled" else engine}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write("0\n")
        process.stdin.flush()
        process.stdout.readline()
        (path,) = tmp_path.glob("*.shard")
        reader = ShardReader(path)
        reading = first = Reading(reader.content())
        for turn in range(40):
            process.stdin.write(f"{turn}\n")
            process.stdin.flush()
            process.stdout.readline()
            reading = compare(reading, reader.content())
        assert reading is first
        assert reading.read_on(reader.content()) is False
        reader.close()
        process.stdin.close()


def test_a_shard_whose_process_has_not_run_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its thread's figures say so; when it has, what it has counted is there."""
    import wrapt

    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(wrapt.__file__).parent), "1"]
    env = {"PYTHONPATH": str(ROOT / "agent"), "PATH": os.defpath}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        processes, shards = Processes(0), ShardSet(tmp_path)
        read: list[Shard] = []
        read_on = Shard.read_on
        monkeypatch.setattr(Shard, "read_on", lambda shard, look: (read.append(shard), read_on(shard, look))[1])

        def look(at: int) -> int:
            shards.discover(at)
            shards.writers(processes, at)
            processes.discover(at)
            processes.note_work(at)
            shards.refresh(at, processes)
            return sum(counters.calls for counters in shards.totals().by_key.values())

        for turn in range(5):
            process.stdin.write(f"{turn}\n")
            process.stdin.flush()
            process.stdout.readline()
            wait_until(lambda: "S (" in state_of(process.pid), "the program to wait for its input")
            counted = look(10 * turn)
            read.clear()
            assert [look(10 * turn + at) for at in range(1, 4)] == [counted] * 3
            assert read == []
        assert counted > 0
        shards.close()
        process.stdin.close()


def state_of(pid: int) -> str:
    """Return what the kernel says that a process is doing, "S (sleeping)" while it waits."""
    return next(line for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines() if line.startswith("State:"))


def contents(project: Path) -> Iterator[tuple[str, Content]]:
    """Yield what stands in the shards of the run of a project, again and again, until it ends."""
    store = Store.of_project(project)
    wait_until(lambda: find_running(store), "the run")
    ((_, run),) = find_running(store)
    readers: dict[str, ShardReader] = {}
    while Path(run.run_folder).is_dir():
        for name in names_of(Path(run.run_folder)):
            with suppress(ShardError):
                if name not in readers:
                    readers[name] = ShardReader(Path(run.run_folder) / name)
                yield name, readers[name].content()
        time.sleep(0.02)


def names_of(folder: Path) -> list[str]:
    """Return the names of the shards in a run folder, none when it is gone."""
    with suppress(OSError):
        return [name for name in run_folder.files_of(folder) if name.endswith(layout.SHARD_SUFFIX)]
    return []


def test_a_program_that_is_at_work_is_read_on(tmp_path: Path):
    """Requests with their statuses and examples, SQL, calls of other processes, while they are being counted."""
    examples = ROOT / "examples"
    options = ["--config", str(examples / "hookmon.toml")]
    program = hookmon_start([PYTHON, str(examples / "shop.py")], cwd=tmp_path, options=options)
    readings: dict[str, Reading] = {}
    read_on = 0
    for name, content in contents(tmp_path):
        if name in readings:
            before = readings[name]
            readings[name] = compare(before, content)
            read_on += readings[name] is before
        else:
            readings[name] = Reading(content)
    assert program.finish().exit_code == 0
    assert read_on > 10
    assert sum(len(reading.data.examples) for reading in readings.values()) > 0
    assert sum(len(reading.data.statuses) for reading in readings.values()) > 0
