"""The reader's side of a shard.

In: the path of a shard that its process may be writing to, may have left behind when it was killed, or that is garbage.
Out: a ShardData of plain values. Runs in the launcher; never locks, never trusts a length, reads at most what the layout
allows. The file stays open, so that it can still be read when somebody deletes the run folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hookmon.collector.columns import no_collection
from hookmon.collector.compiled import shard_nodes
from hookmon.collector.identity import Identity
from hookmon.collector.metrics import Signal, read_metrics
from hookmon.collector.node_rows import NodeRows
from hookmon.collector.records import LARGEST, RawExample, RawLane, RawNode, RawStatus
from hookmon.collector.room import Room
from hookmon.collector.shard_details import Details, age_of, check_statuses
from hookmon.collector.shard_records import Records
from hookmon.collector.yielding import nothing
from hookmon.core import layout
from hookmon.core.engine_notes import why_pure
from hookmon.core.errors import ShardError
from hookmon.core.record import Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.compiled import ShardNodes

_LARGEST_PID = 2**31 - 1


class ShardData(Record):
    """All that one process recorded."""

    pid: int
    parent_pid: int
    started_ns: int
    started_wall_ns: int
    hookmon: str
    engine: str
    python: str
    executable: str
    argv: list[str]
    full: bool
    hidden_lanes: int
    nodes: Sequence[RawNode] = field(default_factory=list)
    lanes: list[RawLane] = field(default_factory=list)
    examples: list[RawExample] = field(default_factory=list)
    statuses: list[RawStatus] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    watches: dict[tuple[int, str], tuple[int, str]] = field(default_factory=dict)  # (watch, target): (status, detail)
    notes: list[tuple[str, str]] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # "file:line" of targets that the user has named
    own_ns: int = 0  # layout.HEADER_OWN_NS
    pace_ps: int = 0  # layout.HEADER_PACE_PS
    damaged: bool = False  # some records could not be read
    lanes_made: int = 0  # the most that there were at one time
    namespace: int = 0  # of its pid
    started: int = 0  # in clock ticks since boot
    image: int = 0
    left_out: int = 0  # calls that had no room to be counted under a name

    @property
    def identity(self) -> Identity:
        """Who wrote it."""
        return Identity(self.namespace, self.pid, self.started)

    def notes_of(self, name: str) -> list[tuple[str, str]]:
        """Return its notes and what it is itself a note of, (kind, detail); `name` is that of its file."""
        notes = [(kind, self._detail_of(kind, detail)) for kind, detail in self.notes]
        if self.full:
            lost = f", but for {self.left_out:,} calls that had no room even for that" if self.left_out else ""
            notes.append(("shard full", f"process {self.pid} found no more space; new names were counted together{lost}"))
        if self.damaged:
            notes.append(("shard damaged", f"{name}: a part of what process {self.pid} recorded cannot be read"))
        if self.hidden_lanes:
            notes.append(("lanes", f"process {self.pid}: {self.hidden_lanes} lanes were recorded but are not shown in flight"))
        return notes

    def _detail_of(self, kind: str, detail: str) -> str:
        return why_pure(kind, detail, self.executable) if kind in layout.ENGINE_NOTES else detail


class Owner(Record, frozen=True):
    """Who writes a shard."""

    identity: Identity
    started_ns: int  # the shard, on CLOCK_MONOTONIC


class Content(Record, frozen=True):
    """A shard's bytes: `head` is its first page, `body` all of it, `promised` how many bytes there should be."""

    head: bytes
    body: bytes
    promised: int


class Reading:
    """What the bytes of a shard say, and later what they say by then."""

    def __init__(self, content: Content, look: Callable[[], None] = nothing, *, is_last: bool = False) -> None:
        """Read all of them; `is_last` says that nothing is read on. `look` is called now and then."""
        self.data = _head(content)
        self._records = Records(self.data)
        with no_collection():
            self._records.read(content.body, look, is_last=is_last)

    def read_on(self, content: Content) -> bool | None:
        """Take in what has changed; say whether anything has. None where another reading has to be made instead of this one."""
        header = memoryview(content.head).cast("Q")
        is_full = header[layout.HEADER_STATE] == layout.STATE_FULL
        if is_full:
            self.data.left_out = _count_left_out(content.body)
        if is_full != self.data.full or len(content.body) < content.promised:
            return None
        self.data.hidden_lanes = min(header[layout.HEADER_HIDDEN_LANES], LARGEST)
        return self._records.read_on(content.body)


_room = Room(2)


class ShardReader:
    """One shard, open for reading as long as there is room for it."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ShardError when that cannot be done."""
        self.path = path
        self._descriptor = -1  # there is no room for it
        descriptor = self._open()
        if _room.take():
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ShardError(f"{self.path}: {error.strerror}") from error

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Give a descriptor of the file. Raises ShardError where none can be had, or where something else fails with it."""
        descriptor = self._descriptor if self._descriptor >= 0 else self._open()
        try:
            yield descriptor
        except OSError as error:
            raise ShardError(f"{self.path}: {error.strerror}") from error
        finally:
            if descriptor != self._descriptor:
                os.close(descriptor)

    def read(self, look: Callable[[], None] = nothing) -> ShardData:
        """Return what the shard holds now. `look` is called now and then.

        Raises ShardError when it is no shard of this version.
        """
        content = self.content()
        data = _head(content)
        compiled = shard_nodes(content.body)
        if compiled is None or not _take_compiled(data, content, compiled, look):
            data = Reading(content, look, is_last=True).data
        return data

    def content(self) -> Content:
        """Return the bytes of the shard as they are now. Raises ShardError as `read` does."""
        with self._opened() as descriptor:
            size = min(os.fstat(descriptor).st_size, layout.LARGEST_BYTES)
            head = os.pread(descriptor, layout.PAGE_BYTES, 0)
            words = self._check_head(head)
            used = min(words[layout.HEADER_USED] * 8, size // 8 * 8)
            content = b""
            while len(content) < used:
                chunk = os.pread(descriptor, used - len(content), len(content))
                if not chunk:
                    break
                content += chunk
        return Content(head, content[: len(content) // 8 * 8], words[layout.HEADER_USED] * 8)

    def owner(self) -> Owner:
        """Return whose shard it is, from its first page alone. Raises ShardError as `read` does."""
        with self._opened() as descriptor:
            head = os.pread(descriptor, layout.PAGE_BYTES, 0)
        words = self._check_head(head)
        identity = Identity(words[layout.HEADER_NAMESPACE], words[layout.HEADER_PID], words[layout.HEADER_STARTED])
        return Owner(identity, words[layout.HEADER_STARTED_NS])

    def file(self) -> tuple[int, int]:
        """Return the device and the inode of the file. Raises ShardError when that cannot be done."""
        with self._opened() as descriptor:
            status = os.fstat(descriptor)
        return status.st_dev, status.st_ino

    def _check_head(self, head: bytes) -> memoryview:
        """Return the words of a first page. Raises ShardError when it is none of this version's."""
        if len(head) < layout.PAGE_BYTES:
            raise ShardError(f"{self.path}: {len(head)} bytes are too few for a shard")
        words = memoryview(head).cast("Q")
        if words[layout.HEADER_MAGIC] != layout.MAGIC:
            raise ShardError(f"{self.path}: not a shard of hookmon")
        if words[layout.HEADER_VERSION] != layout.VERSION:
            raise ShardError(f"{self.path}: a shard of version {words[layout.HEADER_VERSION]}, not {layout.VERSION}")
        return words

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            _room.give_back()


def _count_left_out(content: bytes) -> int:
    """Return how many calls were counted in the scratch record: in a full shard, those whose names found no room."""
    buckets = memoryview(content)[layout.SCRATCH_BUCKET * 8 : (layout.SCRATCH + layout.SCRATCH_WORDS) * 8]
    return min(sum(buckets[: len(buckets) // 8 * 8].cast("Q")), LARGEST)


def _head(whole: Content) -> ShardData:
    """Return what the first page says, without any records."""
    head, content, promised = whole.head, whole.body, whole.promised
    header = memoryview(head).cast("Q")
    text_bytes = min(header[layout.HEADER_TEXT_BYTES], layout.PAGE_BYTES - layout.HEADER_TEXT * 8)
    text = head[layout.HEADER_TEXT * 8 :][:text_bytes].decode("utf-8", "replace").split("\0")
    fields = [*text, *[""] * len(layout.TEXT_FIELDS)]
    pid, parent_pid = (min(header[word], _LARGEST_PID) for word in (layout.HEADER_PID, layout.HEADER_PARENT_PID))
    times = (layout.HEADER_STARTED_NS, layout.HEADER_STARTED_WALL_NS, layout.HEADER_HIDDEN_LANES)
    started_ns, started_wall_ns, hidden_lanes = (min(header[word], LARGEST) for word in times)
    return ShardData(
        pid=pid,
        parent_pid=parent_pid,
        started_ns=started_ns,
        started_wall_ns=started_wall_ns,
        hookmon=fields[0],
        engine=fields[1],
        python=fields[2],
        executable=fields[3],
        argv=text[4:],
        full=header[layout.HEADER_STATE] == layout.STATE_FULL,
        left_out=_count_left_out(content) if header[layout.HEADER_STATE] == layout.STATE_FULL else 0,
        hidden_lanes=hidden_lanes,
        own_ns=min(header[layout.HEADER_OWN_NS], LARGEST),
        pace_ps=min(header[layout.HEADER_PACE_PS], LARGEST),
        damaged=len(content) < promised or _LARGEST_PID in (pid, parent_pid) or LARGEST in (started_ns, started_wall_ns),
        namespace=header[layout.HEADER_NAMESPACE],
        started=header[layout.HEADER_STARTED],
        image=header[layout.HEADER_IMAGE],
    )


def _take_compiled(data: ShardData, content: Content, nodes: ShardNodes, look: Callable[[], None]) -> bool:
    """Take over the nodes of a shard, and read what stands beside them; say whether a process can have counted all that."""
    age_ns = age_of(data)
    if age_ns > 0 and not nodes.are_possible(age_ns):
        return False
    words, strings = memoryview(content.body).cast("Q"), nodes.strings()
    details = Details(data, strings, nodes.index)
    data.nodes = NodeRows(nodes, lambda: [*Reading(content, is_last=True).data.nodes])
    places: dict[int, list[int]] = {kind: [] for kind in (layout.LANE, layout.EXAMPLE, layout.METRIC)}
    for at in nodes.places():
        kind = words[at] & 0xFF
        if kind in places:
            places[kind].append(at)
        else:
            details.read_other(words, at, kind)
    rows = iter(nodes.statuses())
    for at, index in zip(rows, rows, strict=True):
        details.read_status(tuple(words[at : at + layout.NODE_WORDS]), index, nodes.buckets(words[at] >> 32))
    check_statuses(data)
    data.lanes_made = len(places[layout.LANE]) + data.hidden_lanes
    for at in places[layout.LANE]:
        details.read_lane(words, at)
    for at in places[layout.EXAMPLE]:
        details.read_example(words, at)
        look()
    data.signals, are_damaged = read_metrics(content.body, places[layout.METRIC], strings, nodes.buckets)
    data.damaged = data.damaged or are_damaged
    return True
