"""Tornado's server with two processes: requests against the clients' count, Redis by route against the server's."""

from __future__ import annotations

import json

import pytest
from support.clients import children, program, transactions
from support.engines import ENGINES
from support.servers import Valkey

from .conftest import Compared

SHOP = """
    import asyncio, logging, os, signal, sys
    import redis, redis.asyncio, tornado.httpserver, tornado.netutil, tornado.process, tornado.web
    from tornado.httpclient import AsyncHTTPClient

    logging.disable(logging.CRITICAL)

    class Item(tornado.web.RequestHandler):
        async def get(self, name):
            for n in range(3): await cache.get(name)
            self.write("item")

    class Early(tornado.web.RequestHandler):
        async def get(self):
            await cache.strlen("a")
            await self.finish("done")
            await asyncio.sleep(0.2)
            await cache.ttl("a")

    class Fetch(tornado.web.RequestHandler):
        async def get(self):
            client = AsyncHTTPClient()
            for n in range(2): await client.fetch(f"http://127.0.0.1:{port}/inner/{n}?secret={self.request.headers['X-Secret']}")
            await asyncio.gather(*[client.fetch(f"http://127.0.0.1:{port}/inner/{n}", method="POST", body="x") for n in range(3)])

    class Inner(tornado.web.RequestHandler):
        def get(self, n): pass
        post = get

    class Executor(tornado.web.RequestHandler):
        async def get(self):
            for n in range(2): await asyncio.get_running_loop().run_in_executor(None, plain.exists, "a")

    class Fail(tornado.web.RequestHandler):
        def get(self, why): raise ValueError(why)

    class Gone(tornado.web.RequestHandler):
        def get(self): raise tornado.web.HTTPError(503)

    async def main():
        global cache, plain
        cache, plain = redis.asyncio.Redis.from_url(os.environ["URL"]), redis.Redis.from_url(os.environ["URL"])
        handlers = [(r"/items/([^/]+)", Item), ("/early", Early), ("/fetch", Fetch), ("/inner/(.*)", Inner),
                    ("/executor", Executor), (r"/fail/(?P<why>.*)", Fail), ("/gone", Gone)]
        tornado.httpserver.HTTPServer(tornado.web.Application(handlers)).add_sockets(sockets)
        await asyncio.Event().wait()

    port = int(sys.argv[1])
    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1")
    workers = []
    for _ in range(2):
        workers.append(os.fork())
        if not workers[-1]: asyncio.run(main())
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(worker, signal.SIGTERM) for worker in workers])
    for worker in workers: os.waitpid(worker, 0)
"""

SERVE = """
    serve(
        ["shop.py", "PORT"],
        [
            ("item", "GET", f"/items/{SECRET}?q={SECRET}", None),
            ("early", "GET", "/early", None),
            ("fetch", "GET", "/fetch", None),
            ("executor", "GET", "/executor", None),
            ("fail", "GET", f"/fail/{SECRET}", None),
            ("gone", "GET", "/gone", None),
            ("no route", "GET", f"/nowhere/{SECRET}", None),
            ("wrong method", "POST", f"/items/{SECRET}", SECRET),
            ("brew", "BREW", f"/items/{SECRET}", None),
        ],
    )
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_requests_of_tornado_are_exact_with_two_processes_and_four_clients(
    compared: Compared, valkey: Valkey, engine: str
) -> None:
    """By pattern, with what each handler calls, also after `finish`: as many as clients have sent and the server has seen."""
    under = compared(
        program(SHOP, SERVE),
        needs=["tornado", "redis"],
        env={"URL": valkey.url, "HOOKMON_ENGINE": engine},
        packs=["tornado", "redis", "executors"],
        before=valkey.reset,
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {
        "GET /items/([^/]+)": (sent["item"]["200"], 0),
        "GET /early": (sent["early"]["200"], 0),
        "GET /fetch": (sent["fetch"]["200"], 0),
        "GET /inner/(.*)": (40, 0),
        "POST /inner/(.*)": (60, 0),
        "GET /executor": (sent["executor"]["200"], 0),
        "GET /fail/(?P<why>.*)": (20, sent["fail"]["500"]),
        "GET /gone": (20, sent["gone"]["503"]),
        "GET (no route)": (sent["no route"]["404"], 0),
        "POST /items/([^/]+)": (sent["wrong method"]["405"], 0),
        "OTHER /items/([^/]+)": (sent["brew"]["405"], 0),
    }
    commands = valkey.commands()
    cached = {key: calls for key, calls in children(under, "cache").items() if key[2].removeprefix("redis ").isupper()}
    assert cached == {
        ("GET /items/([^/]+)", "", "redis GET"): commands["get"],
        ("GET /early", "", "redis STRLEN"): commands["strlen"],
        ("GET /early", "after", "redis TTL"): commands["ttl"],
        ("GET /executor", "concurrent", "redis EXISTS"): commands["exists"],
    }
    fetched = {(route, place, name.partition(" ")[0]): calls for (route, place, name), calls in children(under, "http").items()}
    assert fetched == {("GET /fetch", "concurrent", "GET"): 40, ("GET /fetch", "concurrent", "POST"): 60}
    rows = {row["name"]: row for row in under.report["transactions"]}
    assert rows["GET /early"]["min_ns"] < 150e6, "the response does not wait for what the handler does after finish"
