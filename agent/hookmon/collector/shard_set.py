"""The shards of one run: found, read again as they grow, and folded when their processes have ended.

In: a run folder, and the nodes of the processes whose shards are not there any more. Out: totals by name, and a Snapshot of them
with the processes. Used by the launcher's collector and by whoever looks on from another process; deletes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from time import thread_time_ns
from zlib import crc32

from hookmon.collector import run_folder
from hookmon.collector.closed_interpreters import unmapped
from hookmon.collector.counters import Totals, sum_of, totals_of
from hookmon.collector.examples import LiveExample, row_of
from hookmon.collector.feed import LiveCall, LiveProcess, Snapshot
from hookmon.collector.merge import Tree, calls_of, measure
from hookmon.collector.metrics import Signal, add_signals, copy_signal
from hookmon.collector.pile import Pile
from hookmon.collector.processes import Processes
from hookmon.collector.shards import Owner, Reading, ShardData, ShardReader
from hookmon.collector.store import Node, Status
from hookmon.collector.watcher import Watcher
from hookmon.collector.yielding import nothing
from hookmon.core import layout
from hookmon.core.errors import ShardError
from hookmon.core.record import replace

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.feed import CallTree

_MOST_KEPT = 50_000
"""Nodes that are kept to be read on, at a kilobyte each. Of shards beyond that only totals are kept between two readings."""

_TURN_NS = 200_000_000  # so long shards are read as a whole in one look
_MOST_LAST_EXAMPLES = 6_000  # of shards that are read for the last time: as many as a run keeps
_MOST_ENDED_EXAMPLES = 500  # of processes that have ended: whoever looks on sees them in the snapshots that follow


def examples_of(data: ShardData) -> list[LiveExample]:
    """Return the transactions of a shard that were kept whole."""
    places = range(len(data.nodes))
    return [LiveExample(row_of(raw, places, data.pid), data.nodes) for raw in data.examples]


class Shard:
    """One shard, and what was read of it last."""

    def __init__(self, path: Path, now_ns: int) -> None:
        """Open the file. Raises ShardError when that cannot be done."""
        self._reader = ShardReader(path)
        self.opened_ns = now_ns
        self.read_ns = -1  # when it was read last
        self.ran: tuple[int, int] | None = None  # `Watcher.ran` of its process before it was read last
        self.watcher: Watcher | None = None  # its process, where that is known for certain
        self.data: ShardData | None = None  # None as well where there is no room for it
        self.totals = Totals()
        self.examples: list[LiveExample] = []
        self.signals: list[Signal] = []
        self.python = ""
        self.calls = self.errors = 0
        self._lanes: list[LiveCall] = []  # what its process does, the duration being when that began
        self._reading: Reading | None = None
        self._check = -1
        self._owner: Owner | None = None

    def owner(self) -> Owner | None:
        """Return whose shard it is; None while it is just being made, or when it is none."""
        if self._owner is None:
            with suppress(ShardError):
                self._owner = self._reader.owner()
        return self._owner

    def file(self) -> tuple[int, int] | None:
        """Return the device and the inode of its file; None where that cannot be told."""
        with suppress(ShardError):
            return self._reader.file()
        return None

    def read(self, look: Callable[[], None] = nothing) -> ShardData:
        """Return what it holds now. Raises ShardError when it is no shard of this version. `look` is called now and then."""
        return self._reader.read(look)

    def read_on(self, look: Callable[[], None] = nothing) -> ShardData | None:
        """Return what it holds now, to be measured; None where that has not changed. Raises ShardError as `read` does.

        `look` is called now and then.
        """
        content = self._reader.content()
        if self._reading is None:  # it was not read, or not kept
            check = crc32(content.body)
            if check == self._check:
                return None
            self._check = check
        has_changed = self._reading.read_on(content) if self._reading is not None else None
        if self._reading is None or has_changed is None:
            self._reading = Reading(content, look)
        elif not has_changed:
            return None
        return self._reading.data

    def take(self, data: ShardData, look: Callable[[], None] = nothing) -> None:
        """Take over what was read and measured. `look` is called now and then."""
        self.data = data
        self.totals = totals_of(data.nodes, data.statuses, look)
        self.examples = examples_of(data)
        self.take_rest(data)

    def take_rest(self, data: ShardData) -> None:
        """Take over all but the call tree, its totals and examples."""
        self.signals, self.python = data.signals, data.python
        self.calls, self.errors = calls_of(data)
        self._lanes.clear()
        for lane in data.lanes:
            index, since_ns = lane.stack[-1]
            node = data.nodes[index]
            within = data.nodes[lane.stack[0][0]].name if len(lane.stack) > 1 else ""
            self._lanes.append(LiveCall(data.pid, node.name, node.kind, node.call_site, within, since_ns))

    def let_go(self) -> Totals:
        """Keep no call tree, no examples and no totals, which are returned: the next time all of it is read."""
        totals, self.totals = self.totals, Totals()
        self.data = self._reading = None
        self.examples = []
        return totals

    def in_flight(self, now_ns: int) -> Iterator[LiveCall]:
        """Yield what its process is doing: the innermost call of each lane."""
        for call in self._lanes:
            yield replace(call, duration_ns=max(0, now_ns - call.duration_ns))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class ShardSet:
    """All shards of a run.

    `ended` are the totals of those that will not grow any more, which whoever folds them sets, `ended_signals` their signals.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[Node] = (),
        folded: Iterable[str] = (),
        signals: Iterable[Signal] = (),
        statuses: Iterable[Status] = (),
    ) -> None:
        """Begin with no shard open; the rows are what is known of those that are `folded`, by their names."""
        self._folder = folder
        self._listing = run_folder.Listing(folder)
        self._names: list[str] = []  # of which all that can be opened is
        self.open: dict[str, Shard] = {}
        self.folded = list(folded)
        self.is_behind = False  # some were never read
        self._pile = Pile()  # of those for whose call trees there is no room
        self._kept: dict[str, int] = {}  # {name: how many nodes are kept}
        self._last_examples = 0  # how many there are of shards that were taken for the last time
        self.broken: dict[str, str] = {}  # {name: why it cannot be read}
        self.ended = totals_of(nodes, statuses)
        self.ended_signals = [copy_signal(signal) for signal in signals]
        self.ended_examples: deque[LiveExample] = deque(maxlen=_MOST_ENDED_EXAMPLES)

    def discover(self, now_ns: int) -> list[str]:
        """Open the shards that are new in the run folder; return the names of all its files, the same list where none is new.

        Raises OSError when there is no folder.
        """
        names = self._listing.names()
        for name in names if names is not self._names or self.broken else ():
            if name.endswith(layout.SHARD_SUFFIX) and name not in self.open and name not in self.folded:
                try:
                    self.open[name] = Shard(self._folder / name, now_ns)
                except ShardError as error:
                    self.broken[name] = str(error)
        self._names = names
        return names

    def has_new(self) -> bool:
        """Say whether there is a shard that `discover` has not come upon."""
        try:
            names = run_folder.files_of(self._folder)
        except OSError:
            return False
        known = {*self.open, *self.folded, *self.broken}
        return any(name.endswith(layout.SHARD_SUFFIX) and name not in known for name in names)

    def refresh(self, now_ns: int, processes: Processes | None = None, look: Callable[[], None] = nothing) -> None:
        """Read all that have changed, but for those of processes that have not run since, as `processes` know.

        Those that have to be read as a whole are read for some time only, first those that were never read, then those whose
        processes have run most since, or that were read longest ago: what is left has its turn the next time. `look` is called
        after each of them.
        """
        waiting: list[tuple[tuple[bool, int, int], str, Shard, tuple[int, int] | None]] = []
        for name, shard in self.open.items():
            owner = shard.owner() if processes is not None else None
            watcher = processes.known.get(owner.identity) if processes is not None and owner is not None else None
            ran = watcher.ran if watcher is not None else None
            if ran is not None and ran == shard.ran:
                continue
            if shard.data is not None:
                self._read_on(name, shard, ran, now_ns, look)
            else:
                grown_ns = ran[0] - shard.ran[0] if ran is not None and shard.ran is not None else 0
                waiting.append(((shard.read_ns >= 0, -grown_ns, shard.read_ns), name, shard, ran))
        end_ns = thread_time_ns() + _TURN_NS
        for _, name, shard, ran in sorted(waiting, key=itemgetter(0)):
            self._read_on(name, shard, ran, now_ns, look)
            if thread_time_ns() > end_ns:
                break
        self.is_behind = any(shard.read_ns < 0 for _, _, shard, _ in waiting)

    def _read_on(self, name: str, shard: Shard, ran: tuple[int, int] | None, now_ns: int, look: Callable[[], None]) -> None:
        """Read one; what cannot be read stays as it was."""
        shard.read_ns = now_ns
        with suppress(ShardError):
            data = shard.read_on(look)
            shard.ran = ran
            if data is not None:
                measure(data, now_ns)
                look()
                self.take(name, data, look)
        look()

    def take(self, name: str, data: ShardData, look: Callable[[], None] = nothing) -> None:
        """Take over what was read of a shard and measured, its call tree too if there is room for it.

        `look` is called now and then.
        """
        shard = self.open[name]
        shard.take(data, look)
        self._kept[name] = len(data.nodes)
        if sum(self._kept.values()) <= _MOST_KEPT:
            self._pile.remove(name)
        else:
            del self._kept[name]
            self._pile.put(name, shard.let_go(), look)

    def take_last(self, name: str, data: ShardData, look: Callable[[], None] = nothing) -> None:
        """Take over what was read of a shard for the last time and measured, but for its call tree: a run's tree has that.

        `look` is called now and then.
        """
        shard = self.open[name]
        shard.take_rest(data)
        shard.data, shard.totals = None, Totals()
        room = min(_MOST_ENDED_EXAMPLES, _MOST_LAST_EXAMPLES - self._last_examples)
        shard.examples = []
        for example in examples_of(data)[-room:] if room > 0 else ():
            shard.examples.append(example.alone())
            look()
        self._last_examples += len(shard.examples)

    def fold(self, name: str) -> None:
        """Close a shard that will not grow any more, as it was taken last."""
        shard = self.open[name]
        self.ended_examples += shard.examples
        self._last_examples -= len(shard.examples)
        add_signals(self.ended_signals, shard.signals)
        self.drop(name)
        self.folded.append(name)

    def closed(self) -> set[str]:
        """Return the names of shards that will not grow any more though their processes live: their interpreters were closed."""
        shards: dict[int, dict[str, Shard]] = {}
        for name, shard in self.open.items():
            if shard.watcher is not None and shard.watcher.alive:
                shards.setdefault(shard.watcher.row.pid, {})[name] = shard
        found: set[str] = set()
        for pid, of_process in shards.items():
            if len(of_process) > 1:
                found |= unmapped(pid, {name: shard.file() for name, shard in of_process.items()})
        return found

    def drop(self, name: str) -> None:
        """Close a shard and forget it."""
        self._pile.remove(name)
        self._kept.pop(name, None)
        self.open.pop(name).close()

    def totals(self, look: Callable[[], None] = nothing) -> Totals:
        """Return what all processes have counted. `look` is called now and then."""
        return sum_of([self.ended, self._pile.totals, *(shard.totals for shard in self.open.values())], look)

    def trees(self, ended: Tree) -> list[CallTree]:
        """Return the call trees of all processes, those that have ended as one: what `totals` are of.

        Those for which there is no room are left out until they have ended.
        """
        found: list[CallTree] = [(ended.nodes, ended.statuses.values())]
        return found + [(shard.data.nodes, shard.data.statuses) for shard in self.open.values() if shard.data is not None]

    def signals(self) -> list[Signal]:
        """Return what all processes have measured besides calls."""
        whole = [copy_signal(signal) for signal in self.ended_signals]
        for shard in self.open.values():
            add_signals(whole, shard.signals)
        return whole

    def writers(self, processes: Processes, now_ns: int) -> list[tuple[Shard, Watcher]]:
        """Return the shards whose processes run, with these."""
        found = []
        for shard in self.open.values():
            owner = shard.owner()
            watcher = processes.follow(owner.identity, owner.started_ns, now_ns) if owner is not None else None
            if watcher is not None and watcher.alive:
                found.append((shard, watcher))
        return found

    def snapshot(self, processes: Processes, now_ns: int, totals: Totals | None = None) -> Snapshot:
        """Return the run as it was read last, with the processes as they were sampled last.

        `totals` are those of all processes, where somebody knows them better than from what was read.
        """
        snapshot = Snapshot(
            now_ns, self.totals() if totals is None else totals, signals=self.signals(), examples=[*self.ended_examples]
        )
        for shard in self.open.values():
            snapshot.examples += shard.examples
        shards: dict[int, list[Shard]] = {}
        if not processes.are_visible:  # the launcher takes away those of processes that have ended
            snapshot.in_flight += [call for shard in self.open.values() for call in shard.in_flight(now_ns)]
        for shard, watcher in self.writers(processes, now_ns):
            snapshot.in_flight += shard.in_flight(now_ns)
            shards.setdefault(watcher.row.pid, []).append(shard)
        snapshot.in_flight.sort(key=lambda call: -call.duration_ns)
        for pid, watcher in processes.watchers.items():
            if watcher.last_sample is not None:
                snapshot.processes.append(_live_process(watcher, shards.get(pid, [])))
        return snapshot

    def close(self) -> None:
        """Close all files."""
        for name in list(self.open):
            self.drop(name)


def _live_process(watcher: Watcher, shards: list[Shard]) -> LiveProcess:
    sample = watcher.last_sample
    assert sample is not None
    python = next((shard.python for shard in shards if shard.python), "")
    return LiveProcess(
        sample.pid,
        watcher.row.command,
        python,
        sample.cpu_ns,
        sample.rss_bytes,
        sample.threads,
        calls=sum(shard.calls for shard in shards),
        errors=sum(shard.errors for shard in shards),
    )
