"""Wrappers of the pure engine: wrapt's proxy with a timed call.

In: a callable and its target. Out: an object that is that callable in every way but one. Runs in the watched process;
`TimedCallable.__call__` is the hot path of the pure engine. It stores its counts in one straight line, in which no function is
called: no thread and no signal handler can come between (see `arena`).
"""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType

from hookmon.core import layout
from hookmon.core.histogram import SMALL_BUCKETS, SMALL_NS, bucket_of
from hookmon.core.plan import CALLS_A_LOOK, ONE_TIMED_OF
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import FREE_THREADED, serialise
from hookmon.probe.base.private import monotonic_ns as clock
from hookmon.probe.base.target import note_maker
from hookmon.probe.naming.names import locate_spans, remember_spans
from hookmon.probe.recording import control, recorder
from hookmon.probe.recording.overhead import charge_sample
from hookmon.probe.transactions.context import join
from hookmon.probe.transactions.nested import enter
from hookmon.probe.transactions.origins import find_origin
from hookmon.probe.transactions.paired_spans import close_abandoned
from hookmon.probe.transactions.traces import RETURNED, UNTIMED, outcome_of
from hookmon.probe.wrappers.coroutines import TimedCoroutine, can_be_awaited, follow_awaitable
from hookmon.probe.wrappers.generators import timed_generator
from hookmon.probe.wrappers.proxy import copy_of, deep_copy_of, is_called_in_c, load_stand_in_base, reduce_function

__tracebackhide__ = True  # pytest and others leave frames of such modules out of what they show of a failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsIndex

    from hookmon.probe.base.shapes import Args, Closable, Function, KwArgs
    from hookmon.probe.base.target import Span, Target
    from hookmon.probe.naming.names import FindSpan
    from hookmon.probe.recording.tree import Lane, Node
    from hookmon.probe.wrappers.observers import Observer

_SWITCH = layout.CONTROL_SWITCH
_UNTIMED = layout.NODE_UNTIMED - layout.NODE_TOTAL_NS

_PLAIN = frozenset((type(None), bool, int, float, str, bytes, list, dict, tuple, set))
"""Types of results that are known to be no awaitables: one set look-up for most calls."""

_StandInBase: Any = load_stand_in_base(recorder.wrapt_folder)


class TimedCallable(_StandInBase):  # type: ignore[misc]
    """A callable whose calls are timed, and that does not bind: a builtin function, an instance with `__call__`.

    A result that can be awaited is followed to its end: `redis.client:Redis.get` serves both kinds of clients.
    """

    __slots__ = ("_self_function", "_self_name", "_self_span", "_self_target")

    def __init__(
        self,
        function: Function,
        span: Span | None,
        name: FindSpan | None,
        position: int,
        sited: bool = False,
        key: str | None = None,
        _weighed_after: int = 0,
        target: Target | None = None,
    ) -> None:
        """Give either a fixed `span` or `name`, which finds it from the arguments and never raises.

        One argument may decide alone about the span: `position` is its position, else -1. Where the argument is a dict, its value
        for `key` decides. `sited`: the calling line is part of the span. `target` may be left out where there is a fixed span.
        """
        super().__init__(function)
        self._self_function = function
        self._self_target: Any = target if target is not None or span is None else span.target
        find: Any = remember_spans(charge_sample(name), position, key) if name is not None else None
        if sited:
            fixed: Any = span
            find = locate_spans(find or (lambda args, kwargs: fixed))
            span = None
        self._self_span: Any = span
        self._self_name: Any = find

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        if control.words[_SWITCH] and control.is_off(self._self_target):
            try:
                return self._self_function(*args, **kwargs)
            except BaseException as error:
                drop_frame(error)
                raise
        try:
            lane = recorder.current.lane
        except AttributeError:
            lane = recorder.enter_thread()
        span = self._self_span
        if span is None:
            span = self._self_name(args, kwargs)
        parent = lane.node
        opened: Closable | None = None
        if recorder.joining and parent is recorder.root:
            opened = join(lane, span)
            parent = lane.node
        try:
            node = parent.children[span]
        except KeyError:
            node = recorder.new_node(parent, span)
        if node is None:
            if opened is not None:
                opened.close()
            try:
                return self._self_function(*args, **kwargs)
            except BaseException as error:
                drop_frame(error)
                raise
        if node.entry:
            opened = enter(lane, node, opened, args)
        if node.skip and node.skip < ONE_TIMED_OF:
            try:
                return self._call_untimed(lane, parent, node, opened, args, kwargs)
            except BaseException as error:
                drop_frame(error)
                raise
        start = 0
        lane.node = node
        try:
            start = clock()
            slot = lane.base + node.slot  # only now: in the clock's call a signal handler may have forked
            recorder.since[slot] = start
            recorder.words[slot] = node.number
            result = self._self_function(*args, **kwargs)
            duration_ns = clock() - start
            args = kwargs = None  # type: ignore[assignment]  # a traceback that is kept may lead to this frame, and so to them
        except BaseException as error:
            args = kwargs = None  # type: ignore[assignment]
            if lane.moved is not None:
                parent, node = lane.moved.get(parent, parent), lane.moved.get(node, node)
            if lane.node is not node:
                close_abandoned(lane, node, type(error))
            lane.node = parent
            recorder.words[lane.base + node.slot] = 0
            if start:
                duration_ns = recorder.charge_call_since(node, start, error)
                if lane.trace is not None:
                    lane.trace.add(node, start, duration_ns, outcome_of(error, node))
            if opened is not None:
                opened.close()
            drop_frame(error)
            raise
        if lane.moved is not None:
            parent, node = lane.moved.get(parent, parent), lane.moved.get(node, node)
        if lane.node is not node:
            close_abandoned(lane, node, None)
        lane.node = parent
        recorder.words[lane.base + node.slot] = 0  # not `slot`: a fork may lie in between
        if type(result) not in _PLAIN and can_be_awaited(result):
            followed = follow_awaitable(result, span, start)  # counts the call when that ends
            if opened is not None:
                opened.close()
            return followed
        if lane.trace is not None:
            lane.trace.add(node, start, duration_ns, RETURNED)
        if FREE_THREADED or opened is not None:
            recorder.charge_call(node, duration_ns)
            if opened is not None:
                opened.close()
            return result
        index = SMALL_BUCKETS[duration_ns] if duration_ns < SMALL_NS else bucket_of(duration_ns)
        if index not in node.buckets:
            recorder.new_bucket(node, duration_ns)
        # From here on no call and no jump back: a signal handler that forked in between would leave us with the parent's places.
        bucket = node.buckets[index] if index in node.buckets else node.total + _UNTIMED
        total = node.total
        words = recorder.words
        words[bucket] = count = words[bucket] + 1
        words[total] += duration_ns
        if duration_ns < node.min_ns:
            node.min_ns = words[total + 1] = duration_ns
        if duration_ns > node.max_ns:
            node.max_ns = words[total + 2] = duration_ns
        if not count % CALLS_A_LOOK or node.skip:
            _check_cost(node, count)
        return result

    @hide_frames
    def _call_untimed(self, lane: Lane, parent: Node, node: Node, opened: Closable | None, args: Args, kwargs: KwArgs) -> object:
        """Call and count, but do not time: the target costs too much (see `overhead`)."""
        node.skip += 1
        lane.node = node
        try:
            result = self._self_function(*args, **kwargs)
        except BaseException as error:
            _leave_untimed(lane, parent, node, opened, error)
            drop_frame(error)
            raise
        _leave_untimed(lane, parent, node, opened, None)
        return result

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        wrapped = self._self_function
        if isinstance(wrapped, FunctionType | BuiltinFunctionType):
            return reduce_function(wrapped)
        return wrapped.__reduce_ex__(protocol)

    def __reduce__(self) -> str | tuple[object, ...]:
        return self.__reduce_ex__(2)

    def __copy__(self) -> object:
        return copy_of(self, self._self_function)

    def __deepcopy__(self, memo: dict[int, object] | None) -> object:
        return deep_copy_of(self, self._self_function, memo)

    def __repr__(self) -> str:
        return repr(self._self_function)


def hide_call(proxy: TimedCallable) -> TimedCallable:
    """Give a wrapper a `__call__` that is a wrapper, too, and no method in Python: a function has none. Return the wrapper."""
    function = proxy._self_function
    if is_called_in_c(function):
        twin: Any = _StandInBase.__new__(type(proxy))
        _StandInBase.__init__(twin, function)
        for name in TimedCallable.__slots__:
            setattr(twin, name, getattr(proxy, name))
        proxy.__call__ = twin  # type: ignore[method-assign]
    return proxy


@serialise
def _count_untimed(node: Node, error: BaseException | None) -> None:
    recorder.words[node.total + _UNTIMED] += 1
    if error is not None:
        recorder.count_error(node, error)


def _leave_untimed(lane: Lane, parent: Node, node: Node, opened: Closable | None, error: BaseException | None) -> None:
    if lane.moved is not None:
        parent, node = lane.moved.get(parent, parent), lane.moved.get(node, node)
    if lane.node is not node:
        close_abandoned(lane, node, None if error is None else type(error))
    lane.node = parent
    _count_untimed(node, error)
    if lane.trace is not None:
        lane.trace.add(node, 0, 0, UNTIMED | outcome_of(error, node))
    if opened is not None:
        opened.close()


def _check_cost(node: Node, count: int) -> None:
    if node.skip:
        node.skip = 1
    if not count % CALLS_A_LOOK:
        recorder.arena()  # notices a fork
        recorder.look(node)


class Timed(TimedCallable):
    """A plain function, or anything else that binds like one."""

    __slots__ = ()

    def __get__(self, instance: object, owner: object = None) -> object:
        return self if instance is None else MethodType(self, instance)


class Selective(TimedCallable):
    """A function of a class that is timed for some objects only: these bind to wrappers of their own (see `instances`)."""

    __slots__ = ("_self_instances",)

    def __new__(cls, function: Function, _span: None, instances: dict[int, Function], _position: int) -> Selective:
        """Make a class for this wrapper alone: cells hold what its `__get__` needs. On a proxy that would cost twice as much."""
        find = instances.get

        def bind(self: object, instance: object, owner: object = None) -> object:
            return function if instance is None else MethodType(find(id(instance), function), instance)

        own_class = type("function", (cls,), {"__slots__": (), "__get__": bind})
        made: Selective = super().__new__(own_class)
        return made

    def __init__(self, function: Function, span: None, instances: dict[int, Function], position: int) -> None:
        super().__init__(function, span, None, position)
        self._self_instances = instances

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            return self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise

    def _self_forget(self, number: int) -> None:
        self._self_instances.pop(number, None)


class TimedCoroutineFunction(Timed):
    """A coroutine function: its coroutines are timed, from their first step to their end."""

    __slots__ = ()

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            coroutine: Any = self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if control.words[_SWITCH] and control.is_off(self._self_target):
            return coroutine
        span = self._self_span or self._self_name(args, kwargs)
        if not span.made_at:
            note_maker(span)
        timed = TimedCoroutine(coroutine, span)
        if span.target.entry:
            timed._frame.origin = find_origin(span.target.kind, args)
        return timed


class TimedGeneratorFunction(Timed):
    """A generator function, plain or asynchronous, or a function that contextlib made of one: the body is timed."""

    __slots__ = ()

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            made = self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if control.words[_SWITCH] and control.is_off(self._self_target):
            return made
        return timed_generator(made, self._self_span or self._self_name(args, kwargs))


class Observed(Timed):
    """A function that is observed: when it returns, `name` is called with (args, kwargs, result)."""

    __slots__ = ()

    def __init__(self, function: Function, span: None, name: Observer, position: int, *_for_c: object) -> None:
        super().__init__(function, span, None, position)
        self._self_name = name

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            result = self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        replaced = self._self_name(args, kwargs, result)
        return result if replaced is None else replaced


class ObservedBefore(Observed):
    """A coroutine function that is observed when it is called."""

    __slots__ = ()

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        self._self_name(args, kwargs, None)
        try:
            return self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise


class ObservedCoroutineFunction(Observed):
    """A coroutine function whose coroutines are replaced with what `name` returns."""

    __slots__ = ()

    @hide_frames
    def __call__(self, /, *args: object, **kwargs: object) -> object:
        try:
            coroutine = self._self_function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        return self._self_name(args, kwargs, coroutine)
