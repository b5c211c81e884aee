"""Times a library that is there twice, watched and not: `twice.py JOB VALKEY_PORT PAIRS BOTH_BARE RESULT_FILE`.

Each copy has its own modules, classes and byte code, so neither's inline caches know of the other, and a connection of its own;
all else is one process. The copies take turns in short blocks, in an order drawn by lot. With BOTH_BARE, neither is watched: what
is measured then is the method's own error. Writes {"pairs": [[[watched time, CPU], [bare time, CPU]], …], "size": …}: nanoseconds
of a block, which has so many GETs or requests.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import socket
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns as clock
from time import thread_time_ns
from typing import Any

LIBRARIES = frozenset(("redis", "flask", "werkzeug", "fastapi", "starlette"))
"""What is loaded twice. What they share besides is not watched, or does not run here."""

GETS = 5
"""In one request."""

Block = Callable[[], object]


def fresh(name: str) -> Any:
    """Import a library anew, with those that it is made of."""
    for name in [name for name in sys.modules if name.partition(".")[0] in LIBRARIES]:
        del sys.modules[name]
    return importlib.import_module(name)


@contextmanager
def import_unwatched() -> Any:
    """Import past hookmon."""
    before = list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in before if not type(finder).__module__.startswith("hookmon")]
    try:
        yield
    finally:
        sys.meta_path[:] = before


class Answering(socket.socket):
    """A socket to a server that answers at once, in this very process: system calls and their cost to the caches, no waiting."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send, and let the other end read it and answer."""
        super().sendall(data, flags)
        self.peer.recv(65_536)
        self.peer.sendall(b"$5\r\nvalue\r\n" if b"GET" in data else b"+OK\r\n")

    def make_peer(self) -> Answering:
        """Connect the two ends."""
        here, self.peer = socket.socketpair()
        os.dup2(here.fileno(), self.fileno())
        here.close()
        return self


def sync_client(redis: Any, port: int) -> Any:
    """Return a client of the server at `port`, of one that answers at once for 0."""
    if not port:
        redis.connection.Connection._connect = lambda _: Answering(socket.AF_UNIX).make_peer()
    return redis.Redis(host="127.0.0.1", port=port, protocol=2)


def get(port: int) -> tuple[Block, int]:
    """One GET after the other."""
    client = sync_client(fresh("redis"), port)
    client.set("key", "value")

    def block() -> None:
        for _ in range(10):
            client.get("key")

    return block, 10


def flask(port: int) -> tuple[Block, int]:
    """Requests to a Flask app, called as a WSGI server calls it."""
    library = fresh("flask")
    testing = importlib.import_module("werkzeug.test")
    app = library.Flask("app")
    client = sync_client(importlib.import_module("redis"), port)
    expected = str(client.get("key0")).encode() * GETS

    @app.get("/")
    def view() -> str:
        return "".join(str(client.get(f"key{number}")) for number in range(GETS))

    def block() -> None:
        for _ in range(2):
            environ = testing.create_environ("/", "http://localhost")
            answer = app(environ, lambda status, headers, error=None: None)
            assert b"".join(answer) == expected
            answer.close()

    return block, 2


runner = asyncio.Runner()


def fastapi(port: int) -> tuple[Block, int]:
    """Requests to a FastAPI app, called as an ASGI server calls it: each in a task of its own."""
    library = fresh("fastapi")
    client = importlib.import_module("redis.asyncio").Redis(host="127.0.0.1", port=port)
    app = library.FastAPI()

    @app.get("/")
    async def view() -> str:
        return "".join([str(await client.get(f"key{number}")) for number in range(GETS)])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    base = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/"}
    base |= {"raw_path": b"/", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}

    async def requests() -> None:
        for _ in range(2):
            await asyncio.create_task(app(base | {"headers": [(b"host", b"localhost")]}, receive, send))

    return lambda: runner.run(requests()), 2


JOBS = {
    "get": get,
    "get-alone": lambda _: get(0),
    "flask": flask,
    "flask-alone": lambda _: flask(0),
    "fastapi": fastapi,
}
"""Those alone have a server that answers at once, in their own process."""


def main() -> None:
    """Measure and write."""
    job, port, pairs, both_bare, path = JOBS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1", sys.argv[5]
    blocks: list[Block] = []
    size = 0
    watched = random.randrange(2)  # which of the two is imported first
    for number in range(2):
        if number == watched and not both_bare:
            block, size = job(port)
        else:
            with import_unwatched():
                block, size = job(port)
        blocks.append(block)
    for _ in range(100):
        for block in blocks:
            block()
    found: list[list[tuple[int, int]]] = []
    for _ in range(pairs):
        spent = [(0, 0), (0, 0)]
        first = random.randrange(2)
        for number in (first, 1 - first):
            block = blocks[number]
            started_cpu, started = thread_time_ns(), clock()
            block()
            spent[number != watched] = clock() - started, thread_time_ns() - started_cpu
        found.append(spent)
    runner.close()
    Path(path).write_text(json.dumps({"pairs": found, "size": size}), "utf-8")


main()
