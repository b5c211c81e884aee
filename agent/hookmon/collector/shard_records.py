"""The records of a shard: read one after the other, and later only those that are new or have changed.

In: the bytes of a shard, as often as they are read. Out: nodes, lanes, examples and other records of its ShardData. Runs in the
launcher; trusts no length. A process changes little of its shard in a second, and a large one takes long to be read: of each
page a check is kept, not the bytes, and a record that lies in a page with another check is read again.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from time import monotonic_ns
from typing import TYPE_CHECKING

from hookmon.collector.metrics import read_metrics
from hookmon.collector.pages import Pages, Stretch
from hookmon.collector.records import LARGEST, NO_SUMS, RawExample, RawLane, RawNode, RawStatus
from hookmon.core import layout
from hookmon.core.histogram import OCTAVES, SUB_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hookmon.collector.shards import ShardData

_LOW = 0xFFFFFFFF
_SLACK_NS = 1_000_000_000  # between our clock and the stamps of a process
_NODE = struct.Struct(f"={layout.NODE_WORDS}Q")
_OCTAVE = struct.Struct(f"={1 + SUB_BUCKETS}Q")  # BUCKETS_OCTAVE and what follows from BUCKETS_FIRST on
_SUMS_WORDS = {kind: len(sums) + 1 for kind, sums in NO_SUMS.items()}
_SIZES = {getattr(layout, name): getattr(layout, f"{name}_WORDS") for name in ("NODE", "LANE", "EXAMPLE", "METRIC")}
"""Records that are read when all strings, targets and buckets are known, and their words."""


_OF_EXAMPLE = tuple(
    getattr(layout, f"EXAMPLE_{name}")
    for name in ("STARTED_NS", "DURATION_NS", "STATUS", "LEFT_OUT", "WINDOW", "WINDOW_NS", "WALL_NS")
)


class Records:
    """The records of one shard, which are put into a ShardData.

    Of each type that counters stand in there is where its records begin, in words, in ascending order.
    """

    def __init__(self, data: ShardData) -> None:
        self._data = data
        self._content = b""
        self._words = memoryview(b"").cast("Q")
        self._strings: dict[int, str] = {0: ""}
        self._targets: dict[int, tuple[str, str]] = {0: ("", "")}  # number: (path, kind)
        self._nodes: dict[int, int] = {0: -1}  # number: index
        self._buckets: dict[int, dict[int, int]] = {}  # by number, of what is read at present
        self._sums: dict[tuple[int, int], tuple[int, ...]] = {}  # (type of the record, number of its node)
        self._places = {record_type: array("I") for record_type in (*_SIZES, layout.BUCKETS, *NO_SUMS)}
        self._status_places: dict[int, None] = {}  # those of nodes that count requests with a status
        self._new_nodes = array("I")  # places of nodes that the last walk has found
        self._unfinished: list[int] = []  # places that were reserved and not filled yet
        self._at = array("I")  # the places of the nodes by index
        self._totals: list[int] = []  # NODE_TOTAL_NS by index: `merge.measure` changes them
        self._end = layout.SCRATCH
        self._pages = Pages()
        self._is_odd = False  # something is missing or makes no sense: all of it has to be read again

    def read(self, content: bytes) -> None:
        """Read all records. Once."""
        self._begin(content)
        self._pages.take(content)
        new = self._walk()
        for at in new[layout.NODE]:
            self._read_node(at)
        self._check_nodes(range(len(self._data.nodes)))
        self._read_rest()

    def read_on(self, content: bytes) -> bool | None:
        """Read what is new or has changed; say whether anything has. None where all has to be read again, by another object."""
        if self._is_odd or self._data.damaged or len(content) // 8 < self._end:
            return None
        has_grown = len(content) // 8 > self._end
        stretches = self._pages.take(content)
        if not stretches and not has_grown:
            return False
        self._begin(content)
        if any(self._words[at] & 0xFF for at in self._unfinished):
            return None
        touched = self._read_touched(stretches)
        for index in touched:
            if not self._read_again(index):
                return None
        data = self._data
        first_new = len(data.nodes)
        data.statuses.clear()
        for at in (*self._status_places, *self._new_nodes):
            self._read_node(at)
        for node, total_ns in zip(data.nodes, self._totals, strict=True):
            node.total_ns, node.in_flight_ns = total_ns, 0
        self._check_nodes((*touched, *range(first_new, len(data.nodes))))
        data.lanes, data.examples = [], []
        self._read_rest()
        return True

    def _read_touched(self, stretches: list[Stretch]) -> set[int]:
        """Read the buckets and sums that are new or lie in these stretches; return the indices of the nodes that have changed."""
        words, nodes, buckets = self._words, self._data.nodes, self._buckets
        numbers = {words[at] >> 32 for at in self._places_in(layout.NODE, stretches)}
        octaves = set(self._places_in(layout.BUCKETS, stretches))
        for kind in NO_SUMS:
            for at in self._places_in(kind, stretches):
                self._read_sums(kind, at)
                numbers.add(words[at] >> 32)
        new = self._walk()
        self._new_nodes = new[layout.NODE]
        numbers.update(words[at] >> 32 for kind in NO_SUMS for at in new[kind])
        numbers.update(buckets)
        numbers.update(words[at] >> 32 for at in octaves)
        touched = {index for number in numbers if (index := self._nodes.get(number, -1)) >= 0}
        for index in touched:
            number = words[self._at[index]] >> 32
            buckets[number] = nodes[index].buckets | buckets.get(number, {})
        for at in octaves:
            if self._nodes.get(words[at] >> 32, -1) >= 0:
                self._replace_buckets(at, buckets[words[at] >> 32])
        beside = {words[at] >> 32 for places in (self._status_places, self._places[layout.METRIC]) for at in places}
        for number in beside:
            buckets.pop(number, None)
        for at in self._places[layout.BUCKETS] if beside else ():
            if words[at] >> 32 in beside:
                self._read_buckets(at, words[at] >> 32)
        return touched

    def _begin(self, content: bytes) -> None:
        self._content, self._words = content, memoryview(content).cast("Q")

    def _walk(self) -> dict[int, array[int]]:
        """Pass over the records from where the last walk has ended; return the places of the new ones by type."""
        words, data = self._words, self._data
        new = {record_type: array("I") for record_type in self._places}
        later: list[tuple[int, int]] = []
        at, end = self._end, len(words)
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
                new[kind].append(at)
                self._read_buckets(at, head >> 32)
            elif size == _SIZES.get(kind):
                new[kind].append(at)
            elif size == _SUMS_WORDS.get(kind):
                new[kind].append(at)
                self._read_sums(kind, at)
            elif kind in (layout.TARGET, layout.WATCH, layout.NOTE) and size >= 3:
                later.append((kind, at))
            elif not kind and at != layout.SCRATCH:
                self._unfinished.append(at)
            at += size
        self._end = at
        for kind, at in later:
            self._read_other(kind, at)
        for kind, places in new.items():
            self._places[kind] += places
        return new

    def _places_in(self, kind: int, stretches: list[Stretch]) -> Iterator[int]:
        """Yield the places of those records of a type that lie in one of these stretches, some of them twice."""
        places, size = self._places[kind], _SIZES.get(kind) or _SUMS_WORDS.get(kind) or layout.BUCKETS_WORDS
        for first, end in stretches if places else ():
            yield from places[bisect_left(places, first - size + 1) : bisect_left(places, end)]

    def _read_rest(self) -> None:
        """Read what refers to nodes, and let go of the bytes."""
        data, places = self._data, self._places
        age_ns = monotonic_ns() - data.started_ns
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
        self._buckets.clear()
        self._words.release()
        self._content = b""

    def _check_nodes(self, indices: Iterable[int]) -> None:
        """Take away what cannot have been counted."""
        age_ns = monotonic_ns() - self._data.started_ns
        for index in indices if age_ns > 0 else ():  # else it began before the machine was started again
            node = self._data.nodes[index]
            if not node.is_possible(age_ns + _SLACK_NS):
                self._data.damaged = True
                node.clear()
                self._totals[index] = 0

    def _read_string(self, at: int, size: int, number: int) -> None:
        length = min(self._words[at + 1], (size - 2) * 8)
        self._strings[number] = self._content[at * 8 + 16 : at * 8 + 16 + length].decode("utf-8", "replace")

    def _read_sums(self, kind: int, at: int) -> None:
        words = self._words
        self._sums[kind, words[at] >> 32] = tuple(min(value, LARGEST) for value in words[at + 1 : at + _SUMS_WORDS[kind]])

    def _read_buckets(self, at: int, number: int) -> None:
        octave, *counts = _OCTAVE.unpack_from(self._content, at * 8 + 8 * layout.BUCKETS_OCTAVE)
        if octave >= OCTAVES:
            self._data.damaged = True
            return
        if max(counts) > LARGEST:
            counts = [min(count, LARGEST) for count in counts]
        part = {bucket: count for bucket, count in enumerate(counts, octave * SUB_BUCKETS) if count}
        buckets = self._buckets.setdefault(number, part)
        if buckets is not part:
            if not buckets.keys().isdisjoint(part):  # no writer of ours has one twice
                self._is_odd = True
                part = {bucket: min(count + buckets.get(bucket, 0), LARGEST) for bucket, count in part.items()}
            buckets.update(part)

    def _replace_buckets(self, at: int, buckets: dict[int, int]) -> None:
        """Put what a record says now in the place of what it said. A count may be gone: a transaction has got its name."""
        octave, *counts = _OCTAVE.unpack_from(self._content, at * 8 + 8 * layout.BUCKETS_OCTAVE)
        for bucket, count in enumerate(counts, octave * SUB_BUCKETS):
            if count:
                buckets[bucket] = min(count, LARGEST)
            elif bucket in buckets:
                del buckets[bucket]

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
        row = self._row(at)
        if row[layout.NODE_FLAGS] & layout.FLAG_STATUS:
            self._status_places[at] = None
            self._add_status(row[0] >> 32, self._parent(row[layout.NODE_PARENT_NAME]), row)
            return
        node = self._node(row)  # before its number is known: none is its own parent
        self._nodes[row[0] >> 32] = len(self._data.nodes)
        self._data.nodes.append(node)
        self._at.append(at)
        self._totals.append(row[layout.NODE_TOTAL_NS])

    def _read_again(self, index: int) -> bool:
        """Read a node again; say whether it is still what it was, with other counters."""
        before = self._data.nodes[index]
        row = self._row(self._at[index])
        node = self._node(row)
        if (node.parent, node.name, node.target, node.flags) != (before.parent, before.name, before.target, before.flags):
            return False
        self._data.nodes[index] = node
        self._totals[index] = row[layout.NODE_TOTAL_NS]
        return True

    def _row(self, at: int) -> tuple[int, ...]:
        """Return the words of a node, its counters with bounds."""
        row = _NODE.unpack_from(self._content, at * 8)
        if max(row) > LARGEST:
            first = layout.NODE_TOTAL_NS
            return *row[:first], *(min(value, LARGEST) for value in row[first:])
        return row

    def _parent(self, word: int) -> int:
        parent = self._nodes.get(word & _LOW)
        if parent is None:  # can only be in a damaged file: a parent is made before its children
            self._data.damaged = True
            return -1
        return parent

    def _node(self, row: tuple[int, ...]) -> RawNode:
        head, parent_name, target_site, flags, total_ns, min_ns, max_ns, active_ns, errors, interrupted, steps, untimed = row
        number = head >> 32
        target, kind = self._target(target_site & _LOW)
        return RawNode(
            self._parent(parent_name),
            self._text(parent_name >> 32) or "(unknown)",
            kind or "function",
            target,
            self._text(target_site >> 32),
            flags,
            total_ns,
            min_ns,
            max_ns,
            active_ns,
            errors,
            interrupted,
            steps,
            untimed,
            self._buckets.get(number) or {},
            self._sums.get((layout.PER, number), NO_SUMS[layout.PER]),
            self._sums.get((layout.COMPUTING, number), NO_SUMS[layout.COMPUTING]),
        )

    def _add_status(self, number: int, parent: int, row: tuple[int, ...]) -> None:
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

    def _target(self, number: int) -> tuple[str, str]:
        found = self._targets.get(number)
        if found is None:
            self._is_odd = True
            return "", ""
        return found

    def _text(self, number: int) -> str:
        found = self._strings.get(number)
        if found is None:
            self._is_odd = True
            return ""
        return found
