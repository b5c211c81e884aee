"""Observers that block or raise: beside a real program under a real launcher, and by themselves."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from support.runs import Started, wait_until, watch, write

from hookmon.collector.feed import Snapshot
from hookmon.collector.store import Run, RunFile
from hookmon.collector.worker import Worker

LAUNCHER = """
import time
from hookmon.collector import collect
from hookmon.collector.worker import Worker
class Blocks:
    every_ns = 1
    def observe(self, snapshot): time.sleep(3600)
    def end(self, run): return ""
class Raises:
    every_ns = 1
    def observe(self, snapshot): raise ConnectionError("nobody\\nlistens")
    def end(self, run): return ""
class Collector(collect.Collector):
    def __init__(self, *args, observers=(), **more):
        super().__init__(*args, **more, observers=[Worker(Blocks(), "blocks", patience_s=0.5), Worker(Raises(), "raises")])
collect.Collector = Collector
from hookmon.cli.main import main
main()
"""
PROGRAM = """
import os, signal, sys, time
def work(): pass
signal.signal(signal.SIGUSR1, lambda *_: open("signalled", "w").close())
work()
open("ready", "w").close()
while not os.path.exists("signalled"): work(); time.sleep(0.01)
open("ended", "w").write(str(time.monotonic()))
sys.exit(7)
"""


@pytest.mark.process
def test_what_an_observer_does_is_nothing_to_the_run(tmp_path: Path):
    """One blocks for ever and one raises: signals reach the program, the run file is whole, and the launcher ends."""
    write(tmp_path, {"app.py": PROGRAM, "launcher.py": LAUNCHER, "hookmon.toml": watch("__main__", "work")})
    command = [sys.executable, "-P", "launcher.py", "run", "--quiet", sys.executable, "app.py"]
    run = Started(command, cwd=tmp_path)
    wait_until((tmp_path / "ready").exists, "the program")
    time.sleep(0.5)  # observers have got something by now
    run.process.send_signal(signal.SIGUSR1)
    result = run.finish()
    assert (result.exit_code, result.stderr) == (7, "")
    assert time.monotonic() - float((tmp_path / "ended").read_text()) < 60  # one blocks for ever
    (path,) = (tmp_path / ".hookmon").glob("*.sqlite")
    found = RunFile(path).load()
    assert (found.state, found.exit_code) == ("finished", 7)
    assert sum(node.calls for node in found.nodes) > 10
    assert sum(row[1] for series in found.series for row in json.loads(series.points)) > 10
    lines = [spot.detail for spot in found.blind_spots if spot.kind == "own failure"]
    assert lines[0] == "observer blocks did not end within 0.5 s"
    assert lines[1].startswith("observer raises failed ")
    assert lines[1].endswith(" times, at last: ConnectionError: nobody listens")
    assert len(lines) == 2


class Slow:
    """An observer that takes a snapshot only when it may, and remembers which."""

    every_ns = 5

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.is_busy = threading.Event()
        self.seen_ns: list[int] = []
        self.masks: list[set[int]] = []
        self.runs: list[Run] = []

    def observe(self, snapshot: Snapshot) -> None:
        self.is_busy.set()
        assert self.may_go.wait(20)
        self.seen_ns.append(snapshot.at_ns)
        self.masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))

    def end(self, run: Run) -> str:
        self.runs.append(run)
        return ""


def test_the_newest_snapshot_wins_and_the_last_one_comes():
    """Whoever was busy misses moments; the run comes after all of them."""
    slow = Slow()
    worker = Worker(slow, "slow")
    worker.observe(Snapshot(1))
    assert slow.is_busy.wait(20)
    for at_ns in (2, 3, 4):
        worker.observe(Snapshot(at_ns))
    slow.may_go.set()
    run = Run(1, "", [], "", "")
    assert worker.end(run) == ""
    assert (slow.seen_ns, slow.runs, worker.every_ns) == ([1, 4], [run], 5)


def test_the_thread_of_an_observer_takes_no_signal():
    """They are for the launcher's thread, whose own mask stays as it was."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    slow = Slow()
    slow.may_go.set()
    worker = Worker(slow, "slow")
    worker.observe(Snapshot(1))
    worker.end(Run(1, "", [], "", ""))
    assert slow.masks[0] >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_no_thread_starts_before_the_first_snapshot():
    """The launcher forks before that, and a fork has one thread only."""
    before = threading.active_count()
    worker = Worker(Slow(), "slow")
    assert threading.active_count() == before
    assert worker.end(Run(1, "", [], "", "")) == ""


def test_an_observer_says_itself_what_went_wrong():
    """In one line."""

    class Fails(Slow):
        def end(self, run: Run) -> str:
            raise ValueError("x" * 1000)

    assert len(Worker(Fails(), "fails").end(Run(1, "", [], "", ""))) == 300


def test_where_no_thread_can_be_started_nothing_is_observed(monkeypatch: pytest.MonkeyPatch):
    """The launcher goes on, tries again with the next snapshot, and says so at the end."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    slow = Slow()
    slow.may_go.set()
    worker = Worker(slow, "slow")
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        worker.observe(Snapshot(1))
        assert Worker(Slow(), "other").end(Run(1, "", [], "", "")) == "other failed: can't start new thread"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    worker.observe(Snapshot(2))
    assert slow.is_busy.wait(20)
    worker.end(Run(1, "", [], "", ""))
    assert slow.seen_ns == [2]
