"""Coroutines, timed from their first step to their end. Generators are in `generators`.

In: a coroutine of the program's. Out: a stand-in that drives it and looks like it. Runs in the watched process.

The time of a coroutine is wall time, from its first step to its end. Its steps add up to its active time. The outermost watched
coroutine of a task owns a lane. That is the current lane during its steps only, so tasks that take turns never see each other's
spans.
"""

from __future__ import annotations

from types import CoroutineType

from hookmon.core import layout
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.engine import choose
from hookmon.probe.recording import control, recorder
from hookmon.probe.recording.switching import running_task
from hookmon.probe.transactions.context import Transaction, begin_concurrent_call, join, part_of
from hookmon.probe.transactions.nested import enter
from hookmon.probe.transactions.paired_spans import close_abandoned
from hookmon.probe.transactions.traces import outcome_of

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.base.shapes import Closable, Steps
    from hookmon.probe.base.target import Span
    from hookmon.probe.recording.tree import Lane, Node
    from hookmon.probe.transactions.computing import Part
    from hookmon.probe.transactions.traces import Trace


class Frame:
    """A span that takes several steps: its place in its lane's tree, and the time that it has used."""

    __slots__ = (
        "active_ns",
        "ended",
        "lane",
        "node",
        "opened",
        "origin",
        "outer",
        "owns_lane",
        "parent",
        "part",
        "span",
        "started_ns",
        "stepping",
        "steps",
    )

    def __init__(self, span: Span) -> None:
        self.span = span
        self.node: Node | None = None
        self.lane: Lane | None = None
        self.outer: Lane | None = None
        self.opened: Closable | None = None  # the transaction that this is, or the visit to another one
        self.parent: Node = recorder.root
        self.part: Transaction | Part | None = None  # what measures the CPU time of its steps
        self.origin: object = None  # the traceparent with which an entry's call came
        self.owns_lane = False
        self.stepping = False
        self.ended = False
        self.started_ns = 0
        self.active_ns = 0
        self.steps = 0

    def open(self) -> None:
        """Take a place in the tree: under the span that awaits, or at the root of a new lane for a new task."""
        try:
            lane = recorder.current.lane
        except AttributeError:
            lane = recorder.enter_thread()
        task = running_task()
        if lane.task != task:
            self.outer = lane
            lane = recorder.current.lane = recorder.new_lane(task)
            self.owns_lane = True
        self.lane = lane
        self.parent = parent = lane.node
        if recorder.joining and parent is recorder.root:
            self.opened = join(lane, self.span)
            parent = lane.node
        node = parent.children.get(self.span) or recorder.new_node(parent, self.span)
        self.node = node
        if node is None:
            if self.opened is not None:
                self.opened.close()
                self.opened = None
        elif node.entry:
            self.opened = enter(lane, node, self.opened)
            if self.origin is not None and type(self.opened) is Transaction:
                self.opened.origin = self.origin
        if self.opened is not None:
            self.part = part_of(self.opened)
        self.started_ns = clock()
        if node is not None:
            slot = lane.base + node.slot
            recorder.since[slot] = self.started_ns
            recorder.words[slot] = node.number
            lane.node = node

    def leave_place(self) -> None:
        """Leave the place in the tree, when all has been counted. An owned lane goes to the next task."""
        lane, node = self.lane, self.node
        self.lane = None
        self.ended = True
        if lane is not None:
            if node is not None:
                lane.node = lane.moved.get(self.parent, self.parent) if lane.moved is not None else self.parent
                recorder.words[lane.base + node.slot] = 0
            if self.opened is not None:
                self.opened.close()
                self.opened = None
            if self.owns_lane:
                recorder.free_lane(lane)

    def leave_out(self) -> bool:
        """Record nothing of it, where it has not begun and is switched off; say so. Its steps are the program's own then."""
        if self.lane is None and not self.ended and not self.stepping and control.is_off(self.span.target):
            self.stepping = True  # for good
        return self.stepping

    def follow(self) -> None:
        """Take the new node, where the transaction has got its name meanwhile."""
        lane = self.lane
        if lane is not None and lane.moved is not None and self.node is not None:
            self.node = lane.moved.get(self.node, self.node)

    def enter_step(self) -> None:
        """Make the owned lane the current one. The first step takes a place in the tree. After the end nothing is recorded."""
        if self.lane is None:
            if not self.ended:
                self.open()
        elif self.owns_lane:
            try:
                self.outer = recorder.current.lane
            except AttributeError:
                self.outer = recorder.enter_thread()
            recorder.current.lane = self.lane
        if self.part is not None and self.steps:  # the first one was begun with what was opened
            self.part.begin_part()
        self.stepping = True

    def leave_step(self, started_ns: int) -> None:
        """Give the thread its lane back until the next step."""
        if self.part is not None:
            self.part.end_part()
        self.active_ns += clock() - started_ns
        self.steps += 1
        self.stepping = False
        if self.owns_lane and not self.ended:
            recorder.current.lane = self.outer
            self.outer = None


ACTIVE = layout.NODE_ACTIVE_NS - layout.NODE_TOTAL_NS
STEPS = layout.NODE_STEPS - layout.NODE_TOTAL_NS


@shielded(None)
def end_frame(frame: Frame, error: BaseException) -> None:
    """Count a coroutine that has ended: by a StopIteration where it has returned."""
    if frame.ended:
        return
    duration_ns = clock() - frame.started_ns
    frame.follow()
    node = frame.node
    if node is not None:
        if frame.lane is not None and frame.lane.node is not node:
            close_abandoned(frame.lane, node, type(error))
        words = recorder.words
        words[node.total] += duration_ns
        words[node.total + ACTIVE] += frame.active_ns
        words[node.total + STEPS] += frame.steps
        recorder.count_call_and_error(node, duration_ns, error)
        if frame.lane is not None and frame.lane.trace is not None:
            frame.lane.trace.add(node, frame.started_ns, duration_ns, outcome_of(error, node))
    frame.leave_place()


class StandIn:
    """An object that behaves as another one, but for its steps."""

    __slots__ = ("__weakref__", "_inner")

    def __init__(self, inner: object) -> None:
        self._inner: Any = inner

    def __getattr__(self, name: str) -> object:
        if name in ("_inner", "_frame", "_body"):  # not made yet: an exception came between
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)


class Awaitable(StandIn):
    """A coroutine, or one step of an asynchronous generator, that is driven step by step."""

    __slots__ = ("_frame",)

    def __init__(self, inner: Steps, frame: Frame) -> None:
        super().__init__(inner)
        self._frame = frame

    @hide_frames
    def _step(self, value: object = None) -> object:
        frame = self._frame
        if frame.stepping or (frame.lane is None and self._is_left_out()):  # stepping: a mistake of the program, which the
            try:  # coroutine answers
                return self._inner.send(value)
            except BaseException as error:
                drop_frame(error)
                raise
        frame.enter_step()
        started_ns = clock()
        try:
            result = self._inner.send(value)
        except BaseException as error:
            frame.leave_step(started_ns)
            self._end(error)
            drop_frame(error)
            raise
        frame.leave_step(started_ns)
        return result

    __next__ = _step
    send = _step

    @hide_frames
    def throw(self, *exception: object) -> object:
        frame = self._frame
        if frame.stepping or (frame.lane is None and self._is_left_out()):
            try:
                return self._inner.throw(*exception)
            except BaseException as error:
                drop_frame(error)
                raise
        frame.enter_step()
        started_ns = clock()
        try:
            result = self._inner.throw(*exception)
        except BaseException as error:
            frame.leave_step(started_ns)
            self._end(error)
            drop_frame(error)
            raise
        finally:
            del exception  # or it would be a cycle with its traceback
        frame.leave_step(started_ns)
        return result

    @hide_frames
    def close(self) -> None:
        stepping = self._frame.stepping
        try:
            self._inner.close()
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            if not stepping:
                self._abandon()

    def __await__(self) -> Awaitable:
        return self

    def __del__(self) -> None:
        self._abandon()

    def _end(self, error: BaseException) -> None:
        end_frame(self._frame, error)

    def _is_left_out(self) -> bool:
        return self._frame.leave_out()

    @shielded(None)
    def _abandon(self) -> None:
        """Count a coroutine that has begun and will never end: it was closed, or dropped with its loop."""
        if self._frame.lane is not None:
            self._end(GeneratorExit())


class TimedCoroutine(Awaitable):
    """A coroutine whose steps are timed. One that is never awaited is not counted, and Python warns once, as without us."""

    __slots__ = ()

    __class__ = property(lambda self: CoroutineType)

    def __init__(self, inner: Steps, span: Span) -> None:
        super().__init__(inner, Frame(span))


_coroutine = choose(TimedCoroutine)


def can_be_awaited(result: object) -> bool:
    """Say whether a result's class has `__await__`, without asking its metaclass, which may be code of the program."""
    return _has(result, "__await__")


def _has(value: object, name: str) -> bool:
    return any(name in owner.__dict__ for owner in type(value).__mro__)


@hide_frames
async def wrap_awaitable(made: Any) -> object:
    """Await an object that is no coroutine: the call makes a coroutine of it."""
    try:
        return await made
    except BaseException as error:
        drop_frame(error)
        raise


def follow_awaitable(result: Any, span: Span, start_ns: int) -> object:
    """Return what replaces a plain function's awaitable result. A coroutine is timed; a future stays, and its end is counted."""
    if _has(result, "send"):
        return _coroutine(result, span)
    _time_future(result, span, start_ns)
    return result


@shielded(None)
def _time_future(future: Any, span: Span, start_ns: int) -> None:
    """Count the call of a plain function that returned a future, when the future is done.

    Any other awaitable is counted at once, and is left as it is: a stand-in could be told from it.
    """
    if not _has(future, "add_done_callback") or future.done():
        lane = recorder.current.lane
        node = recorder.new_node(lane.node, span)
        if node is not None:
            _end(node, lane.trace, start_ns, _outcome(future) if _has(future, "add_done_callback") else None)
        return
    concurrent = begin_concurrent_call()

    def done(ended: object) -> None:
        node, trace = concurrent.leave(span) if concurrent is not None else (recorder.new_node(recorder.root, span), None)
        if node is not None:
            _end(node, trace, start_ns, _outcome(ended))

    future.add_done_callback(done)


def _end(node: Node, trace: Trace | None, start_ns: int, error: BaseException | None) -> None:
    duration_ns = recorder.charge_call_since(node, start_ns, error)
    if trace is not None:
        trace.add(node, start_ns, duration_ns, outcome_of(error, node))


def _outcome(future: Any) -> BaseException | None:
    """Return a future's error without marking it as seen, which would silence asyncio's warning about it."""
    error = getattr(future, "_exception", None)
    if isinstance(error, BaseException):
        return error
    return GeneratorExit() if future.cancelled() else None
