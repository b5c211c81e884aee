"""Small applications of the frameworks, each with everything that programs hand to it, and a program that uses all of that.

Each of their functions counts its calls itself, with `count`, under its qualified name. Each program ends by printing what can be
seen of the module's own functions.
"""

from __future__ import annotations

COUNT = """
    import sys
    COUNTS = {}
    def count():
        name = sys._getframe(1).f_code.co_qualname
        COUNTS[name] = COUNTS.get(name, 0) + 1
"""

TELL = """
    import inspect, json, traceback, types
    import counts

    def show(name, thing):
        thing = inspect.unwrap(thing) if callable(thing) and not isinstance(thing, type) else thing
        for each in (thing.fget, thing.fset) if isinstance(thing, property) else [thing]:
            function = getattr(each, "__func__", each)
            if isinstance(function, types.FunctionType) and function.__module__ == shop.__name__:
                print(name, inspect.signature(function), function.__qualname__, function.__code__.co_name,
                      function.__defaults__, inspect.iscoroutinefunction(function), inspect.isgeneratorfunction(function),
                      sorted(vars(function)), len(inspect.getsource(function)), function.__code__.co_flags)

    for name, thing in sorted(vars(shop).items()):
        show(name, thing)
        if isinstance(thing, type) and thing.__module__ == shop.__name__:
            for inner, member in sorted(vars(thing).items()):
                show(f"{name}.{inner}", member)
    if hasattr(shop, "deep"):
        def depth_of(function):
            try:
                function(0)
            except RecursionError as error:
                return len(traceback.extract_tb(error.__traceback__)), counts.deepest
        counts.deepest = 0
        print(*depth_of(shop.deep), file=open("depth.txt", "w"))
        try:
            shop.fails()
        except ValueError as error:
            print([(entry.name, entry.lineno) for entry in traceback.extract_tb(error.__traceback__)])
    print(json.dumps(counts.COUNTS, sort_keys=True), file=open("truth.json", "w"))
"""

_DEEP = """
    import counts

    def deep(level):
        counts.deepest = level
        return deep(level + 1)

    def fails():
        count()
        return helper(lambda: 1 / 0)

    def helper(function):
        count()
        try:
            return function()
        except ZeroDivisionError as error:
            raise ValueError("no") from error
"""

FLASK = """
    from flask import Blueprint, Flask, g
    from flask.views import MethodView
    from counts import count

    orders = Blueprint("orders", __name__, url_prefix="/orders")

    @orders.get("/<int:number>")
    def order(number):
        count()
        return {"order": number, "user": g.user}

    @orders.before_request
    def check():
        count()
        g.user = "ann"

    @orders.teardown_request
    def leave(error):
        count()

    @orders.errorhandler(ValueError)
    def bad(error):
        count()
        return str(error), 400

    class Items(MethodView):
        init_every_request = False
        def __init__(self, name):
            count()
            self.name = name
        def get(self):
            count()
            return self.name + self.kind
        async def post(self):
            count()
            return "posted"
        @property
        def kind(self):
            count()
            return "!"

    orders.add_url_rule("/items", view_func=Items.as_view("items", "things"))

    @orders.get("/bad")
    def raises():
        count()
        fails()

    def create_app():
        count()
        app = Flask(__name__)
        app.register_blueprint(orders)

        @app.route("/")
        def index():
            count()
            return "hi"

        @app.get("/stream")
        def stream():
            count()
            def parts():
                count()
                yield "a"
                yield "b"
            return parts()

        @app.errorhandler(404)
        def missing(error):
            count()
            return "gone", 404

        @app.template_filter()
        def twice(text):
            count()
            return text * 2

        @app.context_processor
        def values():
            count()
            return {"own": lambda: (count(), 3)[1]}

        @app.cli.command("nightly")
        def nightly():
            "Run it."
            count()
            print("nightly")

        @app.after_request
        def sign(response):
            count()
            return response

        app.add_url_rule("/late", view_func=lambda: (count(), "late")[1])
        return app
"""
FLASK_RUN = """
    import shop
    from shop import create_app
    client = create_app().test_client()
    for path in ("/", "/", "/orders/3", "/none", "/late", "/orders/items", "/orders/bad", "/stream"):
        answer = client.get(path)
        print(answer.status_code, answer.text)
    try:
        print(client.post("/orders/items").text)
    except RuntimeError:
        pass  # without asgiref there are no asynchronous views
    from flask import render_template_string
    with client.application.app_context():
        print(render_template_string("{{ 'a'|twice }} {{ own() }}"))
    print(sorted(client.application.view_functions), client.application.view_functions["orders.order"] is shop.order)
    answer = client.application.test_cli_runner().invoke(args=["nightly"])
    print(answer.output, client.application.test_cli_runner().invoke(args=["nightly", "--help"]).output)
"""

FASTAPI = """
    from contextlib import asynccontextmanager
    from typing import Annotated
    from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Query, WebSocket
    from fastapi.responses import JSONResponse, StreamingResponse
    from pydantic import BaseModel, field_validator
    from counts import count

    router = APIRouter(prefix="/orders", tags=["orders"])

    class Order(BaseModel):
        number: int
        name: str = "ann"

        @field_validator("number")
        @classmethod
        def positive(cls, number):
            count()
            if number < 0:
                raise ValueError("negative")
            return number

    class Pages:
        def __init__(self, page: Annotated[int, Query(ge=1)] = 1):
            count()
            self.page = page

    def session():
        count()
        yield 1

    async def connection(db: int = Depends(session)):
        count()
        yield db

    async def user(name: str = "ann"):
        count()
        return name

    @router.get("/{number}", response_model=Order, summary="One order")
    async def order(number: int, name: str = Depends(user), db: int = Depends(connection), pages: Pages = Depends()):
        \"\"\"Return it.\"\"\"
        count()
        if number == 9:
            raise HTTPException(404)
        if number == 8:
            fails()
        return {"number": number, "name": name}

    @router.get("/plain/{number}")
    def plain(number: int, tasks: BackgroundTasks):
        count()
        tasks.add_task(later, number)
        return number

    def later(number):
        count()

    @router.post("/")
    def create(order: Order) -> Order:
        count()
        return order

    @router.get("/all/stream")
    async def stream():
        count()
        async def parts():
            count()
            for part in ("a", "b"):
                yield part
        return StreamingResponse(parts())

    @asynccontextmanager
    async def lifespan(app):
        count()
        yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)

    @app.middleware("http")
    async def middleware(request, call_next):
        count()
        return await call_next(request)

    @app.exception_handler(ValueError)
    async def bad(request, error):
        count()
        return JSONResponse({"error": str(error)}, 400)

    @app.websocket("/talk")
    async def talk(socket: WebSocket, name: str = Depends(user)):
        count()
        await socket.accept()
        await socket.send_text(await socket.receive_text() + name)
        await socket.close()
"""
FASTAPI_RUN = """
    import json
    from fastapi.testclient import TestClient
    import shop
    with TestClient(shop.app) as client:
        for path in ("1", "2?name=bob&page=2", "3?page=0", "9", "8", "x", "plain/4", "all/stream"):
            answer = client.get("/orders/" + path)
            print(answer.status_code, answer.text)
        print(client.get("/none").json(), client.post("/orders/", json={"number": 1}).text)
        print(client.post("/orders/", json={"number": -1}).status_code)
        with client.websocket_connect("/talk") as socket:
            socket.send_text("hi ")
            print(socket.receive_text())
        print(json.dumps(client.get("/openapi.json").json(), sort_keys=True))
    print([route.endpoint is getattr(shop, route.name) for route in shop.app.routes if hasattr(shop, getattr(route, "name", ""))])
"""

STARLETTE = """
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.endpoints import HTTPEndpoint
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route
    from counts import count

    async def later():
        count()

    async def index(request):
        count()
        return PlainTextResponse("hi", background=BackgroundTask(later))

    def plain(request):
        count()
        return PlainTextResponse("plain")

    class Order(HTTPEndpoint):
        async def get(self, request):
            count()
            return PlainTextResponse(str(request.path_params["number"]))

    class Own:
        def __init__(self, app):
            count()
            self.app = app
        async def __call__(self, scope, receive, send):
            count()
            async def noted(message):
                count()
                await send(message)
            await self.app(scope, receive, noted)

    routes = [Route("/", index), Route("/plain", plain), Mount("/orders", routes=[Route("/{number:int}", Order)])]
    app = Starlette(routes=routes, middleware=[Middleware(Own)])
"""
STARLETTE_RUN = """
    from starlette.testclient import TestClient
    import shop
    client = TestClient(shop.app)
    for path in ("/", "/plain", "/orders/3", "/none"):
        print(client.get(path).status_code, client.get(path).text)
"""

CLICK = """
    import click
    from counts import count

    def number(context, parameter, value):
        count()
        return int(value)

    @click.group()
    @click.option("--loud/--quiet")
    def shop(loud):
        \"\"\"The shop.\"\"\"
        count()

    @shop.command()
    @click.argument("name")
    @click.option("--times", default="1", callback=number)
    @click.pass_context
    def greet(context, name, times):
        \"\"\"Say hello.\"\"\"
        count()
        click.echo(f"hello {name * times} {context.info_name}")
        context.call_on_close(closed)

    def closed():
        count()

    @shop.group()
    def stock():
        count()

    @stock.command("list")
    @click.pass_obj
    def list_stock(obj):
        count()
        click.echo(obj)

    @shop.result_callback()
    def done(result, loud):
        count()
"""
CLICK_RUN = """
    from click.testing import CliRunner
    import shop
    for words in ("greet ann", "--loud greet bob --times 2", "greet", "greet --help", "--help", "stock list"):
        words = words.split()
        answer = CliRunner().invoke(shop.shop, words)
        print(answer.exit_code, answer.output, repr(answer.exception))
    print(shop.shop.callback.__name__, shop.list_stock.callback.__qualname__, shop.greet.help)
"""

TYPER = """
    import typer
    from typing import Annotated
    from counts import count

    app = typer.Typer()
    stock = typer.Typer()
    app.add_typer(stock, name="stock")

    def even(value: int):
        count()
        if value % 2:
            raise typer.BadParameter("odd")
        return value

    @app.callback()
    def main(loud: bool = False):
        "The shop."
        count()

    @app.command()
    def greet(name: str, times: Annotated[int, typer.Option(callback=even, help="How often")] = 2):
        "Say hello."
        count()
        print("hello", name * times)

    @stock.command("list")
    def list_stock(full: bool = False):
        count()
        print("stock", full)
"""
TYPER_RUN = """
    from typer.testing import CliRunner
    import shop
    lines = ("greet ann", "--loud greet bob --times 4", "greet bob --times 3", "greet --help", "--help", "stock list --full",
             "stock --help")
    for words in lines:
        answer = CliRunner().invoke(shop.app, words.split())
        print(answer.exit_code, answer.output, repr(answer.exception))
"""

CELERY = """
    import celery
    from celery.signals import task_postrun, task_prerun
    from counts import count

    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
    app.conf.task_always_eager = True

    @task_prerun.connect
    def before(**values):
        count()

    @task_postrun.connect(weak=False)
    def after(**values):
        count()

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

    class Base(celery.Task):
        def on_failure(self, *args, **kwargs):
            count()

    @app.task(base=Base, throws=(ValueError,))
    def broken():
        count()
        fails()

    @celery.shared_task(name="shop.shared")
    def shared(text):
        count()
        return text.upper()
"""
CELERY_RUN = """
    import pickle
    import celery
    import shop
    print(shop.add.delay(1).get(), shop.add(3, b=4), shop.stubborn.delay(5).get(), shop.add.name, shop.add.run(1))
    print(celery.chain(shop.add.s(1), shop.add.s(4))().get(), celery.group(shop.add.s(n) for n in range(3))().get())
    print(shop.shared.delay("a").get(), repr(shop.broken.delay().result))
    print(sorted(name for name in shop.app.tasks if "shop" in name))
    print(pickle.loads(pickle.dumps(shop.add)) is shop.add, shop.add.__wrapped__.__name__, shop.add.run.__qualname__)
"""

DJANGO = """
    from django.core.management.base import BaseCommand
    from django.dispatch import Signal, receiver
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path
    from django.utils.decorators import method_decorator
    from django.views import View
    from django.views.decorators.http import require_GET
    from counts import count

    sold = Signal()

    @receiver(sold)
    def note(sender, **values):
        count()

    class Middleware:
        def __init__(self, get_response):
            count()
            self.get_response = get_response
        def __call__(self, request):
            count()
            return self.get_response(request)
        def process_view(self, request, view, args, kwargs):
            count()

    def simple(get_response):
        count()
        def middleware(request):
            count()
            return get_response(request)
        return middleware

    @require_GET
    def index(request):
        count()
        sold.send("shop")
        return HttpResponse("hi")

    class Order(View):
        def setup(self, request, *args, **kwargs):
            count()
            super().setup(request, *args, **kwargs)
        @method_decorator(require_GET)
        def get(self, request, number):
            count()
            return HttpResponse(str(number))

    async def later(request):
        count()
        return HttpResponse("later")

    def stream(request):
        count()
        return StreamingHttpResponse(part for part in parts())

    def parts():
        count()
        yield "a"
        yield "b"

    def bad(request):
        count()
        fails()

    def failed(request):
        count()
        return HttpResponse("failed", status=500)

    class Command(BaseCommand):
        help = "Does it."
        def add_arguments(self, parser):
            count()
            parser.add_argument("--times", type=int, default=1)
        def handle(self, *args, times, **options):
            count()
            self.stdout.write(f"done {times}")

    handler500 = failed
    urlpatterns = [
        path("", index), path("orders/<int:number>", Order.as_view()), path("later", later), path("stream", stream),
        path("bad", bad),
    ]
"""
DJANGO_RUN = """
    import asyncio, warnings
    import django
    from django.conf import settings
    settings.configure(ROOT_URLCONF="shop", ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None,
                       MIDDLEWARE=["shop.Middleware", "shop.simple"])
    django.setup()
    from django.core.management import call_command
    from django.test import AsyncClient, Client
    from django.urls import resolve
    import shop
    client = Client(raise_request_exception=False)
    for path in ("/", "/orders/3", "/later", "/none", "/stream", "/bad"):
        for answer in (client.get(path), client.post(path)):
            print(answer.status_code, b"".join(answer.streaming_content) if answer.streaming else len(answer.content))
    async def ask():
        return (await AsyncClient().get("/later")).content
    print(asyncio.run(ask()))
    call_command(shop.Command(), times=2)
    print(shop.Command().create_parser("x", "y").format_help())
    print(resolve("/").func is shop.index, resolve("/later").func is shop.later)
    print(resolve("/orders/3").func.view_class is shop.Order)
"""

LOADED = """
    import functools
    from counts import count
    PLUGINS = []
    def plugin(function=None, **options):
        count()
        if function is None:
            return functools.partial(plugin, **options)
        @functools.wraps(function)
        def task(*args):
            count()
            return function(*args)
        PLUGINS.append(task)
        return task
    @plugin
    def extract():
        count()
        return 1
    @plugin(retries=2)
    def load():
        count()
        @plugin
        def inner(number):
            count()
            return number
        return [extract() for _ in range(3)] + [inner(2)]
    class Operator:
        template = "x"
        def __init__(self, name):
            count()
            self.name = name
        @functools.cached_property
        def label(self):
            count()
            return self.name.upper()
        def execute(self, context):
            count()
            return self.label, self.label
    PLUGINS.append(functools.partial(Operator("a").execute, {}))
"""
LOADED_RUN = """
    import importlib.util, sys
    for number in range(2):
        spec = importlib.util.spec_from_file_location("shop", "shop.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = shop = module
        spec.loader.exec_module(module)
        print([function() for function in list(module.PLUGINS)])
"""

APPLICATIONS = {
    "flask": (FLASK + _DEEP, FLASK_RUN),
    "fastapi": (FASTAPI + _DEEP, FASTAPI_RUN),
    "starlette": (STARLETTE + _DEEP, STARLETTE_RUN),
    "click": (CLICK + _DEEP, CLICK_RUN),
    "typer": (TYPER + _DEEP, TYPER_RUN),
    "celery": (CELERY + _DEEP, CELERY_RUN),
    "django": (DJANGO + _DEEP, DJANGO_RUN),
    "importlib": (LOADED + _DEEP, LOADED_RUN),
}
"""{module that is needed: (the application's module, the program)}."""
