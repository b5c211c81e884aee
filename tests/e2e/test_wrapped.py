"""Wrapped callables: whoever looks at them, calls them, copies them or catches their exceptions finds the program's own."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.runs import (
    PYTHON,
    Report,
    Result,
    bare_run,
    blind_spots,
    calls,
    errors,
    hookmon_run,
    row,
    rows,
    watch,
    watch_row,
    write,
)

pytestmark = pytest.mark.usefixtures("warm_launcher")

THINGS = '''
    """Callables of all kinds."""
    import abc, asyncio, contextlib, dataclasses, enum, functools, types, typing

    def plain(a: int, b: "str" = "two", *rest: float, key: bool = False, **more) -> typing.Optional[int]:
        """Add nothing."""
        return a

    plain.label = "mine"

    def swap(first, second, /):
        return second, first

    def decorate(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    @decorate
    def decorated(number):
        """Once decorated."""
        return number

    async def coroutine(number=1):
        """A coroutine function."""
        await asyncio.sleep(0)
        return number

    def generator(count=3):
        """A generator function."""
        received = []
        for number in range(count):
            received.append((yield number))
        return received

    async def async_generator(count=3):
        """An asynchronous generator function."""
        for number in range(count):
            yield number

    @contextlib.contextmanager
    def lease(value="leased"):
        """A context manager."""
        try:
            yield value
        except KeyError:
            pass

    @contextlib.asynccontextmanager
    async def async_lease(value="leased"):
        yield value

    @functools.lru_cache(maxsize=4)
    def cached(number):
        """Keeps four."""
        return number * 2

    @functools.singledispatch
    def dispatch(value):
        return "any"

    @dispatch.register
    def _(value: int):
        return "int"

    partial = functools.partial(lambda a, b="two", *rest: a, 1)
    square = lambda number: number * number

    class Base:
        """The base."""
        made = 0

        def __init__(self, value=0):
            self.value = value

        def method(self, other=1):
            """A method."""
            return self.value + other

        def hidden(self):
            return "base"

        @classmethod
        def build(cls, value=7):
            """A class method."""
            return cls(value)

        @staticmethod
        def twice(number):
            """A static method."""
            return number * 2

        @property
        def doubled(self):
            """A property."""
            return self.value * 2

        @doubled.setter
        def doubled(self, value):
            self.value = value / 2

        @functools.cached_property
        def slow(self):
            """A cached property."""
            return [self.value]

        def __call__(self, number):
            return number + self.value

        def __len__(self):
            return 3

        def __eq__(self, other):
            return isinstance(other, Base) and other.value == self.value

        def __hash__(self):
            return hash(self.value)

        async def talk(self):
            return self.value

        def count(self):
            yield self.value

    class Child(Base):
        def method(self, other=1):
            return super().method(other) * 10

        def hidden(self):
            return "child of " + super().hidden()

        @classmethod
        def build(cls, value=8):
            return super().build(value)

    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self):
            """Abstract."""

        @property
        @abc.abstractmethod
        def name(self):
            """Abstract, too."""

    class Round(Shape):
        name = "round"

        def area(self):
            return 3

    class Slotted:
        __slots__ = ("value",)

        def get(self):
            return self.value

    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: int = 0

        def norm(self):
            return abs(self.x) + abs(self.y)

    class Colour(enum.Enum):
        RED = 1

        def label(self):
            return self.name.lower()

    class Protocolled(typing.Protocol):
        def method(self, other: int = 1) -> int: ...

    instance = Base(5)
    called = Base(5)
'''

WATCHED = (
    watch("things", "plain", "swap", "decorated", "coroutine", "generator", "async_generator", "lease", "async_lease")
    + watch("things", "cached", "dispatch", "square", "Base.*", "Child.*", "Shape.*", "Round.*", "Slotted.get")
    + watch("things", "Base.doubled", "Base.slow", "Point.norm", "Colour.label", "called")
)

EXPRESSIONS = {
    "names": "[(f.__name__, f.__qualname__, f.__module__, f.__doc__) for f in FUNCTIONS]",
    "defaults": "[(f.__defaults__, f.__kwdefaults__, f.__annotations__, f.__dict__) for f in PLAIN]",
    "code": "[(f.__code__.co_name, f.__code__.co_argcount, f.__closure__ is None, f.__globals__ is vars(t)) for f in PLAIN]",
    "signatures": "[str(inspect.signature(f)) for f in FUNCTIONS]",
    "full argument specs": "[str(inspect.getfullargspec(f)) for f in PLAIN]",
    "bound arguments": "inspect.signature(t.plain).bind(1, key=True).arguments",
    "sources": "[inspect.getsource(f) for f in FUNCTIONS]",
    "source lines": "[inspect.getsourcelines(f)[1] for f in FUNCTIONS]",
    "source of classes": "[inspect.getsource(c) for c in (t.Base, t.Child, t.Shape)]",
    "coroutine functions": "[(inspect.iscoroutinefunction(f), asyncio.iscoroutinefunction(f)) for f in FUNCTIONS]",
    "generator functions": "[(inspect.isgeneratorfunction(f), inspect.isasyncgenfunction(f)) for f in FUNCTIONS]",
    "functions": "[(inspect.isfunction(f), inspect.ismethod(f), inspect.isroutine(f), callable(f)) for f in FUNCTIONS]",
    "methods": "[(inspect.isfunction(m), inspect.ismethod(m), m.__self__ is t.instance) for m in METHODS]",
    "method functions": "[m.__func__ is getattr(type(m.__self__), m.__name__) for m in METHODS]",
    "members": "[[name for name, _ in inspect.getmembers(c, inspect.isfunction)] for c in (t.Base, t.Child, t.Round, t.Point)]",
    "classified": "[(a.name, a.kind) for a in inspect.classify_class_attrs(t.Base) if a.defining_class is t.Base]",
    "data descriptors": "[inspect.isdatadescriptor(vars(t.Base)[n]) for n in ('doubled', 'method')]",
    "isinstance": "[isinstance(f, types.FunctionType) for f in PLAIN]",
    "repr": "[repr(f) for f in (t.plain, t.Base.method, t.instance.method, t.Base.build, t.cached, t.square)]",
    "unwrap": "[inspect.unwrap(f).__code__.co_name for f in (t.plain, t.decorated, t.cached)]",
    "wrapped of a decorated one": (
        "(t.decorated(1), t.decorated.__wrapped__.__name__, t.decorated.__wrapped__(3), t.cached.__wrapped__(3))"
    ),
    "wrapped where there is none": "[hasattr(f, '__wrapped__') for f in (*FUNCTIONS, t.called, t.instance.method)]",
    "unwrap to the same": "[inspect.unwrap(f) is f for f in (t.plain, t.Base.method, t.called)]",
    "signatures of objects": "[str(inspect.signature(f)) for f in (t.called, t.instance, t.dispatch, t.cached, t.partial)]",
    "set wrapped": (
        "(setattr(t.swap, '__wrapped__', t.plain), t.swap.__wrapped__ is t.plain, delattr(t.swap, '__wrapped__'), "
        "hasattr(t.swap, '__wrapped__'))"
    ),
    "doctest": "[test.name for test in doctest.DocTestFinder(exclude_empty=False).find(t)]",
    "dir": "[name for name in dir(t.plain) if not name.startswith('_self_') and name not in dir(types.FunctionType)]",
    "set attribute": (
        "(setattr(t.plain, 'extra', 1), t.plain.extra, t.plain.__dict__, delattr(t.plain, 'extra'), t.plain.label)"
    ),
    "partial": "(t.partial(), t.partial.args, functools.partial(t.plain, 2)(), functools.partial(t.swap, 1)(2))",
    "partialmethod": "type('P', (), {'m': functools.partialmethod(lambda s, n: t.square(n), 3)})().m()",
    "positional only": "(t.swap(1, 2), refused(lambda: t.swap(first=1, second=2)))",
    "wrong arguments": "[refused(lambda: t.plain()), refused(lambda: t.Base.method()), refused(lambda: t.square(1, 2))]",
    "super": "(t.Child(2).method(3), t.Child(2).hidden(), t.Child.build().value, type(t.Child.build()).__name__)",
    "subclass made later": "type('Late', (t.Base,), {'hidden': lambda s: 'late ' + t.Base.hidden(s)})().hidden()",
    "class and static methods": "(t.Base.build().value, t.instance.build(3).value, t.Base.twice(4), t.instance.twice(5))",
    "kinds in the class": "[type(inspect.getattr_static(t.Base, n)).__name__ for n in ('build', 'twice', 'doubled', 'slow')]",
    "static and class are instances": (
        "(isinstance(vars(t.Base)['twice'], staticmethod), isinstance(vars(t.Base)['build'], classmethod))"
    ),
    "properties": (
        "(t.instance.doubled, t.Base.doubled.__doc__, t.Base.doubled.fset is not None, isinstance(t.Base.doubled, property))"
    ),
    "property setter": "(lambda b: (setattr(b, 'doubled', 8), b.value))(t.Base(1))",
    "cached property": (
        "(lambda b: (b.slow is b.slow, 'slow' in vars(b), t.Base.slow.__doc__, t.Base.slow.attrname))(t.Base(1))"
    ),
    "lru_cache": (
        "(t.cached(1), t.cached(1), t.cached.cache_info().hits, t.cached.cache_clear(), t.cached.cache_info(), "
        "t.cached.cache_parameters())"
    ),
    "singledispatch": "(t.dispatch(1), t.dispatch('x'), t.dispatch.registry.keys(), t.dispatch.dispatch(bool).__name__)",
    "singledispatch registers": "(t.dispatch.register(float, lambda v: 'float'), t.dispatch(1.5))[1]",
    "abstract": (
        "(refused(t.Shape), sorted(t.Shape.__abstractmethods__), t.Shape.area.__isabstractmethod__, t.Round().area(), "
        "inspect.isabstract(t.Shape))"
    ),
    "abstract subclass": "refused(type('Half', (t.Shape,), {}))",
    "type hints": "[typing.get_type_hints(f) for f in (t.plain, t.coroutine, t.Base.method)]",
    "identity": (
        "(t.plain is t.plain, t.plain == t.plain, t.Base.method is t.Base.method, t.instance.method == t.instance.method)"
    ),
    "hash": (
        "(hash(t.plain) == hash(t.plain), {t.plain: 1}[t.plain], len({t.instance.method, t.instance.method}), "
        "t.plain in [t.swap, t.plain])"
    ),
    "order of equality": (
        "(t.plain == t.swap, t.plain != t.swap, t.Base(1) == t.Base(1), hash(t.Base(1)) == hash(1), len(t.instance), "
        "bool(t.Base()))"
    ),
    "weak references": (
        "(weakref.ref(t.plain)() is t.plain, weakref.WeakMethod(t.instance.method)()(1), "
        "len(weakref.WeakKeyDictionary({t.plain: 1})))"
    ),
    "help": "[pydoc.render_doc(f, renderer=pydoc.plaintext) for f in (t.plain, t.Base, t.Child, t.coroutine, t.cached)]",
    "help of the module": "pydoc.plaintext.document(t)",
    "wraps over a watched one": (
        "(lambda w: (w.__name__, w.__wrapped__ is t.plain, str(inspect.signature(w))))(functools.wraps(t.plain)(lambda *a: 1))"
    ),
    "as attribute of a class": "type('C', (), {'m': t.plain})().m().__class__.__name__",
    "descriptor protocol": (
        "(t.plain.__get__(t.instance)().value, t.Base.method.__get__(t.instance, t.Base)(2), "
        "types.MethodType(t.Base.method, t.instance)(3))"
    ),
    "operator and map": (
        "(operator.methodcaller('method', 2)(t.instance), list(map(t.square, [1, 2])), sorted([3, 1], key=t.square), "
        "max([1, 2], key=t.square))"
    ),
    "callable object": "(t.called(2), callable(t.called), isinstance(t.called, t.Base), t.called.value, t.called == t.instance)",
    "slots, data classes, enumerations": (
        "(refused(t.Slotted().get), t.Point(3, -4).norm(), t.Point(1) < t.Point(2), t.Colour.RED.label(), "
        "list(t.Colour), dataclasses.asdict(t.Point(1)))"
    ),
    "protocols and namespaces": (
        "(sorted(n for n in vars(t.Base) if not n.startswith('_')), t.Base.__mro__, t.Child.__bases__, "
        "t.Base.__dict__['method'].__name__)"
    ),
    "coroutine": (
        "(asyncio.run(t.coroutine(4)), asyncio.run(t.instance.talk()), inspect.iscoroutine(c := t.coroutine()), "
        "inspect.isawaitable(c), c.close())"
    ),
    "coroutine names": (
        "(lambda c: (c.__name__, c.__qualname__, c.cr_code.co_name, inspect.getcoroutinestate(c), c.close(), "
        "inspect.getcoroutinestate(c)))(t.coroutine())"
    ),
    "awaitables in a loop": "asyncio.run(in_a_loop())",
    "generator": (
        "(list(t.generator()), inspect.isgenerator(t.generator()), isinstance(t.generator(), typing.Generator), "
        "list(t.instance.count()))"
    ),
    "generator protocol": "talk_to(t.generator())",
    "generator names": (
        "(lambda g: (g.__name__, g.__qualname__, g.gi_code.co_name, inspect.getgeneratorstate(g), next(g), "
        "g.gi_frame is not None, g.close()))(t.generator())"
    ),
    "delegation": "list(delegate())",
    "async generator": "asyncio.run(collect())",
    "context managers": "use(t.lease())",
    "context manager swallows": "swallow()",
    "context manager as decorator": "t.lease()(lambda: 5)()",
    "pickle": (
        "[pickle.dumps(f) for f in (t.plain, t.coroutine, t.generator, t.decorated, t.Base, t.Base.build, t.Base.twice, "
        "t.instance.method, t.cached)]"
    ),
    "pickle back": (
        "[pickle.loads(pickle.dumps(f)) is f for f in (t.plain, t.coroutine, t.decorated, t.Base, t.cached, t.dispatch)]"
    ),
    "pickle protocols": (
        "[pickle.loads(pickle.dumps(t.plain, protocol)) is t.plain for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]"
    ),
    "pickle instances": (
        "(pickle.loads(pickle.dumps(t.instance)) == t.instance, pickle.dumps(t.instance), pickle.loads(pickle.dumps(t.Point(1))))"
    ),
    "pickle bound": (
        "(pickle.loads(pickle.dumps(t.instance.method))(1), pickle.loads(pickle.dumps(functools.partial(t.plain, 1)))())"
    ),
    "copy": "(copy.copy(t.plain) is t.plain, copy.deepcopy(t.plain) is t.plain, copy.deepcopy({'f': t.plain})['f'] is t.plain)",
    "copy of instances": (
        "(copy.copy(t.instance) == t.instance, copy.deepcopy(t.instance).method(1), copy.copy(t.instance.method)(1), "
        "copy.deepcopy([t.Base])[0] is t.Base)"
    ),
    "traceback": "frames(lambda: t.plain(), 'things.py')",
    "frame of the callee": "t.square.__code__.co_filename == t.__file__",
    "type of functions": "[f.__class__ is types.FunctionType for f in (t.plain, t.square, t.Base.method)]",
    "mock": "mocked()",
}

PRELUDE = """
    import asyncio, copy, dataclasses, doctest, functools, inspect, json, operator, pickle, pydoc, re, sys
    import traceback, types, typing, weakref
    import things as t

    PLAIN = [t.plain, t.swap, t.coroutine, t.generator, t.async_generator, t.square, t.Base.method, t.Base.twice, t.Child.hidden]
    FUNCTIONS = [*PLAIN, t.decorated, t.lease, t.async_lease, t.cached, t.dispatch, t.Base.build]
    METHODS = [t.instance.method, t.instance.hidden, t.instance.talk, t.instance.count]

    def refused(call):
        try:
            return call()
        except Exception as error:
            return repr(error)

    def frames(call, *files):
        try:
            call()
        except Exception as error:
            return [type(error).__name__, str(error)]

    async def in_a_loop():
        task = asyncio.create_task(t.coroutine(1))
        results = await asyncio.gather(t.coroutine(2), asyncio.wait_for(t.coroutine(3), 5), asyncio.shield(t.coroutine(4)))
        return [*results, await task, (await asyncio.to_thread(t.square, 3))]

    def talk_to(generator):
        said = [next(generator), generator.send("a"), generator.send("b")]
        try:
            generator.send("c")
        except StopIteration as end:
            said.append(end.value)
        fresh = t.generator()
        next(fresh)
        try:
            fresh.throw(ValueError("thrown"))
        except ValueError as error:
            said.append(str(error))
        unused = t.generator()
        unused.close()
        return [*said, list(unused), refused(lambda: t.generator().send(1))]

    def delegate():
        result = yield from t.generator(2)
        yield result

    async def collect():
        found = [number async for number in t.async_generator()]
        stream = t.async_generator()
        found += [await anext(stream), await stream.asend(None), inspect.isasyncgen(stream), stream.__name__]
        await stream.aclose()
        async with t.async_lease() as value:
            found.append(value)
        return found

    def use(manager):
        with manager as value:
            return value, type(manager).__name__, manager.__doc__ is not None

    def swallow():
        with t.lease():
            raise KeyError("swallowed")
        return "gone on"

    def mocked():
        from unittest import mock
        with mock.patch.object(t.Base, "hidden", autospec=True, return_value="mock"):
            inside = t.Base().hidden()
        with mock.patch("things.square", return_value=0):
            inside = inside, t.square(3)
        return inside, t.Base().hidden(), t.square(3), str(inspect.signature(mock.create_autospec(t.plain)))

    results = {}
    for name, code in json.load(open("expressions.json")).items():
        try:
            value = repr(eval(code, globals()))
        except BaseException as error:
            value = "raised " + "".join(traceback.format_exception_only(error))
        results[name] = re.sub("0x[0-9a-f]+", "0x", value)
    json.dump(results, sys.stdout)
"""


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    """Two runs of the same program that looks at watched callables in all ways: bare, and under hookmon."""
    folder = tmp_path_factory.mktemp("things")
    write(folder, {"things.py": THINGS, "app.py": PRELUDE})
    (folder / "expressions.json").write_text(json.dumps(EXPRESSIONS))
    bare = bare_run([PYTHON, "app.py"], cwd=folder)
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, config=WATCHED)
    assert bare.exit_code == 0, bare.stderr
    assert under.exit_code == 0, under.stderr
    return bare, under


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_watched_callable_looks_like_itself(name: str, looks: tuple[Result, Result]) -> None:
    """What the program finds out about a watched callable is what it finds out without us."""
    if name in ("wrapped where there is none", "unwrap to the same") and find_spec("wrapt._wrappers") is None:
        pytest.skip("wrapt's proxy in Python goes by its own __wrapped__: see docs/limits.md")
    bare, under = (json.loads(result.stdout)[name] for result in looks)
    assert not bare.startswith("raised"), bare
    if name == "help of the module" and find_spec("wrapt._wrappers") is None:
        under = under.replace(
            r"\n        The base.\n\n    instance =", r"\n    instance ="
        )  # wrapt 1.x, 2.0 without C: its class's text
    assert under == bare


def test_every_kind_was_watched(looks: tuple[Result, Result]) -> None:
    """The comparison above is about wrapped callables: each of them is active and was counted."""
    report = looks[1].report
    names = [
        "plain",
        "swap",
        "decorated",
        "coroutine",
        "generator",
        "async_generator",
        "lease",
        "async_lease",
        "cached",
        "square",
    ]
    names += ["dispatch", "Base.method", "Base.build", "Base.twice", "Base.doubled", "Base.slow", "Child.method", "Point.norm"]
    assert [name for name in names if not calls(report, f"things:{name}")] == []
    own = [watch for watch in report["watched"] if not watch["pack"]]
    assert [watch["target"] for watch in own if watch["status"] not in ("active", "unused")] == []


def test_cloudpickle_takes_watched_functions(tmp_path: Path) -> None:
    """cloudpickle sends watched functions and closures over them by value or by name, as without us."""
    pytest.importorskip("cloudpickle")
    program = """
    import cloudpickle, pickle, things
    def closure(number):
        return things.square(number) + local(number)
    def local(number):
        return number
    print(pickle.loads(cloudpickle.dumps(closure))(3), pickle.loads(cloudpickle.dumps(things.square))(4))
    print(pickle.loads(cloudpickle.dumps(things.instance.method))(1), pickle.loads(cloudpickle.dumps(lambda: things.plain(5)))())
    cloudpickle.register_pickle_by_value(things)
    print(pickle.loads(cloudpickle.dumps(things.swap))(1, 2), pickle.loads(cloudpickle.dumps(things.Point))(3).norm())
    """
    write(tmp_path, {"things.py": THINGS, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=WATCHED + watch("__main__", "closure", "local"))
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_watched_functions_go_to_pools(method: str, tmp_path: Path) -> None:
    """`Pool.map(watched_function)` works under every start method, and each call in a worker is counted."""
    program = f"""
    import multiprocessing, things

    if __name__ == "__main__":
        with multiprocessing.get_context("{method}").Pool(2) as pool:
            print(pool.map(things.plain, range(10)), pool.map(things.instance.method, range(5)), pool.map(things.cached, [1, 2]))
    """
    write(tmp_path, {"things.py": THINGS, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("things", "plain", "Base.method", "cached"))
    assert result.stdout == f"{list(range(10))} {[5, 6, 7, 8, 9]} [2, 4]\n", result.stderr
    counts = [calls(result.report, f"things:{name}") for name in ("plain", "Base.method", "cached")]
    assert counts == [10, 5, 2]


# exceptions

RAISING = """
    import asyncio

    class Mine(Exception):
        pass

    error = Mine("the one")

    def fail():
        raise error

    def chain():
        try:
            fail()
        except Mine as found:
            raise ValueError("outer") from found

    def leave(kind):
        raise kind()

    async def wait():
        await asyncio.sleep(30)

    def generate():
        yield 1
        yield 2
"""

CATCHING = """
    import asyncio, json, sys, traceback, raising

    def frames(error):
        return json.dumps([frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)])

    try:
        raising.fail()
    except raising.Mine as caught:
        print(caught is raising.error, caught.args, caught.__cause__, caught.__context__, caught.__suppress_context__)
        print(frames(caught), file=sys.stderr)
    try:
        raising.chain()
    except ValueError as caught:
        print(repr(caught), repr(caught.__cause__), repr(caught.__context__), caught.__cause__ is raising.error)
        print(frames(caught), file=sys.stderr)
    for kind in (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, StopIteration, MemoryError):
        try:
            raising.leave(kind)
        except BaseException as caught:
            print(type(caught), caught.args)

    async def main():
        task = asyncio.create_task(raising.wait())
        await asyncio.sleep(0.01)
        task.cancel("enough")
        try:
            await task
        except asyncio.CancelledError as caught:
            print(repr(caught), task.cancelled())
        try:
            await asyncio.wait_for(raising.wait(), 0.01)
        except TimeoutError as caught:
            print(repr(caught))

    asyncio.run(main())
    unfinished = raising.generate()
    print(next(unfinished))
    unfinished.close()
    del unfinished
    print(sys.exc_info())
"""


@pytest.fixture(scope="module")
def raising(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    """Two runs of a program in which watched functions raise all sorts of things: bare, and under hookmon."""
    folder = tmp_path_factory.mktemp("raising")
    write(folder, {"raising.py": RAISING, "app.py": CATCHING})
    names = ["fail", "chain", "leave", "wait", "generate"]
    return bare_run([PYTHON, "app.py"], cwd=folder), hookmon_run([PYTHON, "app.py"], cwd=folder, config=watch("raising", *names))


def test_exceptions_pass_unchanged(raising: tuple[Result, Result]) -> None:
    """The very exception object arrives, with its arguments, cause and context."""
    bare, under = raising
    assert bare.exit_code == 0, bare.stderr
    assert (under.stdout, under.exit_code) == (bare.stdout, bare.exit_code)


def test_tracebacks_gain_no_frame(raising: tuple[Result, Result]) -> None:
    """Between the caller and the watched function there is nothing of ours."""
    bare, under = (list(map(json.loads, result.stderr.splitlines())) for result in raising)
    assert len(bare) == 2
    assert under == bare


def test_ends_that_are_no_errors_are_not_counted_as_such(raising: tuple[Result, Result]) -> None:
    """KeyboardInterrupt, SystemExit, GeneratorExit and cancellation are completed calls; exceptions are errors."""
    report = raising[1].report
    counts = {name: (calls(report, f"raising:{name}"), errors(report, f"raising:{name}")) for name in ("fail", "chain")}
    assert counts == {"fail": (2, 2), "chain": (1, 1)}
    assert (calls(report, "raising:leave"), errors(report, "raising:leave")) == (
        6,
        1,
    )  # the MemoryError: StopIteration is how an iterator returns
    assert (calls(report, "raising:wait"), errors(report, "raising:wait")) == (2, 0)
    assert (calls(report, "raising:generate"), errors(report, "raising:generate")) == (1, 0)


# depth and numbers

DEEP = """
    import sys

    def down(number):
        return down(number - 1) + 1 if number else 0

    def endless():
        return endless() + 1

    def enter(call, *args):
        return call(*args)

    async def step(number):
        import asyncio
        await asyncio.sleep(0)
        return await inner(number)

    async def inner(number):
        return number
"""


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12) and os.environ.get("HOOKMON_ENGINE") == "pure",
    reason="3.12 counts calls in C against a fixed limit: with the pure engine a watched recursion gets half as deep",
)
def test_recursion_ends_as_without_us(tmp_path: Path) -> None:
    """A recursion 200 deep works, an endless one raises RecursionError, and the process goes on being counted after it."""
    program = """
    import deep, sys
    print(deep.down(200))
    for _ in range(3):
        try:
            deep.endless()
        except RecursionError as error:
            print(type(error).__name__, str(error)[:32])
    print(deep.down(5), deep.enter(deep.enter, deep.down, 3))
    """
    write(tmp_path, {"deep.py": DEEP, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("deep", "down", "endless", "enter"))
    assert under.seen == bare.seen
    assert calls(under.report, "deep:down") == 201 + 6 + 4
    assert calls(under.report, "deep:enter") == 2
    assert errors(under.report, "deep:endless") == calls(under.report, "deep:endless")
    assert 950 < calls(under.report, "deep:endless") / 3 < 1050  # as deep as the limit of 1,000 allows without us


@pytest.mark.parametrize("engine", ["pure", "compiled"])
def test_a_recursion_gets_as_deep_as_without_us(engine: str, tmp_path: Path) -> None:
    """Also where each level is called for the first time, whose records are made at the top of the stack."""
    if engine == "pure" and sys.version_info[:2] == (3, 12):
        pytest.skip("3.12 counts calls in C against a fixed limit: with the pure engine a watched recursion gets half as deep")
    library = """
    def deepest(number):
        try:
            return deepest(number + 1)
        except RecursionError:
            return number
    """
    write(tmp_path, {"deep.py": library, "app.py": "import deep\nprint(deep.deepest(0), deep.deepest(0))\n"})
    plain = [int(depth) for depth in bare_run([PYTHON, "app.py"], cwd=tmp_path).stdout.split()]
    config = watch("deep", "deepest")
    found = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine}).stdout.split()
    assert all(0 <= int(depth) - bare <= 64 for depth, bare in zip(found, plain, strict=True)), (found, plain)


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12) and os.environ.get("HOOKMON_ENGINE") == "pure",
    reason="3.12 counts calls in C against a fixed limit: with the pure engine a watched recursion gets half as deep",
)
def test_a_raised_recursion_limit_holds(tmp_path: Path) -> None:
    """A program that allows itself a deeper recursion gets it: 3,000 levels under a limit of 20,000."""
    program = "import deep, sys, threading\nsys.setrecursionlimit(20_000)\nthreading.stack_size(512 * 1024 * 1024)\n"
    program += "thread = threading.Thread(target=lambda: print(deep.down(3000)))\nthread.start()\nthread.join()\n"
    write(tmp_path, {"deep.py": DEEP, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("deep", "down"))
    assert (result.stdout, result.stderr, result.exit_code) == ("3000\n", "", 0)
    assert calls(result.report, "deep:down") == 3001


@pytest.mark.parametrize(
    ("program", "counts"),
    [
        (
            """
            import threading, deep
            threads = [threading.Thread(target=deep.enter, args=(deep.down, 3)) for _ in range(1000)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            """,
            {"enter": 1000, "down": 4000},
        ),
        (
            """
            import asyncio, deep
            async def main():
                print(sum(await asyncio.gather(*[deep.step(number) for number in range(10_000)])))
            asyncio.run(main())
            """,
            {"step": 10_000, "inner": 10_000},
        ),
        (
            """
            import gevent, deep
            def work(number):
                gevent.sleep(0)
                return deep.enter(deep.enter, gevent.sleep, number % 3 / 1000)
            gevent.joinall([gevent.spawn(work, number) for number in range(1000)], raise_error=True)
            """,
            {"enter": 2000},
        ),
    ],
    ids=["1,000 threads", "10,000 asyncio tasks", "1,000 greenlets"],
)
def test_many_lanes_are_counted_exactly(program: str, counts: dict[str, int], tmp_path: Path) -> None:
    """However many lines of execution there are, no call is lost or counted twice."""
    write(tmp_path, {"deep.py": DEEP, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("deep", "enter", "down", "step", "inner"))
    assert (result.stderr, result.exit_code) == ("", 0)
    assert {name: calls(result.report, f"deep:{name}") for name in counts} == counts


def test_re_entrant_calls_are_counted(tmp_path: Path) -> None:
    """Calls from signal handlers, finalisers, weak reference callbacks and key functions, amid other calls, are all counted."""
    work = """
    import signal, weakref

    def outer(number):
        signal.raise_signal(signal.SIGUSR1)
        thing = Thing()
        reference = weakref.ref(thing, lambda _: inner(number))
        del thing
        return sorted([3, 1, 2], key=inner)

    def inner(number):
        return number

    class Thing:
        def __del__(self):
            inner(0)
    """
    program = "import signal, work\nsignal.signal(signal.SIGUSR1, lambda number, frame: work.inner(number))\n"
    program += "for number in range(100): work.outer(number)\n"
    write(tmp_path, {"work.py": work, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("work", "outer", "inner", "Thing.__del__"))
    assert (result.stderr, result.exit_code) == ("", 0)
    assert {name: calls(result.report, f"work:{name}") for name in ("outer", "inner", "Thing.__del__")} == {
        "outer": 100,
        "inner": 100 * (1 + 1 + 1 + 3),
        "Thing.__del__": 100,
    }


# C types

C_TYPES = {"datetime:datetime.now": "datetime", "builtins:dict.get": "dict", "_struct:Struct.pack": "Struct"}


def test_c_types_are_named_not_broken(tmp_path: Path) -> None:
    """Methods of C types cannot be patched: the program runs, the report names each with the reason."""
    program = "import datetime, struct\nprint({1: 2}.get(1), datetime.datetime.now() is not None, struct.Struct('b').pack(1))\n"
    write(tmp_path, {"app.py": program})
    config = watch("datetime", "datetime.now") + watch("builtins", "dict.get") + watch("_struct", "Struct.pack")
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert (result.stdout, result.stderr, result.exit_code) == ("2 True b'\\x01'\n", "", 0)
    for target, name in C_TYPES.items():
        found = watch_row(result.report, target)
        assert found["status"] == "refused"
        assert name in found["detail"]


def test_sqlite_is_watched_through_its_factories(tmp_path: Path) -> None:
    """sqlite3's C types are counted without configuration; a connection stays one for C code and isinstance."""
    program = """
    import sqlite3
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (n INTEGER)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
    for n in range(5):
        print(cursor.execute("SELECT n FROM t WHERE n = ?", (n,)).fetchone())
    other = sqlite3.connect(":memory:")
    connection.commit()
    connection.backup(other)
    print(isinstance(connection, sqlite3.Connection), isinstance(cursor, sqlite3.Cursor), cursor.connection is connection)

    class Mine(sqlite3.Connection):
        def greet(self):
            return "mine"
    mine = sqlite3.connect(":memory:", factory=Mine)
    print(type(mine).__name__, mine.greet(), mine.execute("SELECT 1").fetchall())
    try:
        connection.execute("SELECT nothing")
    except sqlite3.OperationalError as error:
        print(error)
    connection.close(), other.close(), mine.close()
    """
    write(tmp_path, {"app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path)
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    sql = [row for row in under.report["calls"] if row["kind"] == "sql"]
    selects = [row["calls"] for row in sql if "WHERE" in row["name"].upper()]
    assert selects == [5], [row["name"] for row in sql]
    assert not [row["name"] for row in sql if "1, 2" in row["name"]]
    assert sum(row["errors"] for row in sql) == 1


# arguments and names

SPY = """
    import weakref

    class Spy:
        def __init__(self, name="spy"):
            self.name = name

        def __getattribute__(self, name):
            if name not in ("__class__", "__dict__", "name"):
                asked.append(name)
            return object.__getattribute__(self, name)

        def _note(name):
            def method(self, *args):
                asked.append(name)
                raise RuntimeError(name)
            return method

        __repr__ = _note("repr")
        __str__ = _note("str")
        __eq__ = _note("eq")
        __hash__ = _note("hash")
        __bool__ = _note("bool")
        __len__ = _note("len")
        __iter__ = _note("iter")
        __format__ = _note("format")

        @property
        def trap(self):
            asked.append("trap")
            raise RuntimeError("trap")

    asked = []

    def take(spy, other=None):
        return spy

    def named(spy, other=None):
        return spy

    def trapped(spy, other=None):
        return spy

    def missing(spy, other=None):
        return spy
"""


def test_arguments_and_results_are_not_touched(tmp_path: Path) -> None:
    """No argument and no result is printed, compared, asked or kept; a name that cannot be made costs the name, not the call."""
    program = """
    import gc, sys, weakref, spy
    for function in (spy.take, spy.named, spy.trapped, spy.missing):
        thing = spy.Spy()
        before = sys.getrefcount(thing)
        result = function(thing, other=thing)
        assert result is thing
        del result
        assert sys.getrefcount(thing) == before, function.__name__
        reference = weakref.ref(thing)
        del thing
        assert reference() is None, function.__name__
    print(spy.asked)
    """
    config = (
        watch("spy", "take")
        + watch("spy", "named", span="named {spy.name}")
        + watch("spy", "trapped", span="trapped {spy.trap}")
        + watch("spy", "missing", span="missing {spy.nothing.at.all} {arg9}")
    )
    write(tmp_path, {"spy.py": SPY, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert (result.stdout, result.stderr, result.exit_code) == ("[]\n", "", 0)
    assert calls(result.report, "named spy") == 1
    for name in ("take", "named", "trapped", "missing"):
        assert calls(result.report, f"spy:{name}") == 1


def test_names_are_bounded(tmp_path: Path) -> None:
    """A template that makes a new name for every call ends in `(other)`: the counts stay exact, and the report says so."""
    program = "import work\nfor number in range(30_000): work.take(number)\n"
    write(tmp_path, {"work.py": "def take(number):\n    return number\n", "app.py": program})
    report: Report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("work", "take", span="take {arg0}")).report
    assert calls(report, "work:take") == 30_000
    names = [row["name"] for row in rows(report, "work:take")]
    assert len(names) <= 10_001
    assert any("(other)" in name for name in names), blind_spots(report)
    told = (
        "work:take: more names than the 10,000 that are kept apart; 20,001 calls stand under (other)."  # its own is one of them
    )
    assert [note for note in report["notes"] if "(other)" in note] == [told]
    assert [finding["title"] for finding in report["findings"] if "(other)" in finding["title"]] == []


def test_a_class_whose_metaclass_is_c_is_watched(tmp_path: Path) -> None:
    """As of nanobind and pybind11: `type` itself may not set their attributes. ctypes has such a one, too."""
    work = "import ctypes\nclass Point(ctypes.Structure):\n    def move(self):\n        return 'moved'\n"
    program = "import ctypes, work\nprint(work.Point().move(), type(type(work.Point).__setattr__) is type(type.__setattr__))\n"
    write(tmp_path, {"work.py": work, "app.py": program})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("work", "Point.move"))
    assert (result.stdout, result.stderr) == ("moved True\n", "")
    assert calls(result.report, "work:Point.move") == 1


def test_kinds_nest_by_the_outermost(tmp_path: Path) -> None:
    """Of nested calls of one client kind the outermost is counted, unless a watch says nested; plain functions always are."""
    work = """
    def query():
        return send() + receive() + helper()

    def send():
        return 1

    def receive():
        return 2

    def helper():
        return 3
    """
    write(tmp_path, {"work.py": work, "app.py": "import work\nfor _ in range(5): work.query()\nwork.send()\n"})
    config = (
        watch("work", "query", "send", kind="sql") + watch("work", "receive", kind="sql", nested=True) + watch("work", "helper")
    )
    report = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config).report
    found = {name: calls(report, f"work:{name}") for name in ("query", "send", "receive", "helper")}
    assert found == {"query": 5, "send": 1, "receive": 5, "helper": 5}
    assert row(report, "work:query")["kind"] == "sql"


OWN_PROPERTY = '''
    class cached(property):  # as werkzeug's cached_property is made
        def __init__(self, fget, name=None, doc=None):
            super().__init__(fget, doc=doc)
            self.label = name or fget.__name__

        def __get__(self, owner, kind=None):
            if owner is None:
                return self
            return owner.__dict__.setdefault(self.label, self.fget(owner))

    class Odd(property):
        def __new__(cls, fget):
            return super().__new__(cls)

    class Basket:
        @cached
        def total(self):
            """All of it."""
            return 7

        @Odd
        def count(self):
            return 1

    def last():
        return Basket().total
'''


def test_a_property_of_a_class_of_its_own_stays_what_it_is(tmp_path: Path):
    """Its `__init__` need not take what `property` takes. One that cannot be copied is refused where a wrapper is asked for."""
    program = "import shop; p = shop.Basket.total; print(type(p).__name__, p.label, p.__doc__, shop.last(), shop.Basket().count)"
    write(tmp_path, {"shop.py": OWN_PROPERTY, "app.py": program})
    config = watch("shop", "Basket.total", "Basket.count", "last", via="name")
    bare, result = bare_run([PYTHON, "app.py"], cwd=tmp_path), hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert bare.stdout == "cached total All of it. 7 1\n"
    assert (result.stdout, result.exit_code) == (bare.stdout, bare.exit_code)
    assert (calls(result.report, "shop:Basket.total"), calls(result.report, "shop:last")) == (1, 1)
    assert watch_row(result.report, "shop:Basket.count")["status"] == "refused"
    by_code = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("shop", "Basket.total", "Basket.count", "last"))
    assert (by_code.stdout, by_code.exit_code) == (bare.stdout, bare.exit_code)
    assert [calls(by_code.report, f"shop:{name}") for name in ("Basket.total", "Basket.count", "last")] == [1, 1, 1]
