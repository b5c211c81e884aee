"""One request is one transaction, whatever stands around the application and whatever it calls: the client's own counts.

The table has what mounts applications of other frameworks and what lies between server and application. What a client in the
program's own process asks for within a request is part of that.
"""

from __future__ import annotations

from textwrap import dedent

import pytest
from support.clients import transactions
from support.engines import ENGINES

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

QUIET = "import http.client, logging, threading, time\nlogging.disable(logging.CRITICAL)\n"

ON_ASGI = """
    import uvicorn

    def ask(app, *paths):
        # not with the middleware for proxies' headers: nothing lies between server and application
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", proxy_headers=False))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started: time.sleep(0.01)
        send(server.servers[0].sockets[0].getsockname()[1], paths)
        server.should_exit = True
        thread.join()
"""

ON_WSGI = """
    from wsgiref.simple_server import make_server, WSGIRequestHandler

    class Silent(WSGIRequestHandler):
        def log_message(self, *args): pass

    def ask(app, *paths):
        def around(environ, start_response):
            return app(environ, start_response)
        server = make_server("127.0.0.1", 0, around, handler_class=Silent)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        send(server.server_port, paths)
        server.shutdown()
        thread.join()
        server.server_close()
"""

SEND = """
    def send(port, paths):
        for path in paths:
            client = http.client.HTTPConnection("127.0.0.1", port)
            client.request("GET", path)
            response = client.getresponse()
            print(path, response.status, len(response.read()))
            client.close()
"""

FLASK = """
    from flask import Flask
    app = Flask("shop")
    @app.get("/a/<int:n>")
    def a(n): return str(n)
    @app.get("/page")
    def page():
        with app.test_client() as client: return "".join(client.get(f"/a/{n}").text for n in range(3))
"""

DJANGO = """
    import django, sys, types
    from django.conf import settings
    urls = sys.modules["urls"] = types.ModuleType("urls")
    settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", LOGGING_CONFIG=None)
    django.setup()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import path, re_path
    def a(request, n): return HttpResponse(n)
    async def b(request, n): return HttpResponse(n)
    def page(request): return HttpResponse("".join(Client().get(f"/a/{n}").content.decode() for n in range(3)))
    def boom(request): raise ValueError
    urls.urlpatterns = [path("a/<int:n>", a), re_path(r"^b/(?P<n>[0-9]+)/$", b), path("page", page), path("boom", boom)]
    app, asgi = get_wsgi_application(), get_asgi_application()
"""

FALCON = """
    import falcon, falcon.asgi
    from falcon import testing
    class A:
        def on_get(self, request, response, n): response.text = n
    class AsyncA:
        async def on_get(self, request, response, n): response.text = n
    class Page:
        def on_get(self, request, response):
            response.text = "".join(testing.TestClient(app).simulate_get(f"/a/{n}").text for n in range(3))
    app, asgi = falcon.App(), falcon.asgi.App()
    app.add_route("/a/{n}", A())
    app.add_route("/page", Page())
    asgi.add_route("/a/{n}", AsyncA())
"""

BOTTLE = """
    from bottle import Bottle
    inner, app = Bottle(), Bottle()
    @inner.get("/a/<n:int>")
    def a(n): return str(n)
    app.mount("/v1/", inner)
    app.mount("/v2", FLASK)
"""

PYRAMID = """
    import warnings
    warnings.simplefilter("ignore")  # of pkg_resources, which Pyramid asks for
    from pyramid.config import Configurator
    from pyramid.request import Request
    from pyramid.response import Response
    def a(request): return Response(request.matchdict["n"])
    def page(request): return Response("".join(request.invoke_subrequest(Request.blank(f"/a/{n}")).text for n in range(3)))
    config = Configurator()
    for name, pattern, view in (("a", "/a/{n}", a), ("page", "/page", page)):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name)
    app = config.make_wsgi_app()
"""

STARLETTE = """
    import asyncio
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route
    async def a(request): return PlainTextResponse("x")
    class InAThread:
        def __init__(self, app): self.app = app
        async def __call__(self, scope, receive, send):
            await asyncio.to_thread(int)
            await self.app(scope, receive, send)
"""

QUART = """
    from quart import Quart
    app = Quart("shop")
    @app.get("/a/<int:n>")
    async def a(n): return str(n)
    @app.get("/page")
    async def page():
        client = app.test_client()
        return "".join([await (await client.get(f"/a/{n}")).get_data(as_text=True) for n in range(3)])
"""

PLAIN = "/a/1", "/a/2", "/none", "/page", "/page"


def _script(where: str, *parts: str) -> str:
    return "".join(dedent(part) for part in (QUIET, SEND, where, *parts))


CASES = {
    "flask-wsgi": (
        _script(ON_WSGI, FLASK, f"ask(app, *{PLAIN})"),
        ["flask"],
        {"GET /a/<int:n>": 2, "GET (no route)": 1, "GET /page": 2},
    ),
    "flask-dispatched": (
        _script(
            ON_WSGI,
            FLASK,
            """
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    ask(DispatcherMiddleware(app, {"/v1": app, "/v2": app}), "/a/1", "/v1/a/1", "/v2/a/1", "/v2/a/2", "/v1/none")
""",
        ),
        ["flask"],
        {"GET /a/<int:n>": 1, "GET /v1/a/<int:n>": 1, "GET /v2/a/<int:n>": 2, "GET /v1/<path>": 1},
    ),
    "flask-in-starlette": (
        _script(
            ON_ASGI,
            STARLETTE,
            FLASK,
            """
    from a2wsgi import WSGIMiddleware
    ask(Starlette(routes=[Mount("/v1", WSGIMiddleware(app))]), "/v1/a/1", "/v1/a/2", "/v1/none")
""",
        ),
        ["flask", "starlette", "uvicorn", "a2wsgi"],
        {"GET /v1/a/<int:n>": 2, "GET /v1/{path}": 1},
    ),
    "django-wsgi": (
        _script(ON_WSGI, DJANGO, f"ask(app, *{PLAIN}, '/b/1/')"),
        ["django"],
        {"GET /a/<int:n>": 2, "GET (no route)": 1, "GET /page": 2, "GET /b/<n>/": 1},
    ),
    "django-asgi": (
        _script(ON_ASGI, DJANGO, f"ask(asgi, *{PLAIN}, '/b/1/')"),
        ["django", "uvicorn"],
        {"GET /a/<int:n>": 2, "GET (no route)": 1, "GET /page": 2, "GET /b/<n>/": 1},
    ),
    "django-in-fastapi": (
        _script(
            ON_ASGI,
            DJANGO,
            """
    from fastapi import FastAPI
    main = FastAPI()
    main.mount("/v1", asgi)
    ask(main, "/v1/a/1", "/v1/a/2", "/v1/none")
""",
        ),
        ["django", "fastapi", "uvicorn"],
        {"GET /v1/a/<int:n>": 2, "GET /v1/{path}": 1},
    ),
    "falcon-wsgi": (
        _script(ON_WSGI, FALCON, f"ask(app, *{PLAIN})"),
        ["falcon"],
        {"GET /a/{n}": 2, "GET (no route)": 1, "GET /page": 2},
    ),
    "falcon-asgi": (
        _script(ON_ASGI, FALCON, "ask(asgi, '/a/1', '/a/2', '/none')"),
        ["falcon", "uvicorn"],
        {"GET /a/{n}": 2, "GET (no route)": 1},
    ),
    "bottle-mounted": (
        _script(ON_WSGI, FLASK.replace("app", "FLASK"), BOTTLE, "ask(app, '/v1/a/1', '/v2/a/1', '/v2/a/2', '/v2/none', '/none')"),
        ["bottle", "flask"],
        {"GET /v1/a/<n:int>": 1, "GET /v2/a/<int:n>": 2, "GET /v2/<path>": 1, "GET (no route)": 1},
    ),
    "pyramid": (
        _script(ON_WSGI, PYRAMID, f"ask(app, *{PLAIN})"),
        ["pyramid"],
        {"GET /a/{n}": 2, "GET (no route)": 1, "GET /page": 2},
    ),
    "starlette": (
        _script(ON_ASGI, STARLETTE, "ask(Starlette(routes=[Route('/a/{n}', a)]), '/a/1', '/a/2', '/none')"),
        ["starlette", "uvicorn"],
        {"GET /a/{n}": 2, "GET (no route)": 1},
    ),
    "starlette-behind-a-thread": (
        _script(ON_ASGI, STARLETTE, "ask(InAThread(Starlette(routes=[Route('/a/{n}', a)])), '/a/1', '/a/2', '/none')"),
        ["starlette", "uvicorn"],
        {"GET /a/{n}": 2, "GET (no route)": 1},
    ),
    "quart": (
        _script(ON_ASGI, QUART, f"ask(app, *{PLAIN})"),
        ["quart", "uvicorn"],
        {"GET /a/<int:n>": 2, "GET (no route)": 1, "GET /page": 2},
    ),
}


@EACH_ENGINE
@pytest.mark.parametrize("case", CASES)
def test_each_request_of_the_client_is_one_transaction_by_its_route(compared: Compared, case: str, engine: str) -> None:
    """With the prefix that it is mounted at; the start and end of the application (lifespan) are none."""
    program, needs, expected = CASES[case]
    packs = [*needs, "wsgi", "starlette", "executors"]
    under = compared(
        program, needs=needs, env={"HOOKMON_ENGINE": engine}, packs=[pack for pack in dict.fromkeys(packs) if pack != "a2wsgi"]
    )
    assert transactions(under) == {name: (calls, 0) for name, calls in expected.items()}


@EACH_ENGINE
def test_requests_of_djangos_test_client_are_transactions(compared: Compared, engine: str) -> None:
    """In a script, where nothing is around them; an exception is an error."""
    ask = """
        import asyncio
        client = Client(raise_request_exception=False)
        print([client.get(path).status_code for path in ("/a/1", "/a/2", "/b/1/", "/none", "/boom")])
        async def main(): print([(await AsyncClient().get(path)).status_code for path in ("/b/1/", "/b/2/")])
        asyncio.run(main())
    """
    under = compared(_script(DJANGO, ask), needs=["django"], env={"HOOKMON_ENGINE": engine}, packs=["django"])
    expected = {"GET /a/<int:n>": (2, 0), "GET /b/<n>/": (3, 0), "GET (no route)": (1, 0), "GET /boom": (1, 1)}
    assert transactions(under) == expected
