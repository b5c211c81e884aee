"""The records of a shard beside the call tree: targets and what became of them, notes, lanes, statuses, whole transactions.

In: the words of a shard, and the strings and nodes that the records refer to. Out: their part of its ShardData. Runs in the
launcher; trusts no number. The records of the call tree itself are read by `shard_records`, or compiled.
"""

from __future__ import annotations

from time import monotonic_ns

from hookmon.collector.records import LARGEST, RawExample, RawLane, RawStatus
from hookmon.core import layout

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable

    from hookmon.collector.shards import ShardData

_LOW = 0xFFFFFFFF
_SLACK_NS = 1_000_000_000  # between our clock and the stamps of a process
_OF_EXAMPLE = tuple(
    getattr(layout, f"EXAMPLE_{name}")
    for name in ("STARTED_NS", "DURATION_NS", "STATUS", "LEFT_OUT", "WINDOW", "WINDOW_NS", "WALL_NS")
)


def age_of(data: ShardData) -> int:
    """Return how long a process can have counted, in ns; 0 or less where it began before the machine was started again."""
    age_ns = monotonic_ns() - data.started_ns
    return age_ns + _SLACK_NS if age_ns > 0 else 0


def check_statuses(data: ShardData) -> None:
    """Take away statuses that cannot have been counted."""
    age_ns = age_of(data)
    if age_ns > 0 and not all(status.is_possible(age_ns) for status in data.statuses):
        data.damaged = True
        data.statuses.clear()


class Details:
    """Reads such records. `index` returns the index of a node by its number, -1 where there is none."""

    def __init__(self, data: ShardData, strings: dict[int, str], index: Callable[[int], int]) -> None:
        self._data = data
        self._strings = strings
        self._index = index
        self._targets: dict[int, tuple[str, str]] = {0: ("", "")}  # number: (path, kind)
        self.is_odd = False  # something is missing that was referred to

    def read_other(self, words: memoryview, at: int, kind: int) -> None:
        """Read a target, what became of it, or a note."""
        number, first, second = words[at] >> 32, words[at + 1], words[at + 2]
        if kind == layout.TARGET:
            self._targets[number] = (self.text(first), self.text(second & _LOW))
            if words[at] >> 8 & 0xFFFFFF > 3 and words[at + 3]:  # from a hookmon that writes it
                self._data.places[self.text(first)] = self.text(words[at + 3])
        elif kind == layout.WATCH:
            key = (number, self.text(first & _LOW))
            if self._data.watches.get(key, (0, ""))[0] != layout.TARGET_ACTIVE:  # two modules may have one name
                self._data.watches[key] = (first >> 32, self.text(second))
        else:
            self._data.notes.append((self.text(first), self.text(second)))

    def read_status(self, row: tuple[int, ...], parent: int, buckets: dict[int, int]) -> None:
        """Read the requests of a node with one status; `row` is the record, its counters with bounds."""
        name = self.text(row[layout.NODE_PARENT_NAME] >> 32)
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
            buckets,
        )
        self._data.statuses.append(status)

    def read_lane(self, words: memoryview, at: int) -> None:
        """Read what a lane is doing, if it is doing anything."""
        first = at + layout.LANE_FIRST
        stack = []
        for pair in range(first, first + 2 * layout.LANE_DEPTH, 2):
            index = self._index(words[pair]) if words[pair] else -1
            if index >= 0:
                stack.append((index, min(words[pair + 1], LARGEST)))
        if stack:
            self._data.lanes.append(RawLane(words[at + layout.LANE_IDENT], self.text(words[at + layout.LANE_KIND]), stack))

    def read_example(self, content: memoryview, at: int) -> None:
        """Read a transaction that was kept whole, unless it is just being written."""
        words = content[at : at + layout.EXAMPLE_WORDS].tolist()
        node = self._index(words[0] >> 32)
        turn = words[layout.EXAMPLE_TURN]
        if node < 0 or not turn or turn & 1:  # nothing there yet, or just being written
            return
        spans: list[tuple[int, int, int, int]] = []
        failed: list[int] = []
        count = min(words[layout.EXAMPLE_SPANS], layout.EXAMPLE_MOST_SPANS)
        for place in range(layout.EXAMPLE_FIRST, layout.EXAMPLE_FIRST + 3 * count, 3):
            index = self._index(words[place] & _LOW)
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
        example.error = self.text(words[layout.EXAMPLE_ERROR])
        example.ids = tuple(words[layout.EXAMPLE_TRACE_HIGH : layout.EXAMPLE_TRACE_FLAGS + 1])  # type: ignore[assignment]
        self._data.examples.append(example)

    def target(self, number: int) -> tuple[str, str]:
        """Return (path, kind) of a target, two empty texts where it is missing."""
        found = self._targets.get(number)
        if found is None:
            self.is_odd = True
            return "", ""
        return found

    def text(self, number: int) -> str:
        """Return a string, "" where it is missing."""
        found = self._strings.get(number)
        if found is None:
            self.is_odd = True
            return ""
        return found
