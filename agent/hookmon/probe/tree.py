"""Nodes and lanes of the pure engine; `_engine` has its own of the same shape.

In: places in the shard. Out: small objects that the hot path reads. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.histogram import SUB_BUCKETS
from hookmon.core.plan import CLIENT_KINDS

SCRATCH_LANE = layout.SCRATCH + 1
SCRATCH_TOTAL = layout.SCRATCH + layout.LANE_WORDS + 2
SCRATCH_BUCKET = SCRATCH_TOTAL + layout.NODE_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.target import Span

_NEVER_NS = 1 << 62


class _ScratchBuckets(dict[int, int]):
    """Buckets of a node that is not written any more: every duration lands in the scratch record."""

    def __missing__(self, bucket: int) -> int:
        return SCRATCH_BUCKET

    def __contains__(self, bucket: object) -> bool:
        return True


_scratch_buckets = _ScratchBuckets()
no_children: dict[Span, Node | None] = {}
"""Children of retired nodes; stays empty."""


def blank_words() -> memoryview:
    """Return a memory that nobody reads, large enough for the scratch record."""
    return memoryview(bytearray(8 * (layout.SCRATCH + layout.SCRATCH_WORDS))).cast("Q")


class Node:
    """One place in the call tree.

    `number` is its record's, `total` the index of its total (minimum and maximum follow), `slot` its offset in a lane.
    `children` maps a span to its node, or to None where a span is not recorded because one of its kind is already open.
    `buckets` maps a bucket to the index of its counter, `per` is the index of its calls per transaction, 0 where there are none
    yet. `floor_ns` is what a transaction has to exceed to be among the slowest. `skip` is 0 where all calls are timed, else it
    counts up to the next one that is (see `overhead`).
    """

    __slots__ = (
        "buckets",
        "children",
        "depth",
        "entry",
        "floor_ns",
        "max_ns",
        "min_ns",
        "number",
        "parent",
        "per",
        "skip",
        "slot",
        "span",
        "total",
    )

    def __init__(self, parent: Node | None, span: Span | None, number: int, at: int, depth: int) -> None:
        self.parent = parent
        self.span = span
        self.number = number
        self.total = at + layout.NODE_TOTAL_NS
        self.depth = depth
        self.slot = 2 * min(depth, layout.LANE_DEPTH - 1)
        self.children: dict[Span, Node | None] = {}
        self.buckets: dict[int, int] = {}
        self.min_ns = _NEVER_NS
        self.max_ns = -1
        self.skip = 0
        self.entry = span is not None and span.target.entry
        self.per = 0
        self.floor_ns = 0

    def add_octave(self, octave: int, first: int) -> None:
        """Say where the buckets of an octave are."""
        buckets = self.buckets  # first: a node that is retired meanwhile has others, which stay as they are
        start = octave * SUB_BUCKETS
        if self.number:
            buckets.update(zip(range(start, start + SUB_BUCKETS), range(first, first + SUB_BUCKETS), strict=True))

    def retire(self) -> None:
        """Send whatever is still to be written into the scratch record: the calls belong to the parent process."""
        self.number = self.per = 0
        self.total = SCRATCH_TOTAL
        self.slot = 0
        self.buckets = _scratch_buckets
        self.children = no_children
        self.parent = None


class Lane:
    """One logical line of execution. `base` is the index of its first pair in the shard; `task` is None for a thread's own.

    `trace` is where its calls are noted while a transaction is open, else None; `moved` maps nodes that open calls know to those
    that stand for them since the transaction got its name, and is None most of the time.
    """

    __slots__ = ("base", "moved", "node", "task", "trace")

    def __init__(self, base: int, task: int | None, node: Node) -> None:
        self.base = base
        self.node = node
        self.task = task
        self.trace: Any = None
        self.moved: dict[Node, Node] | None = None


class Ending:
    """Lives in a thread's own storage and gives its lane back when the thread ends."""

    __slots__ = ("_free", "_lane")

    def __init__(self, lane: Lane, free: Callable[[Lane], None]) -> None:
        self._lane = lane
        self._free = free

    def __del__(self) -> None:
        self._free(self._lane)


def is_covered(parent: Node, span: Span) -> bool:
    """Say whether a span of the same client kind is open around: requests over urllib3 over http.client is one call."""
    kind = span.target.kind
    if kind not in CLIENT_KINDS or span.target.nested:
        return False
    around: Node | None = parent
    while around is not None and around.span is not None:
        if around.span.target.kind == kind and not around.span.target.nested:
            return True
        around = around.parent
    return False
