"""The reader's side of a shard.

In: the path of a shard that its process may be writing to, may have left behind when it was killed, or that is garbage.
Out: a ShardData of plain values. Runs in the launcher; never locks, never trusts a length, reads at most what the layout
allows. The file stays open, so that it can still be read when somebody deletes the run folder.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns

from hookmon.collector.identity import Identity
from hookmon.collector.metrics import Signal, read_metrics
from hookmon.collector.records import LARGEST, NO_SUMS, RawExample, RawLane, RawNode, RawStatus
from hookmon.core import layout
from hookmon.core.errors import ShardError
from hookmon.core.histogram import OCTAVES, SUB_BUCKETS

_LOW = 0xFFFFFFFF
_LARGEST_PID = 2**31 - 1
_SLACK_NS = 1_000_000_000  # between our clock and the stamps of a process


@dataclass
class ShardData:
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
    nodes: list[RawNode] = field(default_factory=list)
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

    @property
    def identity(self) -> Identity:
        """Who wrote it."""
        return Identity(self.namespace, self.pid, self.started)


@dataclass(frozen=True)
class Owner:
    """Who writes a shard."""

    identity: Identity
    started_ns: int  # the shard, on CLOCK_MONOTONIC


@dataclass(frozen=True)
class Content:
    """A shard's bytes: `head` is its first page, `body` all of it, `promised` how many bytes there should be."""

    head: bytes
    body: bytes
    promised: int

    def parse(self) -> ShardData:
        """Return what they say."""
        return _parse(self.head, self.body, self.promised)


class ShardReader:
    """One shard, open for reading."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ShardError when that cannot be done."""
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ShardError(f"{path}: {error.strerror}") from error

    def read(self) -> ShardData:
        """Return what the shard holds now.

        Raises ShardError when it is no shard of this version.
        """
        return self.content().parse()

    def content(self) -> Content:
        """Return the bytes of the shard as they are now. Raises ShardError as `read` does."""
        try:
            size = min(os.fstat(self._descriptor).st_size, layout.LARGEST_BYTES)
            head = os.pread(self._descriptor, layout.PAGE_BYTES, 0)
            words = self._check_head(head)
            used = min(words[layout.HEADER_USED] * 8, size // 8 * 8)
            content = b""
            while len(content) < used:
                chunk = os.pread(self._descriptor, used - len(content), len(content))
                if not chunk:
                    break
                content += chunk
        except OSError as error:
            raise ShardError(f"{self.path}: {error.strerror}") from error
        return Content(head, content[: len(content) // 8 * 8], words[layout.HEADER_USED] * 8)

    def owner(self) -> Owner:
        """Return whose shard it is, from its first page alone. Raises ShardError as `read` does."""
        try:
            head = os.pread(self._descriptor, layout.PAGE_BYTES, 0)
        except OSError as error:
            raise ShardError(f"{self.path}: {error.strerror}") from error
        words = self._check_head(head)
        identity = Identity(words[layout.HEADER_NAMESPACE], words[layout.HEADER_PID], words[layout.HEADER_STARTED])
        return Owner(identity, words[layout.HEADER_STARTED_NS])

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


def _parse(head: bytes, content: bytes, promised: int) -> ShardData:
    header = memoryview(head).cast("Q")
    text_bytes = min(header[layout.HEADER_TEXT_BYTES], layout.PAGE_BYTES - layout.HEADER_TEXT * 8)
    text = head[layout.HEADER_TEXT * 8 :][:text_bytes].decode("utf-8", "replace").split("\0")
    fields = [*text, *[""] * len(layout.TEXT_FIELDS)]
    pid, parent_pid = (min(header[word], _LARGEST_PID) for word in (layout.HEADER_PID, layout.HEADER_PARENT_PID))
    times = (layout.HEADER_STARTED_NS, layout.HEADER_STARTED_WALL_NS, layout.HEADER_HIDDEN_LANES)
    started_ns, started_wall_ns, hidden_lanes = (min(header[word], LARGEST) for word in times)
    data = ShardData(
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
        hidden_lanes=hidden_lanes,
        own_ns=min(header[layout.HEADER_OWN_NS], LARGEST),
        pace_ps=min(header[layout.HEADER_PACE_PS], LARGEST),
        damaged=len(content) < promised or _LARGEST_PID in (pid, parent_pid) or LARGEST in (started_ns, started_wall_ns),
        namespace=header[layout.HEADER_NAMESPACE],
        started=header[layout.HEADER_STARTED],
        image=header[layout.HEADER_IMAGE],
    )
    _Records(content, data).read()
    return data


_SIZES = {getattr(layout, name): getattr(layout, f"{name}_WORDS") for name in ("NODE", "LANE", "EXAMPLE", "METRIC")}
"""Records that are read when all strings, targets and buckets are known, and their words."""


_OF_EXAMPLE = tuple(
    getattr(layout, f"EXAMPLE_{name}")
    for name in ("STARTED_NS", "DURATION_NS", "STATUS", "LEFT_OUT", "WINDOW", "WINDOW_NS", "WALL_NS")
)


class _Records:
    """One walk through the records of a shard."""

    def __init__(self, content: bytes, data: ShardData) -> None:
        self._content = content
        self._words = memoryview(content).cast("Q")
        self._data = data
        self._strings: dict[int, str] = {0: ""}
        self._targets: dict[int, tuple[str, str]] = {0: ("", "")}  # number: (path, kind)
        self._nodes: dict[int, int] = {0: -1}  # number: index
        self._buckets: dict[int, dict[int, int]] = {}
        self._sums: dict[tuple[int, int], tuple[int, ...]] = {}  # (type of the record, number of its node)

    def read(self) -> None:
        words, data = self._words, self._data
        places: dict[int, list[int]] = {record_type: [] for record_type in _SIZES}
        later: list[tuple[int, int]] = []
        at, end = layout.SCRATCH, len(words)
        while at < end:
            head = words[at]
            size = head >> 8 & 0xFFFFFF
            kind = head & 0xFF
            if size < 2 or at + size > end:
                data.damaged = True
                break
            if kind == layout.STRING:
                self._read_string(at, size, head >> 32)
            elif kind == layout.BUCKETS and size == layout.BUCKETS_WORDS:
                self._read_buckets(at, head >> 32)
            elif size == _SIZES.get(kind):
                places[kind].append(at)
            elif kind in NO_SUMS and size == len(NO_SUMS[kind]) + 1:
                self._sums[kind, head >> 32] = tuple(min(value, LARGEST) for value in words[at + 1 : at + size])
            elif kind in (layout.TARGET, layout.WATCH, layout.NOTE) and size >= 3:
                later.append((kind, at))
            at += size
        for kind, at in later:
            self._read_other(kind, at)
        for at in places[layout.NODE]:
            self._read_node(at)
        age_ns = monotonic_ns() - data.started_ns
        for node in data.nodes if age_ns > 0 else ():  # else it began before the machine was started again
            if not node.is_possible(age_ns + _SLACK_NS):
                data.damaged = True
                node.clear()
        if age_ns > 0 and not all(status.is_possible(age_ns + _SLACK_NS) for status in data.statuses):
            data.damaged = True
            data.statuses.clear()
        data.lanes_made = len(places[layout.LANE]) + data.hidden_lanes
        for at in places[layout.LANE]:
            self._read_lane(at)
        for at in places[layout.EXAMPLE]:
            self._read_example(at)
        data.signals, are_damaged = read_metrics(self._content, places[layout.METRIC], self._strings, self._buckets)
        data.damaged = data.damaged or are_damaged

    def _read_string(self, at: int, size: int, number: int) -> None:
        length = min(self._words[at + 1], (size - 2) * 8)
        self._strings[number] = self._content[at * 8 + 16 : at * 8 + 16 + length].decode("utf-8", "replace")

    def _read_buckets(self, at: int, number: int) -> None:
        octave = self._words[at + layout.BUCKETS_OCTAVE]
        if octave >= OCTAVES:
            self._data.damaged = True
            return
        buckets = self._buckets.setdefault(number, {})
        first = at + layout.BUCKETS_FIRST
        for bucket, count in enumerate(self._words[first : first + SUB_BUCKETS], octave * SUB_BUCKETS):
            if count:
                buckets[bucket] = min(buckets.get(bucket, 0) + count, LARGEST)

    def _read_other(self, kind: int, at: int) -> None:
        number, first, second = self._words[at] >> 32, self._words[at + 1], self._words[at + 2]
        if kind == layout.TARGET:
            self._targets[number] = (self._text(first), self._text(second & _LOW))
            if self._words[at] >> 8 & 0xFFFFFF > 3 and self._words[at + 3]:  # from a hookmon that writes it
                self._data.places[self._text(first)] = self._text(self._words[at + 3])
        elif kind == layout.WATCH:
            key = (number, self._text(first & _LOW))
            if self._data.watches.get(key, (0, ""))[0] != layout.TARGET_ACTIVE:  # two modules may have one name
                self._data.watches[key] = (first >> 32, self._text(second))
        else:
            self._data.notes.append((self._text(first), self._text(second)))

    def _read_node(self, at: int) -> None:
        row = [
            min(value, LARGEST) if index >= layout.NODE_TOTAL_NS else value
            for index, value in enumerate(struct.unpack_from(f"={layout.NODE_WORDS}Q", self._content, at * 8))
        ]
        number = row[0] >> 32
        parent = self._nodes.get(row[layout.NODE_PARENT_NAME] & _LOW)
        if parent is None:  # can only be in a damaged file: a parent is made before its children
            self._data.damaged = True
            parent = -1
        if row[layout.NODE_FLAGS] & layout.FLAG_STATUS:
            self._add_status(number, parent, row)
            return
        target, kind = self._targets.get(row[layout.NODE_TARGET_SITE] & _LOW, ("", ""))
        self._nodes[number] = len(self._data.nodes)
        self._data.nodes.append(
            RawNode(
                parent=parent,
                name=self._text(row[layout.NODE_PARENT_NAME] >> 32) or "(unknown)",
                kind=kind or "function",
                target=target,
                call_site=self._text(row[layout.NODE_TARGET_SITE] >> 32),
                flags=row[layout.NODE_FLAGS],
                total_ns=row[layout.NODE_TOTAL_NS],
                min_ns=row[layout.NODE_MIN_NS],
                max_ns=row[layout.NODE_MAX_NS],
                active_ns=row[layout.NODE_ACTIVE_NS],
                errors=row[layout.NODE_ERRORS],
                interrupted=row[layout.NODE_INTERRUPTED],
                steps=row[layout.NODE_STEPS],
                untimed=row[layout.NODE_UNTIMED],
                buckets=self._buckets.get(number, {}),
                per=self._sums.get((layout.PER, number), NO_SUMS[layout.PER]),
                computing=self._sums.get((layout.COMPUTING, number), NO_SUMS[layout.COMPUTING]),
            )
        )

    def _add_status(self, number: int, parent: int, row: list[int]) -> None:
        name = self._text(row[layout.NODE_PARENT_NAME] >> 32)
        if parent < 0 or not (name.isascii() and name.isdigit() and len(name) <= 3):
            self._data.damaged = True
            return
        status = RawStatus(
            parent,
            int(name),
            row[layout.NODE_ERRORS],
            row[layout.NODE_INTERRUPTED],
            row[layout.NODE_UNTIMED],
            row[layout.NODE_TOTAL_NS],
            row[layout.NODE_MIN_NS],
            row[layout.NODE_MAX_NS],
            self._buckets.get(number, {}),
        )
        self._data.statuses.append(status)

    def _read_lane(self, at: int) -> None:
        words = self._words
        first = at + layout.LANE_FIRST
        stack = []
        for pair in range(first, first + 2 * layout.LANE_DEPTH, 2):
            index = self._nodes.get(words[pair], -1) if words[pair] else -1
            if index >= 0:
                stack.append((index, min(words[pair + 1], LARGEST)))
        if stack:
            self._data.lanes.append(RawLane(words[at + layout.LANE_IDENT], self._text(words[at + layout.LANE_KIND]), stack))

    def _read_example(self, at: int) -> None:
        words = self._words[at : at + layout.EXAMPLE_WORDS]
        node = self._nodes.get(words[0] >> 32, -1)
        turn = words[layout.EXAMPLE_TURN]
        if node < 0 or not turn or turn & 1:  # nothing there yet, or just being written
            return
        spans: list[tuple[int, int, int, int]] = []
        failed: list[int] = []
        count = min(words[layout.EXAMPLE_SPANS], layout.EXAMPLE_MOST_SPANS)
        for place in range(layout.EXAMPLE_FIRST, layout.EXAMPLE_FIRST + 3 * count, 3):
            index = self._nodes.get(words[place] & _LOW, -1)
            if index >= 0:
                if words[place] & layout.EXAMPLE_SPAN_FAILED:
                    failed.append(len(spans))
                lane = (words[place] & ~layout.EXAMPLE_SPAN_FAILED) >> 32
                spans.append((index, lane, min(words[place + 1], LARGEST), min(words[place + 2], LARGEST)))
        started_ns, duration_ns, status, left_out, window, window_ns, wall_ns = (min(words[at], LARGEST) for at in _OF_EXAMPLE)
        example = RawExample(node, started_ns, duration_ns, status, left_out, spans)
        example.computed_ns = min(words[layout.EXAMPLE_COMPUTED_NS], LARGEST) - 1
        example.failed, example.flags = failed, words[layout.EXAMPLE_FLAGS] & 0xFF
        example.window, example.window_ns, example.started_at_ns = window, window_ns, wall_ns
        example.error = self._text(words[layout.EXAMPLE_ERROR])
        example.ids = tuple(words[layout.EXAMPLE_TRACE_HIGH : layout.EXAMPLE_TRACE_FLAGS + 1])  # type: ignore[assignment]
        self._data.examples.append(example)

    def _text(self, number: int) -> str:
        return self._strings.get(number, "")
