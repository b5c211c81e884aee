"""Reads names and statuses of transactions off the calls that know them: routing, the making of a response.

In: templates and a callable. Out: a function that is told of each call's arguments and result and tells `transactions`. Runs in
the watched process, about once a request. Nothing of the program runs for it, as for all names.
"""

from __future__ import annotations

from hookmon.probe import transactions
from hookmon.probe.guard import shielded
from hookmon.probe.names import text_finder
from hookmon.probe.steps import StandIn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.target import Target

    Mark = Callable[[tuple[Any, ...], dict[str, Any], Any], None]


def marker(target: Target, function: Any, is_method: bool) -> Mark:
    """Return what is to be called with (args, kwargs, result) of each call. Raises ValueError for a bad template."""
    name_template, status_template = target.marks
    find_name = text_finder(name_template, target, function, is_method) if name_template else None
    find_status = text_finder(status_template, target, function, is_method) if status_template else None

    kind = target.kind

    @shielded(None)
    def mark(args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        transaction = transactions.current()
        if transaction is None or kind not in ("function", transaction.node.span.target.kind):
            return  # a test that calls a view is not named by the view's route
        values = {**kwargs, "result": result}
        if find_name is not None:
            name = find_name(args, values)
            if name:
                transactions.rename(name)
        if find_status is not None:
            status = find_status(args, values)[:3]
            if status.isdigit():
                transactions.set_status(int(status))

    return mark


class MarkedCoroutine(StandIn):
    """A coroutine of whose result a mark is told; it is not timed."""

    __slots__ = ("_arguments", "_mark")

    __class__ = property(lambda self: type(self._inner))

    def __init__(self, inner: Any, mark: Mark, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(inner)
        self._mark = mark
        self._arguments = (args, kwargs)

    def _step(self, value: Any = None) -> Any:
        try:
            return self._inner.send(value)
        except StopIteration as stop:
            self._mark(*self._arguments, stop.value)
            raise

    __next__ = _step
    send = _step

    def throw(self, *exception: Any) -> Any:
        try:
            return self._inner.throw(*exception)
        except StopIteration as stop:
            self._mark(*self._arguments, stop.value)
            raise

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self


def needs_result(target: Target) -> bool:
    """Say whether a mark can only be read when the call has ended."""
    return any("{result" in template or ", result" in template for template in target.marks)
