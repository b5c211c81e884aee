"""The pack of Django on real servers."""

from __future__ import annotations

from collections import Counter

import pytest
from support.servers import Postgres, Valkey
from support.web import GUNICORN

from .conftest import Compared
from .web import holds, serve

APP = """
    import os
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.template import Context, Engine
    from django.urls import include, path, re_path

    settings.configure(
        SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "app.counting"],
        LOGGING_CONFIG=None,
    )
    import store

    template = Engine().from_string("{{ text }}")
    template.name = "user.html"

    def counting(get_response):
        def middleware(request):
            return get_response(request)
        return middleware

    def user(request, name):
        return HttpResponse(template.render(Context({"text": store.user(name)})))

    def orders(request):
        return HttpResponse(store.order(request.body))

    def feed(request):
        return StreamingHttpResponse(store.feed())

    def boom(request):
        raise ValueError

    def busy(request):
        return HttpResponse("later", status=503)

    urlpatterns = [
        path("users/", include([path("<str:name>", user)])),
        re_path("^(?:orders)$", orders),
        path("feed", feed), path("boom", boom), path("busy", busy),
    ]
    app = get_wsgi_application()
    asgi = get_asgi_application()
"""


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_requests_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres, worker: str):
    """On gunicorn with 2 workers, for 4 clients at once: the client's, PostgreSQL's and Valkey's own counts."""
    command = (*GUNICORN, "--worker-class", worker, *(("--threads", "4") if worker == "gthread" else ()), "app:app")
    one = serve(valkey, postgres, APP, needs="django", packs=["django", "django_hooks", "wsgi"], command=command)
    holds(one, valkey, postgres, user="GET /users/<str:name>", orders="POST /orders")
    made = {key: count for key, count in one.calls("template").items() if key[0].startswith("GET /users")}
    assert made == {("GET /users/<str:name>", "django user.html"): 40}
    views = {key[1]: count for key, count in one.calls("function").items() if key[1].startswith("view ")}
    assert views == {"view user": 40, "view orders": 12, "view feed": 8, "view boom": 4, "view busy": 4}
    middleware: Counter[str] = Counter()
    for (_, name), count in one.calls("hook").items():
        middleware[name] += count
    ours = {name: count for name, count in middleware.items() if "ommon" in name or "counting" in name}
    assert ours == {"middleware CommonMiddleware": 80, "middleware counting.middleware": 80}


def test_requests_over_asgi_are_counted_by_route_with_all_they_call(valkey: Valkey, postgres: Postgres):
    """On uvicorn, where synchronous views run in threads; a body of a plain generator is read before the response.

    With h11, which lets any method through to the application; httptools answers those that it does not know by itself.
    """
    command = ("-m", "uvicorn", "--http", "h11", "--port", "0", "--log-level", "info", "--lifespan", "off", "app:asgi")
    one = serve(valkey, postgres, APP, needs="django", packs=["django"], command=command)
    holds(one, valkey, postgres, user="GET /users/<str:name>", orders="POST /orders", streamed={})


DEBUGGED = """
    import django
    from django.conf import settings
    settings.configure(DEBUG=True, DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    django.setup()
    from django.db import connection
    with connection.cursor() as cursor:
        for number in range(3): cursor.execute("SELECT %s AS it", [number])
    print(len(connection.queries))
"""


def test_the_log_of_queries_is_no_query(compared: Compared):
    """With DEBUG on, Django has SQLite quote the parameters of each; that is named, and a part of the statement."""
    under = compared(DEBUGGED, needs=["django"], env={}, packs=["django", "sqlite3"])
    calls = under.calls("sql")
    assert {name for name in calls if "QUOTE" in name} == set()
    assert (calls["SELECT ? AS it"], calls["Django's log of queries (DEBUG is on)"]) == (3, 3)
    (main,) = under.report["transactions"]
    assert "Django's log of queries (DEBUG is on)" in {child["name"] for child in main["children"] if child["part"]}
