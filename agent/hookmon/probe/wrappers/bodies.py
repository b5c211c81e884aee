"""Bodies of responses that are made while they are sent: generators, which run after the framework's call has returned.

In: what a watch's `entry_body` leads to. Out: a stand-in for a plain generator. Its steps belong to the transaction that made it,
below a node of their own, "(streaming)"; what is watched itself is not counted twice. Runs in the watched process. Nothing but a
plain generator is replaced: servers know the types that wrap a file, and send the file without Python.
"""

from __future__ import annotations

from types import CodeType, GeneratorType, MemberDescriptorType

from hookmon.core.span import parse
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.introspect import attribute, on_class_of, own_dictionary
from hookmon.probe.base.target import Span, Target
from hookmon.probe.naming.names import root_reader
from hookmon.probe.transactions.context import stream
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.coroutines import StandIn
from hookmon.probe.wrappers.generators import timed_generator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base.shapes import Args, Function, KwArgs
    from hookmon.probe.transactions.context import Transaction

    Replace = Callable[[Args, KwArgs, Transaction], object]

_MOST_BODIES = 1_000
_spans: dict[CodeType, Span] = {}
_others = Target("", "function", "", "", False).span("(other)")


def replacer(template: str, function: Function, is_method: bool) -> Replace:
    """Return a function that puts a stand-in in the place of a generator. It returns that where it replaces the call's result."""
    field: Any = parse(template)[0]  # the only one, and without a filter: config.checks.place
    root, *names = field[0][0]
    root_of = root_reader(root, function, is_method)

    def replace(args: Args, values: KwArgs, transaction: Transaction) -> object:
        holder = value = root_of(args, values)
        for name in names:
            holder, value = value, attribute(value, name)
        if type(value) is not GeneratorType:
            return None
        body = Body(value, transaction)
        if not names:
            return body
        on_class = on_class_of(holder, names[-1])
        if type(on_class) is MemberDescriptorType:
            on_class.__set__(holder, body)
        elif names[-1] in own_dictionary(holder):
            own_dictionary(holder)[names[-1]] = body
        return None

    return replace


class Body(StandIn):
    """A generator whose steps belong to a transaction, also after that has ended."""

    __slots__ = ("_timed", "_transaction")

    __class__ = property(lambda self: GeneratorType)

    def __init__(self, inner: GeneratorType[object, object, object], transaction: Transaction) -> None:
        super().__init__(inner)
        is_counted = monitoring.is_told_of(inner.gi_code)
        self._timed: Any = inner if is_counted else timed_generator(inner, _span_of(inner))
        self._transaction = transaction

    def __iter__(self) -> Body:
        return self

    @hide_frames
    def _step(self, step: Function, *arguments: object) -> object:
        visit = stream(self._transaction)
        try:
            return step(*arguments)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:
            if visit is not None:
                visit.close()

    @hide_frames
    def __next__(self) -> object:
        try:
            return self._step(self._timed.__next__)
        except BaseException as error:
            drop_frame(error)
            raise

    @hide_frames
    def send(self, value: object) -> object:
        try:
            return self._step(self._timed.send, value)
        except BaseException as error:
            drop_frame(error)
            raise

    @hide_frames
    def throw(self, *exception: object) -> object:
        try:
            return self._step(self._timed.throw, *exception)
        except BaseException as error:
            drop_frame(error)
            raise

    @hide_frames
    def close(self) -> None:
        try:
            self._step(self._timed.close)
        except BaseException as error:
            drop_frame(error)
            raise


def _span_of(generator: GeneratorType[object, object, object]) -> Span:
    """Return the span of a body: its name is that of the generator's function."""
    code = generator.gi_code
    span = _spans.get(code)
    if span is None:
        if len(_spans) >= _MOST_BODIES:
            return _others
        module = generator.gi_frame.f_globals.get("__name__") if generator.gi_frame is not None else ""
        target = Target(f"{module}:{code.co_qualname}", "function", "", "", False)
        span = _spans[code] = target.span(code.co_qualname)
    return span
