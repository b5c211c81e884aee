"""What the records of a shard say, as plain values: nodes, examples and lanes. Runs in the launcher; `shards` makes them."""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.record import Record, field

LARGEST = layout.LARGEST_COUNT

NO_SUMS = {
    kind: (0,) * (words - 1) for kind, words in ((layout.PER, layout.PER_WORDS), (layout.COMPUTING, layout.COMPUTING_WORDS))
}
"""Records of sums that stand beside a node: {type: their words where there is none}."""


class RawNode(Record, slots=True):
    """A node as it stands in the shard. `parent` is an index into the shard's nodes, -1 for a root."""

    parent: int
    name: str
    kind: str
    target: str
    call_site: str
    flags: int  # layout.FLAG_…
    total_ns: int
    min_ns: int
    max_ns: int
    active_ns: int
    errors: int
    interrupted: int
    steps: int
    untimed: int
    buckets: dict[int, int] = field(default_factory=dict)
    per: tuple[int, ...] = NO_SUMS[layout.PER]  # layout.PER_… from PER_TRANSACTIONS on
    computing: tuple[int, ...] = NO_SUMS[layout.COMPUTING]  # layout.COMPUTING_… from COMPUTING_MEASURED on
    in_flight_ns: int = 0  # filled in by `merge.measure`
    self_ns: int = 0  # the same
    _calls: int = field(default=-1, init=False)

    @property
    def calls(self) -> int:
        """How many calls were completed, timed or not."""
        if self._calls < 0:
            self._calls = sum(self.buckets.values()) + self.untimed
        return self._calls

    @property
    def entry(self) -> bool:
        """Say whether it is a transaction, unless there is one above it."""
        return bool(self.flags & layout.FLAG_ENTRY)

    def is_possible(self, age_ns: int) -> bool:
        """Say whether a process of that age can have counted this.

        A call is in its bucket a moment after its error is counted, in each of the lanes.
        """
        calls = self.calls
        return (
            calls * layout.SHORTEST_CALL_NS <= age_ns
            and self.errors + self.interrupted <= calls + layout.MOST_LANES
            and self.max_ns <= age_ns
            and self.total_ns <= (calls + layout.MOST_LANES) * age_ns
        )

    def clear(self) -> None:
        """Take away what was counted; the node stays where it is, for those below it."""
        self.buckets = {}
        self._calls = 0
        self.total_ns = self.min_ns = self.max_ns = self.active_ns = 0
        self.errors = self.interrupted = self.steps = self.untimed = 0
        self.per, self.computing = NO_SUMS[layout.PER], NO_SUMS[layout.COMPUTING]


class RawStatus(Record):
    """The requests of a name with one status. `node` is an index into the shard's nodes.

    `status` is 1 to 9 for all of a class, "5xx", that are not counted one by one, and 0 for those without one.
    """

    node: int
    status: int
    errors: int
    interrupted: int
    untimed: int
    total_ns: int
    min_ns: int
    max_ns: int
    buckets: dict[int, int]

    @property
    def calls(self) -> int:
        """How many requests were completed, timed or not."""
        return sum(self.buckets.values()) + self.untimed

    def is_possible(self, age_ns: int) -> bool:
        """Say whether a process of that age can have counted this."""
        calls = self.calls
        return calls * layout.SHORTEST_CALL_NS <= age_ns and self.max_ns <= age_ns and self.total_ns <= calls * age_ns


class RawExample(Record):
    """One transaction, whole. `spans` are (index of the node, lane, start since the transaction's, duration), by their starts.

    `computed_ns` is its CPU time, -1 where that was not measured. `failed` are the places of the spans that have raised. `flags`
    are layout.EXAMPLE_IS_… and EXAMPLE_HAS_FAILED; `window` is 0 where it is kept for the run as a whole. `ids` are the trace's
    in two halves, its own, its caller's or 0, and the trace's flags.
    """

    node: int
    started_ns: int
    duration_ns: int
    status: int
    left_out: int
    spans: list[tuple[int, int, int, int]]
    computed_ns: int = -1
    failed: list[int] = field(default_factory=list)
    flags: int = layout.EXAMPLE_IS_SLOW
    window: int = 0
    window_ns: int = 0
    error: str = ""
    started_at_ns: int = 0  # since 1970
    ids: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)


class RawLane(Record):
    """What one lane was doing: (index of the node, when it began), outermost first."""

    ident: int
    kind: str
    stack: list[tuple[int, int]]
