"""Stores of services with days in them, written by the writer of real runs with a clock that the test moves.

Each minute or hour is one state of a start, as `hookmon run --service` writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hookmon.collector.rows import Node
from hookmon.core.histogram import bucket_of
from hookmon.services.clock import minute_of
from hookmon.services.places import Places
from hookmon.services.reading import ENDED
from hookmon.services.store import ServiceStore
from hookmon.services.writing import About, StartWriter, State

MS = 1_000_000


def store_of(folder: Path) -> ServiceStore:
    """Return the store that a command sees which the support runs in a folder."""
    return ServiceStore(folder / "state-home" / "hookmon" / "services.sqlite")


def zone_of_afternoon(now_s: float) -> str:
    """Return a TZ in which it is between 14:00 and 15:00 now: what is tested of a day does not depend on when."""
    hours = int(now_s // 3600 % 24) - 14
    return f"TST{hours:+d}"


@dataclass
class Keeper:
    """One start of a service that is counted by hand. `nodes` are its call tree, cumulative as that of a run is."""

    store: ServiceStore
    service: str
    started_s: float
    version: str = ""
    command: list[str] = field(default_factory=lambda: ["gunicorn", "app:app"])
    key: str = ""
    run_file: Path = Path("/nowhere/run-0001.sqlite")
    nodes: list[Node] = field(default_factory=list)
    cpu_ns: int = 0

    def __post_init__(self) -> None:
        key = self.key or f"{self.service}-{self.started_s}"
        about = About(
            self.service, key, str(self.run_file), self.command, self.version, "/project", "0.1", "here", self.started_s
        )
        self._writer = StartWriter(self.store, about)
        self._places = Places()
        self._numbers: dict[tuple[str, str, str], int] = {}

    def count(
        self, name: str, calls: int, each_ns: int = 10 * MS, *, kind: str = "request", inside: str = "", errors: int = 0
    ) -> None:
        """Count calls of a transaction, or of what is called inside one."""
        key = (name, kind, inside)
        if key not in self._numbers:
            parent = self._numbers[inside, "request", ""] if inside else -1
            self._numbers[key] = len(self.nodes)
            entry = not inside and kind in ("request", "task")
            self.nodes.append(
                Node(parent, name, kind, f"module:{kind}", f"app.py:{len(name)}" * bool(inside), entry=entry, sited=bool(inside))
            )
        node = self.nodes[self._numbers[key]]
        if calls:
            node.min_ns = min(node.min_ns, each_ns) if node.calls else each_ns
            node.max_ns = max(node.max_ns, each_ns)
            node.buckets[bucket_of(each_ns)] = node.buckets.get(bucket_of(each_ns), 0) + calls
        node.calls += calls
        node.errors += errors
        node.total_ns += calls * each_ns
        node.self_ns += calls * each_ns
        node.transactions += calls

    def keep(self, at_s: float, *, end: str = "") -> None:
        """Write what was counted until a moment, which belongs to the minute before it."""
        counts = self._places.count([(self.nodes, [])])
        minute = minute_of(at_s - 1)
        self._writer.write(
            State(at_s, minute, list(self._places.rows), counts, self.cpu_ns, 100_000_000, 2, 1_000_000, 20_000_000, end=end)
        )

    def end(self, at_s: float) -> None:
        """Write the end."""
        self.keep(at_s, end=ENDED)


def fill(
    keeper: Keeper,
    since_s: float,
    until_s: float,
    count: Callable[[Keeper, float], None],
    *,
    every_s: int = 60,
    end: bool = False,
) -> None:
    """Count and write at the end of each minute, or of each `every_s` seconds."""
    at_s = since_s
    while at_s < until_s:
        count(keeper, at_s)
        at_s = min(at_s + every_s, until_s)
        keeper.cpu_ns += every_s * 100_000_000
        keeper.keep(at_s)
    if end:
        keeper.end(until_s)
