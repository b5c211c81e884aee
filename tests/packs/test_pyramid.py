"""The pack of Pyramid on a real server."""

from __future__ import annotations

from support.servers import Postgres, Valkey

from .web import holds, serve

APP = """
    from pyramid.config import Configurator
    from pyramid.response import Response
    import store

    def user(request):
        return Response(store.user(request.matchdict["name"]))

    def orders(request):
        return Response(store.order(request.body))

    def feed(request):
        return Response(app_iter=store.feed())

    def boom(request):
        raise ValueError

    def busy(request):
        return Response("later", status=503)

    with Configurator() as config:
        routes = {"users/{name}": user, "/orders": orders, "/feed": feed, "/boom": boom, "/busy": busy}
        for number, (pattern, view) in enumerate(routes.items()):
            config.add_route(str(number), pattern)
            config.add_view(view, route_name=str(number))
        app = config.make_wsgi_app()
"""


def test_requests_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres):
    """On gunicorn with 2 workers, for 4 clients at once: the client's, PostgreSQL's and Valkey's own counts."""
    one = serve(valkey, postgres, APP, needs="pyramid", packs=["pyramid", "wsgi"])
    holds(one, valkey, postgres, user="GET /users/{name}")
