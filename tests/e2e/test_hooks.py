"""Callbacks of a framework that a [[hook]] describes: each is counted under its own name, and the framework notices nothing.

Each program prints what it sees; that is the same bare and on both engines.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.hooked import FRAMEWORK, watched

from hookmon.testing import run

pytestmark = pytest.mark.usefixtures("warm_launcher")

__all__ = ["watched"]

EVENTS = """
[[hook]]
module = "frame"
calls = ["Events.on"]
unregister = ["Events.off"]
callable = "listener"
span = "{event}: {callable}"
"""


def test_each_callback_counts_under_its_own_name(watched):
    """Functions, methods, lambdas, partials and objects, registered by call and by decorator."""
    found = watched(
        """
        import frame, functools
        events = frame.Events()

        @events.on("save")
        def audit(x): return x + 1

        @events.on(event="save")
        def late(x): return x + 2

        class Mail:
            def send(self, x): return x + 3
            @classmethod
            def build(cls, x): return x + 4
            @staticmethod
            def check(x): return x + 5
            def __call__(self, x): return x + 6

        def make():
            def inner(x): return x + 7
            return inner

        mail = Mail()
        for listener in (mail.send, Mail.build, mail.check, mail, make(), functools.partial(audit), len, lambda x: x):
            assert events.on("load", listener) is listener or listener == mail.send or listener == Mail.build
        for _ in range(3):
            print(events.emit("save", 1))
        events.listeners["load"].remove(len)
        print(events.emit("load", 10))
        """,
        EVENTS,
    )
    assert found.calls("hook") == {
        "save: audit": 3,
        "save: late": 3,
        "load: Mail.send": 1,
        "load: Mail.build": 1,
        "load: Mail.check": 1,
        "load: Mail": 1,
        "load: make.inner": 1,
        "load: audit": 1,
        "load: lambda app.py:24": 1,
    }
    assert found.watched == {"frame:Events.on": "active"}
    assert found.blind_spots == []


def test_the_program_keeps_its_own_function(watched):
    """What a decorator gives back is the function itself; what the framework holds is equal to it and looks like it."""
    watched(
        """
        import frame, inspect, pickle
        events = frame.Events()

        def plain(x, *, y: int = 2):
            "what it does"
        assert events.on("a", plain) is plain
        assert events.on("a")(plain) is plain
        held, again = events.listeners["a"]
        assert held == plain and plain == held and hash(held) == hash(plain) and held in {plain}
        assert inspect.signature(held) == inspect.signature(plain) and held.__doc__ == plain.__doc__
        assert inspect.isfunction(held) and pickle.loads(pickle.dumps(held)) is plain
        print(inspect.signature(frame.Events.on), frame.Events.on.__qualname__, frame.Events.on.__module__)
        print(inspect.getsource(frame.Events.on).strip().splitlines()[0])

        async def later(x): return x
        def steps(x): yield x
        for listener in (later, steps):
            events.on("b", listener)
        import asyncio
        first, second = events.listeners["b"]
        assert inspect.iscoroutinefunction(first) and inspect.isgeneratorfunction(second)
        print(asyncio.run(first(3)), list(second(4)))
        """,
        EVENTS,
    )


def test_coroutines_and_generators_are_counted_when_they_run(watched):
    """From the first step to the end."""
    found = watched(
        """
        import asyncio, frame
        events = frame.Events()
        @events.on("a")
        async def later(x):
            await asyncio.sleep(0.01)
            return x
        @events.on("a")
        def steps(x):
            yield x
            yield x + 1
        async def main():
            one, two = events.emit("a", 5)
            print(await one, list(two))
        asyncio.run(main())
        """,
        EVENTS,
    )
    assert found.calls("hook") == {"a: later": 1, "a: steps": 1}


def test_a_callback_is_found_again_by_identity(watched):
    """Unregistering by `is`, twice the same function, the same function for two events."""
    found = watched(
        """
        import frame
        events = frame.Events()
        def f(): return "f"
        events.on("a", f); events.on("b", f); events.on("a", f)
        assert events.listeners["a"][0] is events.listeners["a"][1]
        print(events.emit("a"), events.emit("b"))
        events.off("a", f)
        print(events.emit("a"), events.emit("b"))
        events.off("b", f)
        print(events.emit("b"))
        try:
            events.off("b", f)
        except AssertionError as error:
            print(error)
        """,
        EVENTS,
    )
    assert found.calls("hook") == {"a: f": 2, "b: f": 2}


def test_a_framework_that_compares_ids_sees_one_id(watched):
    """A second registration is refused as it is without us, and one after a removal is not."""
    found = watched(
        """
        import frame, gc
        once = frame.Once()
        def f(): return "f"
        for _ in range(3):
            once.add(f)
            try:
                once.add(f)
            except ValueError as error:
                print(error)
            print(once.run())
            once.remove(f)
            gc.collect()
        print(once.run())
        """,
        '[[hook]]\nmodule = "frame"\ncalls = ["Once.add"]\nunregister = ["Once.remove"]\ncallable = "arg0"\n',
    )
    assert found.calls("hook") == {"f": 3}


def test_a_callback_lives_no_longer_than_without_us(watched):
    """Weak references end when they would; neither the stand-in nor we keep a callback or its object."""
    found = watched(
        """
        import frame, gc, weakref
        weak = frame.Weak()
        class Owner:
            def m(self): return "m"
        def f(): return "f"
        owner = Owner()
        weak.connect(f); weak.connect(owner.m)
        print(weak.send(), weak.send(), weak.stream())
        del owner
        print(weak.send())
        del f
        print(weak.send())

        events = frame.Events()
        def g(x): return x
        events.on("a", g)
        gone = weakref.ref(g)
        events.emit("a", 1)
        events.off("a", g)
        del g
        print(gone())
        """,
        EVENTS
        + '[[hook]]\nmodule = "frame"\ncalls = ["Weak.live"]\ncallable = "result"\n'
        + '[[hook]]\nmodule = "frame"\ncalls = ["Weak.live_one_by_one"]\ncallable = "result"\nspan = "again {callable}"\n',
    )
    counts = {"f": 4, "Owner.m": 3, "a: g": 1}
    if watched.times_itself:  # `live_one_by_one` gets the functions from `live`, and hands them out under another name
        counts |= {"f": 3, "again f": 1, "Owner.m": 2, "again Owner.m": 1}
    assert found.calls("hook") == counts


def test_before_the_first_callback_nothing_is_put_in_place(watched):
    """`since` names what brings it; the functions are the program's own until then, and that one is again from then on."""
    found = watched(
        """
        import frame, traceback
        class Watching(frame.Weak):
            def connect(self, listener): super().connect(listener)
        def f(): return "f"
        names = ("live", "live_one_by_one")
        def codes(): return [vars(frame.Weak)[name].__code__.co_name for name in ("connect", *names)]
        one, other = frame.Weak(), Watching()
        print(one.send(), other.stream(), codes())
        try:
            one.connect()
        except TypeError as error:
            print(error)
        other.connect(f); one.connect(f)
        print(one.send(), other.stream(), type(vars(frame.Weak)["connect"]) is type(f))
        """,
        '[[hook]]\nmodule = "frame"\ncalls = ["Weak.live", "Weak.live_one_by_one"]\n'
        'callable = "result"\nsince = ["Weak.connect"]\n',
    )
    assert found.calls("hook") == {"f": 2}


def test_a_since_that_is_not_there_does_not_keep_callbacks_from_being_timed(watched):
    """As in another version of the framework."""
    found = watched(
        """
        import frame
        weak = frame.Weak()
        def f(): return "f"
        weak.connect(f)
        print(weak.send())
        """,
        '[[hook]]\nmodule = "frame"\ncalls = ["Weak.live"]\ncallable = "result"\nsince = ["Weak.connect", "Weak.listen"]\n',
    )
    assert found.calls("hook") == {"f": 1}


def test_methods_of_an_object_are_timed_for_it(watched):
    """What a class overrides is asked of the class and stays so; methods that it only inherits are no callbacks."""
    found = watched(
        """
        import copy, frame, pickle
        class First(frame.Plugin):
            def on_start(self): return "first"
        class Second(First):
            def on_stop(self): return super().on_stop()
        class Slotted(frame.Plugin):
            __slots__ = ()
            def on_start(self): return 1
        lonely = First()
        lonely.on_stop = lambda: "own"
        manager = frame.Manager([First()])
        manager.add(Second(), order=2)
        manager.add(lonely)
        manager.run(); manager.run()
        assert First.on_start is not frame.Plugin.on_start and First.on_stop is frame.Plugin.on_stop
        assert "on_start" in vars(First) and type(manager.plugins[1]).on_start is First.on_start
        assert manager.plugins[0].on_start == First.on_start.__get__(manager.plugins[0])
        print(manager.plugins[1].on_start(), copy.deepcopy(manager.plugins[1]).on_start())
        """,
        """
        [[hook]]
        module = "frame"
        calls = ["Manager.add"]
        callable = "plugin"
        methods = ["on_*"]
        base = "frame:Plugin"
        span = "{object}.{method} {order}"

        [[hook]]
        module = "frame"
        calls = ["Manager.__init__"]
        callable = "self.plugins"
        methods = ["on_st*"]
        base = "frame:Plugin"
        span = "{object}.{method}"
        """,
    )
    calls = found.calls("hook")
    assert calls.pop("Second.on_start 2") == 3  # twice by the manager, once on the object; its copy is another one
    assert calls == {"First.on_start": 2, "Second.on_stop 2": 2, "First.on_start ?": 2, "First.on_stop ?": 2}


def test_a_list_that_holds_callbacks_is_looked_through(watched):
    """One without a registration function: when the function that calls them is called."""
    found = watched(
        """
        import frame
        def f(): return "f"
        class Bag(list):
            def __iter__(self): raise RuntimeError("nobody asked")
        frame.TABLE.append(f)
        frame.TABLE += [f, int]
        print(frame.run_table(), frame.run_table())
        frame.TABLE.remove(f)
        print(frame.run_table())
        """,
        '[[hook]]\nmodule = "frame"\ncalls = ["run_table"]\ncallable = "module.TABLE"\n',
    )
    assert found.calls("hook") == {"f": 5}


def test_decorators_class_methods_and_static_methods_register(watched):
    """Whatever the registration function is."""
    found = watched(
        """
        import frame
        routes = frame.Routes()
        @routes.get("/a")
        def a(): return "a"
        made = frame.Routes.made(handler=a)
        @frame.Routes.default
        def fallback(): return "none"
        print(routes.routes["/a"](), made.routes["*"](), frame.Routes.fallback())
        """,
        """
        [[hook]]
        module = "frame"
        calls = ["Routes.get"]
        callable = "decorated"
        span = "GET {path} {callable}"
        [[hook]]
        module = "frame"
        calls = ["Routes.made"]
        callable = "handler"
        span = "{class}: {callable}"
        [[hook]]
        module = "frame"
        calls = ["Routes.default"]
        """,
    )
    assert found.calls("hook") == {"GET /a a": 1, "Routes: a": 1, "fallback": 1}


def test_what_a_callback_raises_passes(watched):
    """With the traceback that it has without us, and a warning from the registration names the line that registered."""
    framework = """
    import warnings
    LISTENERS = []
    def add(listener):
        if listener is None:
            raise TypeError("no listener")
        warnings.warn("add is old", DeprecationWarning, stacklevel=2)
        LISTENERS.append(listener)
    """
    found = watched(
        """
        import frame, warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            @frame.add
            def f(x): raise KeyError(x)
        print([(warning.filename.rpartition("/")[2], warning.lineno) for warning in caught])
        try:
            frame.LISTENERS[0]("gone")
        except KeyError as error:
            print(repr(error))
        try:
            frame.LISTENERS[0](1, 2)
        except TypeError as error:
            print(error)
        try:
            frame.add(None)
        except TypeError as error:
            print(error)
        """,
        '[[hook]]\nmodule = "frame"\ncalls = ["add"]\n',
        framework,
    )
    assert found.calls("hook") == found.errors("hook") == {"f": 2}


def test_packages_that_are_skipped_are_left_alone(watched):
    """What the framework itself registers."""
    found = watched(
        """
        import frame, json
        events = frame.Events()
        events.on("a", json.dumps); events.on("a", len)
        print(events.emit("a", "x"), events.listeners["a"][0] is json.dumps)
        """,
        EVENTS + 'skip = ["json"]\n',
    )
    assert found.calls("hook") == {"a: len": 1}


def test_a_started_script_can_be_the_framework(watched):
    """`module = "__main__"`."""
    found = watched(
        """
        HOOKS = []
        def hook(name):
            def decorate(function):
                HOOKS.append(function)
                return function
            return decorate
        @hook("one")
        def first(): return 1
        print([function() for function in HOOKS], first.__name__)
        """,
        '[[hook]]\nmodule = "__main__"\ncalls = ["hook"]\ncallable = "decorated"\nspan = "{name} {callable}"\n',
    )
    assert found.calls("hook") == {"one first": 1}


def test_a_wrong_place_is_refused_with_what_there_is(watched):
    """A parameter that does not exist, a function that does not, one in C."""
    found = watched(
        "import frame; print(frame.Events().on('a', print) is print)",
        """
        [[hook]]
        module = "frame"
        calls = ["Events.on"]
        callable = "listner"
        [[hook]]
        module = "frame"
        calls = ["Events.once"]
        [[hook]]
        module = "frame"
        calls = ["weakref.ref"]
        """,
    )
    assert found.watched["frame:Events.on"] == 'refused: it has no parameter "listner", but event, listener'
    assert found.watched["frame:Events.once"].startswith("not found")


def test_a_callback_that_is_watched_as_well_is_counted_once(watched):
    """Under the name that the watch gives it."""
    found = watched(
        "import frame; events = frame.Events(); events.on('a', frame.run_table); print(events.emit('a'))",
        EVENTS + '[[watch]]\nmodule = "frame"\ncalls = ["run_table"]\n',
    )
    assert found.calls() == {"run_table": 1}


def test_callbacks_that_are_watched_by_their_code_are_counted_once(watched):
    """Decorated and nested ones, coroutines and generators: what the module's own watch has before they are registered."""
    module = """
    import asyncio, functools, frame
    events = frame.Events()
    def through(function):
        @functools.wraps(function)
        def inner(): return function()
        return inner
    @events.on("a")
    @through
    def decorated(): return 1
    @events.on("a")
    def steps(): yield 2
    @events.on("a")
    async def later(): return 3
    @events.on("a")
    def plain(): return 4
    """
    config = EVENTS + '[[watch]]\nmodule = "shop"\ncalls = ["decorated", "through.<locals>.inner", "steps", "later", "plain"]\n'
    found = watched(
        """
        import asyncio, shop
        one, generator, coroutine, four = shop.events.emit("a")
        print(one, list(generator), asyncio.run(coroutine), four)
        """,
        config,
        FRAMEWORK,
        more={"shop.py": module},
    )
    assert found.calls() == dict.fromkeys(("through.<locals>.inner", "steps", "later", "plain"), 1) | {"decorated": 1}


def test_names_of_hooks_hold_no_values(watched):
    """Arguments of the callbacks and the contents of what is registered stay out of all that is written."""
    secret = "s3cr3t-of-the-hook"
    found = watched(
        f"""
        import frame, functools
        events = frame.Events()
        class Keeper:
            def __init__(self): self.token = "{secret}"
            def __repr__(self): return self.token
            __str__ = __repr__
            def __call__(self, x): return len(x)
        def f(token, x): return len(token) + len(x)
        events.on("a", Keeper())
        events.on("a", functools.partial(f, "{secret}"))
        print(events.emit("a", "{secret}"))
        """,
        EVENTS,
    )
    assert found.calls("hook") == {"a: Keeper": 1, "a: f": 1}
    assert found.leaks(secret) == []


def test_the_example_shows_each_listener():
    """examples/plugins.py with the hook that README.md explains."""
    examples = Path(__file__).parents[2] / "examples"
    program = (examples / "plugins.py").read_text()
    found = run(program, packs=[], config=(examples / "plugins.toml").read_text())
    assert found.stdout.splitlines()[:2] == ["1 tea, 39, the first tea of the day", "1 tea, 38"]
    assert found.calls() == {"sold: Warehouse.take_out": 30, "sold: write_receipt": 30, "sold: greet": 1}
    rows = {row["name"]: row for row in found.report["calls"]}
    assert found.report["calls"][0] == rows["sold: Warehouse.take_out"]
    assert rows["sold: Warehouse.take_out"]["self_ns"] >= 30 * 10_000_000


LOOP = """
import time
class Loop:
    def epoch_begins(self, name): pass
    def epoch_ends(self): pass
    def batch_begins(self): pass
    def batch_ends(self): pass
def load(batch): time.sleep(0.002)
def train(loop, fails=False):
    for epoch in range(3):
        loop.epoch_begins("warm" if epoch == 0 else "hot")
        for batch in range(6):
            loop.batch_begins()
            load(batch)
            if fails and batch == 4: raise KeyError("s3cr3t-4f1e77aa99d0")
            loop.batch_ends()
        loop.epoch_ends()
train(Loop())
try:
    train(Loop(), fails=True)
except KeyError:
    print("failed")
"""

EPOCHS = """
[[watch]]
module = "__main__"
calls = ["Loop.epoch_begins"]
until = ["Loop.epoch_ends"]
span = "{arg0} epoch"
kind = "task"
entry = true

[[watch]]
module = "__main__"
calls = ["Loop.batch_begins"]
until = ["Loop.batch_ends", "Loop.batch_is_skipped"]
span = "batch"
kind = "task"

[[watch]]
module = "__main__"
calls = ["train", "load"]
"""


def test_a_loop_of_the_script_itself_has_its_epochs(watched):
    """From call to call, in a table of the user's own; an end that is not there is named, and the others serve."""
    found = watched(LOOP, EPOCHS)
    assert found.transactions == {"warm epoch": 2, "hot epoch": 2}
    assert found.calls_in("hot epoch") == {"batch": 12, "load": 12}
    assert found.errors() == {"batch": 1, "warm epoch": 1, "train": 1}
    states = {target.removeprefix("__main__:"): state.partition(":")[0] for target, state in found.watched.items()}
    assert states == {
        "Loop.epoch_begins": "active",
        "Loop.epoch_ends": "active",
        "Loop.batch_begins": "active",
        "Loop.batch_ends": "active",
        "Loop.batch_is_skipped": "not found",
        "train": "active",
        "load": "active",
    }
    assert [title for title in found.findings if "batch" in title] == []
    assert found.leaks("s3cr3t-4f1e77aa99d0") == []


ENGINE = """
import enum, time
class Events(enum.Enum):
    EPOCH_STARTED = "epoch_started"
    EPOCH_COMPLETED = "epoch_completed"
    STEP = "step"
class Engine:
    def __init__(self): self.handlers = []
    def fire(self, event, *more):
        for handler in self.handlers: handler(event)
    def run(self, epochs, stops=False):
        for _ in range(epochs):
            self.fire(Events.EPOCH_STARTED)
            for _ in range(2):
                self.emit("step", True)
                self.emit("step", False)
            if stops: raise Stop()
            self.fire(event=Events.EPOCH_COMPLETED)
    def emit(self, name, begins): pass
class Stop(Exception): pass
def on_event(event): time.sleep(0.001 if event is Events.EPOCH_COMPLETED else 0)
def main():
    engine = Engine()
    engine.handlers.append(on_event)
    engine.run(3)
    try:
        engine.run(1, stops=True)
    except Stop:
        print("stopped")
if __name__ == "__main__":
    main()
"""

FIRED = """
[[watch]]
module = "__main__"
calls = ["Engine.fire"]
until = ["Engine.fire"]
when = {event = "EPOCH_STARTED"}
until_when = {arg0 = "EPOCH_COMPLETED"}
span = "epoch"
kind = "task"
entry = true

[[watch]]
module = "__main__"
calls = ["Engine.emit"]
until = ["Engine.emit"]
when = {name = "step", begins = "True"}
until_when = {name = "step", begins = "False"}
span = "step"
kind = "task"
expected = ["__main__:Stop"]

[[watch]]
module = "__main__"
calls = ["Engine.run", "on_event"]
expected = ["__main__:Stop"]
"""


def test_an_argument_tells_the_beginning_from_the_end(watched):
    """Of one function, by an enumeration, a text or a truth value; two tables tell its calls apart. What stops is no error."""
    again = FIRED.split("\n\n")[1].replace('begins = "True"', 'begins = "maybe"').replace('"step"\nkind', '"other"\nkind')
    found = watched(
        "import machine\nmachine.main()\n", (FIRED + again).replace("__main__", "machine"), more={"machine.py": ENGINE}
    )
    assert found.transactions == {"epoch": 4}
    assert found.calls_in("epoch") == {"step": 8, "on_event": 7}
    assert found.errors() == {"epoch": 1}
    assert {state.partition(":")[0] for state in found.watched.values()} == {"active"}


def test_an_argument_tells_calls_of_the_script_itself_apart(watched):
    """As those of a module."""
    found = watched(ENGINE, FIRED)
    assert found.transactions == {"epoch": 4}
    assert found.calls_in("epoch") == {"step": 8, "on_event": 7}
