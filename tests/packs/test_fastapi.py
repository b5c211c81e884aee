"""FastAPI and Starlette under uvicorn: requests against the clients' count, SQL and Redis by route against the servers'."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.clients import children, interleaved, place_of, program, transactions
from support.engines import ENGINES
from support.servers import Postgres, Valkey

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import Compared

PACKS = ["fastapi", "starlette", "uvicorn", "asyncpg", "redis", "executors"]
NEEDS = ["fastapi", "uvicorn", "h11", "asyncpg", "redis"]

SHOP = """
    import asyncio, os
    from contextlib import asynccontextmanager
    import asyncpg, redis, redis.asyncio
    from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request
    from fastapi.responses import StreamingResponse
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    @asynccontextmanager
    async def lifespan(app):
        global pool, cache, plain
        pool = await asyncpg.create_pool(os.environ["PG"], min_size=1, max_size=3)
        cache, plain = redis.asyncio.Redis.from_url(os.environ["URL"]), redis.Redis.from_url(os.environ["URL"])
        yield
        await pool.close()
        await cache.aclose()

    app = FastAPI(lifespan=lifespan)
    router = APIRouter(prefix="/orders")

    @app.get("/items/{item_id}")
    async def item(item_id: str):
        for n in range(3): await pool.fetchval("SELECT $1::int + 1", n)
        await asyncio.gather(cache.get(item_id), cache.get("other"))

    @router.post("/{order_id}")
    async def order(order_id: str, request: Request):
        body = await request.body()
        await pool.fetchval("SELECT length($1::text)", body.decode())
        await cache.incr(order_id)

    @app.get("/sync/{name}")
    def sync(name: str):
        return plain.exists(name) + plain.exists(name + "!")

    @app.get("/stream")
    async def stream():
        async def body():
            for n in range(2):
                await cache.strlen("a")
                yield b"part"
                await asyncio.sleep(0.02)
        return StreamingResponse(body())

    def later(key): plain.ttl(key)
    async def slowly(key):
        await asyncio.sleep(0.2)
        await cache.pttl(key)

    @app.get("/background")
    async def background(tasks: BackgroundTasks, key: str):
        await cache.append("b", key)
        tasks.add_task(later, key)
        tasks.add_task(slowly, key)

    @app.get("/fail/{why}")
    async def fail(why: str):
        await pool.fetchval("SELECT $1::int - 1", 5)
        raise ValueError(why)

    @app.get("/gone")
    async def gone(): raise HTTPException(503)

    async def page(request): return PlainTextResponse(request.path_params["page"])

    app.include_router(router, prefix="/shop")
    app.mount("/tenants/{tenant}", Starlette(routes=[Mount("/docs", routes=[Route("/{page}", page)])]))
"""

SERVE = """
    serve(
        ["-m", "uvicorn", "shop:app", "--port", "PORT", "--workers", "2", "--http", "h11", "--log-level", "critical"],
        [
            ("item", "GET", f"/items/{SECRET}?q={SECRET}", None),
            ("order", "POST", f"/shop/orders/{SECRET}", SECRET),
            ("sync", "GET", f"/sync/{SECRET}", None),
            ("stream", "GET", "/stream", None),
            ("background", "GET", f"/background?key={SECRET}", None),
            ("fail", "GET", f"/fail/{SECRET}", None),
            ("gone", "GET", "/gone", None),
            ("page", "GET", f"/tenants/{SECRET}/docs/{SECRET}", None),
            ("no page", "GET", f"/tenants/{SECRET}/{SECRET}/{SECRET}", None),
            ("no route", "GET", f"/nowhere/{SECRET}", None),
            ("brew", "BREW", f"/items/{SECRET}", None),
        ],
    )
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_requests_of_fastapi_are_exact_with_two_workers_and_four_clients(
    compared: Compared, postgres: Postgres, valkey: Valkey, engine: str
) -> None:
    """By route, with what each route calls: as many as the clients have sent and the servers have seen."""
    env = {"URL": valkey.url, "PG": f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres", "HOOKMON_ENGINE": engine}
    under = compared(
        program(SHOP, SERVE),
        needs=NEEDS,
        env=env,
        packs=PACKS,
        before=lambda: (postgres.reset(), valkey.reset()),
    )
    sent: dict[str, Any] = json.loads(under.stdout)
    assert {label: sum(statuses.values()) for label, statuses in sent.items()} == dict.fromkeys(sent, 20)
    assert transactions(under) == {
        "GET /items/{item_id}": (20, 0),
        "POST /shop/orders/{order_id}": (20, 0),
        "GET /sync/{name}": (20, 0),
        "GET /stream": (20, 0),
        "GET /background": (20, 0),
        "GET /fail/{why}": (20, sent["fail"]["500"]),
        "GET /gone": (20, sent["gone"]["503"]),
        "GET /tenants/{tenant}/docs/{page}": (20, 0),
        "GET /tenants/{tenant}/{path}": (20, 0),
        "GET (no route)": (20, 0),
        "OTHER /items/{item_id}": (20, 0),
    }
    statements, commands = postgres.statements(), valkey.commands()
    by_route = {key: calls for key, calls in children(under, "sql").items() if "::" in key[2]}
    assert by_route == {
        ("GET /items/{item_id}", "", "SELECT ?::int + ?"): 60,
        ("POST /shop/orders/{order_id}", "", "SELECT length(?::text)"): 20,
        ("GET /fail/{why}", "", "SELECT ?::int - ?"): 20,
    }
    assert {name: calls for (_, _, name), calls in by_route.items()} == {
        fingerprint(statement): calls for statement, calls in statements.items() if "::" in statement
    }
    cached = {key: calls for key, calls in children(under, "cache").items() if key[2].removeprefix("redis ").isupper()}
    assert cached == {
        ("GET /items/{item_id}", "concurrent", "redis GET"): commands["get"],
        ("POST /shop/orders/{order_id}", "", "redis INCRBY"): commands["incrby"],
        ("GET /sync/{name}", "concurrent", "redis EXISTS"): commands["exists"],
        ("GET /stream", place_of(cached, "redis STRLEN"), "redis STRLEN"): commands["strlen"],
        ("GET /background", "", "redis APPEND"): commands["append"],
        ("GET /background", "after", "redis TTL"): commands["ttl"],
        ("GET /background", "after", "redis PTTL"): commands["pttl"],
    }
    rows = {row["name"]: row for row in under.report["transactions"]}
    assert rows["GET /background"]["min_ns"] < 150e6, "the response does not wait for the background task of 200 ms"
    assert rows["GET /stream"]["min_ns"] > 35e6, (
        "the body of 40 ms is part of the response"
    )  # an event loop's timers may be early


MIXED = """
    import asyncio, random
    from fastapi import FastAPI
    app = FastAPI()

    async def step(kind): await asyncio.sleep(random.random() / 100)
    def load(kind): pass

    def route(n):
        @app.get(f"/mixed{n}/{{name}}")
        async def mixed(name: str):
            for _ in range(n): await step(n)
            await asyncio.gather(*[step(n) for _ in range(n)])
            await asyncio.to_thread(load, n)
        @app.get(f"/plain{n}/{{name}}")
        def plain(name: str):
            for _ in range(n): load(n)
    for n in range(1, 6): route(n)
"""
WATCH = """
    [[watch]]
    module = "shop"
    calls = ["step", "load"]
    span = "{function} {kind}"
"""
MIX = """
    serve(["-m", "uvicorn", "shop:app", "--port", "PORT", "--log-level", "critical"],
          [(f"{kind}{n}", "GET", f"/{kind}{n}/{SECRET}", None) for n in range(1, 6) for kind in ("mixed", "plain")],
          clients=100, rounds=1)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_no_call_is_charged_to_another_request_of_a_hundred(compared: Compared, engine: str) -> None:
    """Each route calls its own number of times, in its task, in others and in threads; the most is the mean."""
    under = compared(
        program(MIXED, MIX), needs=NEEDS, env={"HOOKMON_ENGINE": engine}, packs=["fastapi", "starlette", "uvicorn"], config=WATCH
    )
    expected = {}
    for n in range(1, 6):
        expected |= {
            (f"GET /mixed{n}/{{name}}", "", f"step {n}"): (100 * n, n, n),
            (f"GET /mixed{n}/{{name}}", "concurrent", f"step {n}"): (100 * n, n, n),
            (f"GET /mixed{n}/{{name}}", "concurrent", f"load {n}"): (100, 1, 1),
            (f"GET /plain{n}/{{name}}", "concurrent", f"load {n}"): (100 * n, n, n),
        }
    found = interleaved(under)
    assert found == expected
