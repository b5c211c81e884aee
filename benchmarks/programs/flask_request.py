"""A Flask request of five GETs and two queries, without a server: `flask_request.py timed` or `flask_request.py REQUESTS`.

The socket is taken out: the client of redis-py is real and its connection answers from memory, SQLite is in memory, and the WSGI
application is called by hand. "timed" prints the CPU time of a request in a quiet stretch, in microseconds, for
`benchmarks.request`. With REQUESTS it makes that many and prints nothing: for callgrind, where two such runs differ by that of
their requests. Whether it is watched is not its business.
"""

from __future__ import annotations

import gc
import io
import os
import sqlite3
import sys
from time import process_time_ns
from typing import Any

import redis
from flask import Flask
from redis.connection import Connection

STRETCH = 40
WARM_UP = 500
STRETCHES_TIMED = 80


class Canned(Connection):
    """A connection whose server answers at once."""

    def connect(self) -> None:
        """There is nobody to connect to."""

    def send_packed_command(self, *_args: Any, **_more: Any) -> None:
        """There is nobody to send to."""

    def read_response(self, *_args: Any, **_more: Any) -> bytes:
        """Answer what a GET found."""
        return b"value"

    def can_read(self, *_args: Any, **_more: Any) -> bool:
        """Nothing waits to be read."""
        return False


app = Flask("shop")
client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=Canned))
connection = sqlite3.connect(":memory:")


@app.get("/baskets/<number>")
def basket(number: str) -> str:
    """Answer after five GETs and two queries."""
    found = [client.get(f"basket:{number}:{part}") for part in range(5)]
    found.append(connection.execute("SELECT 1").fetchone())
    found.append(connection.execute("SELECT ? + 1", (1,)).fetchone())
    return str(len(found))


def requests(number: int) -> None:
    """Call the application that often, as a server does."""
    for _ in range(number):
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/baskets/42", "QUERY_STRING": "", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }  # fmt: skip
        body = app(environ, lambda status, headers, exc_info=None: None)
        assert b"".join(body) == b"7"
        body.close()


def quiet_us() -> float:
    """Return the CPU time of a request in a quiet stretch: the seventh of eighty, on one processor."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    requests(WARM_UP)
    found = []
    for _ in range(STRETCHES_TIMED):
        started = process_time_ns()
        requests(STRETCH)
        found.append((process_time_ns() - started) / STRETCH / 1e3)
    return sorted(found)[STRETCHES_TIMED // 12]


if __name__ == "__main__":
    if sys.argv[1] == "timed":
        print(quiet_us())
    else:
        gc.disable()  # or the counts would differ by when it runs
        requests(int(sys.argv[1]))
