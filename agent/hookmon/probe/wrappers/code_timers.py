"""What times the calls of functions of Python that nothing stands in for.

In: a code object, a target, and how its calls are named. Out: what `monitoring`, `injection` and `unchanged` have called.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.introspect import CO_COROUTINE
from hookmon.probe.base.target import Span, Target
from hookmon.probe.engine import compiled
from hookmon.probe.naming.names import LONGEST_NAME
from hookmon.probe.wrappers import events, monitoring, weighing
from hookmon.probe.wrappers.make import naming

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
    return make(code, span, name, position, target.sited, key, 0, target)


def own_timer(code: CodeType, module: str, name: str = "") -> tuple[Any, Target]:
    """Return what times the calls of a code object under its own name, as `code_timer` does for one function; and its target."""
    name = name or code.co_qualname
    target = Target(f"{module}:{name}", "function", "", "", False)
    target.place = f"{code.co_filename}:{code.co_firstlineno}"
    target.has_sites = False  # a call comes from the function above it in the tree
    target.is_all_own = True
    if code.co_flags & CO_COROUTINE:
        target.flags |= layout.FLAG_COROUTINE
    span = Span(target, name[:LONGEST_NAME])
    if compiled:
        timer = compiled.TimedCallable(code, span, None, -1, False, None, weighing.EVENTS)
        compiled.untrack(timer, target, target.nodes, target.recursions, span)
        return timer, target
    return events.CodeTimer(code, span, None, -1, False, None, weighing.EVENTS, target, weigh=weighing.weigh), target


def mark(target: Target, way: str) -> str:
    """Let a target know how its function is watched; return that."""
    target.flags |= {monitoring.CODE: layout.FLAG_BY_EVENTS, monitoring.FUNCTION: layout.FLAG_BY_SLOT}.get(way, 0)
    return way


class _CodeOnly:
    """Has the code of a function, and so its parameters."""

    __slots__ = ("__code__",)

    def __init__(self, code: CodeType) -> None:
        self.__code__ = code
