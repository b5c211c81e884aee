"""The pack of Flask on real servers."""

from __future__ import annotations

import pytest
from support.servers import Postgres, Valkey
from support.web import GUNICORN

from .web import holds, serve

APP = """
    from flask import Flask, Response, request
    import store

    app = Flask(__name__)

    @app.get("/users/<name>")
    def user(name):
        return store.user(name)

    @app.post("/orders")
    def orders():
        return store.order(request.get_data())

    @app.get("/feed")
    def feed():
        return Response(store.feed())

    @app.get("/boom")
    def boom():
        raise ValueError

    @app.get("/busy")
    def busy():
        return "later", 503
"""


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_requests_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres, worker: str):
    """On gunicorn with 2 workers, for 4 clients at once: the client's, PostgreSQL's and Valkey's own counts."""
    command = (*GUNICORN, "--worker-class", worker, *(("--threads", "4") if worker == "gthread" else ()), "app:app")
    one = serve(valkey, postgres, APP, needs="flask", packs=["flask", "wsgi"], command=command)
    holds(one, valkey, postgres, user="GET /users/<name>")
    told = {row["target"]: row["status"] for row in one.recorded.report["watched"] if row["pack"] == "flask"}
    assert set(told.values()) == {"active"}, told  # those that only name a request and tell its status, too
