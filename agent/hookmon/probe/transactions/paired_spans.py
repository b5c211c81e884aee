"""Paired spans: the call of one function begins a span and the call of another function ends it, as with an epoch or a batch.

In: notifications from both functions, whose calls are on the same object. Out: a span that is open in the caller's lane in
between, and a transaction where the watch says so. Runs in the watched process, in both engines.

Between the two calls runs code of the program, and it may never come to the second call: an exception, a `break`, a forgotten
call. So nothing of the program is kept. An open span ends with the first of these: its own end; the end of a paired span around
it; the return of the watched call in which it has begun, where the engines call `close_abandoned`; the next begin at the same
place. Only the first counts as a return. The others count it as interrupted, or as an error where an exception has ended the call
around it.
"""

from __future__ import annotations

from _weakref import ref

from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.recording import control, native_forks, recorder
from hookmon.probe.recording.switching import running_task
from hookmon.probe.transactions.context import begin, join
from hookmon.probe.transactions.traces import outcome_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hookmon.probe.base.shapes import Args, Closable, KwArgs
    from hookmon.probe.base.target import Span, Target
    from hookmon.probe.naming.names import FindSpan
    from hookmon.probe.recording.tree import Lane, Node

    Key = Lane | int

_MOST_OPEN = 32  # in one lane
_MOST_PLACES = 10_000

_open: dict[Key, list[PairedSpan]] = {}
"""Open spans, outermost first, by lane; by the task where a task has no lane of its own."""


class PairedSpan:
    """One open span. `watch_id` is the watch's number; `owner` returns the object of its calls, or None once that is gone."""

    __slots__ = ("ended_ns", "lane", "node", "opened", "owner", "owner_id", "owns_lane", "parent", "started_ns", "watch_id")

    def __init__(self, watch_id: int, owner: object, lane: Lane, owns_lane: bool) -> None:
        self.watch_id = watch_id
        self.owner = _reference(owner)
        self.owner_id = id(owner)
        self.lane = lane
        self.owns_lane = owns_lane
        self.parent: Node = lane.node
        self.node = recorder.root
        self.opened: Closable | None = None
        self.started_ns = 0
        self.ended_ns = 0  # set when its end was called within a watched call: it is counted when that returns

    @property
    def current_node(self) -> Node:
        """Its node. When its transaction gets its name, another node takes that place."""
        moved = self.lane.moved
        return self.node if moved is None else moved.get(self.node, self.node)

    def is_of(self, watch_id: int, owner: object) -> bool:
        """Say whether a call of this watch on this object ends the span."""
        return self.watch_id == watch_id and self.owner_id == id(owner) and self.owner() is not None and not self.ended_ns

    def open(self, span: Span) -> bool:
        """Take a place in the tree, below what is open there; say whether there is one."""
        lane = self.lane
        above = self.parent
        if recorder.joining and above is recorder.root:
            self.opened = join(lane, span)
            above = lane.node
        node = above.children.get(span) or recorder.new_node(above, span)
        if node is None:
            if self.opened is not None:
                self.opened.close()
            return False
        if node.entry and lane.trace is None and self.opened is None:
            opened = self.opened = begin(lane, node)
            if opened is not None and lane.task is not None:
                opened.stands_for = 0  # between begin and end the thread runs other tasks
        self.node = node
        self.started_ns = clock()
        slot = lane.base + node.slot
        recorder.since[slot] = self.started_ns
        recorder.words[slot] = node.number
        lane.node = node
        return True

    def end(self, ended_ns: int, error: BaseException | None) -> None:
        """Count the span. A lane that has moved on by now, in another thread say, stays where it is."""
        lane, node, parent = self.lane, self.current_node, self.parent
        if lane.moved is not None:
            parent = lane.moved.get(parent, parent)
        if self.ended_ns:
            ended_ns, error = self.ended_ns, None
        duration_ns = max(0, ended_ns - self.started_ns)
        recorder.words[node.total] += duration_ns
        recorder.count_call_and_error(node, duration_ns, error)
        if lane.node is node:
            lane.node = parent
            recorder.words[lane.base + node.slot] = 0
            if lane.trace is not None:
                lane.trace.add(node, self.started_ns, duration_ns, outcome_of(error, node))
            if self.opened is not None:
                self.opened.close()
            if self.owns_lane:
                recorder.free_lane(lane)
        elif self.opened is not None and hasattr(self.opened, "ended"):
            self.opened.ended = True


class Endpoints:
    """The two functions of one watch: `begin_span` observes the calls of the first, `end_span` those of the second."""

    def __init__(
        self,
        watch_id: int,
        find: FindSpan | None,
        is_method: bool,
        target: Target | None = None,
        applies: Callable[[Args, KwArgs], bool] | None = None,
    ) -> None:
        """`watch_id` is the watch's number. `find` names a span by the call that begins it; None for the second function.

        `applies` says of a call whether it begins or ends a span at all; None: each does.
        """
        self._target = target
        self._watch_id = watch_id
        self._find = find
        self._is_method = is_method
        self._applies = applies

    @shielded(None)
    def begin_span(self, args: Args, kwargs: KwArgs, _result: object) -> None:
        """Open a span: the first function is about to run."""
        if self._applies is not None and not self._applies(args, kwargs):
            return
        key, lane = _current_key()
        owner = self._owner(args)
        for _ in range(_count_obsolete(_open.get(key, ()), self._watch_id, owner)):
            _end_innermost(key, clock(), GeneratorExit())
        if self._target is not None and control.is_off(self._target):
            return
        open_spans = _open.get(key, [])
        if len(open_spans) >= _MOST_OPEN or len(_open) >= _MOST_PLACES or self._find is None:
            return
        lane = recorder.new_lane(key) if isinstance(key, int) else lane
        paired = PairedSpan(self._watch_id, owner, lane, owns_lane=isinstance(key, int))
        if paired.open(self._find(args, kwargs)):
            open_spans.append(paired)
            _open[key] = open_spans

    @shielded(None)
    def end_span(self, args: Args, kwargs: KwArgs, _result: object) -> None:
        """End a span and the paired spans inside it: the second function has returned."""
        if not _open or (self._applies is not None and not self._applies(args, kwargs)):
            return
        now_ns = clock()
        key, _ = _current_key()
        owner = self._owner(args)
        open_spans = _open.get(key, [])
        paired = next((paired for paired in reversed(open_spans) if paired.is_of(self._watch_id, owner)), None)
        if paired is None:
            return
        if not _is_below(open_spans[-1].current_node, open_spans[-1].lane.node, or_same=True):
            paired.ended_ns = now_ns  # a watched call is open inside
            return
        while open_spans[-1] is not paired:
            _end_innermost(key, now_ns, GeneratorExit())
        _end_innermost(key, now_ns, None)

    def _owner(self, args: Args) -> object:
        return args[0] if self._is_method and args else None


@shielded(None)
def close_abandoned(lane: Lane, node: Node, error: type | None) -> None:
    """End the paired spans that have begun in a watched call. The engines call it when that ends; `error` is its error's type."""
    now_ns = clock()
    is_error = error is not None and issubclass(error, Exception) and not issubclass(error, StopIteration | StopAsyncIteration)
    while lane in _open and _is_below(_open[lane][-1].current_node, node):
        is_expected = error is not None and _open[lane][-1].current_node.span.target.expects(error)
        _end_innermost(lane, now_ns, Exception() if is_error and not is_expected else GeneratorExit())


def _current_key() -> tuple[Key, Lane]:
    """Return the key of the caller in `_open`, and its lane. The key is a task where a span needs a lane of its own."""
    try:
        lane = recorder.current.lane
    except AttributeError:
        lane = recorder.enter_thread()
    task = running_task()
    return (task if task and lane.task != task else lane), lane


def _end_innermost(key: Key, ended_ns: int, error: BaseException | None) -> None:
    open_spans = _open[key]
    paired = open_spans.pop()
    if not open_spans:
        del _open[key]
    paired.end(ended_ns, error)


def _count_obsolete(open_spans: Sequence[PairedSpan], watch_id: int, owner: object) -> int:
    """Count the innermost open spans that a new begin makes obsolete.

    A span is obsolete when its object is gone, when its lane has moved on, or when the same span begins again with no watched
    call open in between. (In such a call, a callback say, a whole training may run.)
    """
    obsolete = 0
    inner: Node | None = None
    is_direct = True
    for number, paired in enumerate(reversed(open_spans), 1):
        node, lane = paired.current_node, paired.lane
        is_direct = is_direct and node is (lane.node if inner is None else inner.parent)
        is_lost = paired.owner() is None or not _is_below(lane.node, node, or_same=True)
        is_again = is_direct and paired.is_of(watch_id, owner)
        if is_again or (obsolete == number - 1 and (is_lost or (is_direct and paired.ended_ns))):
            obsolete = number
        inner = node
    return obsolete


def _is_below(node: Node | None, above: Node | None, *, or_same: bool = False) -> bool:
    """Say whether a node stands below another one in the tree; with `or_same`, also whether it is that one."""
    outer = node if or_same else node and node.parent
    while outer is not None and outer is not above:
        outer = outer.parent
    return outer is not None


def _reference(owner: object) -> Callable[[], object]:
    """Return a function that returns None once an object is gone. A type without weak references counts as there for ever."""
    try:
        return ref(owner)
    except TypeError:
        return _is_there


def _is_there() -> bool:
    return True


native_forks.forgetters.append(_open.clear)  # what was begun before belongs to the parent
