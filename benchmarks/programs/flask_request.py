"""What watching adds to a Flask request of five GETs and two queries: `flask_request.py RUN_FOLDER WRAPT_FOLDER [REQUESTS]`.

In one process the packs are put on and taken off in turn, and each stretch is compared with the one beside it, in CPU time. The
socket is taken out: the client of redis-py is real and its connection answers from memory, SQLite is in memory, and the WSGI
application is called by hand. Prints {"bare_us", "added_us"}, the medians of the stretches. With REQUESTS it makes that many,
watched when there is a run folder, and prints nothing: for callgrind, where two such runs differ by that of their requests.
REQUESTS "timed": it prints the microseconds of a request in one of its quieter stretches, for `benchmarks.request`.
"""

from __future__ import annotations

import io
import json
import sqlite3
import statistics
import sys
from time import process_time_ns
from typing import Any

import redis
from flask import Flask
from redis.connection import Connection

STRETCH = 40
PAIRS = 300
WARM_UP = 500
STRETCHES_TIMED = 80
PACKS = ("flask", "redis", "sqlite3")


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
connection: Any = None


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


def begin_recording(run_folder: str, wrapt_folder: str) -> Any:
    """Open a shard and return what switches the packs on and off."""
    from hookmon.config.packs import read_packs
    from hookmon.probe import recorder

    recorder.wrapt_folder = wrapt_folder
    recorder.start(run_folder, "benchmark")
    from hookmon.probe.patcher import Patches, patch_module

    watches = [watch for pack in read_packs([]) if pack.name in PACKS for watch in pack.content.watches]
    plans = [watch.to_plan(number) for number, watch in enumerate(watches, 1) if watch.module in sys.modules]

    patches = Patches()
    for module in dict.fromkeys(plan["module"] for plan in plans):
        patch_module(sys.modules[module], module, [plan for plan in plans if plan["module"] == module], patches)
    changed = [(owner, name, before, vars(owner)[name]) for owner, name, before in patches._undo]

    def switch(is_on: bool) -> None:
        for owner, name, bare, watched in changed:
            setattr(owner, name, watched if is_on else bare)

    return switch


def quiet_us(*, is_watched: bool) -> float:
    """Return the CPU time of a request in a quiet stretch: the seventh of eighty."""
    if is_watched:
        from hookmon.probe import engine

        engine.use_clock("tsc")
    requests(WARM_UP)
    found = []
    for _ in range(STRETCHES_TIMED):
        started = process_time_ns()
        requests(STRETCH)
        found.append((process_time_ns() - started) / STRETCH / 1e3)
    return sorted(found)[STRETCHES_TIMED // 12]


def main() -> None:
    """Measure, or do what callgrind is to count."""
    global connection
    run_folder, wrapt_folder, *more = sys.argv[1:]
    switch = begin_recording(run_folder, wrapt_folder) if run_folder else None
    if more or switch is None:
        connection = sqlite3.connect(":memory:")
        if more == ["timed"]:
            print(quiet_us(is_watched=switch is not None))
        else:
            requests(int(more[0]))
        return
    connections = {True: sqlite3.connect(":memory:")}
    switch(False)
    connections[False] = sqlite3.connect(":memory:")
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * PAIRS):
        is_on = number % 4 in (1, 2)  # off, on, on, off: what drifts is in both
        switch(is_on)
        connection = connections[is_on]
        requests(STRETCH // 2)  # Python adapts its code to the other classes
        started = process_time_ns()
        requests(STRETCH)
        times[is_on].append((process_time_ns() - started) / STRETCH / 1e3)
    bare = times[False]
    added = [on - off for on, off in zip(times[True], bare, strict=True)]
    print(json.dumps({"bare_us": round(statistics.median(bare), 2), "added_us": round(statistics.median(added), 2)}))


if __name__ == "__main__":
    main()
