"""Tornado's server with two processes: requests against the clients' count, SQL and Redis by route against the servers'."""

from __future__ import annotations

import json

import pytest
from support.clients import children, program, transactions
from support.engines import ENGINES
from support.servers import Postgres, Valkey

from .conftest import Compared
from .test_postgres import count_statements, dsn

SHOP = """
    import asyncio, logging, os, signal, sys
    import psycopg, redis, redis.asyncio, tornado.httpserver, tornado.netutil, tornado.process, tornado.web
    from tornado.httpclient import AsyncHTTPClient

    logging.disable(logging.CRITICAL)

    class Item(tornado.web.RequestHandler):
        async def get(self, name):
            async with await psycopg.AsyncConnection.connect(os.environ["PG"], autocommit=True) as connection:
                for n in range(4): await connection.execute("SELECT %s::int + 1", (n,))
            for n in range(3): await cache.get(name)
            self.write("item")

    class Order(tornado.web.RequestHandler):
        async def post(self, name):
            connection = await psycopg.AsyncConnection.connect(os.environ["PG"])  # whose block would commit once more
            await connection.cursor().execute("SELECT length(%s::text)", (self.request.body.decode(),))
            await connection.commit()
            await connection.close()
            await asyncio.gather(*[single.execute("SELECT %s::text || 'x'", (name,)) for _ in range(2)])
            await cache.incr(name)

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
        async def get(self, why):
            await single.execute("SELECT %s::int - 1", (5,))
            raise ValueError(why)

    class Gone(tornado.web.RequestHandler):
        def get(self): raise tornado.web.HTTPError(503)

    async def main():
        global cache, plain, single
        single = await psycopg.AsyncConnection.connect(os.environ["PG"], autocommit=True)
        cache, plain = redis.asyncio.Redis.from_url(os.environ["URL"]), redis.Redis.from_url(os.environ["URL"])
        handlers = [(r"/items/([^/]+)", Item), (r"/orders/(.*)", Order), ("/early", Early), ("/fetch", Fetch),
                    ("/inner/(.*)", Inner), ("/executor", Executor), (r"/fail/(?P<why>.*)", Fail), ("/gone", Gone)]
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
            ("order", "POST", f"/orders/{SECRET}", SECRET),
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
    compared: Compared, postgres: Postgres, valkey: Valkey, engine: str
) -> None:
    """By pattern, with what each handler calls, also after `finish`: as many as clients have sent and the servers have seen."""
    under = compared(
        program(SHOP, SERVE),
        needs=["tornado", "redis", "psycopg"],
        env={"URL": valkey.url, "PG": dsn(postgres), "HOOKMON_ENGINE": engine},
        packs=["tornado", "psycopg", "redis", "executors"],
        before=lambda: (postgres.reset(), valkey.reset()),
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {
        "GET /items/([^/]+)": (sent["item"]["200"], 0),
        "POST /orders/(.*)": (sent["order"]["200"], 0),
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
    by_route = {key: calls for key, calls in children(under, "sql").items() if "::" in key[2]}
    assert by_route == {
        ("GET /items/([^/]+)", "", "SELECT ?::int + ?"): 80,
        ("POST /orders/(.*)", "", "SELECT length(?::text)"): 20,
        ("POST /orders/(.*)", "concurrent", "SELECT ?::text || ?"): 40,
        ("GET /fail/(?P<why>.*)", "", "SELECT ?::int - ?"): 20,
    }
    statements = count_statements(postgres)
    assert {name: calls for (_, _, name), calls in by_route.items()} == {
        name: calls for name, calls in statements.items() if "::" in name
    }
    assert children(under, "sql")["POST /orders/(.*)", "", "COMMIT"] == statements["COMMIT"] == 20
    commands = valkey.commands()
    cached = {key: calls for key, calls in children(under, "cache").items() if key[2].removeprefix("redis ").isupper()}
    assert cached == {
        ("GET /items/([^/]+)", "", "redis GET"): commands["get"],
        ("POST /orders/(.*)", "", "redis INCRBY"): commands["incrby"],
        ("GET /early", "", "redis STRLEN"): commands["strlen"],
        ("GET /early", "after", "redis TTL"): commands["ttl"],
        ("GET /executor", "concurrent", "redis EXISTS"): commands["exists"],
    }
    fetched = {(route, place, name.partition(" ")[0]): calls for (route, place, name), calls in children(under, "http").items()}
    assert fetched == {("GET /fetch", "concurrent", "GET"): 40, ("GET /fetch", "concurrent", "POST"): 60}
    rows = {row["name"]: row for row in under.report["transactions"]}
    assert rows["GET /early"]["min_ns"] < 150e6, "the response does not wait for what the handler does after finish"
