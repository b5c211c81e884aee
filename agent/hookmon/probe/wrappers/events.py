"""Functions that are known by their code: the pure engine's timers, driven by the events of a code object.

In: events: a frame of watched code starts, goes on, yields, returns, is left by an exception. Out: counts. Runs in the watched
process. `sys.monitoring` tells of them from CPython 3.12 on, calls in the bytecode on 3.11 (patching/injection.py). There is no
wrapper: the program has its own functions, generators and coroutines. The compiled engine has the same in c/events.h.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.plan import ONE_TIMED_OF
from hookmon.probe.base.introspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.naming.names import locate_spans, remember_spans
from hookmon.probe.recording import control, recorder
from hookmon.probe.recording.overhead import charge_sample
from hookmon.probe.transactions.context import join
from hookmon.probe.transactions.nested import enter
from hookmon.probe.transactions.origins import find_origin
from hookmon.probe.transactions.paired_spans import close_abandoned
from hookmon.probe.transactions.traces import UNTIMED, outcome_of
from hookmon.probe.wrappers.coroutines import Frame, end_frame
from hookmon.probe.wrappers.generators import Body, end_run_of_body, enter_body, leave_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any

    from hookmon.probe.base.shapes import Closable
    from hookmon.probe.base.target import Span, Target
    from hookmon.probe.naming.names import FindSpan
    from hookmon.probe.recording.tree import Lane, Node

RUNS = CO_GENERATOR | CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR
_DEEPEST = layout.DEEPEST // 4 * 3
"""Deeper calls have no place of their own in the tree: here nothing nests in C, and wrappers below keep the rest of DEEPEST."""
_AWAITED = CO_COROUTINE | CO_ITERABLE_COROUTINE
_SWITCH = layout.CONTROL_SWITCH
_UNTIMED_AT = layout.NODE_UNTIMED - layout.NODE_TOTAL_NS


class OpenCall:
    """A call that is open in a lane. `started_ns` is 0 where it is only counted, `node` None where it is not recorded."""

    __slots__ = ("code", "node", "opened", "parent", "started_ns")

    def __init__(self, code: CodeType, parent: Node, node: Node | None, opened: Closable | None) -> None:
        self.code = code
        self.parent = parent
        self.node = node
        self.opened = opened
        self.started_ns = 0


class Run(Frame):
    """The steps of a coroutine that the program drives itself.

    What is thrown into it comes past whatever awaits it, whose frame is not entered: such a step brings the lane along.
    """

    __slots__ = ("step_ns", "visits")

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self.step_ns = 0
        self.visits = False

    def begin(self) -> None:
        """Begin a step. The first takes a place in the tree."""
        if self.stepping or self.ended:
            return
        lane = self.lane
        if lane is None:
            self.open()
            self.visits = self.owns_lane
        elif self.owns_lane or lane.task is not None:
            try:
                outer = recorder.current.lane
            except AttributeError:
                outer = recorder.enter_thread()
            if outer is not lane:
                self.outer, self.visits = outer, True
                recorder.current.lane = lane
        if self.part is not None and self.steps:  # the first one was begun with what was opened
            self.part.begin_part()
        self.stepping = True
        self.step_ns = clock()

    def leave(self) -> None:
        """End a step, and give the thread its lane back."""
        if self.stepping:
            if self.part is not None:
                self.part.end_part()
            self.active_ns += clock() - self.step_ns
            self.steps += 1
            self.stepping = False
            if self.visits:
                recorder.current.lane = self.outer
                self.outer, self.visits = None, False

    def reset(self) -> None:
        """Get ready for the next run of an asynchronous generator's body."""
        self.lane = self.node = self.part = None
        self.ended = self.owns_lane = False
        self.active_ns = self.steps = 0


class GeneratorRun:
    """The steps of a generator."""

    __slots__ = ("body", "entered", "timer")

    def __init__(self, timer: CodeTimer, span: Span) -> None:
        self.timer = timer
        self.body = Body(span)
        self.entered: Any = None


class CodeTimer:
    """Times the calls of one code object.

    Give either a fixed `span` or `name`, which finds it from the arguments: as a TimedCallable does.
    """

    __slots__ = ("_events", "_target", "_until_weighed", "_weigh", "code", "find", "span")

    def __init__(
        self,
        code: CodeType,
        span: Span | None,
        name: FindSpan | None,
        position: int,
        sited: bool = False,
        key: str | None = None,
        weighed_after: int = 0,
        target: Target | None = None,
        *,
        weigh: Callable[[CodeType, Span, int], int] | None = None,
    ) -> None:
        self.code = code
        self._target = target if target is not None or span is None else span.target
        self._weigh = weigh
        self._events = 0  # since it was weighed last,
        self._until_weighed = weighed_after  # and how many there are to be; -1: it is given up
        find: Any = remember_spans(charge_sample(name), position, key) if name is not None else None
        if sited:
            fixed: Any = span
            find = locate_spans(find or (lambda args, kwargs: fixed))
            span = None
        self.span = span
        self.find = find

    def start(self, frame: FrameType, args: tuple[object, ...] | None) -> None:
        """A frame of the code begins. `args` are its positional arguments, None where they are to be read off the frame."""
        if control.words[_SWITCH] and self._target is not None and control.is_off(self._target):
            _leave_out(self.code, frame)
            return
        if self.is_given_up():
            return
        span = self.span
        if span is None:
            span = self.find(_arguments(frame) if args is None else args, {})
        flags = self.code.co_flags
        if not flags & RUNS:
            _enter_call(self.code, span, (args or _arguments(frame)) if span.target.entry else ())
            return
        run: Any
        if flags & _AWAITED:
            run = Run(span)
            if span.target.entry:
                run.origin = find_origin(span.target.kind, args or _arguments(frame))
            run.begin()
        elif flags & CO_ASYNC_GENERATOR:
            run = Run(span), Body(span)
            run[0].begin()
        else:
            run = GeneratorRun(self, span)
            run.entered = enter_body(run.body)
        _runs[id(frame)] = run

    def is_given_up(self) -> bool:
        """Say, at a call or step, whether it is not to be recorded: see wrappers/weighing.py."""
        if self._until_weighed > 0:
            self._events += 1
            if self._events >= self._until_weighed and self._weigh is not None and self.span is not None:
                events, self._events = self._events, 0
                self._until_weighed = self._weigh(self.code, self.span, events)
        return self._until_weighed < 0

    def end(self, frame: FrameType, error: BaseException | None) -> None:
        """A frame of the code ends."""
        if not self.code.co_flags & RUNS:
            _leave_call(self.code, error)
            return
        run = _runs.pop(id(frame), None)
        if run is None:  # it had begun before its events were asked for
            return
        if type(run) is GeneratorRun:
            if run.entered is not None:
                entered, run.entered = run.entered, None
                leave_body(run.body, entered, error or StopIteration())
            else:
                run.body.end(error)
        elif type(run) is tuple:
            step, body = run
            step.leave()
            end_run_of_body(step, body, error or StopAsyncIteration())
            body.end(error)  # where no run was open: what is thrown in goes on without an event (3.11)
        else:
            run.leave()
            end_frame(run, error or StopIteration())


def is_open(lane: Lane | None, code: CodeType) -> bool:
    """Say whether a call of a code object is open in a lane; or, of a generator, a step of one in any."""
    if code.co_flags & RUNS:
        return any(type(run) is GeneratorRun and run.entered is not None and run.timer.code is code for run in _runs.values())
    return lane is not None and any(call.code is code for call in lane.open)


_runs: dict[int, Any] = {}
"""{id of a frame: what is open of its generator or coroutine}. The frame is there as long as the generator."""


def resume(frame: FrameType) -> None:
    """A frame goes on: it was sent a value, or an exception was thrown into it."""
    run = _runs.get(id(frame))
    if type(run) is GeneratorRun:
        if run.entered is None and not run.timer.is_given_up():
            run.entered = enter_body(run.body)
    elif type(run) is tuple:
        run[0].begin()
    elif run is not None:
        run.begin()


def suspend(frame: FrameType, is_value: bool) -> None:
    """A frame yields. `is_value` says that an asynchronous generator has come to its next value, and does not wait."""
    run = _runs.get(id(frame))
    if type(run) is GeneratorRun:
        if run.entered is not None:
            entered, run.entered = run.entered, None
            leave_body(run.body, entered, None)
    elif type(run) is tuple:
        step, body = run
        step.leave()
        if is_value:
            end_run_of_body(step, body, None)
            step.reset()
    elif run is not None:
        run.leave()


def _arguments(frame: FrameType) -> tuple[object, ...]:
    code = frame.f_code
    values = frame.f_locals
    return tuple([values[name] for name in code.co_varnames[: code.co_argcount] if name in values])


def _leave_out(code: CodeType, frame: FrameType) -> None:
    """Record nothing of a frame that begins. What its place had before has gone without an event, and is not to be taken for it.

    A call inside one of the same code ends with an event of its own.
    """
    if code.co_flags & RUNS:
        _runs.pop(id(frame), None)
        return
    lane: Lane | None = getattr(recorder.current, "lane", None)
    if is_open(lane, code) and lane is not None:
        lane.open.append(OpenCall(code, lane.node, None, None))


def _enter_call(code: CodeType, span: Span, arguments: tuple[object, ...]) -> None:
    try:
        lane: Lane = recorder.current.lane
    except AttributeError:
        lane = recorder.enter_thread()
    outer = parent = lane.node
    opened: Closable | None = None
    if recorder.joining and parent is recorder.root:
        opened = join(lane, span)
        parent = lane.node
    node = parent.children.get(span)
    if node is None and span not in parent.children:
        node = recorder.new_node(parent, span) if parent.depth < _DEEPEST else recorder.flat_node(span)
    if node is None and opened is not None:
        opened.close()
        opened = None
    if node is not None and node.entry:
        opened = enter(lane, node, opened, arguments)
    call = OpenCall(code, parent if opened is not None else outer, node, opened)
    lane.open.append(call)
    if node is None:
        return
    lane.node = node
    if node.skip and node.skip < ONE_TIMED_OF:
        node.skip += 1
        return
    if node.skip:
        node.skip = 1
    call.started_ns = clock()
    slot = lane.base + node.slot
    recorder.since[slot] = call.started_ns
    recorder.words[slot] = node.number


def _leave_call(code: CodeType, error: BaseException | None) -> None:
    ended_ns = clock()
    lane: Lane | None = getattr(recorder.current, "lane", None)
    if lane is None:
        return
    calls = lane.open
    at = len(calls) - 1
    while at >= 0 and calls[at].code is not code:
        at -= 1
    if at < 0:  # it was open before its events were asked for
        return
    call = calls[at]
    del calls[at:]  # what lies above has ended without an event
    node, parent = call.node, call.parent
    if node is None:
        return
    if lane.moved is not None:
        parent, node = lane.moved.get(parent, parent), lane.moved.get(node, node)
    if lane.node is not node:
        close_abandoned(lane, node, None if error is None else type(error))
    lane.node = parent
    duration_ns = 0
    if call.started_ns:
        duration_ns = max(0, ended_ns - call.started_ns)
        recorder.words[lane.base + node.slot] = 0
        recorder.words[node.total] += duration_ns
        recorder.count_call_and_error(node, duration_ns, error)
    else:
        recorder.words[node.total + _UNTIMED_AT] += 1
        if error is not None:
            recorder.count_error(node, error)
    if lane.trace is not None:
        lane.trace.add(node, call.started_ns, duration_ns, outcome_of(error, node) | (0 if call.started_ns else UNTIMED))
    if call.opened is not None:
        call.opened.close()
