"""Observes calls that know the name or the status of the open transaction: routing, the making of a response.

In: templates and a callable. Out: an observer, which gets each call's arguments and result and passes name and status on to
`renaming` and `context`. Runs in the watched process, about once a request. As for all names, no code of the program runs for it.
"""

from __future__ import annotations

from hookmon.core.span import parse
from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.naming.names import plain_fields, text_finder
from hookmon.probe.transactions import context, renaming
from hookmon.probe.wrappers.bodies import replacer
from hookmon.probe.wrappers.coroutines import StandIn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.probe.base.shapes import Args, Function, KwArgs, Steps
    from hookmon.probe.base.target import Target

    Observer = Callable[[Args, KwArgs, Any], object]  # the third is what the program's function has returned


def transaction_observer(target: Target, function: Function, is_method: bool) -> Observer:
    """Return the observer of a callable: it takes (args, kwargs, result) of each call. Raises ValueError for a bad template.

    What the observer returns replaces the call's result, unless it is None.
    """
    name_template, status_template, body_template = target.templates
    find_name = text_finder(name_template, target, function, is_method) if name_template else None
    find_status = text_finder(status_template, target, function, is_method) if status_template else None
    replace_body = replacer(body_template, function, is_method) if body_template else None

    kind = target.kind

    @shielded(None)
    def observe(args: Args, kwargs: KwArgs, result: object) -> object:
        transaction = context.current()
        if transaction is None or kind not in ("function", transaction.node.span.target.kind):
            return None  # a test that calls a view is not named by the view's route
        values = {**kwargs, "result": result}
        if find_name is not None:
            name = find_name(args, values)
            if name:
                renaming.name_transaction(name)
        if find_status is not None:
            status = find_status(args, values)[:3]
            if status.isdigit():
                context.set_status(int(status))
        return replace_body(args, values, transaction) if replace_body is not None else None

    return observe


def quick_reader(target: Target, function: Function, is_method: bool) -> object:
    """Return what lets the compiled engine observe most calls without Python; None where it cannot.

    That is (read, fields, field of the body or None, kind of transaction or None for any, whether it gives the route).
    `read(args, kwargs, result)` returns (name or None, status or -1), or None where the observer in Python is to be called. Each
    field is (position or -1 for the result, names). What the fields lead to decides about the answer alone. The engine keeps it.
    """
    name_template, status_template, body_template = target.templates
    parts = [part for template in (name_template, status_template) for part in parse(template) if not isinstance(part, str)]
    fields = plain_fields(parts, function, is_method)
    bodies = plain_fields([part for part in parse(body_template) if not isinstance(part, str)], function, is_method)
    if fields is None or bodies is None:
        return None
    find_name = text_finder(name_template, target, function, is_method) if name_template else None
    find_status = text_finder(status_template, target, function, is_method) if status_template else None

    @shielded(None)
    def read(args: Args, kwargs: KwArgs, result: object) -> tuple[str | None, int]:
        values = {**kwargs, "result": result}
        name = find_name(args, values) if find_name is not None else ""
        status = find_status(args, values)[:3] if find_status is not None else ""
        return renaming.full_name(name) or None, int(status) if status.isdigit() else -1

    return read, fields, bodies[0] if bodies else None, None if target.kind == "function" else target.kind, False


def route_reader(name_of: Callable[[Args, KwArgs, Any], str], fields: tuple[object, ...]) -> object:
    """Return the same for a function that knows the route of the open request: `name_of(args, kwargs, result)` returns it.

    It returns "" for what is no route. Then the observer in Python is called.
    """

    @shielded(None)
    def read(args: Args, kwargs: KwArgs, result: object) -> tuple[str, int] | None:
        name = name_of(args, kwargs, result)
        return (name, -1) if name else None

    return read, fields, None, "request", True


class ObservedCoroutine(StandIn):
    """A coroutine whose result is observed; it is not timed."""

    __slots__ = ("_arguments", "_observe")

    __class__ = property(lambda self: type(self._inner))

    def __init__(self, inner: Steps, observe: Observer, args: Args, kwargs: KwArgs) -> None:
        super().__init__(inner)
        self._observe = observe
        self._arguments = (args, kwargs)

    @hide_frames
    def _step(self, value: object = None) -> object:
        try:
            return self._inner.send(value)
        except BaseException as error:
            if isinstance(error, StopIteration):
                self._observe(*self._arguments, error.value)
            drop_frame(error)
            raise

    __next__ = _step
    send = _step

    @hide_frames
    def throw(self, *exception: object) -> object:
        try:
            return self._inner.throw(*exception)
        except BaseException as error:
            if isinstance(error, StopIteration):
                self._observe(*self._arguments, error.value)
            drop_frame(error)
            raise

    @hide_frames
    def close(self) -> None:
        try:
            self._inner.close()
        except BaseException as error:
            drop_frame(error)
            raise

    def __await__(self) -> ObservedCoroutine:
        return self


def needs_result(target: Target) -> bool:
    """Say whether a template reads the result, so that the call must have ended."""
    return any("{result" in template or ", result" in template for template in target.templates)
