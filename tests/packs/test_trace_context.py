"""Requests and jobs that come with a `traceparent`, on real servers: what is kept has its ids, and nothing else of a header."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from textwrap import dedent

import pytest
from support.clients import program
from support.engines import ENGINES
from support.servers import Valkey
from support.web import GUNICORN, SECRET, Served, serve_app

from hookmon.testing import run

from .conftest import ENGINE, PYTHON, Compared, _has

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

FLASK = """
    from flask import Flask
    app = Flask(__name__)
    @app.get("/<name>")
    def page(name): return name
"""
SERVED = """
    if __name__ == "__main__":
        from werkzeug.serving import make_server
        server = make_server("127.0.0.1", 0, app, threaded=True)
        print("http://127.0.0.1:%d" % server.port, flush=True)
        import signal, threading
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
"""
ASGI = """
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})
    if __name__ == "__main__":
        import uvicorn
        uvicorn.run(app, host="127.0.0.1", port=0, lifespan="off")
"""
PLAIN = """
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"page"]
"""
DJANGO = """
    import django
    from django.conf import settings
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path
    def page(request, name): return HttpResponse("page")
    urlpatterns = [path("<name>", page)]
    app = WSGIHandler()
"""
TORNADO = """
    import asyncio, signal, tornado.web
    class Page(tornado.web.RequestHandler):
        async def get(self, name): self.write("page")
    async def main():
        server = tornado.web.Application([("/(.*)", Page)]).listen(0, "127.0.0.1")
        port = next(iter(server._sockets.values())).getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()
    asyncio.run(main())
"""
AIOHTTP = """
    import asyncio, signal
    from aiohttp import web
    async def page(request): return web.Response(text="page")
    async def main():
        app = web.Application()
        app.add_routes([web.get("/{name}", page)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print("http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1], flush=True)
        end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
        await end.wait()
    asyncio.run(main())
"""

APPS = {
    "flask-werkzeug": (FLASK + SERVED, ["app.py"], ["flask", "wsgi"], ["flask"]),
    "flask-gunicorn": (FLASK, [*GUNICORN, "app:app"], ["flask", "wsgi"], ["flask", "gunicorn"]),
    "wsgi-gunicorn": (PLAIN, [*GUNICORN, "app:app"], ["wsgi"], ["gunicorn"]),
    "django-gunicorn": (DJANGO, [*GUNICORN, "app:app"], ["django", "wsgi"], ["django", "gunicorn"]),
    "asgi-uvicorn": (ASGI, ["app.py"], ["uvicorn"], ["uvicorn"]),
    "tornado": (TORNADO, ["app.py"], ["tornado"], ["tornado"]),
    "aiohttp": (AIOHTTP, ["app.py"], ["aiohttp_server"], ["aiohttp"]),
}


def get(trace_id: str, flags: str = "01", tail: str = "", version: str = "00") -> tuple[str, str, dict[str, str], str]:
    """Return a request with a trace's id, and a secret wherever else one can be."""
    headers = {"traceparent": f"{version}-{trace_id}-{SPAN}-{flags}{tail}", "tracestate": f"vendor={SECRET}", "X-Secret": SECRET}
    return "GET", "/page", headers, ""


VALID = [get(f"{number:032x}", f"0{number % 2}") for number in (1, 2, 3)]
HOSTILE = [get(TRACE, version="ff"), get(TRACE, tail=f"-{SECRET}"), get(SECRET)]


def examples(served: Served) -> list[dict[str, object]]:
    """Return all that are kept of requests, which must be all that were sent: three."""
    assert served.statuses == {200: 3}
    kept = [row for own in served.recorded.report["transactions"] if own["kind"] == "request" for row in own["examples"]]
    assert len({row["span_id"] for row in kept}) == len({row["trace_id"] for row in kept}) == len(kept) == 3
    return kept


@EACH_ENGINE
@pytest.mark.parametrize("which", APPS)
def test_a_request_has_the_trace_that_it_came_with(which: str, engine: str) -> None:
    """Its trace id, its caller's span, whether that was sampled; what is malformed is none; nothing else is kept of a header."""
    app, command, packs, needs = APPS[which]
    missing = [name for name in needs if not find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {missing}")
    given = {"packs": packs, "env": {"HOOKMON_ENGINE": engine}, "python": sys.executable}
    served = serve_app(app, command, requests=VALID, **given)
    kept = examples(served)
    assert {row["parent_id"] for row in kept} == {SPAN}
    assert {row["trace_id"]: row["is_sampled"] for row in kept} == {f"{number:032x}": number % 2 == 1 for number in (1, 2, 3)}
    assert served.recorded.leaks(SECRET) == []
    served = serve_app(app, command, requests=HOSTILE, **given)
    assert all(row["parent_id"] == "" and row["trace_id"] != TRACE and row["is_sampled"] is False for row in examples(served))
    assert served.recorded.leaks(SECRET) == []


CELERY_JOBS = """
    import os, celery, platform
    platform.platform = str
    app = celery.Celery("shop", broker=os.environ["URL"], backend=os.environ["URL"])
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)

    @app.task(name="shop.pay")
    def pay(card): return card
"""
CELERY = """
    import os, subprocess, sys, time
    sys.path.insert(0, "")
    from shop import pay
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "shop", "worker", "-P", POOL, "-c", "1", "-l", "critical"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    headers = [{"traceparent": TRACE, "secret": SECRET}, {"traceparent": SECRET}, None]
    sent = [pay.apply_async([SECRET], headers=each) for each in headers]
    for result in sent: result.get(timeout=50)
    time.sleep(0.5)
    worker.terminate()
    worker.wait()
"""


@EACH_ENGINE
@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_a_job_of_celery_has_the_trace_of_its_message(compared: Compared, valkey: Valkey, pool: str, engine: str) -> None:
    """A real worker and a real broker: the one message with a header that is one."""
    under = compared(
        program(CELERY_JOBS, f"POOL, TRACE = {pool!r}, '00-{TRACE}-{SPAN}-01'\n{dedent(CELERY)}"),
        needs=["celery", "redis"],
        env={"URL": valkey.url, "HOOKMON_ENGINE": engine},
        packs=["celery"],
        before=valkey.reset,
    )
    (job,) = [row for row in under.report["transactions"] if row["kind"] == "task"]
    found = sorted((row["trace_id"] == TRACE, row["parent_id"], row["is_sampled"]) for row in job["examples"])
    assert found == [(False, "", False), (False, "", False), (True, SPAN, True)]


PIKA = """
    from pika.spec import Basic, BasicProperties
    def on_message(channel, method, properties, body): pass
    for headers in ({"traceparent": TRACE, "secret": SECRET}, {"traceparent": SECRET}, None):
        on_message(None, Basic.Deliver(), BasicProperties(headers=headers), b"body")
"""
AWAITED = """
    import asyncio
    from pika.spec import BasicProperties
    async def on_message(message): await asyncio.sleep(0)
    async def main():
        for headers in ({"traceparent": TRACE, "secret": SECRET}, {"traceparent": SECRET}, None):
            await on_message(BasicProperties(headers=headers))
    asyncio.run(main())
"""
ENTRY = """
[[watch]]
module = "__main__"
calls = ["on_message"]
kind = "task"
entry = true
"""


@EACH_ENGINE
@pytest.mark.parametrize("code", [PIKA, AWAITED], ids=["function", "coroutine"])
@pytest.mark.parametrize("via", ["auto", "code", "name"])
def test_a_message_of_pika_brings_its_trace_along(via: str, code: str, engine: str) -> None:
    """Where the function that takes it is an entry, with the library's own properties."""
    if missing := _has(("pika",)):
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    program = f"SECRET, TRACE = {SECRET!r}, '00-{TRACE}-{SPAN}-01'\n{dedent(code)}"
    config = f"{ENTRY}via = {via!r}\n"
    under = run(program, config=config, packs=[], env=ENGINE | {"HOOKMON_ENGINE": engine}, python=PYTHON)
    assert under.exit_code == 0, under.stderr
    (job,) = [row for row in under.report["transactions"] if row["kind"] == "task"]
    found = sorted((row["trace_id"] == TRACE, row["parent_id"]) for row in job["examples"])
    assert found == [(False, ""), (False, ""), (True, SPAN)]
    assert under.leaks(SECRET) == []
