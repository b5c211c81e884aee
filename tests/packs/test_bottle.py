"""The pack of Bottle on a real server."""

from __future__ import annotations

from support.servers import Postgres, Valkey

from .web import holds, serve

APP = """
    from bottle import Bottle, HTTPResponse, request
    import store

    app = Bottle()

    @app.get("/users/<name>")
    def user(name):
        return store.user(name)

    @app.post("/orders")
    def orders():
        return store.order(request.body.read())

    @app.get("/feed")
    def feed():
        return store.feed()

    @app.get("/boom")
    def boom():
        raise ValueError

    @app.get("/busy")
    def busy():
        return HTTPResponse("later", 503)
"""


def test_requests_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres):
    """On gunicorn with 2 workers, for 4 clients at once: the client's, PostgreSQL's and Valkey's own counts."""
    one = serve(valkey, postgres, APP, needs="bottle", packs=["bottle", "wsgi"])
    holds(one, valkey, postgres, user="GET /users/<name>", lacks=("bottle:BaseResponse._wsgi_status_line",))
