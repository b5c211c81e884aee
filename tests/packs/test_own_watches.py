"""Watching a function that a pack needs for its requests: both hold, the user's span and the request with its status."""

from __future__ import annotations

import pytest
from support.engines import ENGINES

from hookmon.testing import Recorded, run

from .conftest import PYTHON
from .hooked import require

FLASK = """
from flask import Flask
app = Flask("shop")
@app.get("/boom/<int:number>")
def boom(number): return "no", 500
client = app.test_client()
for number in range(5): client.get(f"/boom/{number}")
"""
FASTAPI = """
import asyncio, fastapi, httpx
app = fastapi.FastAPI()
@app.get("/boom/<int:number>".replace("<int:number>", "{number}"))
async def boom(number: int): return fastapi.Response("no", 500)
async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client:
        for number in range(5): await client.get(f"/boom/{number}")
asyncio.run(main())
"""


def _requests(found: Recorded) -> dict[str, tuple[int, int]]:
    return {row["name"]: (row["calls"], row["errors"]) for row in found.report["transactions"] if row["kind"] == "request"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("target", "own"),
    [
        ("flask.ctx:RequestContext.match_request", 5),
        ("flask.app:Flask.finalize_request", 5),
        ("flask.app:Flask.__call__", 0),
        ("starlette.routing:Route.handle", 5),
        ("starlette.applications:Starlette.__call__", 0),
    ],
)
def test_a_request_keeps_route_and_status_when_the_user_watches_what_tells_of_them(target: str, own: int, engine: str) -> None:
    """What begins requests goes on beginning them, so its calls have their names; all else has a row of its own as well."""
    module, _, call = target.partition(":")
    require(module.partition(".")[0], "httpx", *(["fastapi"] if module.startswith("starlette") else []))
    program, route = (FLASK, "/boom/<int:number>") if module.startswith("flask") else (FASTAPI, "/boom/{number}")
    config = f'[[watch]]\nmodule = "{module}"\ncalls = ["{call}"]\n'
    found = run(program, config=config, command=[PYTHON, "app.py"], env={"HOOKMON_ENGINE": engine})
    assert found.exit_code == 0, found.stderr
    assert _requests(found) == {f"GET {route}": (5, 5)}
    assert found.calls("function") == ({call: own} if own else {})
