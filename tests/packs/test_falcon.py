"""The pack of Falcon on a real server."""

from __future__ import annotations

from support.servers import Postgres, Valkey

from .web import holds, serve

APP = """
    import falcon, store

    class User:
        def on_get(self, req, resp, name):
            resp.text = store.user(name)

    class Orders:
        def on_post(self, req, resp):
            resp.text = store.order(req.bounded_stream.read())

    class Feed:
        def on_get(self, req, resp):
            resp.stream = store.feed()

    class Boom:
        def on_get(self, req, resp):
            raise ValueError

    class Busy:
        def on_get(self, req, resp):
            resp.status = falcon.HTTP_503

    app = falcon.App()
    routes = {"/users/{name}": User(), "/orders": Orders(), "/feed": Feed(), "/boom": Boom(), "/busy": Busy()}
    for template, resource in routes.items():
        app.add_route(template, resource)
"""


def test_requests_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres):
    """On gunicorn with 2 workers, for 4 clients at once: the client's, PostgreSQL's and Valkey's own counts."""
    one = serve(valkey, postgres, APP, needs="falcon", packs=["falcon", "wsgi"])
    holds(one, valkey, postgres, user="GET /users/{name}")
