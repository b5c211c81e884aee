"""The records of a shard: read one after the other, and later only those that are new or have changed.

In: the bytes of a shard, as often as they are read. Out: nodes, lanes, examples and other records of its ShardData. Runs in the
launcher; trusts no length. A process changes little of its shard in a second, and a large one takes long to be read: of each
page a check is kept, not the bytes, and a record that lies in a page with another check is read again.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left

from hookmon.collector.metrics import read_metrics
from hookmon.collector.pages import Pages, Stretch
from hookmon.collector.records import LARGEST, NO_SUMS, RawNode
from hookmon.collector.shard_details import Details, age_of, check_statuses
from hookmon.collector.yielding import NODES_A_LOOK, WORDS_A_LOOK, nothing
from hookmon.core import layout
from hookmon.core.histogram import OCTAVES, SUB_BUCKETS

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hookmon.collector.shards import ShardData

_LOW = 0xFFFFFFFF
_NODE_ROW = struct.Struct(f"={layout.NODE_WORDS}Q")
_OCTAVE = struct.Struct(f"={1 + SUB_BUCKETS}Q")  # BUCKETS_OCTAVE and what follows from BUCKETS_FIRST on
_NODE = layout.record_head(layout.NODE, layout.NODE_WORDS, 0)
_BUCKETS = layout.record_head(layout.BUCKETS, layout.BUCKETS_WORDS, 0)
_NO_PER, _NO_COMPUTING = NO_SUMS[layout.PER], NO_SUMS[layout.COMPUTING]
_OCTAVES = [tuple(range(octave * SUB_BUCKETS, (octave + 1) * SUB_BUCKETS)) for octave in range(OCTAVES)]
_SUMS_WORDS = {kind: len(sums) + 1 for kind, sums in NO_SUMS.items()}
_SIZES = {getattr(layout, name): getattr(layout, f"{name}_WORDS") for name in ("NODE", "LANE", "EXAMPLE", "METRIC")}
"""Records that are read when all strings, targets and buckets are known, and their words."""


class Records:
    """The records of one shard, which are put into a ShardData.

    Of each type that counters stand in there is where its records begin, in words, in ascending order.
    """

    def __init__(self, data: ShardData) -> None:
        self._data = data
        self._rows: list[RawNode] = []
        data.nodes = self._rows
        self._content = b""
        self._words = memoryview(b"").cast("Q")
        self._nodes: dict[int, int] = {0: -1}  # number: index
        self._strings: dict[int, str] = {0: ""}
        self._details = Details(data, self._strings, self._index)
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

    def read(self, content: bytes, look: Callable[[], None], *, is_last: bool = False) -> None:
        """Read all records. Once. `is_last` says that nothing is read on; `look` is called now and then."""
        self._begin(content)
        if not is_last:
            self._pages.take(content)
        look()
        nodes = self._walk(look)[layout.NODE]
        for first in range(0, len(nodes), NODES_A_LOOK):
            look()
            self._read_nodes(nodes[first : first + NODES_A_LOOK])
        self._check_nodes(range(len(self._rows)))
        look()
        self._read_rest(look)

    def read_on(self, content: bytes) -> bool | None:
        """Read what is new or has changed; say whether anything has. None where all has to be read again, by another object."""
        if self._is_odd or self._details.is_odd or self._data.damaged or len(content) // 8 < self._end:
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
        first_new = len(self._rows)
        data.statuses.clear()
        self._read_nodes((*self._status_places, *self._new_nodes))
        for node, total_ns in zip(self._rows, self._totals, strict=True):
            node.total_ns, node.in_flight_ns = total_ns, 0
        self._check_nodes((*touched, *range(first_new, len(self._rows))))
        data.lanes, data.examples = [], []
        self._read_rest(nothing)
        return True

    def _read_touched(self, stretches: list[Stretch]) -> set[int]:
        """Read the buckets and sums that are new or lie in these stretches; return the indices of the nodes that have changed."""
        words, nodes, buckets = self._words, self._rows, self._buckets
        numbers = {words[at] >> 32 for at in self._places_in(layout.NODE, stretches)}
        octaves = set(self._places_in(layout.BUCKETS, stretches))
        for kind in NO_SUMS:
            for at in self._places_in(kind, stretches):
                self._read_sums(kind, at)
                numbers.add(words[at] >> 32)
        new = self._walk(nothing)
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

    def _walk(self, look: Callable[[], None]) -> dict[int, array[int]]:
        """Pass over the records from where the last walk has ended; return the places of the new ones by type."""
        words, data, content = self._words, self._data, self._content
        new = {record_type: array("I") for record_type in self._places}
        later: list[tuple[int, int]] = []
        take_buckets, take_node = new[layout.BUCKETS].append, new[layout.NODE].append
        all_buckets, octave_at = self._buckets, _OCTAVE.unpack_from
        at, end = self._end, len(words)
        next_look = at + WORDS_A_LOOK
        while at < end:
            head = words[at]
            if head & _LOW == _BUCKETS and at + layout.BUCKETS_WORDS <= end:  # these two are most of all, and read here
                take_buckets(at)
                octave, *counts = octave_at(content, at * 8 + 8)
                number, calls = head >> 32, sum(counts)
                known = all_buckets.get(number)
                if calls > LARGEST or octave >= OCTAVES:
                    self._read_buckets(at, number)
                elif known is None and calls in counts and calls:  # of most octaves one bucket is used
                    all_buckets[number] = {octave * SUB_BUCKETS + counts.index(calls): calls}
                elif known is None:
                    pairs = zip(_OCTAVES[octave], counts)  # noqa: B905  # to ask for the same length takes longer than all of it
                    all_buckets[number] = {bucket: count for bucket, count in pairs if count}
                elif calls in counts and calls and octave * SUB_BUCKETS + counts.index(calls) not in known:
                    known[octave * SUB_BUCKETS + counts.index(calls)] = calls
                else:
                    self._read_buckets(at, number)
                at += layout.BUCKETS_WORDS
                continue
            if head & _LOW == _NODE and at + layout.NODE_WORDS <= end:
                take_node(at)
                at += layout.NODE_WORDS
                if at >= next_look:
                    next_look = at + WORDS_A_LOOK
                    look()
                continue
            size = head >> 8 & 0xFFFFFF
            kind = head & 0xFF
            if size < 2 or at + size > end:
                data.damaged = True
                break
            if kind == layout.STRING:
                self._read_string(at, size, head >> 32)
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
            self._details.read_other(words, at, kind)
        for kind, places in new.items():
            self._places[kind] += places
        return new

    def _places_in(self, kind: int, stretches: list[Stretch]) -> Iterator[int]:
        """Yield the places of those records of a type that lie in one of these stretches, some of them twice."""
        places, size = self._places[kind], _SIZES.get(kind) or _SUMS_WORDS.get(kind) or layout.BUCKETS_WORDS
        for first, end in stretches if places else ():
            yield from places[bisect_left(places, first - size + 1) : bisect_left(places, end)]

    def _read_rest(self, look: Callable[[], None]) -> None:
        """Read what refers to nodes, and let go of the bytes."""
        data, places = self._data, self._places
        check_statuses(data)
        data.lanes_made = len(places[layout.LANE]) + data.hidden_lanes
        for at in places[layout.LANE]:
            self._details.read_lane(self._words, at)
        for at in places[layout.EXAMPLE]:
            self._details.read_example(self._words, at)
            look()
        data.signals, are_damaged = read_metrics(self._content, places[layout.METRIC], self._strings, self._buckets_of)
        data.damaged = data.damaged or are_damaged
        self._buckets.clear()
        self._words.release()
        self._content = b""

    def _check_nodes(self, indices: Iterable[int]) -> None:
        """Take away what cannot have been counted."""
        age_ns = age_of(self._data)
        for index in indices if age_ns > 0 else ():
            node = self._rows[index]
            if not node.is_possible(age_ns):
                self._data.damaged = True
                node.clear()
                self._totals[index] = 0

    def _read_string(self, at: int, size: int, number: int) -> None:
        length = min(self._words[at + 1], (size - 2) * 8)
        self._strings[number] = self._content[at * 8 + 16 : at * 8 + 16 + length].decode("utf-8", "replace")

    def _read_sums(self, kind: int, at: int) -> None:
        number, *sums = self._words[at : at + _SUMS_WORDS[kind]]
        self._sums[kind, number >> 32] = tuple(sums) if max(sums) <= LARGEST else tuple(min(value, LARGEST) for value in sums)

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

    def _read_nodes(self, places: Iterable[int]) -> None:
        """Read the nodes at these places, in this order: their parents stand before them."""
        nodes, numbers = self._rows, self._nodes
        for at in places:
            row = self._row(at)
            if row[layout.NODE_FLAGS] & layout.FLAG_STATUS:
                self._status_places[at] = None
                parent, buckets = self._parent(row[layout.NODE_PARENT_NAME]), self._buckets_of(row[0] >> 32)
                self._details.read_status(row, parent, buckets)
                continue
            node = self._node(row)  # before its number is known: none is its own parent
            numbers[row[0] >> 32] = len(nodes)
            nodes.append(node)
            self._at.append(at)
            self._totals.append(row[layout.NODE_TOTAL_NS])

    def _read_again(self, index: int) -> bool:
        """Read a node again; say whether it is still what it was, with other counters."""
        before = self._rows[index]
        row = self._row(self._at[index])
        node = self._node(row)
        if (node.parent, node.name, node.target, node.flags) != (before.parent, before.name, before.target, before.flags):
            return False
        self._rows[index] = node
        self._totals[index] = row[layout.NODE_TOTAL_NS]
        return True

    def _index(self, number: int) -> int:
        return self._nodes.get(number, -1)

    def _buckets_of(self, number: int) -> dict[int, int]:
        return self._buckets.get(number, {})

    def _row(self, at: int) -> tuple[int, ...]:
        """Return the words of a node, its counters with bounds."""
        row = _NODE_ROW.unpack_from(self._content, at * 8)
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
        strings, sums = self._strings, self._sums
        name, site = strings.get(parent_name >> 32), strings.get(target_site >> 32)
        if name is None or site is None:
            self._is_odd = True
        target, kind = self._details.target(target_site & _LOW)
        return RawNode(
            self._parent(parent_name),
            name or "(unknown)",
            kind or "function",
            target,
            site or "",
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
            sums.get((layout.PER, number), _NO_PER),
            sums.get((layout.COMPUTING, number), _NO_COMPUTING),
        )
