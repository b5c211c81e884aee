"""The pack of WSGI servers: any application, frameworks inside of middleware, and files that servers send by themselves."""

from __future__ import annotations

import pytest
from support.clients import interleaved
from support.engines import ENGINES
from support.servers import Postgres, Valkey
from support.web import GUNICORN, request, serve_app

from .conftest import ENGINE, PYTHON, SECRET, _has
from .web import holds, serve

PLAIN = """
    def application(environ, start_response):
        failed = environ["PATH_INFO"] == "/busy"
        start_response("503 Later" if failed else "200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/feed":
            return rows()
        return [b"text"]

    def rows():
        yield b"one"
        yield b"two"
"""

SERVERS = {
    "wsgiref": """
    from wsgiref.simple_server import make_server
    server = make_server("127.0.0.1", 0, application)
    run, port = server.serve_forever, server.server_port
    """,
    "werkzeug": """
    from werkzeug.serving import make_server
    server = make_server("127.0.0.1", 0, application, threaded=True)
    run, port = server.serve_forever, server.server_port
    """,
    "waitress": """
    from waitress import create_server
    server = create_server(application, host="127.0.0.1", port=0)
    run, port = server.run, server.effective_port
    """,
    "gevent": """
    from gevent.pywsgi import WSGIServer
    server = WSGIServer(("127.0.0.1", 0), application)
    server.start()
    run, port = server.serve_forever, server.server_port
    """,
}
EXPECTED = {"GET (no route)": 64, "POST (no route)": 12, "OTHER (no route)": 4}


@pytest.mark.parametrize("server", SERVERS)
def test_any_application_is_counted_by_method(server: str):
    """On a server that is started in Python; without a framework there is no route, and a path is nobody's name."""
    if missing := _has((server,)):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    app = f"{PLAIN}{SERVERS[server]}\n    print(f'127.0.0.1:{{port}}', flush=True)\n    run()\n"
    one = serve_app(app, ["app.py"], packs=["wsgi"], env=ENGINE, python=PYTHON)
    assert one.statuses == {200: 76, 503: 4}
    assert one.requests() == EXPECTED
    assert one.errors() == {"GET (no route)": 4}
    assert one.streamed() == {"GET (no route)": 8}
    assert one.recorded.leaks(SECRET) == []


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent", "gevent_wsgi", "gevent_pywsgi"])
def test_any_application_is_counted_by_method_on_gunicorn(worker: str):
    """With 2 workers of each kind."""
    if missing := _has(("gunicorn", *(("gevent", "packaging") if "gevent" in worker else ()))):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    one = serve_app(PLAIN, (*GUNICORN, "-k", worker, "app:application"), packs=["wsgi"], env=ENGINE, python=PYTHON)
    assert one.statuses == {200: 76, 503: 4}, one.log
    assert one.requests() == EXPECTED
    assert one.errors() == {"GET (no route)": 4}


GENERATORS = {
    "a function": "\n    application = pages",
    "a partial": "\n    import functools\n    application = functools.partial(pages)",
    "a method": """
    class Shop:
        def __call__(self, environ, start_response):
            yield from pages(environ, start_response)
    application = Shop()
    """,
    "inside of a middleware": """
    def application(environ, start_response):
        return pages(environ, start_response)
    """,
}
PAGES = """
    import time

    def query(what): pass

    def pages(environ, start_response):
        query("first")
        time.sleep(0.001)
        start_response("503 Later" if environ["PATH_INFO"] == "/busy" else "200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        query("rest")
        yield b"two"
"""
WATCH = '[[watch]]\nmodule = "app"\ncalls = ["query"]\nspan = "{what}"\n'


@pytest.mark.parametrize("server", ["gunicorn", "wsgiref", "gevent"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", GENERATORS)
def test_an_application_may_be_a_generator(kind: str, engine: str, server: str):
    """Its status is known, the request is what happens up to the first part of the body, and the rest is a streamed body."""
    if missing := _has((server,)):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    app, command, watch = PAGES + GENERATORS[kind], (*GUNICORN, "app:application"), WATCH
    if server in SERVERS:
        app += f"{SERVERS[server]}\n    print(f'127.0.0.1:{{port}}', flush=True)\n    run()\n"
        command, watch = ("app.py",), WATCH.replace("app", "__main__")
    one = serve_app(app, command, packs=["wsgi"], env={"HOOKMON_ENGINE": engine}, python=PYTHON, config=watch)
    assert one.statuses == {200: 76, 503: 4}, one.log
    assert one.requests() == EXPECTED
    assert one.errors() == {"GET (no route)": 4}
    assert one.streamed() == EXPECTED
    found = {key: calls for key, (calls, _, _) in interleaved(one.recorded).items() if key[2] in ("first", "rest")}
    first = "after" if kind == "inside of a middleware" else ""
    assert found == {
        (route, place, name): calls for route, calls in EXPECTED.items() for place, name in ((first, "first"), ("after", "rest"))
    }
    if not first:
        assert all(row["min_ns"] >= 1e6 for row in one.recorded.report["transactions"] if row["kind"] == "request")


BROKEN = """
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/boom":
            raise ValueError
        start_response("204 Empty" if environ["PATH_INFO"] == "/feed" else "200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] != "/feed":
            yield b"one"
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_generator_that_fails_before_the_first_part_is_an_error(engine: str):
    """As any exception; one without parts is a request as well."""
    if missing := _has(("gunicorn",)):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    command = (*GUNICORN, "app:application")
    one = serve_app(
        BROKEN,
        command,
        packs=["wsgi"],
        env={"HOOKMON_ENGINE": engine},
        python=PYTHON,
        requests=[request("GET", path) for path in ("/", "/boom", "/feed") for _ in range(8)],
    )
    assert one.statuses == {200: 8, 500: 8, 204: 8}, one.log
    assert one.requests() == {"GET (no route)": 24}
    assert one.errors() == {"GET (no route)": 8}
    assert one.streamed() == {"GET (no route)": 8}


FLASK = """
    from flask import Flask, Response, request, send_file
    import store

    flask = Flask(__name__)

    @flask.get("/users/<name>")
    def user(name):
        return store.user(name)

    @flask.post("/orders")
    def orders():
        return store.order(request.get_data())

    @flask.get("/feed")
    def feed():
        return Response(store.feed())

    @flask.get("/boom")
    def boom():
        raise ValueError

    @flask.get("/busy")
    def busy():
        return "later", 503

    @flask.get("/source")
    def source():
        return send_file(__file__)

    def app(environ, start_response):
        body = flask(environ, start_response)
        if environ["PATH_INFO"] == "/source":
            print("sent by", type(body).__module__, flush=True)
        return body
"""


def test_a_framework_inside_of_a_middleware_names_the_requests(valkey: Valkey, postgres: Postgres):
    """The middleware begins them, and all is counted once."""
    one = serve(valkey, postgres, FLASK, needs="flask", packs=["flask", "wsgi"])
    holds(one, valkey, postgres, user="GET /users/<name>")
    assert "flask.app:Flask.__call__" not in one.recorded.targets()


def test_a_server_recognises_the_file_that_it_is_to_send(valkey: Valkey, postgres: Postgres):
    """What wraps a file is gunicorn's own object, as without us."""
    if missing := _has(("flask", "gunicorn", "redis", "psycopg")):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    env = ENGINE | {"REDIS_URL": valkey.url, "DSN": postgres.dsn}
    files = [request("GET", "/source") for _ in range(8)]
    one = serve_app(FLASK, (*GUNICORN, "app:app"), packs=["flask", "wsgi"], env=env, python=PYTHON, requests=files)
    assert one.statuses == {200: 8}
    assert one.log.count("sent by gunicorn.http.wsgi") == 8
    assert one.requests() == {"GET /source": 8}
    assert one.streamed() == {}
