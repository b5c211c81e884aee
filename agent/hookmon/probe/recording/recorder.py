"""The pure engine's memory: call tree, lanes and the shard that they are written to.

In: wrappers that enter and leave spans. Out: words in the shard. Runs in the watched process, in whatever thread, task or
greenlet calls; owns all state of the engine. Wrappers read its globals on the hot path; its functions are for rare moments.

A call allocates nothing. Its node stands among its parent's children, and knows the index of its counters and of its slot in a
lane. `words` and `since` are the same memory; `since` begins one word later, which saves an addition in each call.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from hookmon.core import layout
from hookmon.core.histogram import SUB_BUCKETS, bucket_of
from hookmon.core.plan import CALLS_A_LOOK
from hookmon.probe.base.guard import after_fork, serialise, shielded
from hookmon.probe.base.private import monotonic_ns, os
from hookmon.probe.base.target import Span
from hookmon.probe.engine import NAME, choose
from hookmon.probe.recording import native_forks, tree
from hookmon.probe.recording.arena import Place
from hookmon.probe.recording.switching import GreenletStorage
from hookmon.probe.recording.tree import Lane, Node, Spares, blank_words

_UNTIMED = layout.NODE_UNTIMED - layout.NODE_TOTAL_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.recording.arena import Arena

root = Node(None, None, 0, 0, -1)  # parent of each lane's outermost spans

current: Any = tree.CurrentLane()
"""`current.lane` is the Lane of the running thread, task or greenlet; AttributeError until the first span."""

_lane_kind = "thread"
_current_greenlet: Callable[[], object] = object
wrapt_folder = ""  # where wrapt is when the program has none; set before `calls` is loaded

words = blank_words()
since = words[1:]

_pid = os.getpid()  # of the process that all this belongs to
_arena: Arena | None = None
_opened = False  # one try a process: a run folder that is gone or full stays so
_place: Place | None = None
_nodes: list[Node] = []
_flat: dict[Span, Node | None] = tree.Children()
forks = 0  # how often this process is a fork of one that recorded: what was begun before belongs to the parent
joining = False  # a call at the root of its lane may belong to a transaction: from the first transaction on
_lanes: list[Lane] = []
all_lanes = _lanes.copy
_spares = Spares(root)


def start(folder: str, version: str) -> None:
    """Begin recording into a run folder, in this process and its forks. Tries again where that has failed before.

    Without a shard (the folder is gone, full or another user's) nothing is kept; the collector sees that and says so.
    """
    global _place, _pid, _opened
    _pid, _opened = os.getpid(), False
    if _place is None:
        _place = Place(folder, version)
        if NAME == "pure":
            native_forks.follow_uwsgi(_begin_anew, lambda: _pid)
    _open()


def arena() -> Arena | None:
    """Return the shard of this process, None where there is none."""
    if os.getpid() != _pid:
        notice_fork()
    return _arena


def open_arena() -> Arena | None:
    """Return the shard of this process, which is made where there is none yet; None where none can be made."""
    _open()
    return _arena


def _open() -> None:
    global _arena, _opened
    if os.getpid() != _pid:
        notice_fork()
    if _opened or _place is None:
        return
    _opened = True
    of_fork = forks
    arena = _place.new_shard()
    if arena is None:
        return
    if forks != of_fork:  # a signal handler has forked in between: this one is the parent's
        arena.close_in_child()
        _open()
    else:
        _arena = arena
        _write_to(arena.words, arena)


def _write_to(memory: memoryview, of: Arena | None) -> None:
    """Make a memory the one that all counters are in; that of a shard, forks of this process would write into, too."""
    global words, since
    words, since = memory, memory[1:]
    tree.set_words(memory, of is not None)
    tree.use_records(of, _nodes, _flat)


def all_nodes() -> list[Node]:
    """Return every node of this process."""
    return [node for node in (*_nodes, *_flat.values()) if node is not None]


@after_fork
def _after_fork() -> None:
    """Begin anew in a child. Where another handler of the fork has made a watched call, that has been done already."""
    if not native_forks.was_noticed():
        _begin_anew()


def notice_fork() -> None:
    """Begin anew in a child that was forked in C, of which Python tells nobody.

    The C library tells the compiled engine before it counts anything. The pure one compares process numbers before it makes a
    node, lane or bucket, and until then counts calls of known nodes into the parent's shard.
    """
    native_forks.notice()
    lane = getattr(current, "lane", None) if NAME == "pure" else None
    _begin_anew()
    _open()
    if NAME == "pure" and _arena is not None:
        _arena.note("fork in C", native_forks.LATENESS)
    if lane is not None and lane.node is root:  # that of a caller who is about to enter a call
        lane.base = enter_thread().base
        current.lane = lane
        _lanes.append(lane)


def _begin_anew() -> None:
    """Give up the parent's shard, in a forked child. The next call makes a new one.

    Calls that are open go on, and end in the scratch record: the parent counts them. A child of root gets its shard at once: it
    may change its user, its root folder and its descriptors before its first call.
    """
    global _arena, _opened, _pid, forks
    _pid = os.getpid()
    forks += 1
    if _arena is not None:
        _arena.close_in_child()
    _arena, _opened = None, False
    forget_all(blank_words())
    if os.geteuid() == 0:
        _open()


def forget_all(memory: memoryview) -> None:
    """Let what was begun go on for nobody, in a memory that nobody reads."""
    global current
    _write_to(memory, None)
    for node in all_nodes():
        node.span.target.forget_nodes()
        node.retire()
    for lane in _lanes:
        lane.base = layout.SCRATCH_LANE
    root.children.clear()
    for kept in (_nodes, _flat, _lanes, _spares):
        kept.clear()
    tree.after_fork()
    if _lane_kind == "greenlet":
        _begin_greenlets()
    else:
        current = type(current)()
    native_forks.forget()


def new_node(parent: Node, span: Span) -> Node | None:
    """Return the node of a span under a parent, which is made now; None when the span is not to be recorded there.

    Raises RecursionError below DEEPEST open calls: each takes 1.2 kB of the C stack, which CPython 3.11 does not guard.
    """
    if parent.depth >= layout.DEEPEST:
        raise RecursionError("maximum recursion depth exceeded")
    return _new_node(parent, span)


@shielded(None)
def _new_node(parent: Node, span: Span) -> Node | None:
    _open()
    if parent.number == 0:
        parent = root  # of a forked child, or the root itself
    if span in parent.children:
        return parent.children[span]
    if tree.is_covered(parent, span):
        parent.children[span] = None
        return None
    if len(_nodes) >= layout.MOST_NODES or parent.children is _flat:
        return flat_node(span)
    parent, outer = tree.fold(parent, span)
    node = _record_node(parent, span, 0 if outer is None else layout.FLAG_FOLDED)
    if node is None:
        return flat_node(span)
    if not node.number and _arena is not None:  # retired: a signal handler has forked in between, the next call finds its own
        return node
    return tree.add_child(parent, span, node, outer)


@shielded(None)
def flat_node(span: Span) -> Node:
    """Return the one node that counts a span wherever it is called: once the tree is full, or where calls lie too deep."""
    node = _flat.get(span)
    if node is None:
        node = _record_node(root, span, layout.FLAG_FLAT)
        if node is None:  # not even room for that
            node = Node(root, span, 0, 0, 0)
            node.retire()
        node.slot = 2 * (layout.LANE_DEPTH - 1)
        node.children = _flat
        node = _flat.setdefault(span, node) or node
    return node


def _record_node(parent: Node, span: Span, flags: int) -> Node | None:
    """Return a new node with its record in the shard, None where there is no shard or no space."""
    arena = _arena
    if arena is None:
        node = Node(parent, span, 0, 0, parent.depth + 1)
        node.retire()
        return node
    tree.allow_depth_of(parent, span)
    number, at = arena.node(parent.number, span, flags)
    if not at:
        return None
    node = Node(parent, span, number, at, parent.depth + 1)
    node.skip = int(span.target.is_sampled)
    _nodes.append(node)
    span.target.keep(node, flags)
    if arena is not _arena:  # a signal handler has forked in between
        node.retire()
    return node


def join_from_now_on() -> None:
    """Let calls at the root of their lane ask whether they belong to a transaction."""
    global joining
    if not joining:
        joining = True
        tree.join_from_now_on()
        outermost: list[Any] = [node for node in all_nodes() if node.parent is root] if NAME == "compiled" else []
        for node in outermost:  # those that are made from now on know it
            node.is_outermost = True


def new_bucket(node: Node, duration_ns: int) -> int:
    """Make an octave of a node; return the index of a duration's counter in it. Without space it is that of untimed calls."""
    arena = _arena
    place = _new_bucket(node, duration_ns)
    return place if place and arena is _arena else node.total + _UNTIMED  # a signal handler may have forked in between


@shielded(0)
def _new_bucket(node: Node, duration_ns: int) -> int:
    bucket = bucket_of(duration_ns)
    octave = bucket // SUB_BUCKETS
    shard = arena()
    at = shard.record(layout.BUCKETS, node.number, [octave], SUB_BUCKETS) if shard is not None and node.number else 0
    if not at:
        return 0
    node.add_octave(octave, at + layout.BUCKETS_FIRST)
    return at + layout.BUCKETS_FIRST + bucket % SUB_BUCKETS


_spare_lane = Lane(layout.SCRATCH_LANE, None, root)  # where there was no memory for a lane


@shielded(_spare_lane)
def new_lane(task: int | None = None) -> Lane:
    """Return a lane for the running thread or greenlet, or for the task with the given identity."""
    base, shard = 0, arena()
    if shard is not None:
        kind = shard.string("task" if task is not None else _lane_kind)
        lane = _spares.take()
        if lane is not None:
            words[lane.base + layout.LANE_IDENT - layout.LANE_FIRST] = get_ident()
            words[lane.base + layout.LANE_KIND - layout.LANE_FIRST] = kind
            lane.task = task
            return lane
        if len(_lanes) < layout.MOST_LANES:
            at = shard.record(layout.LANE, len(_lanes) + 1, [get_ident(), kind, *[0] * (1 + 2 * layout.LANE_DEPTH)])
            base = at and at + layout.LANE_FIRST
    lane = Lane(base or layout.SCRATCH_LANE, task, root)
    if base:
        _lanes.append(lane)
        if shard is not _arena:  # a signal handler has forked in between
            lane.base = layout.SCRATCH_LANE
    else:
        words[layout.HEADER_HIDDEN_LANES] += 1
    return lane


@shielded(None)
def free_lane(lane: Lane) -> None:
    """Take back the lane of a task or thread that has ended. The next one gets it."""
    _spares.give(lane)


@shielded(_spare_lane)
def enter_thread() -> Lane:
    """Return the lane of a thread or greenlet that has none yet."""
    _open()
    lane = current.lane = new_lane()
    if _lane_kind == "thread":
        follow_thread(lane)
    return lane


@choose
def follow_thread(lane: Lane, /) -> None:
    """Take the lane of the running thread back when the thread ends."""
    _spares.follow_thread(lane)


def use_greenlets() -> None:
    """Keep a lane for each greenlet instead of each thread, from now on: the program has imported greenlet."""
    global _current_greenlet, _lane_kind
    if _lane_kind != "greenlet":
        lane = getattr(current, "lane", None)
        _current_greenlet = sys.modules["greenlet"].getcurrent
        _lane_kind = "greenlet"
        _begin_greenlets()
        if lane is not None and lane.node is not root:  # what is open in this thread, such as the import of greenlet itself
            current.lane = lane


def _begin_greenlets() -> None:
    global current
    current = GreenletStorage(_current_greenlet, root, free_lane)
    tree.use_greenlets(_current_greenlet, current.lanes)


@serialise
def charge_call_since(node: Node, start_ns: int, error: BaseException | None) -> int:
    """Count a plain call that ends now, charge its time to its node, and return it. `error` is what the call raised, or None."""
    duration_ns: int = max(0, monotonic_ns() - start_ns)  # the stamp may be by the engine's clock, microseconds ahead
    words[node.total] += duration_ns
    count_call_and_error(node, duration_ns, error)
    return duration_ns


@serialise
def count_call_and_error(node: Node, duration_ns: int, error: BaseException | None) -> None:
    """Count a completed call and how it ended. Whoever calls this charges the time."""
    count_call(node, duration_ns)
    if error is not None:
        count_error(node, error)


def look(node: Node) -> None:
    """Look at what the target of a node costs. `overhead` puts its own function in this place."""


@choose
def count_call(node: Node, duration_ns: int, /) -> None:
    """Count a completed call. Whoever calls this charges the time."""
    index = bucket_of(duration_ns)
    if index not in node.buckets:
        new_bucket(node, duration_ns)
    bucket = node.buckets[index] if index in node.buckets else node.total + _UNTIMED  # as in calls
    total = node.total
    words[bucket] = count = words[bucket] + 1
    if duration_ns < node.min_ns:
        node.min_ns = words[total + 1] = duration_ns
    if duration_ns > node.max_ns:
        node.max_ns = words[total + 2] = duration_ns
    if not count % CALLS_A_LOOK:
        look(node)


def count_error(node: Node, error: BaseException) -> None:
    """Count how a call ended that did not return.

    StopIteration and its asynchronous twin are how iterators say that they are done, so they count as a return.
    What is no Exception (cancellation, exit, Ctrl-C), or is expected, interrupts a call and is no error of the callee.
    """
    if isinstance(error, StopIteration | StopAsyncIteration):
        return
    offset = layout.NODE_ERRORS if node.span.target.is_error(error) else layout.NODE_INTERRUPTED
    words[node.total + offset - layout.NODE_TOTAL_NS] += 1


@serialise
def charge_call(node: Node, duration_ns: int) -> None:
    """Count a plain call that returned, and charge its time to its node."""
    words[node.total] += duration_ns
    count_call(node, duration_ns)
