"""What times the calls of functions of Python that nothing stands in for: of all with one code object, or of one function.

In: a code object or a function, a target, and how its calls are named. Out: what `monitoring` and the compiled engine are given.
"""

from __future__ import annotations

from types import FunctionType

from hookmon.core import layout
from hookmon.probe.base.introspect import CO_COROUTINE
from hookmon.probe.base.target import Span, Target
from hookmon.probe.engine import compiled
from hookmon.probe.naming.names import LONGEST_NAME
from hookmon.probe.wrappers import event_sources, events, monitoring
from hookmon.probe.wrappers.make import GENERATOR_FLAGS, flags_of, is_made_by_contextlib, is_ours, naming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any


def code_timer(code: CodeType, target: Target, template: str, *, is_method: bool, span: Span | None = None) -> Any:
    """Return what times the calls of a code object, named by a template or, once and for all, by a span.

    Raises ValueError for a bad template.
    """
    like = _CodeOnly(code)
    span, name, position, key = naming(like, target, template, is_method, span)
    if not target.pack:
        target.place = f"{code.co_filename}:{code.co_firstlineno}"
    if code.co_flags & CO_COROUTINE:
        target.flags |= layout.FLAG_COROUTINE
    make = compiled.TimedCallable if compiled else events.CodeTimer
    return make(code, span, name, position, target.sited, key)


def own_timer(code: CodeType, module: str) -> Any:
    """Return what times the calls of a code object under its own name: what `code_timer` does, for thousands of functions."""
    name = code.co_qualname
    target = Target(f"{module}:{name}", "function", "", "", False)
    target.place = f"{code.co_filename}:{code.co_firstlineno}"
    target.has_sites = False  # a call comes from the function above it in the tree
    if code.co_flags & CO_COROUTINE:
        target.flags |= layout.FLAG_COROUTINE
    make = compiled.TimedCallable if compiled else events.CodeTimer
    return make(code, Span(target, name[:LONGEST_NAME]), None, -1, False, None)


def time_itself(function: object, target: Target, span: Span, timers: dict[Span, Any]) -> bool:
    """Count all calls of one function under a span, whoever has the function; say whether that is possible.

    It is for a plain function with the compiled engine on CPython 3.12 and newer, unless a watch has its code. `timers` are those
    that were made before. A generator or coroutine function has not done its work when it returns; the making of
    an instance goes past the slot of `__init__`.
    """
    if not monitoring.HAS_SLOTS or type(function) is not FunctionType or any(target.templates):
        return False
    code = function.__code__
    is_run = bool(flags_of(function) & (CO_COROUTINE | GENERATOR_FLAGS)) or is_made_by_contextlib(function)
    if is_run or code.co_name == "__init__" or is_ours(function) or monitoring.way_of(code):
        return False
    if span not in timers:
        timers[span] = code_timer(code, target, "", is_method=False, span=span)
    return event_sources.time_function(function, timers[span])


class _CodeOnly:
    """Has the code of a function, and so its parameters."""

    __slots__ = ("__code__",)

    def __init__(self, code: CodeType) -> None:
        self.__code__ = code
