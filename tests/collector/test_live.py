"""A look from outside at real runs that go on: what it finds, while processes come and go."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.runs import Started, hookmon_start, wait_until, watch, write

from hookmon.cli._live_rows import summary
from hookmon.collector.counters import CallKey, totals_of
from hookmon.collector.feed import Snapshot
from hookmon.collector.live import LiveRun, find_running, has_process, is_running
from hookmon.collector.store import Node, Run, RunFile, Store
from hookmon.collector.windows import History

pytestmark = pytest.mark.process

PROGRAM = """
import os, sys, threading, time
def work(): time.sleep(0.001)
def fail(): raise ValueError
def hang(): time.sleep(3600)
def outer(): hang()
def until(path):
    while not os.path.exists(path): time.sleep(0.01)
"""
CONFIG = watch("__main__", "work", "fail", "hang", "outer")


@contextmanager
def start(folder: Path, code: str, config: str = CONFIG) -> Iterator[Started]:
    """Start a program that runs until the file `end` is there."""
    write(folder, {"app.py": PROGRAM + code})
    (folder / ".git").mkdir(exist_ok=True)
    run = hookmon_start([sys.executable, "app.py"], cwd=folder, config=config)
    try:
        wait_until(lambda: find_running(Store.of_project(folder)) and (folder / "ready").exists(), "the run")
        yield run
    finally:
        if run.process.poll() is None:
            run.kill()


def open_live(folder: Path) -> LiveRun:
    return LiveRun(*find_running(Store.of_project(folder))[0])


def calls(snapshot: Snapshot) -> dict[str, int]:
    return {name: counters.calls for (name, _, _), counters in snapshot.totals.by_key.items()}


def test_a_look_finds_counts_and_what_is_in_flight(tmp_path: Path):
    """Exactly, with the line that called."""
    code = """
for _ in range(50): work()
for _ in range(3):
    try: fail()
    except ValueError: pass
threading.Thread(target=outer, daemon=True).start()
time.sleep(0.2)
open("ready", "w"); until("end")
"""
    with start(tmp_path, code) as run:
        live = open_live(tmp_path)
        found = live.look(time.monotonic_ns())
        assert calls(found) == {"work": 50, "fail": 3}
        (fail,) = [counters for key, counters in found.totals.by_key.items() if key[0] == "fail"]
        assert (fail.errors, sum(fail.buckets.values())) == (3, 3)
        (call,) = found.in_flight
        assert (call.name, call.within) == ("hang", "outer")
        assert call.call_site == f"{tmp_path / 'app.py'}:6"
        assert 0.2e9 <= call.duration_ns < 60e9
        (process,) = found.processes
        assert (process.calls, process.errors, process.python) == (53, 3, sys.version.split()[0])
        assert has_process(live.run, process.pid)
        assert has_process(live.run, run.process.pid)
        assert not has_process(live.run, os.getpid())
        (tmp_path / "end").touch()
        run.finish()
        assert live.look(time.monotonic_ns()).ended
        assert calls(live.look(time.monotonic_ns())) == {"work": 50, "fail": 3}
        live.close()


def test_counts_never_fall_while_processes_come_and_go(tmp_path: Path):
    """Their shards are folded into the run file and deleted; between two looks or within one."""
    code = """
open("ready", "w")
for stage in range(20):
    for _ in range(3):
        pids = []
        for _ in range(2):
            pid = os.fork()
            if not pid:
                for _ in range(20): work()
                os._exit(0)
            pids.append(pid)
        for pid in pids: os.waitpid(pid, 0)
    open(f"counted-{stage}", "w"); until(f"looked-{stage}")
open("done", "w"); until("end")
"""
    with start(tmp_path, code) as run:
        live = open_live(tmp_path)
        seen, stage = [0], 0
        while not (tmp_path / "done").exists():
            is_counted = (tmp_path / f"counted-{stage}").exists()
            seen.append(calls(live.look(time.monotonic_ns())).get("work", 0))
            if is_counted:  # so that there is a look between two stages, too
                (tmp_path / f"looked-{stage}").touch()
                stage += 1
        assert seen == sorted(seen)
        assert len(set(seen)) > 10
        folder = Path(live.run.run_folder)
        wait_until(lambda: len(list(folder.glob("*.shard"))) <= 1, "the shards to be folded")
        wait_until(lambda: calls(live.look(time.monotonic_ns()))["work"] == 2400, "the last save to be read")
        assert len(live._shards.open) <= 1
        (tmp_path / "end").touch()
        result = run.finish()
        last = live.look(time.monotonic_ns())
        assert last.ended
        assert calls(last)["work"] == 2400 == sum(row["calls"] for row in result.report["calls"] if row["name"] == "work")
        live.close()


def test_two_saves_within_one_tick_of_the_file_systems_clock_are_told_apart(tmp_path: Path):
    """The time of change and the size are the same then: a look between the two does not trust them later."""
    run_file = RunFile(tmp_path / "run-0001.sqlite")
    run = Run(1, "", ["true"], "", "0.1.0", state="running", run_folder=str(tmp_path))
    live = LiveRun(run_file, run)
    now_ns = time.time_ns()
    seen = []
    for number in (3, 4):
        run.nodes = [Node(-1, "work", "function", "m:work", calls=number)]
        run_file.save(run)
        os.utime(run_file.path, ns=(now_ns, now_ns))
        seen.append(calls(live.look(time.monotonic_ns())))
        time.sleep(0.15)  # as long as that is no fresh file any more
    seen.append(calls(live.look(time.monotonic_ns())))
    assert seen == [{"work": 3}, {"work": 4}, {"work": 4}]
    live.close()


def test_a_run_file_that_cannot_be_read_for_a_moment_takes_nothing_away(tmp_path: Path):
    """Its shards have been deleted since: what is known of them stands until it can be read again."""
    with start(tmp_path, "work(); open('ready', 'w'); until('end')") as run:
        live = open_live(tmp_path)
        before = calls(live.look(time.monotonic_ns()))
        (path,) = (tmp_path / ".hookmon").glob("run-*.sqlite")
        (shard,) = Path(live.run.run_folder).glob("*.shard")
        hidden, content = shard.with_name("hidden"), path.read_bytes()
        shard.rename(hidden)
        path.write_bytes(b"?" * len(content))
        during = calls(live.look(time.monotonic_ns()))
        path.write_bytes(content)
        hidden.rename(shard)
        assert (before, during) == ({"work": 1}, {"work": 1})
        (tmp_path / "end").touch()
        run.finish()
        live.close()


def test_a_run_goes_on_without_its_launcher(tmp_path: Path):
    """Killed, it leaves processes that count on; with the last of them the run has ended."""
    with start(tmp_path, "work(); open('pid', 'w').write(str(os.getpid())); open('ready', 'w'); until('end')") as run:
        live = open_live(tmp_path)
        os.kill(run.process.pid, signal.SIGKILL)
        run.finish()
        assert is_running(live.run)
        found = live.look(time.monotonic_ns())
        pid = int((tmp_path / "pid").read_text())
        assert (calls(found), [process.pid for process in found.processes], found.ended) == ({"work": 1}, [pid], False)
        (tmp_path / "end").touch()
        wait_until(lambda: live.look(time.monotonic_ns()).ended, "the end")
        assert calls(live.look(time.monotonic_ns())) == {"work": 1}
        assert not is_running(live.run)
        live.close()


def test_a_deleted_run_folder_loses_nothing(tmp_path: Path):
    """What is open can be read on."""
    with start(tmp_path, "work(); open('ready', 'w'); until('more'); work(); open('done', 'w'); until('end')") as run:
        live = open_live(tmp_path)
        assert calls(live.look(time.monotonic_ns())) == {"work": 1}
        folder = Path(live.run.run_folder)
        shutil.rmtree(folder)
        (tmp_path / "more").touch()
        wait_until((tmp_path / "done").exists, "the call")
        assert calls(live.look(time.monotonic_ns())) == {"work": 2}
        (tmp_path / "end").touch()
        run.finish()
        live.close()


def test_only_reading_is_done(tmp_path: Path):
    """No file of the run is open for writing, and none is changed or made."""
    with start(tmp_path, "work(); open('ready', 'w'); until('end')") as run:
        live = open_live(tmp_path)
        folder = Path(live.run.run_folder)
        before = {path.name: (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}
        for _ in range(20):
            live.look(time.monotonic_ns())
        after = {path.name: (path.stat().st_ino, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}
        assert after == before
        if sys.platform == "linux":
            modes = []
            for entry in os.listdir("/proc/self/fd"):
                try:
                    target = os.readlink(f"/proc/self/fd/{entry}")
                except OSError:
                    continue
                if target.startswith(str(folder)):
                    flags = dict(line.split(":\t") for line in Path(f"/proc/self/fdinfo/{entry}").read_text().splitlines()[:2])
                    modes.append(int(flags["flags"], 8) & os.O_ACCMODE)
            assert modes == [os.O_RDONLY]
        (tmp_path / "end").touch()
        run.finish()
        live.close()


def test_transactions_are_counted_once():
    """One within another is a part of it; a recursion counts once in its name's total."""
    nodes = [
        Node(-1, "GET /", "request", "m:app", entry=True, calls=3, errors=1, total_ns=30, buckets={10: 3}),
        Node(0, "GET /inner", "request", "m:app", entry=True, calls=3, total_ns=20, buckets={9: 3}),
        Node(1, "deep", "function", "m:deep", calls=3, total_ns=10, self_ns=4, call_site="a.py:1", buckets={8: 3}),
        Node(2, "deep", "function", "m:deep", calls=5, total_ns=6, self_ns=6, call_site="a.py:2", buckets={7: 5}),
        Node(-1, "POST /", "request", "m:app", entry=True, calls=2, total_ns=8, buckets={10: 2}),
        Node(4, "running", "function", "m:running"),
    ]
    totals = totals_of(nodes)
    assert (totals.transactions.calls, totals.transactions.errors, totals.transactions.buckets) == (5, 1, {10: 5})
    deep = totals.by_key[CallKey("deep", "function", "m:deep")]
    assert (deep.calls, deep.total_ns, deep.self_ns, deep.sites) == (8, 10, 10, {"a.py:1": 3, "a.py:2": 5})
    assert {name for name, _, _ in totals.by_key} == {"GET /", "GET /inner", "deep", "POST /"}
    history = History(0)
    history.observe(Snapshot(10**9, totals))
    assert summary(history, "all")[0] == "req"
    assert summary(history, "all")[1].calls == 5
    assert summary(history, "all", "deep")[1].calls == 8


def test_a_look_has_the_signals_of_all_processes(tmp_path: Path):
    """Of those that run and of those that have ended, as the report will have them."""
    code = """
import gc
gc.collect()
pid = os.fork()
if not pid:
    gc.collect(); gc.collect(); os._exit(0)
os.waitpid(pid, 0)
open("ready", "w").close()
until("end")
"""
    with start(tmp_path, code, config='signals = ["gc"]\n' + CONFIG) as run:
        live = open_live(tmp_path)
        found = {signal.name: signal for signal in live.look(time.monotonic_ns()).signals}
        live.close()
        (tmp_path / "end").touch()
        run.finish()
    assert found["gc pause, generation 2"].count >= 3
