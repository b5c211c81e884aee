"""Callbacks that are timed themselves: the framework has the program's own function, and counts are those of a counter inside it.

That is so with the compiled engine on CPython 3.12 and newer, where a callback's name says the same whoever calls it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.engines import ENGINES
from support.hooked import FRAMEWORK
from support.interpreters import need_compiled
from support.runs import Result, bare_run, hookmon_run, write

pytestmark = [pytest.mark.usefixtures("warm_launcher"), pytest.mark.process]

PYTHONS = ("3.12", "3.13", "3.14", "3.15")

CONFIG = """
[[hook]]
module = "frame"
calls = ["Events.on"]
unregister = ["Events.off"]
callable = "listener"
"""

COUNTS = """
import json, sys
COUNTS = {}
def count(name=None):
    name = name or sys._getframe(1).f_code.co_qualname.replace("<locals>.", "")
    COUNTS[name] = COUNTS.get(name, 0) + 1
def tell():
    with open("truth.json", "w") as file:
        json.dump(COUNTS, file)
"""


def run_both(folder: Path, version: str, program: str, config: str = CONFIG, *, engine: str = "compiled") -> Result:
    """Run a program bare and under hookmon; what it prints is the same. It leaves truth.json: the calls of each callback."""
    python = need_compiled(version)
    write(folder, {"frame.py": FRAMEWORK, "truth.py": COUNTS, "app.py": program})
    bare = bare_run([python, "app.py"], cwd=folder)
    assert bare.exit_code == 0, bare.stderr
    truth = (folder / "truth.json").read_text()
    found = hookmon_run([python, "app.py"], cwd=folder, config=config, env={"HOOKMON_ENGINE": engine})
    assert found.seen == bare.seen
    assert (folder / "truth.json").read_text() == truth
    return found


def truth_of(folder: Path) -> dict[str, int]:
    counts: dict[str, int] = json.loads((folder / "truth.json").read_text())
    return counts


def counted(result: Result) -> dict[str, int]:
    """Return {name: calls} of the callbacks."""
    counts: dict[str, int] = {}
    for row in result.report["calls"]:
        if row["kind"] == "hook":
            counts[row["name"]] = counts.get(row["name"], 0) + row["calls"]
    return counts


@pytest.mark.parametrize("version", PYTHONS)
def test_the_framework_has_the_object_of_the_program(tmp_path: Path, version: str):
    """By identity, for copies, weak references, mocks, pickles and whoever unregisters it."""
    found = run_both(
        tmp_path,
        version,
        """
        import copy, frame, gc, pickle, types, weakref
        from truth import count, tell
        from unittest import mock
        events = frame.Events()
        class R:
            def __init__(self): self.n = 0
            def m(self):
                count()
                self.n += 1
                return self.n
            @classmethod
            def made(cls): count()
            @staticmethod
            def fixed(): count()
        def f():
            count()
            return "f"
        def bare(held, own):
            return held is own and type(held) is types.FunctionType and vars(held) == {} and not hasattr(held, "__wrapped__")
        r = R()
        bound = r.m
        for listener in (f, bound, R.made, R.fixed, lambda: count("lambda app.py:23")):
            events.on("a", listener)
        held = events.listeners["a"]
        print(bare(held[0], f), held[1] is bound, held[1].__func__ is vars(R)["m"], bare(held[3], R.fixed), held.index(f))
        print(events.emit("a"), events.emit("a"), r.n, weakref.getweakrefcount(f), pickle.loads(pickle.dumps(f)) is f)

        copied = copy.deepcopy(events)
        print(copied.listeners["a"][0] is f, copied.emit("a"), r.n, copy.copy(bound) == bound, copy.copy(f) is f)

        weak = weakref.WeakMethod(held[1])
        events.off("a", bound)
        gc.collect()
        print(weak() == r.m, weak()(), r.n)

        with mock.patch.object(R, "m", autospec=True) as stood:
            print(r.m() is stood.return_value, stood.call_count, type(vars(R)["m"]).__name__)
        with mock.patch.object(r, "m") as stood:
            r.m()
            print(stood.call_count, vars(r) == {"n": r.n, "m": stood})
        print(r.m(), vars(r), type(vars(R)["m"]).__name__)
        events.off("a", f)
        print(len(events.listeners["a"]))
        tell()
        """,
    )
    assert counted(found) == truth_of(tmp_path)
    assert found.report["blind_spots"] == []


@pytest.mark.parametrize("version", PYTHONS)
def test_each_function_is_counted_by_itself(tmp_path: Path, version: str):
    """Other functions with the same code are not: made before or after it, or where one was that has died."""
    found = run_both(
        tmp_path,
        version,
        """
        import frame, functools, gc, sys, threading
        from truth import count, tell
        events = frame.Events()
        def make(name, counts=True):
            def inner():
                if counts: count(name)
            inner.__qualname__ = name
            return inner
        before = [make("never", False) for _ in range(50)]
        first, second = make("first"), make("second")
        for function in (first, second): events.on("a", function)
        after = [make("never", False) for _ in range(50)]
        for function in (*before, first, second, *after): function()
        events.emit("a")

        for number in range(3000):
            function = make("passing")
            events.on("b", function)
            function()
            if number % 3 == 0: events.off("b", function)
            if number % 1000 == 0: events.listeners["b"].clear()
        del function
        events.listeners.clear()
        gc.collect()
        strangers = [make("never", False) for _ in range(6000)]
        for stranger in strangers: stranger()

        def recurse(depth):
            count("recurse")
            return depth and recurse(depth - 1)
        events.on("c", recurse)
        print(events.emit("c", 900))

        def fail():
            count("fail")
            raise KeyError("fail")
        events.on("d", fail)
        try:
            events.emit("d")
        except KeyError as error:
            names = []
            trace = error.__traceback__
            while trace: names.append(trace.tb_frame.f_code.co_name); trace = trace.tb_next
            print(names)

        def busy():
            for _ in range(500): first()
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        tell()
        """,
    )
    assert counted(found) == truth_of(tmp_path)
    errors = {row["name"]: row["errors"] for row in found.report["calls"] if row["kind"] == "hook"}
    assert errors == {"first": 0, "second": 0, "passing": 0, "recurse": 0, "fail": 1}


@pytest.mark.parametrize("version", PYTHONS)
def test_new_code_in_a_callback_is_counted_on(tmp_path: Path, version: str):
    """As autoreload does it: the function stays and gets the code of another one."""
    found = run_both(
        tmp_path,
        version,
        """
        import frame
        from truth import count, tell
        events = frame.Events()
        def f(): count("f"); return 1
        def g(): count("f"); return 2
        events.on("a", f)
        print(events.emit("a"))
        f.__code__ = g.__code__
        print(events.emit("a"), events.emit("a"))
        tell()
        """,
    )
    assert counted(found) == {"f": 3} == truth_of(tmp_path)


@pytest.mark.parametrize("version", PYTHONS)
def test_a_second_name_is_a_stand_in_that_counts_once(tmp_path: Path, version: str):
    """For another framework, another table, another object; each registration forgets its own."""
    config = """
    [[hook]]
    module = "frame"
    calls = ["Events.on"]
    unregister = ["Events.off"]
    callable = "listener"
    span = "{self.name}: {callable}"
    [[hook]]
    module = "frame"
    calls = ["Once.add"]
    callable = "listener"
    span = "once {callable}"
    """
    found = run_both(
        tmp_path,
        version,
        """
        import frame
        from truth import count, tell
        one, two, once = frame.Events(), frame.Events(), frame.Once()
        one.name, two.name = "one", "two"
        def f(): return 1
        one.on("a", f), two.on("a", f), two.on("b", f), once.add(f)
        one.on("c", f)
        for times, events, event in ((1, one, "a"), (2, two, "a"), (4, two, "b"), (8, one, "c")):
            for _ in range(times):
                events.emit(event)
                count(events.name + ": f")
        for _ in range(16):
            count("once f")
            once.run()
        for _ in range(32):  # by the program itself
            count("one: f")
            f()
        two.off("a", f), one.off("a", f), one.off("c", f)
        print(one.emit("a"), one.emit("c"), two.emit("a"), two.emit("b"))
        count("two: f")
        tell()
        """,
        config,
    )
    assert counted(found) == truth_of(tmp_path) == {"one: f": 41, "two: f": 7, "once f": 16}


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_would_be_misnamed_or_counted_twice_keeps_its_stand_in(tmp_path: Path, version: str, engine: str):
    """A partial and its function, an inherited method, coroutines and generators, what a watch has: each call once."""
    config = CONFIG + '[[watch]]\nmodule = "shop"\ncalls = ["*"]\n'
    write(tmp_path, {"shop.py": "def watched():\n    return 1\nasync def later():\n    return 2\ndef steps():\n    yield 3\n"})
    found = run_both(
        tmp_path,
        version,
        """
        import asyncio, contextlib, frame, functools, shop
        from truth import count, tell
        events = frame.Events()
        def first(x=0): count("first")
        def second(x=0): count("second")
        events.on("a", first), events.on("a", functools.partial(first, 1))
        events.on("a", functools.partial(second, 1)), events.on("a", second)
        class Base:
            def m(self): return "m"
        class One(Base): pass
        class Two(Base): pass
        one, two = One(), Two()
        events.on("a", one.m), events.on("a", two.m)
        print(events.emit("a"))
        count("One.m"), count("Two.m")
        two.m()  # not as One.m

        async def later():
            count("later")
            await asyncio.sleep(0)
            return 1
        def steps():
            count("steps")
            yield 1
        @contextlib.contextmanager
        def within():
            count("within")
            yield 2
        class Made:
            def __init__(self): count("Made.__init__")
        made = Made.__new__(Made)
        for listener in (later, steps, within, made.__init__): events.on("b", listener)
        coroutine, generator, manager, nothing = events.emit("b")
        print(asyncio.run(coroutine), list(generator))
        with manager as value: print(value)

        for listener in (shop.watched, shop.later, shop.steps): events.on("c", listener)
        number, coroutine, generator = events.emit("c")
        print(number, asyncio.run(coroutine), list(generator), events.listeners["c"] == [shop.watched, shop.later, shop.steps])
        tell()
        """,
        config,
        engine=engine,
    )
    assert counted(found) == truth_of(tmp_path)
    others = {row["name"]: row["calls"] for row in found.report["calls"] if row["kind"] != "hook"}
    assert others == {"watched": 1, "later": 1, "steps": 1}


@pytest.mark.parametrize("version", PYTHONS)
def test_frameworks_that_hand_callbacks_out_get_the_functions(tmp_path: Path, version: str):
    """By `result`, which is asked at each signal; and where callbacks lie in an attribute."""
    config = '[[hook]]\nmodule = "frame"\ncalls = ["Weak.live"]\ncallable = "result"\nspan = "{class} {callable}"\n'
    config += '[[hook]]\nmodule = "frame"\ncalls = ["run_table"]\ncallable = "module.TABLE"\n'
    found = run_both(
        tmp_path,
        version,
        """
        import frame, gc
        from truth import count, tell
        weak = frame.Weak()
        class R:
            def m(self): count("Weak R.m")
        def f(): count("Weak f")
        def make():
            def inner(): count("Weak make.inner")
            return inner
        r, inner = R(), make()
        for listener in (f, r.m, inner): weak.connect(listener)
        for _ in range(5): weak.send()
        print([held is own for held, own in zip(weak.live(), (f, r.m, inner))], weak.live()[1] == r.m)
        del r, inner
        gc.collect()
        print(len(weak.live()), weak.send())

        def g(): count("g")
        frame.TABLE.append(g)
        frame.run_table(), frame.run_table(), g()
        print(frame.TABLE[0] is g)
        tell()
        """,
        config,
    )
    assert counted(found) == truth_of(tmp_path)
    assert found.report["blind_spots"] == []


@pytest.mark.parametrize("version", PYTHONS)
def test_functions_are_as_before_when_hookmon_leaves(tmp_path: Path, version: str):
    """What is called after that is not counted, and what dies then is nothing to us."""
    found = run_both(
        tmp_path,
        version,
        """
        import frame, gc, sys
        from truth import count, tell
        events = frame.Events()
        def f(): return 1
        def g(): return 2
        events.on("a", f), events.on("a", g)
        print(events.emit("a"))
        count("f"), count("g")
        if "hookmon.probe.wrappers.monitoring" in sys.modules:
            sys.modules["hookmon.probe.wrappers.monitoring"].leave_all()
        print(events.emit("a"), f(), g())
        del g
        events.listeners.clear()
        gc.collect()
        print(f())
        tell()
        """,
    )
    assert counted(found) == truth_of(tmp_path) == {"f": 1, "g": 1}
