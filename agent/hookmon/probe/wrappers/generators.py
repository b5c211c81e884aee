"""Generators, plain and asynchronous: the time in their bodies is charged where they are consumed.

In: a generator of the program's. Out: a stand-in that drives it. Runs in the watched process. Each step is charged where it is
taken; the call is counted once, at the end.
"""

from __future__ import annotations

from types import AsyncGeneratorType, GeneratorType

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import serialise, shielded
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.engine import choose
from hookmon.probe.recording import control, recorder
from hookmon.probe.transactions.context import join
from hookmon.probe.transactions.paired_spans import close_abandoned
from hookmon.probe.transactions.traces import outcome_of
from hookmon.probe.wrappers.coroutines import ACTIVE, STEPS, Awaitable, Frame, StandIn

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.base.shapes import Closable, Generator, Steps
    from hookmon.probe.base.target import Span
    from hookmon.probe.recording.tree import Lane, Node


class Body:
    """What a generator has used so far. Its time is charged at each step, its call is counted once, at the end."""

    __slots__ = ("active_ns", "ended", "node", "span", "started", "stepping", "steps", "used_ns")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.node: Node | None = None
        self.used_ns = 0
        self.active_ns = 0
        self.steps = 0
        self.started = False
        self.stepping = False
        self.ended = False

    def leave_out(self) -> bool:
        """Record nothing of it, where it has not begun and is switched off; say so. Its steps are the program's own then."""
        if not self.started and not self.stepping and control.is_off(self.span.target):
            self.stepping = True  # for good
        return self.stepping and not self.started

    @shielded(None)
    def end(self, error: BaseException | None) -> None:
        """Count the call, once."""
        if self.started and not self.ended:
            self.ended = True
            node = self.node
            if node is not None:
                words = recorder.words
                words[node.total + STEPS] += self.steps
                words[node.total + ACTIVE] += self.active_ns
                recorder.count_call_and_error(node, self.used_ns, error)
                lane = recorder.current.lane
                if lane.trace is not None:
                    lane.trace.add(node, clock() - self.used_ns, self.used_ns, outcome_of(error, node))


class TimedGenerator(StandIn):
    """A generator whose body is timed."""

    __slots__ = ("_body",)

    __class__ = property(lambda self: GeneratorType)

    def __init__(self, inner: Generator, span: Span) -> None:
        super().__init__(inner)
        self._body = Body(span)

    def __iter__(self) -> TimedGenerator:
        return self

    @hide_frames
    def _step(self, value: object = None) -> object:
        body = self._body
        if body.stepping or (not body.started and body.leave_out()):  # stepping: a mistake of the program, which it answers
            try:
                return self._inner.send(value)
            except BaseException as raised:
                drop_frame(raised)
                raise
        entered = enter_body(self._body)
        error: BaseException | None = None
        try:
            return self._inner.send(value)
        except BaseException as raised:
            error = raised
            drop_frame(raised)
            raise
        finally:
            leave_body(self._body, entered, error)
            del error  # or it would be a cycle with its traceback

    __next__ = _step
    send = _step

    @hide_frames
    def throw(self, *exception: object) -> object:
        if self._body.stepping or (not self._body.started and self._body.leave_out()):
            try:
                return self._inner.throw(*exception)
            except BaseException as raised:
                drop_frame(raised)
                raise
        entered = enter_body(self._body)
        error: BaseException | None = None
        try:
            return self._inner.throw(*exception)
        except BaseException as raised:
            error = raised
            drop_frame(raised)
            raise
        finally:
            leave_body(self._body, entered, error)
            del error, exception

    @hide_frames
    def close(self) -> None:
        body = self._body
        if not body.started or body.ended or body.stepping:  # nothing of the body runs
            try:
                self._inner.close()
            except BaseException as raised:
                drop_frame(raised)
                raise
            return
        entered = enter_body(body)
        error: BaseException = GeneratorExit()
        try:
            self._inner.close()
        except BaseException as raised:
            error = raised
            drop_frame(raised)
            raise
        finally:
            leave_body(body, entered, error)
            del error

    def __del__(self) -> None:
        _drop(self)


@shielded(None)
def _drop(stand_in: TimedGenerator | TimedAsyncGenerator) -> None:
    """Count a generator that was begun and will never end."""
    stand_in._body.end(GeneratorExit())


def enter_body(body: Body) -> tuple[Lane, Node, Node | None, int, Closable | None]:
    """Open the generator's span for one step; return (lane, its node before, node, start, visit to a transaction or None)."""
    try:
        lane = recorder.current.lane
    except AttributeError:
        lane = recorder.enter_thread()
    outer = parent = lane.node
    visit = None
    if recorder.joining and parent is recorder.root:
        visit = join(lane, body.span)
        parent = lane.node
    node = parent.children.get(body.span) or recorder.new_node(parent, body.span)
    body.started = body.stepping = True
    started_ns = clock()
    if node is not None:
        slot = lane.base + node.slot
        recorder.since[slot] = started_ns
        recorder.words[slot] = node.number
        lane.node = node
    return lane, outer, node, started_ns, visit


@serialise
def leave_body(body: Body, entered: tuple[Lane, Node, Node | None, int, Closable | None], error: BaseException | None) -> None:
    """Close the generator's span after a step, and count its call where an error says that it has ended."""
    lane, parent, node, started_ns, visit = entered
    duration_ns = clock() - started_ns
    if lane.moved is not None and node is not None:
        parent, node = lane.moved.get(parent, parent), lane.moved.get(node, node)
    if node is not None:
        if lane.node is not node:
            close_abandoned(lane, node, None if error is None else type(error))
        lane.node = parent
        recorder.words[lane.base + node.slot] = 0
        recorder.words[node.total] += duration_ns
    body.node = node
    body.used_ns += duration_ns
    body.active_ns += duration_ns
    body.steps += 1
    body.stepping = False
    if error is not None:
        body.end(error)
    if visit is not None:
        visit.close()


class TimedAsyncGenerator(StandIn):
    """An asynchronous generator: the time inside its body counts, waiting in it included."""

    __slots__ = ("_body",)

    __class__ = property(lambda self: AsyncGeneratorType)

    def __init__(self, inner: Generator, span: Span) -> None:
        super().__init__(inner)
        self._body = Body(span)

    def __aiter__(self) -> TimedAsyncGenerator:
        return self

    def __anext__(self) -> _AsyncStep:
        return _AsyncStep(self._inner.__anext__(), self._body)

    def asend(self, value: object) -> _AsyncStep:
        return _AsyncStep(self._inner.asend(value), self._body)

    def athrow(self, *exception: object) -> _AsyncStep:
        return _AsyncStep(self._inner.athrow(*exception), self._body)

    def aclose(self) -> _AsyncStep:
        return _AsyncStep(self._inner.aclose(), self._body)

    def __del__(self) -> None:
        _drop(self)


class _AsyncStep(Awaitable):
    """What `__anext__`, `asend`, `athrow` and `aclose` return: one run of the body, up to its next value."""

    __slots__ = ("_body",)

    def __init__(self, inner: Steps, body: Body) -> None:
        super().__init__(inner, Frame(body.span))
        self._body = body

    def _is_left_out(self) -> bool:
        if self._body.leave_out():
            self._frame.stepping = True
        return self._frame.stepping

    def _end(self, error: BaseException) -> None:
        is_value = isinstance(error, StopIteration)  # which is how a step hands its value over
        end_run_of_body(self._frame, self._body, None if is_value else error)


@shielded(None)
def end_run_of_body(frame: Frame, body: Body, error: BaseException | None) -> None:
    """Charge one run of an asynchronous generator's body, which has come to its next value or, with an error, to its end."""
    if frame.lane is None:
        return
    body.started = True
    frame.follow()
    body.node = frame.node or body.node
    duration_ns = clock() - frame.started_ns
    body.used_ns += duration_ns
    body.active_ns += frame.active_ns
    body.steps += frame.steps
    if frame.node is not None:
        recorder.words[frame.node.total] += duration_ns
    if error is not None:
        body.end(error)
    frame.leave_place()


_generator = choose(TimedGenerator)


@hide_frames
def timed_generator(made: Any, span: Span) -> Any:
    """Return the stand-in for what a generator function made.

    A context manager of contextlib's holds its generator. It stays, and the generator inside is replaced.
    """
    inner = made if hasattr(type(made), "__next__") or hasattr(type(made), "__anext__") else vars(made).get("gen")
    if hasattr(inner, "gi_frame"):
        timed: Any = _generator(inner, span)
    elif hasattr(inner, "ag_frame"):
        timed = TimedAsyncGenerator(inner, span)
    else:
        return made
    if inner is made:
        return timed
    made.gen = timed
    if hasattr(made, "func"):  # as a decorator it makes a fresh one from the function for each call
        function = made.func
        made.func = lambda *args, **kwargs: timed_generator(function(*args, **kwargs), span)
    return made
