"""Services on a clock that tests move: starts whose programs are plain call trees, recorded by the real recorder.

`Moved` is the clock. `Program` is what runs: its tree grows by `work`. `MovedStart` is one `hookmon run` of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.rows import Node
from hookmon.collector.store import Run, RunFile
from hookmon.core.histogram import bucket_of
from hookmon.services import reading
from hookmon.services.clock import Clock
from hookmon.services.places import STATUS, SUMS, WHOLE
from hookmon.services.recorder import Recorder
from hookmon.services.store import ServiceStore

BEGINNING_S = 1_790_000_000.0

Sums = dict[str, list[int]]
"""{name of a call: the sums of places.SUMS}."""


class Moved(Clock):
    """A clock that stands until somebody moves it. The monotonic one goes with it, unless it jumps."""

    def __init__(self, now_s: float = BEGINNING_S) -> None:
        self._now_s = now_s
        self._monotonic_ns = 1_000_000_000

    def now_s(self) -> float:
        """Return the seconds since 1970."""
        return self._now_s

    def monotonic_ns(self) -> int:
        """Return the nanoseconds that have passed."""
        return self._monotonic_ns

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += seconds
        self._monotonic_ns += round(seconds * 1e9)

    def jump(self, seconds: float) -> None:
        """Set the clock on the wall, or let the machine sleep."""
        self._now_s += seconds


class Program:
    """A call tree of some transactions with some calls in each, which grows."""

    def __init__(self, names: int, calls: int, seed: int) -> None:
        self._random = Random(seed)
        self.nodes: list[Node] = []
        for number in range(names):
            self.nodes.append(Node(-1, f"GET /page/{number}", "request", f"app:page_{number}", entry=True))
            entry = len(self.nodes) - 1
            for line in range(calls):
                query = f"SELECT {line} FROM page_{number}"
                self.nodes.append(Node(entry, query, "sql", "db:execute", f"/srv/app.py:{number * calls + line}", sited=True))

    def work(self, share: float = 0.5) -> None:
        """Let a share of all places be called some times."""
        for node in self.nodes:
            if self._random.random() < share:
                calls = self._random.randrange(1, 5)
                for _ in range(calls):
                    duration_ns = int(self._random.lognormvariate(15, 0.6))
                    bucket = bucket_of(duration_ns)
                    node.min_ns = min(node.min_ns, duration_ns) if node.calls else duration_ns
                    node.max_ns = max(node.max_ns, duration_ns)
                    node.buckets[bucket] = node.buckets.get(bucket, 0) + 1
                    node.total_ns += duration_ns
                    node.self_ns += duration_ns // 2
                    node.calls += 1
                node.errors += calls > 3


class MovedStart:
    """One start of a service, from its run file to its end, or to the death of its launcher."""

    _count = 0

    def __init__(
        self, store: ServiceStore, service: str, clock: Moved, program: Program, *, version: str = "", waits: bool = True
    ) -> None:
        """Begin; without `waits` nobody waits for states to be written: the store may be one that takes none."""
        MovedStart._count += 1
        number = MovedStart._count
        self._clock = clock
        self._waits = waits
        self._program = program
        at = datetime.fromtimestamp(clock.now_s(), UTC)
        self.run = Run(
            id=number,
            name="",
            command=["python", "-m", service],
            started_at=at.isoformat(timespec="milliseconds"),
            hookmon="test",
            main_pid=number,
            service=service,
            version=version,
            run_key=f"{number:032x}",
            started_ns=clock.monotonic_ns(),
        )
        self.run_file = RunFile(store.path.parent / f"run-{number:04d}.sqlite")
        self.run_file.save(self.run)
        self._recorder = Recorder(self.run, self.run_file.path, store, clock=clock)
        self.look()

    def look(self) -> None:
        """Hand a snapshot to the recorder, as the feed does, and wait until it is written."""
        nodes = self._program.nodes
        process = LiveProcess(4711, ["python"], "3.11", cpu_ns=sum(node.self_ns for node in nodes), rss_bytes=50_000_000)
        self._recorder.observe(Snapshot(self._clock.monotonic_ns(), processes=[process], trees=lambda: [(nodes, ())]))
        while self._waits and self._recorder._waiting:
            time.sleep(0.002)

    def end(self) -> Sums:
        """End the run as the collector does; return what it has counted."""
        assert self.finish() == ""
        return sums_of(self.run.nodes)

    def finish(self) -> str:
        """End the run; return what the recorder says went wrong."""
        self._complete("finished")
        return self._recorder.end(self.run)

    def kill(self) -> Sums:
        """Let the launcher die, and the next `hookmon run` of the project save what it left; return what was counted."""
        self._complete("recovered")
        return sums_of(self.run.nodes)

    def _complete(self, state: str) -> None:
        self.run.state = state
        self.run.nodes = self._program.nodes
        self.run.duration_ns = self._clock.monotonic_ns() - self.run.started_ns
        self.run_file.save(self.run)


def sums_of(nodes: Iterable[Node]) -> Sums:
    """Return what nodes have counted, by name, those left out that have counted nothing."""
    found: Sums = {}
    for node in nodes:
        values = [int(getattr(node, name)) for name in SUMS]
        if any(values):
            add_to(found, {node.name: values})
    return found


def add_to(sums: Sums, more: Sums) -> None:
    """Add to sums."""
    for name, values in more.items():
        known = sums.setdefault(name, [0] * len(SUMS))
        for at, value in enumerate(values):
            known[at] += value


def sums_of_hours(store: ServiceStore, service: str) -> Sums:
    """Return what the hours of a service have, by name."""
    return _sums_of_rows(store, service, "hours")


def sums_of_minutes(store: ServiceStore, service: str) -> Sums:
    """Return what the minutes of a service have, by name."""
    return _sums_of_rows(store, service, "minutes")


def _sums_of_rows(store: ServiceStore, service: str, table: str) -> Sums:
    from hookmon.services.packing import unpack

    found: Sums = {}
    with store.reading() as connection:
        number = reading.id_of(connection, service)
        rows = connection.execute(f"SELECT own, calls FROM {table} WHERE service = ?", [number]).fetchall()
        places = {at: (name, kind) for at, name, kind in connection.execute("SELECT id, name, kind FROM places")}
    for contents in rows:
        for content in contents:
            for number, counts in unpack(content).items():
                name, kind = places[number]
                if kind not in (STATUS, WHOLE):
                    add_to(found, {name: counts.sums})
    return found


def store_in(folder: Path) -> ServiceStore:
    """Return a store in a folder of a test."""
    return ServiceStore(folder / "services.sqlite")
