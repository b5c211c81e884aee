"""What times the calls of functions of Python that nothing stands in for.

In: a code object, a target, and how its calls are named. Out: what `monitoring`, `injection` and `unchanged` have called.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.introspect import CO_COROUTINE
from hookmon.probe.base.target import Span, Target
from hookmon.probe.engine import compiled
from hookmon.probe.naming.names import LONGEST_NAME
from hookmon.probe.wrappers import events
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
    return make(code, span, name, position, target.sited, key)


def own_timer(code: CodeType, module: str, name: str = "") -> Any:
    """Return what times the calls of a code object under its own name: what `code_timer` does, for thousands of functions."""
    name = name or code.co_qualname
    target = Target(f"{module}:{name}", "function", "", "", False)
    target.place = f"{code.co_filename}:{code.co_firstlineno}"
    target.has_sites = False  # a call comes from the function above it in the tree
    if code.co_flags & CO_COROUTINE:
        target.flags |= layout.FLAG_COROUTINE
    make = compiled.TimedCallable if compiled else events.CodeTimer
    return make(code, Span(target, name[:LONGEST_NAME]), None, -1, False, None)


class _CodeOnly:
    """Has the code of a function, and so its parameters."""

    __slots__ = ("__code__",)

    def __init__(self, code: CodeType) -> None:
        self.__code__ = code
