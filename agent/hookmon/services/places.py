"""The call trees of a run, reduced to what is kept of each minute: places, and what was counted at each.

In: nodes and statuses, of shards or of a run. Out: Counts by Place. Pure computation.

A place stands below another one only where that says something: calls below their transaction or root, what runs beside a
transaction below its mark, what a client's call is made of below that call, and a recursion below its outermost call. So a tree
of thousands of nodes has some hundred places, and sums by name, by transaction and by line are those of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import add, attrgetter, sub

from hookmon.collector.counters import Counters
from hookmon.collector.records import RawNode
from hookmon.collector.rows import Node, Status
from hookmon.collector.yielding import NODES_A_LOOK, nothing
from hookmon.core import histogram, layout
from hookmon.core.plan import CLIENT_KINDS
from hookmon.core.record import NamedTuple, Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.records import RawStatus

SUMS = (
    "calls",
    "errors",
    "total_ns",
    "self_ns",
    "untimed",
    "interrupted",
    "active_ns",
    "steps",
    "transactions",
    "repeated",
    "repeated_calls",
    "repeated_ns",
    "measured",
    "measured_for",
    "measured_ns",
    "computed_ns",
    "beside_ns",
)
"""Fields of a Node that are added up."""

PEAKS = ("max_ns", "most", "most_repeated", "given_up")
"""Those of which the largest counts."""

ENTRY, WAITS, PART, FLAT, SITED, CONCURRENT, AFTER = (1 << bit for bit in range(7))
"""Flags of a place: fields of a Node."""

STATUS = "status"
"""The kind of a place that stands for the requests of the one above with one status, which is its name."""

WHOLE = "all"
"""The kind of the place that stands for all transactions together."""

_sums_of, _peaks_of = attrgetter(*SUMS), attrgetter(*PEAKS)
_MADE_OF_CALLS = CLIENT_KINDS - {"template"}
_CALLS, _TOTAL_NS, _UNTIMED = SUMS.index("calls"), SUMS.index("total_ns"), SUMS.index("untimed")
_OF_STATUS = tuple(SUMS.index(name) for name in ("calls", "errors", "interrupted", "untimed", "total_ns"))
_TRANSACTIONS, _REPEATED, _REPEATED_CALLS = (SUMS.index(name) for name in ("transactions", "repeated", "repeated_calls"))


class Place(NamedTuple):
    """One place. `parent` is the number of the place above, -1 for none; the call site counts only where it is SITED."""

    parent: int
    name: str
    kind: str
    target: str
    site: str
    flags: int


def is_sound(place: Place) -> bool:
    """Say whether a place that was read has texts and numbers where they belong."""
    return all(isinstance(text, str) for text in place[1:5]) and type(place.parent) is type(place.flags) is int


ALL = Place(-1, "", WHOLE, "", "", 0)


class Counts(Record, slots=True):
    """What was counted at one place. `sums` are those of SUMS, `peaks` those of PEAKS; `min_ns` is 0 where no call was timed.

    Differences may be below zero: a transaction that gets its name late takes its calls along.
    """

    sums: list[int] = field(default_factory=lambda: [0] * len(SUMS))
    peaks: list[int] = field(default_factory=lambda: [0] * len(PEAKS))
    min_ns: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    @property
    def timed(self) -> int:
        """How many calls were timed."""
        return self.sums[_CALLS] - self.sums[_UNTIMED]

    def add(self, other: Counts) -> None:
        """Add what was counted of other calls."""
        if other.timed > 0:
            self.min_ns = min(self.min_ns, other.min_ns) if self.timed > 0 else other.min_ns
        self.sums = [*map(add, self.sums, other.sums)]
        self.peaks = [*map(max, self.peaks, other.peaks)]
        histogram.add(self.buckets, other.buckets)

    def since(self, before: Counts) -> Counts:
        """Return what came since an earlier state of the same counters, exactly; see `is_nothing`.

        Peaks and the minimum are those of what came, where they can be known: a peak that has grown did so now. Otherwise they
        are as near as the histogram and the averages say.
        """
        sums = [*map(sub, self.sums, before.sums)]
        buckets = {
            bucket: calls
            for bucket in self.buckets.keys() | before.buckets.keys()
            if (calls := self.buckets.get(bucket, 0) - before.buckets.get(bucket, 0))
        }
        grown = Counts(sums, [0] * len(PEAKS), 0, buckets)
        timed = [bucket for bucket, calls in buckets.items() if calls > 0]
        largest_ns = round(histogram.middle_ns(max(timed))) if timed else 0
        guesses = (
            largest_ns,
            _ceil(sums[_CALLS], sums[_TRANSACTIONS]),
            _ceil(sums[_REPEATED_CALLS], sums[_REPEATED]),
            self.peaks[3],
        )
        for at, (now, then, guess) in enumerate(zip(self.peaks, before.peaks, guesses, strict=True)):
            grown.peaks[at] = now if now > then else min(now, guess)
        if timed:
            least_ns = round(histogram.middle_ns(min(timed)))
            is_new = before.timed <= 0 or self.min_ns < before.min_ns
            grown.min_ns = self.min_ns if is_new else min(max(self.min_ns, least_ns), grown.peaks[0])
        return grown

    def is_nothing(self) -> bool:
        """Say whether nothing was counted."""
        return not any(self.sums) and not self.buckets

    def counters(self) -> Counters:
        """Return the same as the Counters of reports; what is below zero counts as nothing."""
        sums = dict(zip(SUMS, (max(0, number) for number in self.sums), strict=True))
        return Counters(
            calls=sums["calls"],
            errors=sums["errors"],
            total_ns=sums["total_ns"],
            self_ns=sums["self_ns"],
            min_ns=self.min_ns,
            max_ns=self.peaks[0],
            interrupted=sums["interrupted"],
            untimed=sums["untimed"],
            active_ns=sums["active_ns"],
            steps=sums["steps"],
            spent_ns=sums["total_ns"],
            spent_calls=sums["calls"] if self.timed > 0 else 0,
            histograms=[{bucket: calls for bucket, calls in self.buckets.items() if calls > 0}],
        )


def _ceil(amount: int, parts: int) -> int:
    return -(-amount // parts) if parts > 0 and amount > 0 else 0


class Places:
    """The places of one run, numbered as they are seen: a parent before what is below it. Number 0 is ALL."""

    def __init__(self) -> None:
        self.rows: list[Place] = []
        self._numbers: dict[tuple[int, str, str, str, str, int], int] = {}
        self.number(*ALL)

    def number(self, parent: int, name: str, kind: str, target: str, site: str, flags: int) -> int:
        """Return the number of a place, whose parent has one."""
        key = (parent, name, kind, target, site if flags & SITED else "", flags)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.rows)
            self.rows.append(Place(parent, name, kind, target, site, flags))
        return number

    def numbers_of(self, places: Mapping[int, Place]) -> dict[int, int]:
        """Return the numbers of places that have ids, each of which stands after the one above it."""
        found = {0: 0}  # ALL
        for number, place in places.items():
            found[number] = self.number(found.get(place.parent, -1), *place[1:])
        return found

    def count(
        self,
        trees: Iterable[tuple[Sequence[Node | RawNode], Iterable[Status | RawStatus]]],
        look: Callable[[], None] = nothing,
    ) -> list[Counts]:
        """Return the sums of some call trees, by the numbers of places; there may be new ones, all of which are in `rows` then.

        `look` is called now and then. A number may stand for a place at which nothing was counted.
        """
        found: dict[int, Counts] = {0: Counts()}
        for nodes, statuses in trees:
            numbers = self._add(nodes, found, look)
            for row in statuses:
                number = self.number(numbers[row.node], str(row.status), STATUS, "", "", 0)
                found.setdefault(number, Counts()).add(_of_status(row))
        return [found.get(number) or Counts() for number in range(len(self.rows))]

    def _add(self, nodes: Sequence[Node | RawNode], found: dict[int, Counts], look: Callable[[], None]) -> list[int]:
        """Add a call tree; return the numbers of the places of its nodes."""
        numbers: list[int] = []
        holders: list[int] = []  # below which place the children of a node stand
        is_inside: list[bool] = []  # a transaction
        all_flags = [flags_of(node) for node in nodes]
        for node, flags in zip(nodes, all_flags, strict=True):
            if not len(numbers) % NODES_A_LOOK:
                look()
            above = node.parent
            inside = above >= 0 and is_inside[above]
            is_entry = bool(flags & ENTRY) and not inside
            parent = holders[above] if above >= 0 else -1
            # in a recursion it is below the outermost call: in the same transaction, and of what runs beside it only there
            while above >= 0 and not is_entry and is_inside[above] == inside and not all_flags[above] & (CONCURRENT | AFTER):
                other = nodes[above]
                if other.name == node.name and other.target == node.target:
                    parent = numbers[above]
                above = other.parent
            number = self.number(parent, node.name, node.kind, node.target, node.call_site, flags)
            is_client = node.kind in _MADE_OF_CALLS and not flags & WAITS
            holds = node.parent < 0 or is_entry or is_client or bool(flags & (CONCURRENT | AFTER))
            numbers.append(number)
            holders.append(number if holds else holders[node.parent])
            is_inside.append(inside or is_entry)
            counts = _counts_of(node)
            if not counts.is_nothing():
                if is_entry:
                    found[0].add(counts)
                known = found.get(number)
                if known is None:
                    found[number] = counts
                else:
                    known.add(counts)
        return numbers


_DETACHED = {CONCURRENT: "concurrent", AFTER: "after"}


def node_of(parent: int, place: Place) -> Node:
    """Return a place as a node below another one, at which nothing was counted yet."""
    flags = place.flags
    return Node(
        parent,
        place.name,
        place.kind,
        place.target,
        place.site,
        bool(flags & FLAT),
        sited=bool(flags & SITED),
        entry=bool(flags & ENTRY),
        waits=bool(flags & WAITS),
        part=bool(flags & PART),
        detached=next((word for flag, word in _DETACHED.items() if flags & flag), ""),
    )


def flags_of(node: Node | RawNode) -> int:
    """Return the flags of the place that a node stands at."""
    if isinstance(node, RawNode):
        raw = node.flags
        return (
            (ENTRY if node.entry else 0)
            | (WAITS if raw & layout.FLAG_WAITS else 0)
            | (PART if raw & layout.FLAG_PART else 0)
            | (FLAT if raw & layout.FLAG_FLAT else 0)
            | (SITED if raw & layout.FLAG_SITED else 0)
            | (CONCURRENT if raw & layout.FLAG_CONCURRENT else AFTER if raw & layout.FLAG_AFTER else 0)
        )
    return (
        (ENTRY if node.entry else 0)
        | (WAITS if node.waits else 0)
        | (PART if node.part else 0)
        | (FLAT if node.flat else 0)
        | (SITED if node.sited else 0)
        | {"": 0, "concurrent": CONCURRENT, "after": AFTER}.get(node.detached, 0)
    )


def _counts_of(node: Node | RawNode) -> Counts:
    if not isinstance(node, RawNode):
        return Counts([*_sums_of(node)], [*map(int, _peaks_of(node))], node.min_ns, dict(node.buckets))
    transactions, most, repeated, repeated_calls, repeated_ns, most_repeated = node.per
    measured, stands_for, duration_ns, own_ns, beside_ns = node.computing
    sums = [
        node.calls,
        node.errors,
        node.total_ns,
        node.self_ns,
        node.untimed,
        node.interrupted,
        node.active_ns,
        node.steps,
        transactions,
        repeated,
        repeated_calls,
        repeated_ns,
        measured,
        stands_for,
        duration_ns,
        min(own_ns, duration_ns),
        beside_ns,
    ]
    peaks = [node.max_ns, most, most_repeated, int(bool(node.flags & layout.FLAG_GIVEN_UP))]
    return Counts(sums, peaks, min(node.min_ns, node.max_ns), dict(node.buckets))


def _of_status(row: Status | RawStatus) -> Counts:
    counts = Counts(peaks=[row.max_ns, 0, 0, 0], min_ns=row.min_ns, buckets=dict(row.buckets))
    for at, value in zip(_OF_STATUS, (row.calls, row.errors, row.interrupted, row.untimed, row.total_ns), strict=True):
        counts.sums[at] = value
    return counts
