"""Frameworks and servers of ASGI that the test extra does not bring: requests against the client's count."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from support.clients import children, program, transactions
from support.engines import ENGINES

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)
UVICORN = 'serve(["-m", "uvicorn", "shop:app", "--port", "PORT", "--log-level", "critical"], REQUESTS)'

LITESTAR = """
    import logging, sqlite3
    logging.disable(logging.CRITICAL)
    from litestar import Litestar, Router, asgi, get, post
    from litestar.exceptions import HTTPException
    from litestar.response import Stream
    from litestar.types import Receive, Scope, Send

    def query(): sqlite3.connect(":memory:").execute("SELECT 1").close()

    @get("/items/{number:int}")
    async def item(number: int) -> str:
        query()
        return "x"

    @get("/sync/{number:int}", sync_to_thread=True)
    def sync(number: int) -> str:
        query()
        return "x"

    @post("/orders/{card:str}")
    async def order(card: str, data: dict) -> dict: return {}

    @get("/fail/{why:str}")
    async def fail(why: str) -> str: raise ValueError(why)

    @get("/busy")
    async def busy() -> str: raise HTTPException(status_code=503, detail="later")

    @get("/stream")
    async def stream() -> Stream:
        async def parts():
            for _ in range(3):
                yield b"x"
        return Stream(parts())

    @asgi("/mounted", is_mount=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    app = Litestar([item, sync, order, fail, busy, stream, mounted])
"""
LITESTAR_REQUESTS = """
    REQUESTS = [
        ("item", "GET", f"/items/7?{SECRET}", None), ("sync", "GET", "/sync/8", None),
        ("order", "POST", f"/orders/{SECRET}", "{}"),
        ("fail", "GET", f"/fail/{SECRET}", None), ("busy", "GET", "/busy", None), ("stream", "GET", "/stream", None),
        ("mounted", "GET", f"/mounted/{SECRET}", None), ("none", "GET", f"/{SECRET}", None),
    ]
"""


@EACH_ENGINE
def test_litestar_is_named_by_route(compared: Compared, engine: str) -> None:
    """Handlers with asyncio and in threads, failures by exception and by status, an application that is mounted."""
    under = compared(
        program(LITESTAR, f"{dedent(LITESTAR_REQUESTS)}{UVICORN}"),
        needs=["litestar", "uvicorn"],
        env={"HOOKMON_ENGINE": engine},
        packs=["litestar", "uvicorn", "sqlite3"],
    )
    sent = json.loads(under.stdout)
    assert sent["item"] == {"200": 20}
    assert transactions(under) == {
        "GET /items/{number}": (20, 0),
        "GET /sync/{number}": (20, 0),
        "POST /orders/{card}": (sent["order"]["201"], 0),
        "GET /fail/{why}": (20, sent["fail"]["500"]),
        "GET /busy": (20, sent["busy"]["503"]),
        "GET /stream": (sent["stream"]["200"], 0),
        "GET /mounted/{path}": (sent["mounted"]["200"], 0),
        "GET (no route)": (sent["none"]["404"], 0),
    }
    found = {(route, name): calls for (route, _, name), calls in children(under, "sql").items() if name == "SELECT ?"}
    assert found == {("GET /items/{number}", "SELECT ?"): 20, ("GET /sync/{number}", "SELECT ?"): 20}
