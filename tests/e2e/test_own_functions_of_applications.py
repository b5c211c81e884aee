"""Views, tasks, commands, receivers, fixtures: each own function of real applications is counted as it counts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.runs import PYTHON, bare_run, hookmon_run, watch, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

COUNT = """
    import sys
    COUNTS = {}
    def count():
        name = sys._getframe(1).f_code.co_qualname
        COUNTS[name] = COUNTS.get(name, 0) + 1
"""

FLASK = """
    from flask import Blueprint, Flask
    from counts import count

    orders = Blueprint("orders", __name__, url_prefix="/orders")

    @orders.get("/<int:number>")
    def order(number):
        count()
        return {"order": number}

    @orders.before_request
    def check():
        count()

    def create_app():
        count()
        app = Flask(__name__)
        app.register_blueprint(orders)

        @app.route("/")
        def index():
            count()
            return "hi"

        @app.errorhandler(404)
        def missing(error):
            count()
            return "gone", 404

        @app.template_filter()
        def twice(text):
            count()
            return text * 2

        app.add_url_rule("/late", view_func=lambda: (count(), "late")[1])
        return app
"""
FLASK_RUN = """
    from shop import create_app
    client = create_app().test_client()
    for path in ("/", "/", "/orders/3", "/none", "/late"):
        print(client.get(path).status_code, client.get(path).text)
    from flask import render_template_string
    with client.application.app_context():
        print(render_template_string("{{ 'a'|twice }}"))
"""

FASTAPI = """
    from fastapi import APIRouter, Depends, FastAPI, HTTPException
    from counts import count

    router = APIRouter(prefix="/orders")

    def session():
        count()
        yield 1

    async def user(name: str = "ann"):
        count()
        return name

    @router.get("/{number}")
    async def order(number: int, name: str = Depends(user), db: int = Depends(session)):
        count()
        if number == 9:
            raise HTTPException(404)
        return {"order": number, "name": name}

    @router.get("/plain/{number}")
    def plain(number: int):
        count()
        return number

    app = FastAPI()
    app.include_router(router)

    @app.middleware("http")
    async def middleware(request, call_next):
        count()
        return await call_next(request)
"""
FASTAPI_RUN = """
    from fastapi.testclient import TestClient
    import shop
    client = TestClient(shop.app)
    for path in ("/orders/1", "/orders/2?name=bob", "/orders/9", "/orders/x", "/orders/plain/4", "/none"):
        answer = client.get(path)
        print(answer.status_code, answer.json())
    print(len(client.get("/openapi.json").text))
"""

CLICK = """
    import click
    from counts import count

    @click.group()
    @click.option("--loud/--quiet")
    def shop(loud):
        count()

    @shop.command()
    @click.argument("name")
    @click.pass_context
    def greet(context, name):
        \"\"\"Say hello.\"\"\"
        count()
        click.echo(f"hello {name} {context.info_name}")

    @shop.result_callback()
    def done(result, loud):
        count()
"""
CLICK_RUN = """
    from click.testing import CliRunner
    import shop
    for words in (["greet", "ann"], ["--loud", "greet", "bob"], ["greet"], ["greet", "--help"], ["--help"]):
        answer = CliRunner().invoke(shop.shop, words)
        print(answer.exit_code, answer.output)
"""

CELERY = """
    import celery
    from counts import count

    app = celery.Celery("shop", broker="memory://")
    app.conf.task_always_eager = True

    @app.task
    def add(a, b=2):
        count()
        return a + b

    @app.task(bind=True, max_retries=2)
    def stubborn(self, number):
        count()
        if self.request.retries < 1:
            raise self.retry(countdown=0)
        return self.name, number
"""
CELERY_RUN = """
    import shop
    print(shop.add.delay(1).get(), shop.add(3, b=4), shop.stubborn.delay(5).get(), shop.add.name, shop.add.run(1))
"""

DJANGO = """
    from django.dispatch import Signal, receiver
    from django.http import HttpResponse
    from django.urls import path
    from django.utils.decorators import method_decorator
    from django.views import View
    from django.views.decorators.http import require_GET
    from counts import count

    sold = Signal()

    @receiver(sold)
    def note(sender, **values):
        count()

    @require_GET
    def index(request):
        count()
        sold.send("shop")
        return HttpResponse("hi")

    class Order(View):
        @method_decorator(require_GET)
        def get(self, request, number):
            count()
            return HttpResponse(str(number))

    async def later(request):
        count()
        return HttpResponse("later")

    urlpatterns = [path("", index), path("orders/<int:number>", Order.as_view()), path("later", later)]
"""
DJANGO_RUN = """
    import django
    from django.conf import settings
    settings.configure(ROOT_URLCONF="shop", ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None)
    django.setup()
    from django.test import Client
    client = Client()
    for path in ("/", "/orders/3", "/later", "/none"):
        print(client.get(path).status_code, client.post(path).status_code)
"""

LOADED = """
    from counts import count
    PLUGINS = []
    def plugin(function):
        PLUGINS.append(function)
        return function
    @plugin
    def extract():
        count()
        return 1
    @plugin
    def load():
        count()
        return [extract() for _ in range(3)]
"""
LOADED_RUN = """
    import importlib.util, sys
    for number in range(2):
        spec = importlib.util.spec_from_file_location("shop", "shop.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print([function() for function in module.PLUGINS])
"""

APPLICATIONS = {
    "flask": (FLASK, FLASK_RUN),
    "fastapi": (FASTAPI, FASTAPI_RUN),
    "click": (CLICK, CLICK_RUN),
    "celery": (CELERY, CELERY_RUN),
    "django": (DJANGO, DJANGO_RUN),
    "importlib": (LOADED, LOADED_RUN),
}
TELL = "\n    import json, counts\n    print(json.dumps(counts.COUNTS, sort_keys=True), file=open('truth.json', 'w'))\n"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("library", list(APPLICATIONS))
def test_own_functions_are_counted_as_they_count_themselves(tmp_path: Path, library: str, engine: str):
    """With the library's pack, and without; the application answers as without us."""
    pytest.importorskip(library)
    module, program = APPLICATIONS[library]
    write(tmp_path, {"counts.py": COUNT, "shop.py": module, "main.py": program + TELL})
    bare = bare_run([PYTHON, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth
    for packs in ("", '[packs]\ndisable = ["*"]\n'):
        config = packs + watch("shop", "**")
        watched = hookmon_run([PYTHON, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
        assert watched.seen == bare.seen
        assert json.loads((tmp_path / "truth.json").read_text()) == truth
        counts: dict[str, int] = {}
        for row in watched.report["calls"]:
            name = row["target"].partition(":")[2]
            if row["target"].startswith("shop:"):
                counts[name] = counts.get(name, 0) + row["calls"]
        assert {name: counts.get(name) for name in truth} == truth


FIXTURES = """
    import pytest
    from counts import COUNTS, count

    @pytest.fixture
    def basket():
        count()
        yield [1]

    @pytest.fixture(scope="module", params=[1, 2])
    def size(request):
        count()
        return request.param

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_sum(basket, size, number):
        count()
        assert sum(basket) == 1

    class TestShop:
        def test_empty(self, basket):
            count()

    def test_tell():
        import json
        json.dump(COUNTS, open("truth.json", "w"), sort_keys=True)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_fixtures_and_tests_of_pytest_are_counted(tmp_path: Path, engine: str):
    """In a module that pytest rewrites and loads itself, where their names lead to other objects."""
    write(tmp_path, {"counts.py": COUNT, "test_shop.py": FIXTURES})
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "test_shop.py"]
    config = '[packs]\ndisable = ["*"]\n' + watch("test_shop", "*")
    watched = hookmon_run(command, cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.exit_code == 0, watched.stdout
    assert "8 passed" in watched.stdout
    truth = json.loads((tmp_path / "truth.json").read_text())
    counts = {row["target"].partition(":")[2]: row["calls"] for row in watched.report["calls"]}
    assert {name: counts.get(name) for name in truth} == truth
