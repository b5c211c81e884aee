"""All that the adapter of a pack may use of hookmon. docs/packs.md has an example.

An adapter is a module with a function `patch(module, call, timed, patches)`. It runs in the watched process and keeps to its
rules: it imports this module, another adapter, and of the standard library what is there in any program; it never raises where
the program would not, and never keeps the program's objects.

`MISSING` is what `attribute` returns for nothing. `Proxy` is a base class for objects that are another one, `_inner`, but for
what their class defines. `hide_frames` and `drop_frame` go together:

    @hide_frames                            # warnings and logging count no frame of `wrapper`
    def make(plain):
        def wrapper(*args, **kwargs):
            try:
                return plain(*args, **kwargs)
            except BaseException as error:
                drop_frame(error)           # nor does a traceback show it
                raise
        return wrapper
"""

from __future__ import annotations

from hookmon.probe.base.frames import drop_frame, hide_frames
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.introspect import CO_COROUTINE, CO_GENERATOR, MISSING, attribute, is_partial
from hookmon.probe.naming.filters import method_of as http_method
from hookmon.probe.patching.entries import owners
from hookmon.probe.recording import recorder
from hookmon.probe.transactions import context, origins, renaming, response
from hookmon.probe.transactions.propagation import outgoing_header
from hookmon.probe.wrappers import make
from hookmon.probe.wrappers.bodies import Body
from hookmon.probe.wrappers.coroutines import StandIn as Proxy
from hookmon.probe.wrappers.coroutines import can_be_awaited
from hookmon.probe.wrappers.proxy import look_like

TYPE_CHECKING = False  # importing typing would cost the watched program 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from hookmon.probe.patching.patches import Patches as Patches
    from hookmon.probe.transactions.context import Member as Member
    from hookmon.probe.transactions.context import Transaction

    class Timed(Protocol):
        """What times a function by the watch of a call: the third argument of `patch`."""

        def __call__(self, function: Any, call: str, scope_at: int | None = None) -> Any:
            """Return the timed function. With `scope_at`, the position of its scope, it is an ASGI application."""


__all__ = (
    "MISSING",
    "Proxy",
    "Span",
    "attribute",
    "can_be_awaited",
    "chain",
    "current_request",
    "current_transaction",
    "drop_frame",
    "end_response",
    "fail_transaction",
    "hide_frames",
    "http_method",
    "is_coroutine_function",
    "is_generator_function",
    "is_partial",
    "is_timed",
    "join",
    "look_like",
    "measured",
    "membership",
    "mount_request",
    "name_request",
    "observe",
    "observe_before",
    "outgoing_traceparent",
    "owner_of",
    "request_name",
    "set_status",
    "set_traceparent",
    "shielded",
    "signal",
    "span_opener",
    "stream_body",
    "time_when",
)


def observe(
    function: Any, after: Callable[[Any, Any, Any], None], *, route: tuple[Callable[[Any, Any, Any], str], Any] | None = None
) -> Any:
    """Return what stands in for a function and calls `after(args, kwargs, result)` when that has returned.

    A coroutine function is observed when it is called, and the result is None. `route` makes it cheaper with the compiled engine:
    (name_of, fields). `name_of(args, kwargs, result)` returns the `request_name`, or "" where `after` is to be called; all that
    decides is what the fields lead to: (position or keyword of an argument, or -1 for the result, names below it).
    """
    return make.observe(function, after, route_of=route)


def observe_before(function: Any, before: Callable[[Any, Any, None], None]) -> Any:
    """Return what stands in for a function and calls `before(args, kwargs, None)` ahead of each call."""
    return make.observe_before(function, before)


@hide_frames
def time_when(
    condition: Callable[[Any], bool], plain: Any, timed: Any, *, after: Callable[[Any, Any], None] | None = None
) -> Any:
    """Return a method that is `timed` where `condition(self)` is true, else `plain`; `after(self, result)` follows either.

    What these raise reaches the program: put `shielded` around what may fail.
    """

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            result = (timed if condition(self) else plain)(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if after is not None:
            after(self, result)
        return result

    async def call_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await (timed if condition(self) else plain)(self, *args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        if after is not None:
            after(self, result)
        return result

    return look_like(call_async if is_coroutine_function(plain) else call, plain)


def chain(method: Any, make_other: Any, given: Any, then: Any) -> Any:
    """Return `then(make_other(self, given), …)` in the looks of `method`, which is one of a C type; `timed` takes it for that."""
    return make.chain(method, make_other, given, then)


class Span:
    """An open span, which any thread may close. One that is never closed is never counted.

    The engines take it for the future that a call has returned, and count that call when the future is done.
    """

    __slots__ = ("_count", "_exception", "_forks")

    def __init__(self) -> None:
        self._count: Callable[[Span], None] | None = None
        self._exception: BaseException | None = None
        self._forks = recorder.forks

    def close(self, error: BaseException | None = None) -> None:
        """Count the span, once, as failed where there is an error. What was opened before a fork is the parent's."""
        count, self._count = self._count, None
        if count is not None and self._forks == recorder.forks:
            self._exception = error
            count(self)
            self._exception = None

    def __await__(self) -> Any:
        raise TypeError("a span cannot be awaited")

    def add_done_callback(self, callback: Callable[[Span], None]) -> None:
        """Keep what counts it."""
        self._count = callback

    def done(self) -> bool:
        """Say that it is not, which it never is when an engine asks."""
        return False

    def cancelled(self) -> bool:
        """Say that it was not: `close` has said how it ended."""
        return False


def span_opener(timed: Timed, call: str) -> Callable[..., Span]:
    """Return a function that opens a Span in the caller's transaction, with the name and kind of the watch of `call`.

    Its arguments are those that the name is made of; the first is `self`.
    """
    opener: Callable[..., Span] = timed(_open, call)
    return opener


def _open(*_args: Any, **_kwargs: Any) -> Span:
    return Span()


def current_transaction() -> Transaction | None:
    """Return the open request, job or test that the caller belongs to, None when there is none. It may be kept until its end."""
    return context.current()


def current_request() -> Transaction | None:
    """Return the open transaction where it is a request."""
    transaction = context.current()
    return transaction if transaction is not None and transaction.node.span.target.kind == "request" else None


def request_name(method: str, pattern: str) -> str:
    """Return the name of the open request: its method, where its application is mounted, and the pattern of its route."""
    transaction = context.current()
    return f"{http_method(method)} {transaction.route if transaction is not None else ''}{pattern}"


def name_request(method: str, pattern: Any) -> None:
    """Name the open request by its route, if that is a text. The first one stays: a handler may call another application."""
    transaction = current_request()
    if transaction is not None and not transaction.is_routed and type(pattern) is str:
        transaction.is_routed = True
        renaming.rename(request_name(method, pattern))


def mount_request(method: str, prefix: Any, rest: str) -> None:
    """Say that the open request goes on to an application mounted at `prefix`, if that is a text.

    `rest` stands for the route in it, which is not known yet.
    """
    transaction = current_request()
    if transaction is not None and not transaction.is_routed and type(prefix) is str:
        transaction.route += prefix.rstrip("/")
        renaming.rename(request_name(method, rest))


def set_status(transaction: Transaction, status: int | str) -> None:
    """Say how the response of a transaction begins, 503 or "503 Later", also when it has ended. From 500 on it is an error."""
    response.begin(transaction, str(status) if isinstance(status, int) else status)


def set_traceparent(transaction: Transaction, header: Any) -> None:
    """Say with which `traceparent` of W3C trace context a transaction came, text or bytes. What is no valid one is passed over.

    Requests of WSGI, ASGI and aiohttp, and messages whose argument has `headers`, are read without this.
    """
    if header is not None and transaction.origin is None:
        transaction.origin = origins.checked(header)


def outgoing_traceparent() -> str | None:
    """Return the `traceparent` of a call that the open transaction is about to send, None outside of one.

    For watches with `propagates`, which are there only where the user wants it.
    """
    return outgoing_header()


def fail_transaction() -> None:
    """Say that the caller's transaction is an error, also when it has ended."""
    context.fail()


def end_response(transaction: Transaction | None = None) -> None:
    """Say that the response of a request, the caller's if none is given, has ended: what follows is counted apart."""
    response.finish_response(transaction)


def stream_body(generator: Any, transaction: Transaction) -> Any:
    """Return a body of a response, a generator, whose steps belong to a transaction, also when that has ended."""
    return Body(generator, transaction)


def membership() -> Member | None:
    """Return what the caller's context says of the transaction that it belongs to, for `join`."""
    return context.members.get(None)


def join(member: Member | None) -> Member | None:
    """Have the caller's context say that it belongs to a transaction, or to none; return what it has said before."""
    before = context.members.get(None)
    context.members.set(member)
    return before


@hide_frames
def measured(function: Any, member: Member) -> Any:
    """Return what a thread is to call in the place of a function: its CPU time is that of the membership's transaction, too.

    It is the function itself where that transaction is not measured.
    """
    transaction = member.transaction
    if not transaction.stands_for or transaction.ended:
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        part = context.begin_beside(transaction)
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            drop_frame(error)
            raise
        finally:  # before anybody can have the result: he may end the transaction at once
            if part is not None:
                part.end_part()

    return call


def signal(name: str, unit: str, kind: str) -> Any:
    """Return what measures a signal that is no call: a counter with `add`, a gauge with `set`, a histogram with `record`.

    `kind` is one of these three words, `unit` one of UCUM: "s", "By", "1". The same name, unit and kind are one signal in all
    processes of a run. Raises ValueError for another kind. Nothing else of it raises, and a value that is no number is left out.
    """
    from hookmon.probe.recording.instruments import instrument  # few adapters have one

    return instrument(name, unit, kind)


def owner_of(module: Any, call: str) -> tuple[Any, str] | None:
    """Return the module or class that has what `call` names, and its name there; None where there is no such function."""
    return next(owners(module, [call]), None)


def is_timed(value: Any) -> bool:
    """Say whether the calls of a value are timed already."""
    return make.is_timed(value) and not make.is_observed(value)


def is_coroutine_function(function: Any) -> bool:
    """Say whether a function is one, or what a decorator has wrapped in it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return bool(function.__code__.co_flags & CO_COROUTINE)


def is_generator_function(function: Any) -> bool:
    """Say whether a function or method is one whose call runs nothing of it."""
    return bool(function.__code__.co_flags & CO_GENERATOR)
