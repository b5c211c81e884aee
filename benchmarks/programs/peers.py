"""How each peer is told to time a function of one's own, as its documentation has it.

`begin` and `end` enclose a batch: most peers keep spans only inside a transaction. `wrap` and `wrap_coroutine` time a
function under a fixed name, `span` is a context manager for a name that is known at the call. Standard library only at the
top; a peer is imported by its own class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


class Peer:
    """Nothing is timed: the bare program, or one whose functions are watched from outside."""

    span: Any = None

    def begin(self) -> None:
        """Open a transaction."""

    def end(self) -> None:
        """Close it."""

    def wrap(self, function: Any) -> Any:
        """Return the function, timed."""
        return function

    def wrap_coroutine(self, function: Any) -> Any:
        """Return the coroutine function, timed."""
        return self.wrap(function)

    def name(self, function: Callable[[str], None]) -> Any:
        """Return a function that is timed under its argument."""
        if self.span is None:
            return self.wrap(function)
        span = self.span

        @wraps(function)
        def call(item: str) -> None:
            with span(f"named {item}"):
                return function(item)

        return call

    def apply(self, shop: Any) -> None:
        """Replace the functions of a shop."""
        shop.function = self.wrap(shop.function)
        shop.Shop.method = self.wrap(shop.Shop.method)
        shop.coroutine = self.wrap_coroutine(shop.coroutine)
        shop.named = self.name(shop.named)
        for level in range(1, 11):
            setattr(shop, f"level{level}", self.wrap(getattr(shop, f"level{level}")))


class Wrapt(Peer):
    """A decorator that does nothing: what being in the way costs at the least, when it is written in Python."""

    def __init__(self) -> None:
        import redis
        import wrapt

        @wrapt.decorator
        def through(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            return wrapped(*args, **kwargs)

        self.wrap = through  # type: ignore[method-assign]
        redis.Redis.execute_command = through(redis.Redis.execute_command)


class CProfile(Peer):
    """The profiler of the standard library, which sees every call."""

    def __init__(self) -> None:
        from cProfile import Profile

        profile = Profile()
        self.begin = profile.enable  # type: ignore[method-assign]
        self.end = profile.disable  # type: ignore[method-assign]


class Ddtrace(Peer):
    """`tracer.wrap` and `tracer.trace`."""

    def __init__(self) -> None:
        from ddtrace.trace import tracer

        self._tracer = tracer
        self._span: Any = None
        self.span = tracer.trace

    def begin(self) -> None:
        self._span = self._tracer.trace("batch")

    def end(self) -> None:
        self._span.finish()

    def wrap(self, function: Any) -> Any:
        return self._tracer.wrap(function.__name__)(function)


class OpenTelemetry(Peer):
    """`start_as_current_span`, as decorator and as context manager."""

    def __init__(self) -> None:
        from opentelemetry import trace

        self._tracer = trace.get_tracer("benchmarks")
        self._span: Any = None
        self.span = self._tracer.start_as_current_span

    def begin(self) -> None:
        self._span = self._tracer.start_as_current_span("batch")
        self._span.__enter__()

    def end(self) -> None:
        self._span.__exit__(None, None, None)

    def wrap(self, function: Any) -> Any:
        return self._tracer.start_as_current_span(function.__name__)(function)


class NewRelic(Peer):
    """`function_trace` and `FunctionTrace` in a background task."""

    def __init__(self) -> None:
        from newrelic import agent

        self._agent = agent
        self._application = agent.register_application(timeout=10)
        self._task: Any = None
        self.span = agent.FunctionTrace

    def begin(self) -> None:
        self._task = self._agent.BackgroundTask(self._application, name="batch")
        self._task.__enter__()

    def end(self) -> None:
        self._task.__exit__(None, None, None)

    def wrap(self, function: Any) -> Any:
        return self._agent.function_trace()(function)


class Elastic(Peer):
    """`capture_span` in a transaction of the client."""

    def __init__(self) -> None:
        import elasticapm

        self._elasticapm = elasticapm
        self._client = elasticapm.get_client() or elasticapm.Client()
        elasticapm.instrument()
        self.span = elasticapm.capture_span

    def begin(self) -> None:
        self._client.begin_transaction("batch")

    def end(self) -> None:
        self._client.end_transaction("batch")

    def wrap(self, function: Any) -> Any:
        return self._elasticapm.capture_span()(function)

    def wrap_coroutine(self, function: Any) -> Any:
        return self._elasticapm.async_capture_span()(function)


class Sentry(Peer):
    """`trace` and `start_span` in a transaction; `start_sentry.py` has initialised it."""

    def __init__(self) -> None:
        import sentry_sdk

        self._sdk = sentry_sdk
        self._transaction: Any = None
        self.span = lambda name: sentry_sdk.start_span(op="function", name=name)

    def begin(self) -> None:
        self._transaction = self._sdk.start_transaction(name="batch")
        self._transaction.__enter__()

    def end(self) -> None:
        self._transaction.__exit__(None, None, None)

    def wrap(self, function: Any) -> Any:
        return self._sdk.trace(function)


PEERS: dict[str, type[Peer]] = {
    "wrapt": Wrapt,
    "cProfile": CProfile,
    "ddtrace": Ddtrace,
    "opentelemetry": OpenTelemetry,
    "newrelic": NewRelic,
    "elastic-apm": Elastic,
    "sentry": Sentry,
}
"""By the name of the subject; the others are watched from outside."""
