"""Nodes and lanes of the pure engine; `_engine` has its own of the same shape.

In: places in the shard. Out: small objects that the hot path reads. Runs in the watched process.
"""

from __future__ import annotations

from _thread import _local
from _weakref import ref

from hookmon.core import layout
from hookmon.core.histogram import SUB_BUCKETS
from hookmon.probe.base.frames import allow_depth, allow_events
from hookmon.probe.engine import choose, compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base.target import Span
    from hookmon.probe.recording.records import Records

_NEVER_NS = 1 << 62


class _ScratchBuckets(dict[int, int]):
    """Buckets of a node that is not written any more: every duration lands in the scratch record."""

    def __missing__(self, bucket: int) -> int:
        return layout.SCRATCH_BUCKET

    def __contains__(self, bucket: object) -> bool:
        return True


_scratch_buckets = _ScratchBuckets()
Children: Any = dict if compiled is None else compiled.Children
"""What maps a span to its node, or to None where a span is not recorded because one of its kind is already open."""

no_children: dict[Span, Node | None] = Children()
"""Children of retired nodes; stays empty."""


def blank_words() -> memoryview:
    """Return memory that nobody reads, large enough for the scratch record."""
    return memoryview(bytearray(8 * (layout.SCRATCH + layout.SCRATCH_WORDS))).cast("Q")


@choose
class Node:
    """One place in the call tree.

    `number` is its record's, `total` the index of its total (minimum and maximum follow), `slot` its offset in a lane.
    `children` maps a span to its node, or to None where a span is not recorded because one of its kind is already open.
    `buckets` maps a bucket to the index of its counter. `per_transaction` is the index of its calls per transaction, `computing`
    that of its CPU time, 0 for none yet. `floor_ns` is what a transaction has to exceed to be among the slowest. `skip` is 0
    where all calls are timed, else it counts up to the next one that is (see `overhead`).
    """

    __slots__ = (
        "buckets",
        "children",
        "computing",
        "depth",
        "entry",
        "floor_ns",
        "max_ns",
        "min_ns",
        "number",
        "parent",
        "per_transaction",
        "skip",
        "slot",
        "span",
        "total",
    )

    def __init__(self, parent: Node | None, span: Span | None, number: int, at: int, depth: int) -> None:
        self.parent = parent
        self.span: Span = span  # type: ignore[assignment]  # only the root has none, and is not asked
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
        self.per_transaction = self.computing = 0
        self.floor_ns = 0

    def add_octave(self, octave: int, first: int) -> None:
        """Say where the buckets of an octave are."""
        buckets = self.buckets  # first: a node that is retired meanwhile has others, which stay as they are
        start = octave * SUB_BUCKETS
        if self.number:
            buckets.update(zip(range(start, start + SUB_BUCKETS), range(first, first + SUB_BUCKETS), strict=True))

    def retire(self) -> None:
        """Send whatever is still to be written into the scratch record: the calls belong to the parent process."""
        self.number = self.per_transaction = self.computing = 0
        self.total = layout.SCRATCH_TOTAL
        self.slot = 0
        self.buckets = _scratch_buckets
        self.children = no_children
        self.parent = None


@choose
class Lane:
    """One logical line of execution. `base` is the index of its first pair in the shard; `task` is None for a thread's own.

    `trace` takes its calls while a transaction is open; else it is None. A transaction that gets its name moves to other nodes:
    `moved` maps the nodes with which open calls began to those where they end. It is None most of the time. `ending` notices the
    end of its thread. `open` has the calls that are known by the events of their code (see wrappers/events), innermost last.
    """

    __slots__ = ("base", "ending", "moved", "node", "open", "task", "trace")

    def __init__(self, base: int, task: int | None, node: Node) -> None:
        self.base = base
        self.node = node
        self.task = task
        self.trace: Any = None  # a Trace, which is of a room above
        self.moved: dict[Node, Node] | None = None
        self.ending: Ending | None = None
        self.open: list[Any] = []

    def forget_calls(self) -> None:
        """Let go of calls that are known by events and of whose end nobody will tell."""
        self.open.clear()


class Presence:
    """Lives in a thread's own storage, and so as long as the thread."""

    __slots__ = ("__weakref__",)


class Ending(ref[Presence]):
    """Weak reference to the Presence of a thread: it dies with the thread, and `lane` is free then."""

    __slots__ = ("lane",)

    lane: Lane


class Spares:
    """Lanes of threads and tasks that have ended, for the next ones."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._storage = _local()
        self._found: list[Lane | Ending] = []
        self.clear = self._found.clear

    def take(self) -> Lane | None:
        """Return a lane, None where there is none."""
        while self._found:
            try:
                found = self._found.pop()
            except IndexError:  # another thread has taken it
                break
            if isinstance(found, Ending):
                found = found.lane
                self._empty(found)
            if found.base != layout.SCRATCH_LANE:  # else it is of a thread that was there before a fork
                return found
        return None

    def give(self, lane: Lane) -> None:
        """Take a lane back."""
        self._empty(lane)
        if lane.base != layout.SCRATCH_LANE:
            self._found.append(lane)

    def _empty(self, lane: Lane) -> None:
        lane.node = self._root
        lane.trace = None
        lane.forget_calls()

    def follow_thread(self, lane: Lane) -> None:
        """Take the lane of the running thread back when the thread ends.

        This calls no Python code. A forked child ends the other threads before it handles signals from before the fork; Python
        code at that moment would let the program's handlers run too early.
        """
        self._storage.presence = presence = Presence()
        lane.ending = Ending(presence, self._found.append)
        lane.ending.lane = lane


def is_covered(parent: Node, span: Span) -> bool:
    """Say whether an open span around it counts the same thing, so that this one is not to be recorded.

    requests calls urllib3, which calls http.client: that is one call. A server calls a middleware, which calls an application:
    that is one request. A statement that goes by HTTP is one statement.
    """
    target = span.target
    if not target.may_be_covered:
        return False
    around: Node | None = parent
    while around is not None and around.span is not None:
        outer = around.span.target
        if outer.kind in (target.kind, target.carrier) and outer.entry == target.entry and not outer.nested:
            return True
        around = around.parent
    return False


def fold(parent: Node, span: Span) -> tuple[Node, Node | None]:
    """Return (node below which a span's node is made, node of a call around it that it is a recursion of or None).

    Where all own functions are watched a recursion is one place: what is called in an inner call is called in the outer one.
    """
    if parent.span is not None and parent.parent is not None and parent.span.target.recursions:
        parent = _find_outer(parent.parent, parent.span) or parent
    return parent, _find_outer(parent, span)


def _find_outer(above: Node, span: Span) -> Node | None:
    """Return the node of an own function's span that is `above` or further up.

    None in a transaction: when it gets its name, its open calls are found by what is above them.
    """
    outer: Node | None = None
    if span.target.nodes:
        node: Node | None = above
        while node is not None and node.span is not None:
            if node.entry:
                return None
            if node.span is span and outer is None:
                outer = node
            node = node.parent
    return outer


def add_child(parent: Node, span: Span, node: Node, outer: Node | None) -> Node | None:
    """Make a node its parent's child, and what is called in it a child of `outer`, where it is a recursion; return the child."""
    if outer is not None:
        node.children = outer.children
    child = parent.children.setdefault(span, node)
    untrack(node, parent.children)
    return child


def allow_depth_of(parent: Node, span: Span) -> None:
    """Let the program recurse as deep as without us, where a node is made for a span under a parent."""
    if span.target.flags & _BY_CODE:
        allow_events(parent.depth + 1)
        return
    wrappers = 1
    above: Node | None = parent
    while above is not None and above.span is not None:
        wrappers += not above.span.target.flags & _BY_CODE
        above = above.parent
    allow_depth(wrappers)


_BY_CODE = layout.FLAG_BY_EVENTS | layout.FLAG_BY_SLOT
"""A target with one of these has no frame of ours."""


# What the compiled engine is told; the pure one finds it in `recorder`.


@choose
def set_words(view: memoryview, shared: bool, /) -> None:
    """Write into a memory from now on; `shared`: forks of this process would write into it, too."""


@choose
def use_records(records: Records | None, nodes: list[Node], flat: dict[Span, Node | None], /) -> None:
    """Write new places of the call tree there, from now on; None: they are made by `recorder`. It has the other two."""


@choose
def cover_words() -> None:
    """Put memory of our own over the shard, for good: it is read by nobody any more, and takes no room."""


@choose
def untrack(*objects: object) -> None:
    """Keep objects of ours from the garbage collector: thousands of them, which stay, would slow each collection."""


@choose
def after_fork() -> None:
    """Forget the lanes of the parent process."""


@choose
def join_from_now_on() -> None:
    """Let calls at the root of their lane ask whether they belong to a transaction."""


@choose
def use_greenlets(getcurrent: Callable[[], object], lanes: dict[int, Lane], /) -> None:
    """Keep lanes by greenlet."""


CurrentLane = choose(_local, "CurrentLane")
"""Storage of a thread's own, whose `lane` is the Lane of the running thread, task or greenlet."""
