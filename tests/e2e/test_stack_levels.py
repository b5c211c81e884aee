"""Who counts frames, counts none of ours: warnings with a stacklevel, logging's callers, tracebacks name the program's lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, calls, hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

TELLS = """
    import contextlib, functools, logging, warnings

    failing = False

    def tell(what, level=3):
        if failing:
            raise LookupError(what)
        warnings.warn(what, DeprecationWarning, stacklevel=level)
        logging.getLogger("tells").warning(what, stacklevel=level)

    def plain():
        tell("plain")

    def many():
        tell("many")

    async def coroutine():
        tell("coroutine")

    def generator():
        tell("generator")
        yield 1
        try:
            yield 2
        finally:
            tell("end of generator")

    async def async_generator():
        tell("asynchronous generator")
        yield 1

    @contextlib.contextmanager
    def manager():
        yield 1
        tell("manager", 4)

    class Teller:
        def method(self):
            tell("method")

        @classmethod
        def of_class(cls):
            tell("class method")

        @staticmethod
        def static():
            tell("static method")

        @property
        def read(self):
            tell("property")

        def __init__(self):
            tell("class")

        def __call__(self):
            tell("object")

        def begin(self):
            tell("begin")

        def end(self):
            tell("end")

    called = Teller()

    def register(listener=None):
        tell("register")
        return lambda function: tell("decorator")

    def listeners():
        tell("listeners")

    LISTENERS = []
    def add(listener):
        tell("add")
"""

PROGRAM = """
    import asyncio, logging, tells, warnings

    logging.basicConfig(format="%(filename)s:%(lineno)d %(funcName)s %(message)s")
    warnings.simplefilter("always")

    def ask():
        tells.plain()
        teller = tells.Teller()
        teller.method()
        teller.of_class()
        teller.static()
        teller.read
        teller.begin()
        teller.end()
        tells.called()
        for number in tells.generator():
            pass
        walk = tells.generator()
        next(walk), next(walk)
        walk.close()
        with tells.manager():
            pass

    async def await_it():
        await tells.coroutine()
        async for number in tells.async_generator():
            pass

    ask()
    asyncio.run(await_it())
"""

FAILING = """
    import asyncio, sys, tells, traceback

    def show(call, *arguments):
        try:
            call(*arguments)
        except Exception:
            traceback.print_exc(file=sys.stdout)

    async def step():
        async for number in tells.async_generator():
            pass

    def leave():
        with tells.manager():
            pass

    def fail_inside():
        with tells.manager():
            raise LookupError("inside")

    teller = tells.Teller()
    begun, ended = tells.generator(), tells.generator()
    next(begun), next(ended), next(ended)
    decorate = tells.register()
    tells.failing = True
    methods = teller.method, teller.of_class, teller.static, teller.begin, teller.end
    for call in (tells.plain, tells.Teller, *methods, tells.called):
        show(call)
        show(call, "one argument too many")
    for call in (tells.register, tells.add, decorate):
        show(call, print)
    show(tells.register)
    show(tells.listeners)
    show(lambda: teller.read)
    show(next, tells.generator())
    show(begun.throw, LookupError("thrown"))
    show(begun.throw, LookupError("thrown after the end"))
    show(ended.close)
    show(leave)
    show(fail_inside)
    show(asyncio.run, tells.coroutine())
    show(asyncio.run, step())
    coroutine = tells.coroutine()
    show(coroutine.throw, LookupError("thrown"))
    show(coroutine.send, None)
"""

FAILING_LIBRARIES = """
    import asyncio, sqlite3, sys, tornado.httpclient, tornado.web, traceback
    from concurrent.futures import ThreadPoolExecutor
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
    from wsgiref.util import setup_testing_defaults

    def show(call, *arguments):
        try:
            call(*arguments)
        except Exception:
            traceback.print_exc(file=sys.stdout)

    def fails(environ, start_response):
        raise LookupError("application")

    def begins(environ, start_response):
        start_response("200 OK", [])

    def generates(environ, start_response):
        yield b"part"
        raise LookupError("body")

    def generates_nothing(environ, start_response):
        raise LookupError("first part")
        yield

    def refuse(status, headers):
        raise LookupError(status)

    def ask(application):
        server.set_app(application)
        environ = {}
        setup_testing_defaults(environ)
        body = server.get_app()(environ, refuse)
        for part in body:
            pass

    server = WSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
    for application in (fails, begins, generates, generates_nothing):
        show(ask, application)
    server.server_close()
    show(sqlite3.connect, "/no/such/folder/file")
    show(sqlite3.connect(":memory:").execute, "SELECT wrong")
    show(sqlite3.connect(":memory:").cursor, "wrong")
    with ThreadPoolExecutor(1) as pool:
        show(pool.submit(int, "one").result)

    class Handler(tornado.web.RequestHandler):
        async def get(self):
            raise LookupError("handler")

        def log_exception(self, kind, error, trace):
            traceback.print_exception(kind, error, trace, file=sys.stdout)

    async def main():
        server = tornado.web.Application([("/", Handler)], log_function=lambda handler: None).listen(0, "127.0.0.1")
        (socket,) = server._sockets.values()
        client = tornado.httpclient.AsyncHTTPClient()
        await client.fetch(f"http://127.0.0.1:{socket.getsockname()[1]}/", raise_error=False)
        client.close()
        show(client.fetch, "http://127.0.0.1/")
        server.stop()

    asyncio.run(main())
"""

NAMES = ["plain", "coroutine", "generator", "async_generator", "manager", "called"]
METHODS = ["Teller", "Teller.method", "Teller.of_class", "Teller.static", "Teller.read"]
HOOKS = "".join(
    f'[[hook]]\nmodule = "tells"\ncalls = ["{name}"]\ncallable = "{where}"\n\n'
    for name, where in {"register": "listener", "listeners": "result", "add": "module.LISTENERS"}.items()
)
CONFIG = HOOKS + watch("tells", *NAMES, *METHODS) + watch("tells", "Teller.begin", until=["Teller.end"], span="stretch")


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_warnings_and_log_lines_name_who_called(engine: str, tmp_path: Path) -> None:
    """Every kind of stand-in stands between a caller and what warns about it, and is passed over."""
    write(tmp_path, {"tells.py": TELLS, "app.py": PROGRAM})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert bare.stderr.count("DeprecationWarning") == 16
    assert under.seen == bare.seen
    assert {name: calls(under.report, f"tells:{name}") for name in NAMES} == dict.fromkeys(NAMES, 1) | {"generator": 2}


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_tracebacks_have_the_lines_of_a_plain_run(engine: str, tmp_path: Path) -> None:
    """Every kind of stand-in lets an exception through, and is no line of its traceback."""
    write(tmp_path, {"tells.py": TELLS, "app.py": FAILING})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=CONFIG, env={"HOOKMON_ENGINE": engine})
    assert bare.stdout.count("Traceback") == 33
    assert under.seen == bare.seen


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_what_packs_put_in_place_is_in_no_traceback(engine: str, tmp_path: Path) -> None:
    """WSGI applications, connections, the work of a pool and handlers fail with the lines of a plain run."""
    write(tmp_path, {"app.py": FAILING_LIBRARIES})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env={"HOOKMON_ENGINE": engine})
    assert bare.stdout.count("Traceback") == 10
    assert under.stdout == bare.stdout


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_what_is_only_counted_warns_as_before(engine: str, tmp_path: Path) -> None:
    """A function that costs too much is timed once in 64 calls; the others go another way through us."""
    program = """
    import os, tells, time, warnings

    while time.process_time() < float(os.environ["BEGINS_AT_S"]):
        pass
    tells.tell = lambda what: None
    for number in range(60_000):
        tells.many()
    tells.tell = lambda what: warnings.warn(what, DeprecationWarning, stacklevel=4)
    warnings.simplefilter("always")

    def ask():
        for number in range(3):
            tells.many()

    ask()
    """
    write(tmp_path, {"tells.py": TELLS, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path, env={"BEGINS_AT_S": "0"})
    config = 'max_overhead = "0.001%"\n\n' + watch("tells", "many")
    env = {"HOOKMON_ENGINE": engine, "BEGINS_AT_S": "1.05"}  # before one second nothing is sampled
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env=env)
    assert bare.stderr.count("DeprecationWarning") == 3
    assert under.seen == bare.seen
    assert calls(under.report, "tells:many") == 60_003
    assert [spot["kind"] for spot in under.report["blind_spots"]] == ["sampled timing"]


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_who_asks_for_the_frame_of_the_caller_gets_it(engine: str, tmp_path: Path) -> None:
    """As `namedtuple` does for the module of what it makes. A wrapper of the pure engine would be found: that is refused."""
    looks = """
    import inspect, sys

    def module(): return sys._getframe(1).f_globals["__name__"]
    def line(): return inspect.currentframe().f_back.f_lineno
    def other(): return "other"
    """
    write(tmp_path, {"looks.py": looks, "app.py": "import looks\nprint(looks.module(), looks.line(), looks.other())"})
    for via in ("auto", "name"):
        config = watch("looks", "mod*", "line", "oth*", via=via)
        under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
        assert under.seen == ("__main__ 2 other\n", "", 0)
        counted = 0 if (engine, via) == ("pure", "name") else 1
        assert {name: calls(under.report, f"looks:{name}") for name in ("module", "line", "other")} == {
            "module": counted,
            "line": counted,
            "other": 1,
        }
        if not counted:
            states = {row["target"]: row["status"] for row in under.report["watched"] if not row["pack"]}
            assert states == {"looks:mod*": "refused", "looks:line": "refused", "looks:oth*": "active"}
            reason = "it looks at the frame of its caller, and with the pure engine it would find ours"
            spots = [spot["detail"] for spot in under.report["blind_spots"] if spot["kind"] == "refused"]
            assert spots == [f"looks:module ({tmp_path}/looks.py:4): {reason}"]


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_no_traceback_keeps_the_arguments_of_a_call_alive(engine: str, tmp_path: Path) -> None:
    """Tornado's coroutines delete their variables to be freed without a garbage collection, and are."""
    boxes = """
    class Box: pass

    def fail(): raise LookupError

    def fill(box):
        try:
            fail()
        except LookupError as error:
            box.error = error
        del box
    """
    program = """
    import boxes, gc, weakref

    gc.disable()
    box = boxes.Box()
    alive = weakref.ref(box)
    boxes.fill(box)
    del box
    print(alive())
    """
    write(tmp_path, {"boxes.py": boxes, "app.py": program})
    config = watch("boxes", "fill", "fail")
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert under.seen == ("None\n", "", 0)
    assert calls(under.report, "boxes:fill") == 1
