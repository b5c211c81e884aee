"""Hooks of web frameworks under their packs: counted exactly, by their own names; the framework behaves as without us."""

from __future__ import annotations

import ast
import json

from hookmon.testing import run

from .conftest import PYTHON
from .hooked import Both, both, require

__all__ = ["both"]


def test_functions_around_a_request_of_flask_are_counted(both: Both) -> None:
    """Before, after, teardown and error handlers, of the application and of a blueprint; as many as they counted themselves."""
    require("flask")
    found = both(
        """
        import flask, collections
        COUNTED = collections.Counter()
        app, shop = flask.Flask(__name__), flask.Blueprint("shop", __name__)

        def counted(function):
            def count(*args):
                COUNTED[function.__name__] += 1
                return function(*args)
            count.__name__ = function.__name__
            count.__qualname__ = function.__qualname__
            return count

        @app.before_request
        @counted
        def load_user(): flask.g.user = 1
        @app.before_request
        def gate():
            if flask.request.args.get("closed"): return "closed", 503
        @app.after_request
        @counted
        def add_header(response):
            response.headers["X"] = "y"
            return response
        @app.teardown_request
        @counted
        def close(error): pass
        @app.teardown_appcontext
        @counted
        def close_context(error): pass
        @app.context_processor
        @counted
        def names(): return {"name": "n"}
        @app.errorhandler(404)
        @counted
        def missing(error): return "missing", 404
        @app.errorhandler(ValueError)
        @counted
        def wrong(error): return "wrong", 400
        @shop.before_request
        @counted
        def check_basket(): pass
        @shop.before_app_request
        @counted
        def everywhere(): pass
        @shop.errorhandler(KeyError)
        @counted
        def no_article(error): return "none", 410
        @shop.app_errorhandler(ZeroDivisionError)
        @counted
        def divided(error): return "divided", 418
        @app.url_value_preprocessor
        @counted
        def values(endpoint, args): pass

        @app.get("/")
        def index(): return flask.render_template_string("hello {{ name }}")
        @app.get("/wrong")
        def view_wrong(): raise ValueError("s3cr3t-of-an-error")
        @app.get("/zero")
        def zero(): return str(1 / 0)
        @shop.get("/article/<name>")
        def article(name): return {"tea": "green"}[name]
        app.register_blueprint(shop)

        assert app.before_request_funcs[None][0].__name__ == "load_user" and load_user in app.before_request_funcs[None]
        assert callable(load_user) and type(load_user).__name__ == "function"
        client = app.test_client()
        for path in ("/", "/", "/?closed=1", "/nowhere", "/wrong", "/zero", "/article/tea", "/article/s3cr3t-of-an-article"):
            response = client.get(path)
            print(path, response.status_code, response.data, response.headers["X"])
        try:
            app.before_request(load_user)
        except AssertionError as error:
            print(str(error).splitlines()[0])
        print(sorted(COUNTED.items()))
        """,
        "flask_hooks",
    )
    printed = dict(ast.literal_eval(found.stdout.splitlines()[-1]))
    calls = found.calls("hook")
    assert calls.pop("before_request gate") == printed["load_user"] == 8
    assert {name.rpartition(" ")[2]: number for name, number in calls.items()} == printed
    assert sorted(calls) == [
        "after_request add_header",
        "before_app_request everywhere",
        "before_request check_basket",
        "before_request load_user",
        "context_processor names",
        "errorhandler 404 missing",
        "errorhandler KeyError no_article",
        "errorhandler ValueError wrong",
        "errorhandler ZeroDivisionError divided",
        "teardown_appcontext close_context",
        "teardown_request close",
        "url_value_preprocessor values",
    ]
    assert found.leaks("s3cr3t-of-an-error") == found.leaks("s3cr3t-of-an-article") == []


def test_receivers_of_blinker_are_counted(both: Both) -> None:
    """By signal; weak references end, and disconnecting works, as they do without us."""
    require("blinker")
    found = both(
        """
        import asyncio, blinker, gc
        saved, plain = blinker.signal("saved"), blinker.Signal()
        def mail(sender, **more): return ("mail", sorted(more))
        class Audit:
            def on_saved(self, sender, **more): return "audit"
        def boom(sender): raise KeyError(sender)
        audit = Audit()
        assert saved.connect(mail) is mail
        saved.connect(audit.on_saved); saved.connect(mail, sender="x")
        @plain.connect
        def local(sender): return 1
        print(sorted(map(str, (value for _, value in saved.send("me", text="s3cr3t-of-a-signal")))))
        assert mail in [receiver for receiver, _ in saved.send("x")]
        assert mail in list(saved.receivers_for("y")) and mail in [receiver for receiver in saved.receivers_for("y")]
        print(len(plain.send()), saved.has_receivers_for("y"))
        del audit; gc.collect()
        print(len(saved.send("me")))
        saved.disconnect(mail)
        print(len(saved.send("me")), len(saved.send("x")))
        with saved.connected_to(boom):
            try:
                saved.send("z")
            except KeyError as error:
                print(repr(error))
        del local; gc.collect()
        print(len(plain.send()))

        @saved.connect
        async def later(sender):
            await asyncio.sleep(0)
            return "later"
        async def main():
            if hasattr(saved, "send_async"):
                print("asynchronously", len(await saved.send_async("me")))
        asyncio.run(main())
        try:
            saved.send("me")
        except RuntimeError as error:
            print(error)
        """,
        "blinker",
    )
    calls = found.calls("hook")
    assert calls.pop("saved: later", 0) == found.stdout.splitlines().count("asynchronously 1")
    assert calls == {"saved: mail": 3, "saved: Audit.on_saved": 2, "saved: boom": 1, "Signal: local": 1}
    assert found.errors("hook") == {"saved: boom": 1}
    assert found.leaks("s3cr3t-of-a-signal") == []


def test_signals_that_flask_sends_are_counted(both: Both) -> None:
    """Through both packs at once."""
    require("flask")
    found = both(
        """
        import flask
        app = flask.Flask(__name__)
        def started(sender, **more): pass
        flask.request_started.connect(started, app)
        @app.get("/")
        def index(): return "ok"
        print([app.test_client().get("/").status_code for _ in range(3)])
        """,
        "blinker",
        "flask_hooks",
    )
    assert found.calls("hook") == {"request-started: started": 3}


DJANGO = """
import asyncio, collections, django, json, sys, types
from django.conf import settings
COUNTED = collections.Counter()
settings.configure(
    SECRET_KEY="s3cr3t-of-django", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "mine.Counting", "mine.simple", "mine.Viewing"],
)
mine = types.ModuleType("mine"); sys.modules["mine"] = mine
from django.utils.deprecation import MiddlewareMixin
class Counting:
    def __init__(self, get_response): self.get_response = get_response
    def __call__(self, request):
        COUNTED["Counting"] += 1
        return self.get_response(request)
def simple(get_response):
    def middleware(request):
        COUNTED["simple.middleware"] += 1
        return get_response(request)
    return middleware
class Viewing(MiddlewareMixin):
    def process_request(self, request): COUNTED["Viewing"] += 1
    def process_view(self, request, view, args, kwargs): COUNTED["Viewing.process_view"] += 1
    def process_exception(self, request, error):
        COUNTED["Viewing.process_exception"] += 1
        from django.http import HttpResponse
        return HttpResponse("wrong", status=400)
mine.Counting, mine.simple, mine.Viewing = Counting, simple, Viewing
django.setup()
from django.http import HttpResponse
from django.urls import path
def index(request): return HttpResponse("ok")
def wrong(request): raise ValueError("s3cr3t-of-an-error")
urls = types.ModuleType("urls"); sys.modules["urls"] = urls
urls.urlpatterns = [path("", index), path("wrong", wrong)]

from django.core.signals import request_started
from django.dispatch import Signal, receiver
@receiver(request_started)
def started(sender, **more): COUNTED["Signal: started"] += 1
sold = Signal()
class Till:
    def on_sold(self, **more):
        COUNTED["Signal: Till.on_sold"] += 1
        return 1
till = Till()
sold.connect(till.on_sold, dispatch_uid="till")
def bad(**more):
    COUNTED["Signal: bad"] += 1
    raise KeyError("bad")
sold.connect(bad)
print([type(result).__name__ for _, result in sold.send_robust("me", article="s3cr3t-of-a-signal")])
assert sold.disconnect(bad) and not sold.disconnect(bad)
assert sold.send("me") == [(till.on_sold, 1)]
del till
import gc; gc.collect()
print(sold.send("me"), sold.has_listeners())

from django.test import Client
client = Client()
for address in ("/", "/", "/nowhere", "/wrong"):
    print(address, client.get(address).status_code)
from django.test import AsyncClient
async def main(): print((await AsyncClient().get("/")).status_code)
asyncio.run(main())
print(json.dumps(COUNTED))
"""


def test_middleware_and_signals_of_django_are_counted(both: Both) -> None:
    """Classes, functions and what a middleware does for views and errors, in synchronous and asynchronous requests."""
    require("django")
    found = both(DJANGO, "django_hooks")
    printed = json.loads(found.stdout.splitlines()[-1])
    calls = {name.removeprefix("middleware "): number for name, number in found.calls("hook").items()}
    assert {name: calls.get(name, 0) for name in printed} == printed
    assert calls["CommonMiddleware"] == calls["Counting"] == 5
    assert (calls["ClientHandler._get_response"], calls["AsyncClientHandler._get_response_async"]) == (4, 1)
    for secret in ("s3cr3t-of-django", "s3cr3t-of-an-error", "s3cr3t-of-a-signal"):
        assert found.leaks(secret) == []


def test_signals_of_celery_are_counted(both: Both) -> None:
    """Those around a task that runs at once."""
    require("celery")
    found = both(
        """
        import celery, collections
        from celery import signals
        COUNTED = collections.Counter()
        app = celery.Celery("shop")
        app.conf.task_always_eager = True
        @signals.task_prerun.connect
        def before(task_id=None, **more): COUNTED["task_prerun: before"] += 1
        @signals.task_postrun.connect
        def after(**more): COUNTED["task_postrun: after"] += 1
        @signals.task_failure.connect
        def failed(**more): COUNTED["task_failure: failed"] += 1
        @app.task
        def add(x, y): return x + y
        @app.task
        def fail(): raise ValueError("no")
        print([add.delay(1, 2).get() for _ in range(3)])
        fail.apply_async()
        assert signals.task_postrun.disconnect(after)
        add.delay(1, 2)
        print(sorted(COUNTED.items()))
        """,
        "celery_signals",
    )
    assert found.calls("hook") == dict(ast.literal_eval(found.stdout.splitlines()[-1]))
    assert found.calls("hook") == {"task_prerun: before": 5, "task_postrun: after": 4, "task_failure: failed": 1}


def test_event_listeners_of_sqlalchemy_are_counted(both: Both) -> None:
    """Of an engine, a session, a mapper and an attribute; contains() and remove() find a listener again."""
    require("sqlalchemy")
    found = both(
        """
        import collections, sqlalchemy as sa
        from sqlalchemy import event, orm
        COUNTED = collections.Counter()
        engine = sa.create_engine("sqlite://")
        Base = orm.declarative_base()
        class User(Base):
            __tablename__ = "user"
            id = sa.Column(sa.Integer, primary_key=True)
            name = sa.Column(sa.String)
            parent_id = sa.Column(sa.ForeignKey("user.id"))
            children = orm.relationship("User")
        @event.listens_for(engine, "before_cursor_execute")
        def executing(conn, cursor, statement, parameters, context, executemany): COUNTED["before_cursor_execute: executing"] += 1
        @event.listens_for(engine, "before_cursor_execute", retval=True, named=True)
        def rewriting(**kw):
            COUNTED["before_cursor_execute: rewriting"] += 1
            return kw["statement"], kw["parameters"]
        def inserting(mapper, connection, user): COUNTED["before_insert: inserting"] += 1
        event.listen(User, "before_insert", inserting)
        @event.listens_for(User.name, "set")
        def naming(target, value, old, initiator): COUNTED["set: naming"] += 1
        def once(session): COUNTED["before_commit: once"] += 1
        event.listen(orm.Session, "before_commit", once, once=True)
        class Keeper:
            def commit(self, session): COUNTED["after_commit: Keeper.commit"] += 1
        keeper = Keeper()
        event.listen(orm.Session, "after_commit", keeper.commit)
        assert event.contains(User, "before_insert", inserting) and event.contains(orm.Session, "after_commit", keeper.commit)
        assert executing.__name__ == "executing"
        Base.metadata.create_all(engine)
        with orm.Session(engine) as session:
            for number in range(3):
                session.add(User(name=f"s3cr3t-of-user-{number}"))
                session.commit()
            event.remove(User, "before_insert", inserting)
            event.remove(orm.Session, "after_commit", keeper.commit)
            assert not event.contains(User, "before_insert", inserting)
            session.add(User(name="d"))
            session.commit()
            try:
                event.remove(User, "before_insert", inserting)
            except sa.exc.InvalidRequestError:
                print("gone")
        print(sorted(COUNTED.items()))
        """,
        "sqlalchemy_events",
    )
    assert found.calls("hook") == dict(ast.literal_eval(found.stdout.splitlines()[-1]))
    assert found.leaks("s3cr3t-of-user") == []


def test_extensions_of_stevedore_are_counted(both: Both) -> None:
    """Loading and calling, by name."""
    require("stevedore")
    found = both(
        """
        from stevedore import ExtensionManager
        from stevedore.extension import Extension
        class One:
            def run(self, x): return x
        made = [Extension(name, None, One, One()) for name in ("first", "second")]
        manager = ExtensionManager.make_test_instance(made)
        print(manager.map(lambda extension, x: extension.obj.run(x), 3), manager.map_method("run", 4))
        """,
        "stevedore",
    )
    assert found.calls("hook") == {"extension first": 2, "extension second": 2}


def test_a_pack_costs_nothing_without_its_library() -> None:
    """A program that imports none of them gets no shard, and not one of our modules more than without packs."""
    program = "import sys; print(sorted(name for name in sys.modules if name.startswith('hookmon')))"
    assert (
        run(program, packs=["flask_hooks", "pluggy", "blinker"], python=PYTHON).stdout
        == run(program, packs=["redis"], python=PYTHON).stdout
    )
