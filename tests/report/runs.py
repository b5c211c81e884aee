"""Runs as the collector would hand them over, small enough to be checked by hand."""

from __future__ import annotations

from typing import Any

from hookmon.collector.store import BlindSpot, Example, InFlight, Node, Process, Run, Watched
from hookmon.core.histogram import bucket_of

MS = 1_000_000
S = 1_000 * MS


def node(parent: int, name: str, durations_ns: list[int], *, children_ns: int = 0, **more: Any) -> Node:
    """Return a node whose calls took the given durations; `children_ns` is what its children took of them."""
    buckets: dict[int, int] = {}
    for duration_ns in durations_ns:
        bucket = bucket_of(duration_ns)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    more = {"kind": "function", "target": f"app:{name}"} | more
    return Node(
        parent=parent,
        name=name,
        calls=len(durations_ns),
        total_ns=sum(durations_ns),
        self_ns=sum(durations_ns) - children_ns,
        min_ns=min(durations_ns, default=0),
        max_ns=max(durations_ns, default=0),
        buckets=buckets,
        **more,
    )


def run(**more: Any) -> Run:
    """Return a run without anything recorded."""
    plain: dict[str, Any] = {
        "id": 7,
        "name": "",
        "command": ["python", "app.py"],
        "started_at": "2025-03-04T05:06:07+00:00",
        "hookmon": "0.1.0",
        "main_pid": 4711,
        "state": "finished",
        "duration_ns": 3_420 * MS,
        "exit_code": 0,
        "python": "3.12.4",
        "engine": "pure",
        "beside_ns": 0,
        "lanes": 1,
        "processes": [process(4711)],
    }
    return Run(**plain | more)


def process(pid: int, **more: Any) -> Process:
    """Return a process that ended well."""
    plain: dict[str, Any] = {
        "pid": pid,
        "parent_pid": 4700,
        "command": ["python", "app.py"],
        "python": "3.12.4",
        "engine": "pure",
        "state": "exited",
        "exit_code": 0,
        "duration_ns": 3_400 * MS,
        "cpu_ns": 1_250 * MS,
        "rss_max_bytes": 48_234_496,
        "threads_max": 5,
        "files_max": 12,
        "read_bytes": 1_204_224,
        "written_bytes": 8_192,
        "switches": 1_204,
        "ran_ns": 1_250 * MS,
        "waited_ns": 40 * MS,
    }
    return Process(**plain | more)


def shop() -> Run:
    """Return a run with something of everything: kinds, processes, packs, failed watches, blind spots."""
    get = {"kind": "cache", "target": "redis.client:Redis.execute_command"}
    sql = {"kind": "sql", "target": "sqlite3:Cursor.execute"}
    nodes = [
        node(
            -1,
            "GET /orders",
            [40 * MS + at * MS for at in range(60)],
            children_ns=3_000 * MS,
            kind="request",
            target="shop.web:handle",
        ),
        node(0, "redis GET", [90_000 + 400 * at for at in range(600)], call_site="shop/web.py:41", **get),
        node(0, "sqlite3 SELECT", [4 * MS + 20_000 * at for at in range(500)], call_site="shop/web.py:52", errors=3, **sql),
        node(-1, "quote", [1_500, 640, 2_000, 9_000], target="shop.pricing:quote"),
        node(-1, "redis SET", [120_000] * 30, **get),
    ]
    watched = [
        Watched("shop.pricing:quote", "active", source="hookmon.toml:3"),
        Watched("shop.pricing:Basket.total", "active", source="hookmon.toml:3"),
        Watched("shop.pricing:qoute", "not found", "did you mean quote?", source="hookmon.toml:3"),
        Watched("shop.web:handle", "active", source="--watch"),
        Watched("redis.client:Redis.execute_command", "active", pack="redis"),
        *(Watched(f"redis.client:Pipeline.{name}", "active", pack="redis") for name in ("execute", "reset", "watch")),
        Watched("redis.gone:Gone.call", "not found", pack="redis"),
        Watched("sqlite3:Cursor.execute", "active", pack="sqlite3"),
        Watched("httpx:Client.send", "never imported", pack="httpx"),
        Watched("requests:Session.send", "never imported", pack="requests"),
    ]
    return run(
        name="nightly",
        command=["gunicorn", "-w", "2", "shop:app"],
        overhead_ns=1_140_000,
        call_cost_ns=950.0,
        beside_ns=1_100 * MS,
        lanes=2,
        nodes=nodes,
        processes=[
            process(4711, command=["gunicorn", "-w", "2", "shop:app"], calls=0, cpu_ns=140 * MS, ran_ns=140 * MS),
            process(4712, command=["gunicorn: worker [shop:app]"], calls=1_194, errors=3, started_ns=2),
            process(4720, command=["/usr/bin/convert", "a.png", "b.jpg"], python="", exit_code=-9, state="killed", started_ns=3),
        ],
        watched=watched,
        blind_spots=[BlindSpot("not Python", "process 4720, /usr/bin/convert, is no Python program")],
        still_running=["4720 /usr/bin/convert a.png b.jpg"],
    )


def killed() -> Run:
    """Return a run that was killed within two calls."""
    stack = [("GET /orders", 31_400 * MS), ("psycopg execute", 31 * S)]
    return run(
        exit_code=137,
        processes=[process(4711, state="killed", exit_code=-9)],
        nodes=[node(-1, "GET /orders", [5 * MS, 7 * MS], kind="request")],
        in_flight=[
            InFlight(4711, "thread 140001", [("redis GET", 2 * MS)], 2 * MS),
            InFlight(4711, "MainThread", stack, 31 * S, killed=True),
        ],
    )


HOSTILE = {
    "ansi": "\x1b[31mred\x1b[0m",
    "lines": "a\nb\r\tc",
    "markup": "[red]loud[/red]",
    "direction": "abc\u202ecba\u200f",
    "surrogate": "name\udc80",
    "markdown": "a|b `c` **d** @team <script>",
}


def hostile() -> Run:
    """Return a run in which every text comes from an enemy."""
    bad = "".join(HOSTILE.values())
    return run(
        name=bad,
        command=["python", bad],
        nodes=[node(-1, text, [MS], target=text, call_site=text, errors=1) for text in HOSTILE.values()],
        processes=[process(4711, command=[bad])],
        watched=[
            Watched(bad, "not found", bad),
            Watched(bad, "active", pack=bad),
            Watched(bad, "never imported", pack="b" + bad),
        ],
        blind_spots=[BlindSpot(bad, bad)],
        in_flight=[InFlight(1, bad, [(bad, 5), (bad, 3)], 3)],
        still_running=[bad],
    )


def web() -> Run:
    """Return a run of a web application: two routes, a loop of queries, work in threads and after the response."""
    sql = {"kind": "sql", "target": "sqlite3:Cursor.execute", "sited": True}
    http = {"kind": "http", "target": "requests:Session.send", "sited": True}
    pool = {"kind": "function", "target": "pool:get", "waits": True}
    nodes = [
        node(-1, "GET /users/<id>", [50 * MS] * 10, children_ns=420 * MS, kind="request", target="flask", entry=True),
        node(0, "view", [42 * MS] * 10, children_ns=410 * MS, target="app:view"),
        node(
            1,
            "SELECT name",
            [MS] * 200,
            call_site="/srv/shop/views.py:31",
            transactions=10,
            most=21,
            repeated=10,
            repeated_calls=200,
            repeated_ns=200 * MS,
            most_repeated=21,
            **sql,
        ),
        node(1, "SELECT name", [MS] * 10, call_site="/srv/shop/views.py:40", transactions=10, most=1, **sql),
        node(1, "pool wait", [20 * MS] * 10, transactions=10, most=1, **pool),
        node(0, "(concurrent)", [], detached="concurrent"),
        node(5, "GET mail", [30 * MS] * 10, call_site="/srv/shop/mail.py:7", transactions=10, most=1, **http),
        node(0, "(after)", [], detached="after"),
        node(7, "GET mail", [9 * MS] * 10, call_site="/srv/shop/mail.py:9", **http),
        node(-1, "GET /boom", [2 * MS] * 8, kind="request", target="flask", entry=True, errors=8),
        node(-1, "SELECT 1", [MS] * 2, call_site="/srv/shop/start.py:3", **sql),
    ]
    spans = [(1, 0, MS, 42 * MS), (2, 0, 2 * MS, MS), (6, 1, 3 * MS, 30 * MS)]
    return run(
        project="/srv/shop",
        nodes=nodes,
        lanes=12,
        examples=[Example(0, 100, 50 * MS, 200, 18, 4711, spans)],
        processes=[process(4711, calls=250)],
    )
