"""Callbacks that are handed on unchanged: functions that are timed themselves, whoever calls them.

In: a callback and the span that its registration gives it. Out: whether it is timed itself under that. With the compiled engine
on CPython 3.12 and newer only; see docs/limits.md for what counts then. Runs in the watched process, at each registration.
"""

from __future__ import annotations

from types import FunctionType, MethodType

from hookmon.core.span import parse
from hookmon.probe.base.introspect import DEEPEST, CallableName, callable_name, is_partial
from hookmon.probe.patching.codes import remember_callback
from hookmon.probe.wrappers import monitoring
from hookmon.probe.wrappers.code_timers import code_timer
from hookmon.probe.wrappers.event_sources import span_of_function, time_function
from hookmon.probe.wrappers.make import is_ours, is_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.target import Span, Target

_FIXED_ROOTS = ("callable", "object", "method", "self", "class", "function")
"""Roots of a span's fields whose value is the same at each call for one object of the framework and one callback."""

_timers: dict[int, dict[Span, Any]] = {}
"""{watch: {span: what times the functions that are counted under it}}."""

_partials: dict[int, dict[int, int]] = {}
"""{watch: {id of a function: how many stand-ins there are of partials of it}}: who calls one of these calls the function."""


class Unchanged:
    """The functions of one table that are timed themselves."""

    def __init__(self, target: Target, watch: WatchPlan) -> None:
        self._target = target
        self._timers = _timers.setdefault(watch["id"], {})
        self._partials = _partials.setdefault(watch["id"], {})
        fields = [part for part in parse(watch["span"]) if not isinstance(part, str)]
        roots = {path[0] for paths, _ in fields for path in paths}
        self.is_named_alike = roots.issubset(_FIXED_ROOTS)
        self._names_objects = "object" in roots

    def span_of(self, function: object) -> Span | None:
        """Return the span under which this table times a function itself, None where it does not."""
        span = span_of_function(function) if self._timers else None
        return span if span in self._timers else None

    def has(self, value: object, span: Span) -> bool:
        """Say whether the function of a callback is timed itself under a span of this table."""
        return bool(self._timers) and span_of_function(_function_in(value)) is span

    def add(self, value: object, span: Span, name: CallableName, owner: object) -> bool:
        """Time a callback itself, where that can be; say whether it is timed so, under this span.

        It can where its name is that of the function, and not that of an object, or of what it was registered for.
        Of a partial the function may be timed so already.
        """
        function = _function_in(value)
        itself = span_of_function(function)
        if itself is not None or is_partial(value) or not self.is_named_alike:
            return itself is span
        is_of_object = type(value) is MethodType and str(callable_name(function)) != str(name)
        if is_of_object or (self._names_objects and owner is not value) or id(function) in self._partials:
            return False
        return self._time(function, span)

    def _time(self, function: object, span: Span) -> bool:
        """Count all calls of one function under a span, whoever has the function; say whether that is possible.

        The making of an instance goes past the slot of `__init__`.
        """
        if not monitoring.HAS_SLOTS or type(function) is not FunctionType or any(self._target.templates):
            return False
        code = function.__code__
        if is_run(function) or code.co_name == "__init__" or is_ours(function) or monitoring.way_of(code):
            return False
        if span not in self._timers:
            self._timers[span] = code_timer(code, self._target, "", is_method=False, span=span)
        remember_callback(function)
        return time_function(function, self._timers[span])

    def count_partials(self, number: int, change: int) -> None:
        """Be told that there is one stand-in more or less of partials of a function, by its id; 0 is for what is no partial."""
        if number:
            self._partials[number] = self._partials.get(number, 0) + change
            if not self._partials[number]:
                del self._partials[number]


def id_in_partial(value: object) -> int:
    """Return the id of a partial's function, 0 for what is no partial."""
    return id(_function_in(value)) if is_partial(value) else 0


def _function_in(value: Any) -> Any:
    """Return the function of a method or partial, else the value."""
    for _ in range(DEEPEST):
        if is_partial(value):
            value = value.func
    return value.__func__ if type(value) is MethodType else value
