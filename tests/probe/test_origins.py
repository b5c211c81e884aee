"""The trace that a request or a message came with is the trace of what is kept of it, on both engines."""

from __future__ import annotations

from textwrap import dedent

import pytest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"

PAGES = f'''
HEADER = {HEADER!r}
pages = module("""
import asyncio
from collections import namedtuple

def app(environ, start_response): pass
class Application:
    def __call__(self, environ, start_response): pass
async def asgi(scope, receive, send): pass
async def handle(request): pass
def job(*message): pass
async def task(message): pass
Record = namedtuple("Record", "topic headers")
class Message:
    def __init__(self, headers): self.headers = headers
class Slots:
    __slots__ = ("headers",)
class Property:
    @property
    def headers(self): raise SystemExit("code of the program has run")
class Request:
    def __init__(self, pairs): self._message = type("Raw", (), {{}})(); self._message.raw_headers = pairs
""")
watch(pages, "app", "asgi", "handle", "Application.__call__", kind="request", entry=True)
watch(pages, "job", "task", kind="task", entry=True)
import asyncio
'''


@pytest.fixture(params=["pure", "compiled"])
def found(fresh, request):
    """Run code after PAGES on one engine; return (trace id, parent id, flags) of what it has kept, in the order of time."""

    def run(code: str) -> list[tuple[str, str, int]]:
        recorded = fresh(PAGES + dedent(code), env={"HOOKMON_ENGINE": request.param})
        examples = sorted(recorded.examples, key=lambda row: row.started_ns)
        return [(row.trace_id, row.parent_id, row.trace_flags & 0xFF) if row.parent_id else ("", "", 0) for row in examples]

    return run


OURS, NONE = (TRACE, SPAN, 1), ("", "", 0)


@pytest.mark.parametrize(
    "code",
    [
        "pages.app({'HTTP_TRACEPARENT': HEADER}, None)",
        "pages.Application()({'HTTP_TRACEPARENT': HEADER}, None)",
        "asyncio.run(pages.asgi({'type': 'http', 'headers': [(b'host', b'x'), (b'traceparent', HEADER.encode())]}, 1, 2))",
        "asyncio.run(pages.asgi({'type': 'http', 'headers': [[b'Traceparent', HEADER.encode()]]}, 1, 2))",
        "asyncio.run(pages.handle(pages.Request(((b'TraceParent', HEADER.encode()),))))",
        "pages.job('channel', 'method', pages.Message({'traceparent': HEADER}), b'body')",
        "pages.job(pages.Message([('a', b'b'), ('traceparent', HEADER.encode())]))",
        "pages.job(pages.Record('topic', (('traceparent', HEADER.encode()),)))",
        "message = pages.Slots(); message.headers = {'traceparent': HEADER}; pages.job(message)",
        "asyncio.run(pages.task(pages.Message({'traceparent': HEADER})))",
    ],
)
def test_where_it_is_read(found, code):
    """WSGI, ASGI, aiohttp's request, and messages."""
    assert found(code) == [OURS]


@pytest.mark.parametrize(
    "code",
    [
        "pages.app({}, None)",
        "pages.app({'HTTP_TRACEPARENT': HEADER + ',' + HEADER}, None)",
        "pages.app({'HTTP_TRACEPARENT': 'x' * 10_000}, None)",
        "pages.app({'HTTP_TRACEPARENT': [HEADER]}, None)",
        "pages.app('nothing', None)",
        "asyncio.run(pages.asgi({'headers': [(b'traceparent', HEADER.encode())] * 2}, 1, 2))",
        "asyncio.run(pages.asgi({'headers': [(b'traceparent',), None, 7, (b'traceparent', None)]}, 1, 2))",
        "asyncio.run(pages.asgi({'headers': 'traceparent'}, 1, 2))",
        "pages.job(pages.Property())",
        "pages.job({'HTTP_TRACEPARENT': HEADER, 'headers': {'traceparent': HEADER}})",
        "pages.job(pages.Message(None))",
        "pages.job(pages.Message({'traceparent': 7}))",
        "pages.job(pages.Record('topic', None))",
        "pages.job()",
    ],
)
def test_where_there_is_none(found, code):
    """Twice, too long, no text, in a job's own dictionary: a trace of its own. No property of the program is asked."""
    assert found(code) == [NONE]


def test_each_request_has_its_own(found):
    """What one has come with is none of the next one's."""
    assert found(
        "pages.app({'HTTP_TRACEPARENT': HEADER}, None); pages.app({}, None); pages.app({'HTTP_TRACEPARENT': HEADER}, None)"
    ) == [
        OURS,
        NONE,
        OURS,
    ]


def test_tasks_at_the_same_time_have_their_own(found):
    """Each coroutine brings its own along."""
    assert found(
        """
        async def main():
            scope = {'type': 'http', 'headers': [(b'traceparent', HEADER.encode())]}
            await asyncio.gather(pages.asgi(scope, 1, 2), pages.asgi({'headers': []}, 1, 2))
        asyncio.run(main())
        """
    ) == [OURS, NONE]
