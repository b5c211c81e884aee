"""aiohttp's server under gunicorn: requests against the clients' count, SQL and Redis by route against the servers'."""

from __future__ import annotations

import json

import pytest
from support.clients import children, interleaved, program, transactions
from support.engines import ENGINES
from support.servers import Postgres, Valkey

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import Compared

NEEDS = ["aiohttp", "gunicorn", "asyncpg", "redis"]

SHOP = """
    import asyncio, os
    from concurrent.futures import ThreadPoolExecutor
    import asyncpg, redis, redis.asyncio
    from aiohttp import web

    routes, workers = web.RouteTableDef(), ThreadPoolExecutor(2)

    async def start(app):
        global pool, cache, plain
        pool = await asyncpg.create_pool(os.environ["PG"], min_size=1, max_size=3)
        cache, plain = redis.asyncio.Redis.from_url(os.environ["URL"]), redis.Redis.from_url(os.environ["URL"])

    async def stop(app): await cache.aclose()

    @routes.get("/items/{item_id}")
    async def item(request):
        for n in range(3): await pool.fetchval("SELECT $1::int + 1", n)
        await asyncio.gather(cache.get(request.match_info["item_id"]), cache.get("other"))
        return web.Response()

    @routes.get("/executor/{name}")
    async def executor(request):
        name, loop = request.match_info["name"], asyncio.get_running_loop()
        await loop.run_in_executor(workers, plain.exists, name)
        await asyncio.gather(*[loop.run_in_executor(None, plain.exists, name) for _ in range(2)])
        return web.Response()

    @routes.get("/stream")
    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for n in range(2):
            await cache.strlen("a")
            await response.write(b"part")
            await asyncio.sleep(0.02)
        return response

    @routes.get("/fail/{why}")
    async def fail(request):
        await pool.fetchval("SELECT $1::int - 1", 5)
        raise ValueError(request.match_info["why"])

    @routes.get("/gone")
    async def gone(request): raise web.HTTPServiceUnavailable()

    async def order(request):
        await pool.fetchval("SELECT length($1::text)", await request.text())
        await cache.incr(request.match_info["order_id"])
        return web.Response()

    def main():
        app, shop = web.Application(), web.Application()
        app.on_startup.append(start)
        app.on_cleanup.append(stop)
        app.add_routes(routes)
        app.router.add_static("/static", ".")
        shop.router.add_post("/orders/{order_id}", order)
        app.add_subapp("/shop", shop)
        return app
    app = main()
"""

SERVE = """
    serve(
        ["-m", "gunicorn", "shop:app", "-b", "127.0.0.1:PORT", "-w", "2", "-k", "aiohttp.GunicornWebWorker",
         "--log-level", "critical"],
        [
            ("item", "GET", f"/items/{SECRET}?q={SECRET}", None),
            ("order", "POST", f"/shop/orders/{SECRET}", SECRET),
            ("executor", "GET", f"/executor/{SECRET}", None),
            ("stream", "GET", "/stream", None),
            ("fail", "GET", f"/fail/{SECRET}", None),
            ("gone", "GET", "/gone", None),
            ("static", "GET", f"/static/shop.py?{SECRET}", None),
            ("no route", "GET", f"/nowhere/{SECRET}", None),
            ("wrong method", "DELETE", f"/items/{SECRET}", None),
        ],
    )
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_requests_of_aiohttp_are_exact_with_two_workers_and_four_clients(
    compared: Compared, postgres: Postgres, valkey: Valkey, engine: str
) -> None:
    """By route, with what each route calls, in a thread pool as well: as many as clients have sent and servers have seen."""
    env = {"URL": valkey.url, "PG": f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres", "HOOKMON_ENGINE": engine}
    under = compared(
        program(SHOP, SERVE),
        needs=NEEDS,
        env=env,
        packs=["aiohttp_server", "asyncpg", "redis", "executors"],
        before=lambda: (postgres.reset(), valkey.reset()),
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {
        "GET /items/{item_id}": (sent["item"]["200"], 0),
        "POST /shop/orders/{order_id}": (sent["order"]["200"], 0),
        "GET /executor/{name}": (sent["executor"]["200"], 0),
        "GET /stream": (sent["stream"]["200"], 0),
        "GET /fail/{why}": (20, sent["fail"]["500"]),
        "GET /gone": (20, sent["gone"]["503"]),
        "GET /static": (sent["static"]["200"], 0),
        "GET (no route)": (sent["no route"]["404"], 0),
        "DELETE (no route)": (sent["wrong method"]["405"], 0),
    }
    by_route = {key: calls for key, calls in children(under, "sql").items() if "::" in key[2]}
    assert by_route == {
        ("GET /items/{item_id}", "", "SELECT ?::int + ?"): 60,
        ("POST /shop/orders/{order_id}", "", "SELECT length(?::text)"): 20,
        ("GET /fail/{why}", "", "SELECT ?::int - ?"): 20,
    }
    assert {name: calls for (_, _, name), calls in by_route.items()} == {
        fingerprint(statement): calls for statement, calls in postgres.statements().items() if "::" in statement
    }
    commands = valkey.commands()
    cached = {key: calls for key, calls in children(under, "cache").items() if key[2].removeprefix("redis ").isupper()}
    assert cached == {
        ("GET /items/{item_id}", "concurrent", "redis GET"): commands["get"],
        ("POST /shop/orders/{order_id}", "", "redis INCRBY"): commands["incrby"],
        ("GET /executor/{name}", "concurrent", "redis EXISTS"): commands["exists"],
        ("GET /stream", "", "redis STRLEN"): commands["strlen"],
    }
    waits = {route: calls for (route, _, name), calls in children(under, "queue").items() if name == "executor wait"}
    assert waits["GET /executor/{name}"] == 60


MIXED = """
    import asyncio, random
    from aiohttp import web

    async def step(kind): await asyncio.sleep(random.random() / 100)
    def load(kind): pass

    def route(n):
        async def mixed(request):
            for _ in range(n): await step(n)
            await asyncio.gather(*[step(n) for _ in range(n)])
            await asyncio.get_running_loop().run_in_executor(None, load, n)
            return web.Response()
        app.router.add_get(f"/mixed{n}/{{name}}", mixed)
    app = web.Application()
    for n in range(1, 6): route(n)
"""
WATCH = """
    [[watch]]
    module = "shop"
    calls = ["step", "load"]
    span = "{function} {kind}"
"""
MIX = """
    serve(["-m", "gunicorn", "shop:app", "-b", "127.0.0.1:PORT", "-k", "aiohttp.GunicornWebWorker", "--log-level", "critical"],
          [(f"mixed{n}", "GET", f"/mixed{n}/{SECRET}", None) for n in range(1, 6)], clients=100, rounds=1)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_call_is_charged_to_another_request_of_a_hundred(compared: Compared, engine: str) -> None:
    """Each route calls its own number of times, in its task, in others and in an executor; the most is the mean."""
    under = compared(
        program(MIXED, MIX),
        needs=["aiohttp", "gunicorn"],
        env={"HOOKMON_ENGINE": engine},
        packs=["aiohttp_server", "executors"],
        config=WATCH,
    )
    expected = {}
    for n in range(1, 6):
        expected |= {
            (f"GET /mixed{n}/{{name}}", "", f"step {n}"): (100 * n, n, n),
            (f"GET /mixed{n}/{{name}}", "concurrent", f"step {n}"): (100 * n, n, n),
            (f"GET /mixed{n}/{{name}}", "concurrent", f"load {n}"): (100, 1, 1),
        }
    assert interleaved(under) == expected
