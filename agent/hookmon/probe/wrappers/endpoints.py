"""Chooses the wrappers of the two functions of a paired span: see transactions/paired_spans.py.

In: a function that begins or ends spans, and its watch. Out: a function in its place that is observed. Runs in the watched
process, when a module is patched.
"""

from __future__ import annotations

from _weakref import ref
from types import FunctionType

from hookmon.probe.base.introspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from hookmon.probe.naming.conditions import condition
from hookmon.probe.naming.names import span_finder
from hookmon.probe.transactions import paired_spans
from hookmon.probe.wrappers.make import Observed, ObservedBefore, RefusedError, Timed, flags_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.base.shapes import Function
    from hookmon.probe.base.target import Target

_RUNS = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE

_endpoints: dict[int, tuple[ref[Any], tuple[object, ...]]] = {}
"""{id of a wrapper: (weak reference to it, (whether it ends spans, what tells its calls apart))}."""


def wrap_endpoint(function: Function, target: Target, watch: WatchPlan, *, is_method: bool, is_last: bool) -> Function:
    """Return the stand-in for one of the two functions of a paired span.

    A stand-in is returned as it is: a class that can be found in two modules is patched twice. Raises RefusedError for a function
    that has not done its work when it returns.
    """
    key = (is_last, *watch.get("when", ()), *watch.get("until_when", ()))
    if _has_endpoint(function, key):
        return function
    if flags_of(function) & _RUNS:
        raise RefusedError("it is a coroutine or generator function, and a span from one call to another takes plain ones")
    if not isinstance(function, FunctionType | Timed):
        raise RefusedError(f"it is {type(function).__name__}, no function, and cannot be an end of a span")
    pairs = watch.get("until_when", []) if is_last else watch.get("when", [])
    applies = condition(pairs, function, is_method) if pairs else None
    if is_last:
        made: Function = Observed(
            function, None, paired_spans.Endpoints(watch["id"], None, is_method, None, applies).end_span, -1
        )
    else:
        find, _ = span_finder(watch["span"] or target.path.partition(":")[2], target, function, is_method)
        begin_span = paired_spans.Endpoints(watch["id"], find, is_method, target, applies).begin_span
        made = ObservedBefore(function, None, begin_span, -1)
    number = id(made)
    _endpoints[number] = (ref(made, lambda _: _endpoints.pop(number)), key)
    return made


def _has_endpoint(function: object, key: tuple[object, ...]) -> bool:
    """Say whether a function is the wrapper of such an endpoint, or of another one around it."""
    while True:
        found = _endpoints.get(id(function))
        if found is None or found[0]() is not function:
            return False
        if found[1] == key:
            return True
        made: Any = function
        function = made._self_function
