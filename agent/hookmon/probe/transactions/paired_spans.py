"""Spans with two ends: what the call of one function begins and the call of another one ends, as an epoch or a batch.

In: word of the calls of both, on the same object. Out: a span that is open in the caller's lane in between, a transaction where
the watch says so. Runs in the watched process, in both engines.

Between the two lies code of the program, and it may never come to the end: an exception, a `break`, a forgotten call. So nothing
of the program is kept, and an open stretch ends with the first of these: its end; the end of a stretch around it; the return of
the watched call in which it has begun, of which the engines tell (`end_left`); the next begin at the same place. All
but the first count it as interrupted, or as an error where an exception has ended the call around it.
"""

from __future__ import annotations

from _weakref import ref

from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.recording import native_forks, recorder
from hookmon.probe.recording.switching import running_task
from hookmon.probe.transactions.context import begin, join
from hookmon.probe.transactions.traces import outcome_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hookmon.probe.base.shapes import Args, Closable, KwArgs
    from hookmon.probe.base.target import Span
    from hookmon.probe.naming.names import FindSpan
    from hookmon.probe.recording.tree import Lane, Node

    Key = Lane | int

_MOST_OPEN = 32  # in one lane
_MOST_PLACES = 10_000

_open: dict[Key, list[Stretch]] = {}
"""What is open, outermost first, by lane; in a task that has no lane of its own, where only counts are known, by the task."""


class Stretch:
    """One open span. `around` is the watch's number; `owner` returns the object of its calls, or None once that is gone."""

    __slots__ = ("around", "ended_ns", "lane", "node", "opened", "owner", "owner_id", "owns_lane", "parent", "started_ns")

    def __init__(self, around: int, owner: object, lane: Lane, owns_lane: bool) -> None:
        self.around = around
        self.owner = _reference(owner)
        self.owner_id = id(owner)
        self.lane = lane
        self.owns_lane = owns_lane
        self.parent: Node = lane.node
        self.node = recorder.root
        self.opened: Closable | None = None
        self.started_ns = 0
        self.ended_ns = 0  # set while it waits for the return of a watched call that its end was called in

    @property
    def place(self) -> Node:
        """Its node, or the one that stands for it since its transaction got its name."""
        moved = self.lane.moved
        return self.node if moved is None else moved.get(self.node, self.node)

    def is_of(self, around: int, owner: object) -> bool:
        """Say whether these are the two ends of one stretch."""
        return self.around == around and self.owner_id == id(owner) and self.owner() is not None and not self.ended_ns

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
            self.opened = begin(lane, node)
        self.node = node
        self.started_ns = clock()
        slot = lane.base + node.slot
        recorder.since[slot] = self.started_ns
        recorder.words[slot] = node.number
        lane.node = node
        return True

    def end(self, ended_ns: int, error: BaseException | None) -> None:
        """Count the stretch. Where its lane is somewhere else by now, in the hands of another thread say, that stays there."""
        lane, node, parent = self.lane, self.place, self.parent
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
                lane.trace.add(node, self.started_ns, duration_ns, outcome_of(error))
            if self.opened is not None:
                self.opened.close()
            if self.owns_lane:
                recorder.free_lane(lane)
        elif self.opened is not None and hasattr(self.opened, "ended"):
            self.opened.ended = True


class Ends:
    """The two ends of one watch: what is to be told of the calls of its functions."""

    def __init__(self, around: int, find: FindSpan | None, is_method: bool) -> None:
        """`around` is the watch's number. `find` is the name of a stretch by the call that begins it."""
        self._around = around
        self._find = find
        self._is_method = is_method

    @shielded(None)
    def begun(self, args: Args, kwargs: KwArgs, _result: object) -> None:
        """Open a stretch: its first function is about to run."""
        place, lane = _here()
        owner = self._owner(args)
        for _ in range(_over(_open.get(place, ()), self._around, owner)):
            _end_innermost(place, clock(), GeneratorExit())
        stretches = _open.get(place, [])
        if len(stretches) >= _MOST_OPEN or len(_open) >= _MOST_PLACES or self._find is None:
            return
        lane = recorder.new_lane(place) if isinstance(place, int) else lane
        stretch = Stretch(self._around, owner, lane, owns_lane=isinstance(place, int))
        if stretch.open(self._find(args, kwargs)):
            stretches.append(stretch)
            _open[place] = stretches

    @shielded(None)
    def ended(self, args: Args, _kwargs: KwArgs, _result: object) -> None:
        """End a stretch, and what is open inside it: its last function has returned."""
        if not _open:
            return
        now_ns = clock()
        place, _ = _here()
        owner = self._owner(args)
        stretches = _open.get(place, [])
        stretch = next((stretch for stretch in reversed(stretches) if stretch.is_of(self._around, owner)), None)
        if stretch is None:
            return
        if not _is_below(stretches[-1].place, stretches[-1].lane.node, or_same=True):
            stretch.ended_ns = now_ns  # a watched call is open inside
            return
        while stretches[-1] is not stretch:
            _end_innermost(place, now_ns, GeneratorExit())
        _end_innermost(place, now_ns, None)

    def _owner(self, args: Args) -> object:
        return args[0] if self._is_method and args else None


@shielded(None)
def end_left(lane: Lane, node: Node, error: type | None) -> None:
    """End what was begun in a watched call, which ends now, of a type of error or without one. The engines ask for it."""
    now_ns = clock()
    is_error = error is not None and issubclass(error, Exception) and not issubclass(error, StopIteration | StopAsyncIteration)
    while lane in _open and _is_below(_open[lane][-1].place, node):
        _end_innermost(lane, now_ns, Exception() if is_error else GeneratorExit())


def _here() -> tuple[Key, Lane]:
    """Return the key of what is open here and the lane. The key is a task where a stretch has to have a lane of its own."""
    try:
        lane = recorder.current.lane
    except AttributeError:
        lane = recorder.enter_thread()
    task = running_task()
    return (task if task and lane.task != task else lane), lane


def _end_innermost(place: Key, ended_ns: int, error: BaseException | None) -> None:
    stretches = _open[place]
    stretch = stretches.pop()
    if not stretches:
        del _open[place]
    stretch.end(ended_ns, error)


def _over(stretches: Sequence[Stretch], around: int, owner: object) -> int:
    """Return how many of the innermost that are open cannot end any more, where another one begins.

    Their object is gone, or their lane has moved on, or the same begins again and no watched call lies in between: in one that
    does, a callback say, there may be a whole training.
    """
    over = 0
    inner: Node | None = None
    is_direct = True
    for number, stretch in enumerate(reversed(stretches), 1):
        place, lane = stretch.place, stretch.lane
        is_direct = is_direct and place is (lane.node if inner is None else inner.parent)
        is_lost = stretch.owner() is None or not _is_below(lane.node, place, or_same=True)
        is_again = is_direct and stretch.is_of(around, owner)
        if is_again or (over == number - 1 and (is_lost or (is_direct and stretch.ended_ns))):
            over = number
        inner = place
    return over


def _is_below(node: Node | None, above: Node | None, *, or_same: bool = False) -> bool:
    """Say whether a node is in the tree below another one."""
    outer = node if or_same else node and node.parent
    while outer is not None and outer is not above:
        outer = outer.parent
    return outer is not None


def _reference(owner: object) -> Callable[[], object]:
    """Return what tells whether an object is still there; of types without weak references it is taken for granted."""
    try:
        return ref(owner)
    except TypeError:
        return _granted


def _granted() -> bool:
    return True


native_forks.forgetters.append(_open.clear)  # what was begun before belongs to the parent
