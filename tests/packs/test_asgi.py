"""Other ASGI frameworks and servers, and websockets: requests against the clients' count."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from support.clients import interleaved, program, transactions
from support.engines import ENGINES

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)
WATCH = '[[watch]]\nmodule = "shop"\ncalls = ["query"]\n'

STARLETTE = """
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute

    def query(what): pass

    class Around(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            query("before")
            return await call_next(request)

    async def item(request):
        query(request.path_params["id"])
        return PlainTextResponse("x", background=BackgroundTask(query, "later"))

    async def chat(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            query(text)
            await websocket.send_text("heard")

    app = Starlette(routes=[Route("/items/{id}", item), WebSocketRoute("/chat/{room}", chat)], middleware=[Middleware(Around)])
"""

HYPERCORN = 'serve(["-m", "hypercorn", "shop:app", "--bind", "127.0.0.1:PORT", "--log-level", "critical"], REQUESTS)'
UVICORN = 'serve(["-m", "uvicorn", "shop:app", "--port", "PORT", "--log-level", "critical"], REQUESTS)'


@EACH_ENGINE
@pytest.mark.parametrize("server", [HYPERCORN, UVICORN], ids=["hypercorn", "uvicorn"])
def test_starlette_is_named_by_route_under_each_server(compared: Compared, server: str, engine: str) -> None:
    """With a middleware that runs the application in a task of its own, and a background task."""
    requests = 'REQUESTS = [("item", "GET", f"/items/{SECRET}", None), ("none", "PUT", f"/{SECRET}", SECRET)]\n'
    under = compared(
        program(STARLETTE, requests + server),
        needs=["starlette", server.split('"')[3]],
        env={"HOOKMON_ENGINE": engine},
        packs=["starlette", "uvicorn", "hypercorn"],
        config=WATCH,
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {"GET /items/{id}": (sent["item"]["200"], 0), "PUT (no route)": (sent["none"]["404"], 0)}
    found = interleaved(under)
    before = {route: calls for (route, place, _), (calls, _, _) in found.items() if place == ""}
    assert before == {"GET /items/{id}": 20, "PUT (no route)": 20}
    later = [calls for (_, place, _), (calls, _, _) in found.items() if place == "after"]
    assert later == [20]


@EACH_ENGINE
def test_a_websocket_is_one_transaction_as_long_as_it_lasts(compared: Compared, engine: str) -> None:
    """Named apart from requests, with all that it calls."""
    talk = """
        import asyncio, threading, uvicorn
        import shop
        from websockets.sync.client import connect
        server = uvicorn.Server(uvicorn.Config(shop.app, port=0, log_level="critical"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started: time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        for _ in range(3):
            with connect(f"ws://127.0.0.1:{port}/chat/{SECRET}") as websocket:
                for _ in range(4):
                    websocket.send(SECRET)
                    websocket.recv()
        server.should_exit = True
        thread.join()
    """
    under = compared(
        program(STARLETTE, f"sys.path.insert(0, '')\n{dedent(talk)}"),
        needs=["starlette", "uvicorn", "websockets"],
        env={"HOOKMON_ENGINE": engine},
        packs=["starlette", "uvicorn"],
        config=WATCH,
    )
    assert transactions(under) == {"WEBSOCKET /chat/{room}": (3, 0)}
    assert interleaved(under) == {("WEBSOCKET /chat/{room}", "", "query"): (12, 4.0, 4)}


BARE = """
    def query(what): pass

    async def app(scope, receive, send):
        if scope["type"] == "lifespan": raise NotImplementedError
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            return await send({"type": "http.response.body", "body": b"x"})
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            query(message["text"])
            if message["text"] == "boom": raise ValueError
            await send({"type": "websocket.send", "text": "heard"})
"""


@EACH_ENGINE
@pytest.mark.parametrize("protocol", ["websockets", "wsproto", "websockets-sansio"])
def test_a_websocket_without_a_framework_is_a_transaction_too(compared: Compared, protocol: str, engine: str) -> None:
    """By its scope's type, apart from requests, with each library that uvicorn can speak it with; an exception is an error."""
    talk = f"""
        import asyncio, threading, urllib.request, uvicorn, warnings
        warnings.simplefilter("ignore")  # `websockets` is going to be another one
        import shop
        from websockets.sync.client import connect
        server = uvicorn.Server(uvicorn.Config(shop.app, port=0, log_level="critical", ws={protocol!r}))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started: time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        for _ in range(5): urllib.request.urlopen(f"http://127.0.0.1:{{port}}/{{SECRET}}").read()
        for last in (SECRET, SECRET, "boom"):
            with connect(f"ws://127.0.0.1:{{port}}/chat/{{SECRET}}") as websocket:
                for text in (SECRET, SECRET, SECRET, last):
                    websocket.send(text)
                    try: websocket.recv()
                    except Exception as error: print(type(error).__name__)
        server.should_exit = True
        thread.join()
    """
    module = {"websockets": "websockets_impl", "wsproto": "wsproto_impl", "websockets-sansio": "websockets_sansio_impl"}[protocol]
    under = compared(
        program(BARE, f"sys.path.insert(0, '')\n{dedent(talk)}"),
        needs=["uvicorn", "websockets", f"uvicorn.protocols.websockets.{module}"],
        env={"HOOKMON_ENGINE": engine},
        packs=["uvicorn"],
        config=WATCH,
    )
    assert transactions(under) == {"WEBSOCKET (no route)": (3, 1), "GET (no route)": (5, 0)}
    assert interleaved(under) == {("WEBSOCKET (no route)", "", "query"): (12, 4.0, 4)}


QUART = """
    import asyncio, logging
    from quart import Quart
    logging.disable(logging.CRITICAL)
    app = Quart(__name__)
    def query(what): pass

    @app.get("/items/<int:number>")
    async def item(number):
        query(number)
        return "x"

    @app.get("/fail/<why>")
    async def fail(why): raise ValueError(why)

    @app.get("/background")
    async def background():
        async def later():
            await asyncio.sleep(0.05)
            query("later")
        app.add_background_task(later)
        return "x"
"""


@EACH_ENGINE
def test_quart_is_named_by_route(compared: Compared, engine: str) -> None:
    """Its views run in a task of their own; what is started in the background is shown apart."""
    requests = """
        REQUESTS = [("item", "GET", f"/items/7?{SECRET}", None), ("fail", "GET", f"/fail/{SECRET}", None),
                    ("background", "GET", "/background", None), ("none", "GET", f"/{SECRET}", None)]
    """
    under = compared(
        program(QUART, f"{dedent(requests)}{HYPERCORN}"),
        needs=["quart", "hypercorn"],
        env={"HOOKMON_ENGINE": engine},
        packs=["quart", "hypercorn"],
        config=WATCH,
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {
        "GET /items/<int:number>": (sent["item"]["200"], 0),
        "GET /fail/<why>": (20, sent["fail"]["500"]),
        "GET /background": (sent["background"]["200"], 0),
        "GET (no route)": (sent["none"]["404"], 0),
    }
    assert interleaved(under) == {
        ("GET /items/<int:number>", "concurrent", "query"): (20, 1.0, 1),
        ("GET /background", "after", "query"): (20, interleaved(under)["GET /background", "after", "query"][1], 0),
    }


SANIC = """
    import logging, sys
    from sanic import Sanic, response
    app = Sanic("shop")
    def query(what): pass

    @app.get("/items/<number:int>")
    async def item(request, number):
        query(number)
        return response.text("x")

    @app.get("/stream")
    async def stream(request):
        query("first")
        answer = await request.respond()
        for n in range(2):
            query("part")
            await answer.send("part")

    @app.get("/fail/<why>")
    async def fail(request, why): raise ValueError(why)

    if __name__ == "__main__":
        logging.disable(logging.CRITICAL)
        app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
"""


@EACH_ENGINE
def test_sanic_is_named_by_route(compared: Compared, engine: str) -> None:
    """On its own server."""
    serve = """
        serve(["-W", "ignore", "shop.py", "PORT"], [
            ("item", "GET", f"/items/7?{SECRET}", None), ("stream", "GET", "/stream", None),
            ("fail", "GET", f"/fail/{SECRET}", None), ("none", "GET", f"/{SECRET}", None)])
    """
    under = compared(
        program(SANIC, serve),
        needs=["sanic"],
        env={"HOOKMON_ENGINE": engine},
        packs=["sanic"],
        config=WATCH.replace("shop", "__main__"),
    )
    sent = json.loads(under.stdout)
    assert transactions(under) == {
        "GET /items/<number:int>": (sent["item"]["200"], 0),
        "GET /stream": (sent["stream"]["200"], 0),
        "GET /fail/<why:str>": (20, sent["fail"]["500"]),
        "GET (no route)": (sent["none"]["404"], 0),
    }
    assert interleaved(under) == {
        ("GET /items/<number:int>", "", "query"): (20, 1.0, 1),
        ("GET /stream", "", "query"): (60, 3.0, 3),
    }


GEVENT = """
    from gevent import monkey
    monkey.patch_all()
    import gevent, gevent.pool, shop
    for n in range(3): shop.request(n)
"""
GREENLETS = """
    import time, gevent, gevent.pool
    def query(n): pass
    def part(n):
        time.sleep(0.001)
        query(n)
    def request(n):
        query(n)
        gevent.joinall([gevent.spawn(part, n) for _ in range(4)])
        started = gevent.Greenlet(part, n)
        started.start()
        started.join()
        gevent.pool.Pool(2).map(part, range(3))
"""
ENTRY = '[[watch]]\nmodule = "shop"\ncalls = ["request"]\nkind = "request"\nentry = true\n'


@EACH_ENGINE
def test_greenlets_belong_to_the_request_that_has_spawned_them(compared: Compared, engine: str) -> None:
    """By `spawn`, by `start` and by a pool."""
    under = compared(
        program(GREENLETS, f"sys.path.insert(0, '')\n{dedent(GEVENT)}"),
        needs=["gevent"],
        env={"HOOKMON_ENGINE": engine},
        packs=["gevent"],
        config=WATCH + ENTRY,
    )
    assert interleaved(under) == {("request", "", "query"): (3, 1.0, 1), ("request", "concurrent", "query"): (24, 8.0, 8)}
