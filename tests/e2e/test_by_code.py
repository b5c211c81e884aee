"""Functions that no name leads to: decorated, nested, cached, handed on. Each is counted as a counter inside it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.interpreters import need, need_with
from support.runs import PYTHON, Result, bare_run, blind_spots, calls, hookmon_run, watch, watch_row, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

PYTHONS = ("this", "3.12", "3.13", "3.14", "3.15")

MODULE = """
    import asyncio, contextlib, functools, inspect, sys, warnings

    COUNTS = {}

    def _count(name=None):
        name = sys._getframe(1).f_code.co_qualname
        COUNTS[name] = COUNTS.get(name, 0) + 1

    class Registry:
        def __init__(self):
            self.views = {}
        def get(self, path):
            def put(view):
                self.views[path] = view
                return view
            return put

    app = Registry()

    def wrapped(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    class Command:
        def __init__(self, callback):
            self.callback = callback
        def __call__(self, *args):
            return self.callback(*args)

    @app.get("/")
    def view(number=1):
        _count()
        return number

    @wrapped
    def decorated():
        _count()

    @Command
    def command(number):
        _count()
        return number

    @functools.lru_cache
    def cached(number):
        _count()
        return number

    @functools.singledispatch
    def single(value):
        _count()

    @single.register
    def of_text(value: str):
        _count()

    @contextlib.contextmanager
    def context():
        _count()
        yield 1

    def create_app():
        _count()
        def index():
            _count()
            return 1
        async def later():
            _count()
            return 2
        return index, later, lambda: _count()

    class Basket:
        def __init__(self, size):
            _count()
            self.size = size
        @property
        def price(self):
            _count()
            return self.size
        @price.setter
        def price(self, price):
            _count()
        @functools.cached_property
        def total(self):
            _count()
            return 1
        @staticmethod
        def static(number):
            _count()
        @classmethod
        def make(cls):
            _count()
            return cls(1)
        def method(self, *, key=None):
            _count()
        class Item:
            def cost(self):
                _count()

    def walk(depth):
        _count()
        return 0 if depth == 0 else 1 + walk(depth - 1)

    def numbers(count):
        _count()
        for number in range(count):
            yield number

    def delegating():
        _count()
        return (yield from numbers(3))

    async def wait(number):
        _count()
        await asyncio.sleep(0.001)
        return number

    async def waits_for_many():
        _count()
        return sum(await asyncio.gather(*[wait(number) for number in range(10)]))

    async def ticks():
        _count()
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    def fail():
        _count()
        raise ValueError("no")

    async def fail_later():
        _count()
        await asyncio.sleep(0)
        raise ValueError("no")

    def keyword_only(a, /, b, *rest, c=3, **more):
        _count()
        return a, b, rest, c, more

    def warn():
        _count()
        warnings.warn("here", stacklevel=2)

    def caller():
        _count()
        return sys._getframe(1).f_code.co_name

    short = lambda number: (_count(), number)[1]
"""

PROGRAM = """
    import asyncio, copy, inspect, json, pickle, sys, traceback, types, weakref
    import shop
    from shop import view, Basket

    def main():
        for number in range(5):
            shop.app.views["/"](number)
            view()
        print(shop.app.views["/"] is view is shop.view, type(view), type(shop.cached))
        for number in range(4):
            shop.decorated()
            shop.command(number)
            shop.cached(number % 2)
        shop.single(1), shop.single("a")
        with shop.context():
            pass
        apps = [shop.create_app() for _ in range(3)]
        for index, later, silent in apps:
            for _ in range(7):
                index(), asyncio.run(later()), silent()
        for number in range(300):
            basket = Basket(number)
            basket.price
        basket.price = 2
        basket.total, basket.total
        Basket.static(1), Basket.make().method(key=2), Basket.Item().cost()
        print(shop.walk(900))
        for _ in range(5):
            list(shop.numbers(10))
        list(shop.delegating())
        begun = shop.numbers(3)
        print(next(begun), type(begun), inspect.getgeneratorstate(begun))
        try:
            begun.throw(KeyError("thrown"))
        except KeyError as error:
            print("thrown", len(traceback.extract_tb(error.__traceback__)))
        coroutine = shop.wait(1)
        print(type(coroutine), inspect.iscoroutine(coroutine), inspect.getcoroutinestate(coroutine))
        coroutine.close()

        async def run():
            print(await shop.waits_for_many(), [number async for number in shop.ticks()])
            task = asyncio.create_task(shop.wait(2))
            await asyncio.sleep(0)
            print(type(task.get_coro()), len(task.get_stack()))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                print("cancelled")
            try:
                await shop.fail_later()
            except ValueError as error:
                print([entry.name for entry in traceback.extract_tb(error.__traceback__)])

        asyncio.run(run())
        for _ in range(3):
            try:
                shop.fail()
            except ValueError as error:
                print([(entry.name, entry.lineno) for entry in traceback.extract_tb(error.__traceback__)])
        print(shop.keyword_only(1, 2, 3, c=4, d=5), inspect.signature(shop.keyword_only), inspect.signature(Basket.method))
        print(pickle.loads(pickle.dumps(shop.view)) is shop.view, copy.deepcopy(shop.view) is shop.view)
        print(weakref.ref(view)() is view)
        print(hasattr(shop.view, "__wrapped__"), shop.view == view, inspect.getsource(shop.fail).strip(), vars(shop.view))
        shop.warn()
        print(shop.caller(), shop.short(3), view.__code__.co_name, view.__qualname__, view.__defaults__)
        sys.setrecursionlimit(8000)
        print(shop.walk(2500))

    main()
    print(json.dumps(shop.COUNTS, sort_keys=True), file=open("truth.json", "w"))
"""


def python_of(version: str) -> str:
    """Return the interpreter of a version; "this" is the one that runs the tests."""
    return PYTHON if version == "this" else need(version)


def counted(result: Result) -> dict[str, int]:
    """Return {qualified name: calls} of the report; a class stands for its __init__."""
    counts: dict[str, int] = {}
    for row in result.report["calls"]:
        counts[row["name"]] = counts.get(row["name"], 0) + row["calls"]
    return counts


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", PYTHONS)
def test_every_function_is_counted_as_it_counts_itself(tmp_path: Path, version: str, engine: str):
    """Whoever holds it. And the program prints the same: identity, types, tracebacks, frames, signatures, recursion."""
    python = python_of(version)
    write(tmp_path, {"shop.py": MODULE, "main.py": PROGRAM})
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    truth = json.loads((tmp_path / "truth.json").read_text())
    config = watch("shop", "*", "*.<locals>.*", "<lambda>", "Basket.__init__")
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.seen == bare.seen
    assert json.loads((tmp_path / "truth.json").read_text()) == truth
    counts = counted(watched)
    assert {name: counts.get(name) for name in truth} == truth
    assert not blind_spots(watched.report)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("version", PYTHONS)
def test_the_script_itself_is_watched_by_its_code(tmp_path: Path, version: str, engine: str):
    """All of it, nested functions included; `__main__` pickles its functions as without us."""
    python = python_of(version)
    write(tmp_path, {"shop.py": MODULE, "main.py": PROGRAM})
    script = (tmp_path / "shop.py").read_text() + "\nimport sys\nsys.modules['shop'] = sys.modules['__main__']\n"
    (tmp_path / "main.py").write_text(script + (tmp_path / "main.py").read_text())
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    truth = json.loads((tmp_path / "truth.json").read_text())
    config = watch("__main__", "**", "Basket.__init__")
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.seen == bare.seen
    counts = counted(watched)
    assert {name: counts.get(name) for name in truth} == truth


PRIVATE = """
    class Base:
        def __inherited(self): return 1
        def total(self): return self.__inherited()
    class _Hidden(Base):
        def __own(self): return 2
        @staticmethod
        def __fixed(): return 3
        class __Inner:
            def work(self): return 4
        def all(self): return self.total() + self.__own() + self.__fixed() + self.__Inner().work()
    def use(): return _Hidden().all()
"""


@pytest.mark.parametrize("via", ["auto", "name"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("calls", ["written", "*"])
@pytest.mark.parametrize("version", ["this", "3.12"])
def test_private_names_are_those_of_the_source(tmp_path: Path, version: str, calls: str, engine: str, via: str):
    """Python puts the name of the class before them: `_Hidden.__own` is `_Hidden._Hidden__own`."""
    names = ["Base.__inherited", "_Hidden.__own", "_Hidden.__fixed", "_Hidden.__Inner.work", "_Hidden.all"]
    write(tmp_path, {"shop.py": PRIVATE, "main.py": "import shop\nprint(shop.use(), shop.use())\n"})
    config = watch("shop", *(names if calls == "written" else ["*"]), **({} if via == "auto" else {"via": via}))
    watched = hookmon_run([python_of(version), "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert watched.stdout == "10 10\n"
    counts = counted(watched)
    assert {name: counts.get(name) for name in names} == dict.fromkeys(names, 2)
    assert sum(counts.values()) == 2 * (len(names) + (0 if calls == "written" else 2))
    assert not blind_spots(watched.report)


RAISED_IN_CYTHON = """
    import traceback, shop, frozenlist
    shop.quote()
    frozen = frozenlist.FrozenList([1])
    frozen.freeze()
    for _ in range(3):
        try: frozen.append(2)
        except RuntimeError as error: print(error, [frame.name for frame in traceback.extract_tb(error.__traceback__)])
    def late(): return shop.quote()
    print(late())
"""


@pytest.mark.parametrize("options", [[], ["--own"]], ids=["watched", "own"])
@pytest.mark.parametrize("version", PYTHONS)
def test_what_cython_raises_is_raised_as_ever(tmp_path: Path, version: str, options: list[str]):
    """It makes a frame for its traceback, and so a function, while the error is set, which we are told of."""
    python = need_with(version, "frozenlist._frozenlist")
    write(tmp_path, {"shop.py": "def quote(): return 7\n", "main.py": RAISED_IN_CYTHON})
    bare = bare_run([python, "main.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    watched = hookmon_run([python, "main.py"], cwd=tmp_path, config=watch("shop", "quote"), options=options)
    assert watched.seen == bare.seen
    assert counted(watched)["quote"] == 2


def test_the_report_says_by_which_way(tmp_path: Path):
    """`via` on a watch decides by hand; what cannot be is refused with the reason."""
    write(tmp_path, {"shop.py": MODULE, "main.py": "import shop\nshop.app.views['/'](), shop.fail\nlist(shop.numbers(2))\n"})
    python = python_of("3.12")
    config = watch("shop", "view", "numbers") + watch("shop", "fail", via="name") + watch("shop", "walk", via="code")
    result = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": "pure"})
    ways = {row["target"]: row["via"] for row in result.report["watched"] if not row["pack"]}
    assert ways == {"shop:view": "code", "shop:numbers": "code", "shop:fail": "name", "shop:walk": "code"}
    config = watch("shop", "fail", via="function")
    refused = hookmon_run([python, "main.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": "pure"})
    row = watch_row(refused.report, "shop:fail")
    assert (row["status"], row["via"]) == ("refused", "")
    assert "compiled engine" in row["detail"]


def test_a_nested_name_that_is_misspelt_gets_a_hint(tmp_path: Path):
    """The names of nested functions are those of the code."""
    write(tmp_path, {"shop.py": MODULE, "main.py": "import shop\nshop.create_app()\n"})
    config = watch("shop", "create_app.<locals>.indx", "create_app.<locals>.index")
    result = hookmon_run([PYTHON, "main.py"], cwd=tmp_path, config=config)
    row = watch_row(result.report, "shop:create_app.<locals>.indx")
    assert (row["status"], row["detail"]) == ("not found", "did you mean create_app.<locals>.index?")


TWICE = """
    import importlib.machinery, importlib.util, sys

    class Loader(importlib.machinery.SourceFileLoader):
        codes = {}
        def get_code(self, name):
            return self.codes.setdefault(name, None) or self.codes.__setitem__(name, super().get_code(name)) or self.codes[name]

    for _ in range(2):
        loader = importlib.machinery.SourceFileLoader("shop", "shop.py")
        if "code" in globals():
            loader.get_code = lambda name: code
        else:
            code = loader.get_code("shop")
            loader.get_code = lambda name: code
        spec = importlib.util.spec_from_file_location("shop", "shop.py", loader=loader)
        shop = importlib.util.module_from_spec(spec)
        sys.modules["shop"] = shop
        spec.loader.exec_module(shop)
        shop.view(), shop.app.views["/"]()
"""


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_a_module_that_is_executed_twice_from_one_code_is_counted_as_one(tmp_path: Path, version: str):
    """And the report says so."""
    python = python_of(version)
    write(tmp_path, {"shop.py": MODULE, "main.py": TWICE})
    result = hookmon_run([python, "main.py"], cwd=tmp_path, config=watch("shop", "view"))
    assert (result.stderr, result.exit_code) == ("", 0)
    assert calls(result.report, "shop:view") == 4
    assert [spot.partition(":")[0] for spot in blind_spots(result.report)] == ["shared code"]


TAKEN = """
    import sys
    for number in (3, 4):
        sys.monitoring.use_tool_id(number, f"tool {number}")
    import shop
    for _ in range(3):
        shop.app.views["/"](), shop.Basket(1).method(), list(shop.numbers(3))
    print([sys.monitoring.get_tool(number) for number in (3, 4)])
"""


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_numbers_of_monitoring_that_others_have_taken(tmp_path: Path, version: str):
    """The program keeps them. What has a slot is counted by the compiled engine, the rest by names; one line says it."""
    python = python_of(version)
    write(tmp_path, {"shop.py": MODULE, "main.py": TAKEN})
    config = watch("shop", "view", "Basket", "numbers")
    result = hookmon_run([python, "main.py"], cwd=tmp_path, config=config)
    assert (result.stdout, result.stderr, result.exit_code) == ("['tool 3', 'tool 4']\n", "", 0)
    (spot,) = (spot for spot in blind_spots(result.report) if spot.startswith("no monitoring"))
    assert "tool 3, tool 4" in spot or "tool 4, tool 3" in spot
    assert (calls(result.report, "shop:numbers"), calls(result.report, "shop:Basket")) == (3, 3)


BY_VALUE = """
    import pickle, subprocess, sys
    import cloudpickle
    def price(number):
        def inner():
            return number
        return inner() + 1
    def numbers(number):
        yield number
    if __name__ == "__main__":
        made = cloudpickle.dumps((price, numbers))
        text = "import pickle, sys; p, n = pickle.loads(sys.stdin.buffer.read()); print(p(1), *n(2), 'hookmon' in sys.modules)"
        subprocess.run([sys.executable, "-I", "-c", text], input=made, check=True)
        print(price(1), list(numbers(1)))
"""


def test_functions_are_pickled_by_value_as_without_us(tmp_path: Path):
    """Where they are unpickled nobody counts, and hookmon need not be there."""
    pytest.importorskip("cloudpickle")
    write(tmp_path, {"main.py": BY_VALUE})
    bare = bare_run([PYTHON, "main.py"], cwd=tmp_path)
    config = watch("__main__", "**") + watch("__main__", "price.<locals>.inner")
    result = hookmon_run([PYTHON, "main.py"], cwd=tmp_path, config=config)
    assert result.seen == bare.seen
    assert [calls(result.report, f"__main__:{name}") for name in ("price", "numbers", "price.<locals>.inner")] == [1, 1, 1]
