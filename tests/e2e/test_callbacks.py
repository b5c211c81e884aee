"""Callbacks are what they are without us: what is none is not touched, one can be copied, compared, introspected, held weakly.

Each program prints what it sees; that is the same bare and on both engines. What cannot be timed in that way is named.
"""

from __future__ import annotations

import pytest
from support.hooked import watched

pytestmark = pytest.mark.usefixtures("warm_launcher")

__all__ = ["watched"]

BUS = """
import collections, weakref

class Bus:
    def __init__(self):
        self.entries, self.table, self.kinds, self.refs, self.some, self.weak = [], {}, {}, [], set(), weakref.WeakSet()

    def add(self, *, order, listener):
        self.entries.append((order, "name", None, listener))

    def on(self, event, listener=None, failed=None):
        for receiver in listener if type(listener) is list else [listener]:
            self.table.setdefault(event, []).append(receiver)
        return listener

    def put(self, event, listener):
        self.kinds.setdefault(event, set()).add(listener)

    def queue(self, event, listener):
        self.kinds.setdefault(event, collections.deque()).append(listener)

    def connect(self, listener):
        self.refs.append(_weakly(listener))

    def hold(self, listener):
        self.weak.add(listener)

    def send(self):
        return [ref()() for ref in self.refs if ref() is not None] + [call() for call in self.weak]

    def many(self, event, listeners, fails=False):
        for receiver in listeners.values() if type(listeners) is dict else listeners:
            self.table.setdefault(event, []).extend(receiver if type(receiver) is tuple else [receiver])
        if fails:
            raise KeyError(event)

    def keep(self, listeners):
        self.kept = listeners
        return [call() for call in listeners]

    def all(self, number, *listeners):
        return [call() if callable(call) else call for call in listeners]

    def then(self, done, failed=None):
        return [call() for call in (done, failed) if call is not None]

    def subscribe(self, done, failed=None):
        return lambda: (done(), failed)[0] if failed is None else failed()

    def each(self, event, listener):
        if " " in event:
            for one in event.split():
                self.each(one, listener)
        else:
            self.table.setdefault(event, []).append(listener)

    def drop(self, event, listener):
        self.table[event] = [other for other in self.table[event] if other is not listener]

    def use(self, plugin):
        self.some.add(plugin)

    def run(self):
        return [plugin.on_start() for plugin in self.some]

def _weakly(listener):
    return weakref.WeakMethod(listener) if hasattr(listener, "__self__") else weakref.ref(listener)

class Named:
    def on_name(self): return "named"

class Plugin(Named):
    def on_start(self): return "start"

class Async(Named):
    def on_async(self): return "async"

class Skip(Exception): pass

class Client:
    _on_message = None

    @property
    def on_message(self):
        "What is called."
        return self._on_message

    @on_message.setter
    def on_message(self, function):
        self._on_message = function

    @on_message.deleter
    def on_message(self):
        self._on_message = None

    def receive(self):
        return self.on_message()

class Command:
    def __init_subclass__(cls): pass
    def run(self): return "base"

def command(cls): return cls
"""


def hook(call: str, place: str, **more: str) -> str:
    """Return a table for one function of the bus."""
    return f'[[hook]]\nmodule = "frame"\ncalls = ["Bus.{call}"]\ncallable = "{place}"\n' + "".join(
        f"{key} = {value}\n" for key, value in more.items()
    )


USE = hook("use", "plugin", methods='["on_*"]', base='"frame:Plugin"')


def blind(found) -> list[str]:
    """Return the blind spots in words; all are of one kind."""
    assert {spot["kind"] for spot in found.report["blind_spots"]} <= {"hook"}
    return sorted(spot["detail"] for spot in found.report["blind_spots"])


def test_what_stands_beside_a_callback_is_left_as_it_is(watched):
    """Numbers, texts and None in the entries of a framework; None where a callback may be left out."""
    found = watched(
        """
        import frame, json
        bus = frame.Bus()
        bus.add(order=3, listener=lambda: 4)
        order, name, nothing, listener = bus.entries[0]
        print(json.dumps([order, name]), type(order), type(name), nothing is None, listener())
        def f(): return "f"
        print(bus.on("sold", f) is f, bus.on("sold") is None)
        """,
        hook("add", "self.entries") + hook("on", "failed"),
        BUS,
    )
    assert found.calls("hook") == {"lambda app.py:4": 1}
    assert blind(found) == []


def test_one_callback_or_a_list_of_them_is_timed(watched):
    """The program's own list is what it was when the call has returned, or raised. A list that is empty hides nothing."""
    found = watched(
        """
        import collections, frame
        bus = frame.Bus()
        def f(): return "f"
        def g(): return "g"
        several = [f, g, f]
        bus.on("a", several); bus.on("b", f); bus.on("c", []); bus.on("d", "name"); bus.on("e", (f,)[:0])
        print([call() for event in "ab" for call in bus.table[event]], several[0] is f, several[1] is g, several == [f, g, f])
        print(bus.table["d"])
        for given in ({f, g}, frozenset([f]), collections.deque([f, g], 5), {"x": f, "y": 3}, [(1, f), "name"], (f, g)):
            before = given.copy() if hasattr(given, "copy") else given
            bus.many("m", given)
            held = given.values() if type(given) is dict else given
            assert given == before and type(given) is type(before)
            assert all(type(call) is not type(g) or call in (f, g) for call in held)
        print(sorted(call() for call in bus.table["m"] if callable(call)))
        try:
            bus.many("m", several, fails=True)
        except KeyError:
            print([call is own for call, own in zip(several, (f, g, f))])
        """,
        hook("on", "listener") + hook("many", "listeners"),
        BUS,
    )
    assert found.calls("hook") == {"f": 9, "g": 4}
    assert blind(found) == []


def test_a_list_that_a_framework_keeps_stays_the_programs(watched):
    """What the program adds to it later is called, and what was timed in the call only is said."""
    found = watched(
        """
        import frame
        bus = frame.Bus()
        def f(): return "f"
        def g(): return "g"
        mine = [f]
        print(bus.keep(mine), mine[0] is f)
        mine.append(g)
        print(bus.kept is mine, [call() for call in bus.kept])
        """,
        hook("keep", "listeners"),
        BUS,
    )
    assert found.calls("hook") == (
        {
            "f": 2,
        }
        if watched.times_itself
        else {"f": 1}
    )
    kept = "frame:Bus.keep: the callbacks in a list that is kept are timed in that call only"
    assert blind(found) == ([] if watched.times_itself else [kept])


def test_callbacks_behind_a_star_are_timed(watched):
    """One, several, none; and several places in one call."""
    found = watched(
        """
        import frame
        bus = frame.Bus()
        def f(): return "f"
        def g(): return "g"
        print(bus.all(3, f, g, 4, None), bus.all(1), bus.all(1, f))
        print(bus.then(f, g), bus.then(f), bus.then(failed=g, done=f))
        unsubscribe = bus.subscribe(f)
        print(unsubscribe(), bus.subscribe(f, failed=g)())
        """,
        hook("all", "*listeners")
        + hook("then", "done").replace('"done"', '["done", "failed"]')
        + hook("subscribe", "failed").replace('"failed"', '["done", "failed"]'),
        BUS,
    )
    assert found.calls("hook") == {"f": 6, "g": 4}
    assert blind(found) == []


def test_sets_and_deques_are_looked_through(watched):
    """Whoever looks for the callback there finds it. Keys and a framework's own container are left alone and named."""
    found = watched(
        """
        import collections, frame
        bus = frame.Bus()
        def f(): return "f"
        bus.put("a", f); bus.put("a", f); bus.queue("b", f)
        print([call() for event in "ab" for call in bus.kinds[event]], type(bus.kinds["a"]), len(bus.kinds["a"]))
        print(f in bus.kinds["a"], f in bus.kinds["b"])
        print(bus.kinds["b"].index(f), bus.kinds["a"] == {f}, bus.kinds["b"] == collections.deque([f]))
        bus.kinds["a"].remove(f); bus.kinds["b"].remove(f)
        print(bus.kinds)
        bus.table[f] = 1
        bus.on("c")
        bus.entries = collections.UserList([f])
        bus.add(order=1, listener=f)
        print(type(bus.entries), len(bus.entries))
        """,
        hook("put", "self.kinds") + hook("queue", "self.kinds") + hook("on", "self.table") + hook("add", "self.entries"),
        BUS,
    )
    assert found.calls("hook") == {"f": 2}
    assert blind(found) == [
        "frame:Bus.add: a UserList is no callback, and is not looked through for callbacks",
        "frame:Bus.on: the callbacks that are keys of a dict are left alone and not timed",
    ]


def test_what_is_assigned_to_a_property_is_timed(watched):
    """The program reads what it has assigned; who assigns to a property without a setter registers nothing."""
    found = watched(
        """
        import frame
        client = frame.Client()
        def f(): return "f"
        class R:
            def m(self): return "m"
        r = R()
        print(client.on_message)
        client.on_message = f
        print(client.receive(), client.on_message is f, frame.Client.on_message.__doc__)
        client.on_message = r.m
        print(client.receive(), client.on_message == r.m, client.on_message.__func__ is R.m)
        client.on_message = None
        print(client.on_message)
        del client.on_message
        """,
        hook("x", "arg0").replace("Bus.x", "Client.on_message"),
        BUS,
    )
    assert found.calls("hook") == {"f": 1, "R.m": 1}
    assert blind(found) == []


def test_attributes_of_classes_are_timed(watched):
    """As a framework collects them when a class is made, or decorated."""
    found = watched(
        """
        import frame, pickle, copy
        class Mine(frame.Command):
            def run(self): return "run"
            @staticmethod
            def check(): return "check"
        class Other(Mine): pass
        @frame.command
        class Decorated:
            def run(self): return "decorated"
        mine = Mine()
        print(mine.run(), Other().run(), Mine.check(), Decorated().run(), frame.Command().run())
        print(Mine.run.__name__, type(vars(Mine)["check"]), pickle.loads(pickle.dumps(Mine.run))(mine), "run" in vars(Other))
        print(copy.copy(mine).run(), copy.deepcopy(mine).run())
        """,
        hook("x", "x")
        .replace("Bus.x", "Command.__init_subclass__")
        .replace('"x"', '["arg0.run", "arg0.check"]')
        .replace("arg0", "cls")
        + hook("y", "cls.run").replace("Bus.y", "command"),
        BUS,
    )
    assert found.calls("hook") == {"Mine.run": 5, "Mine.check": 1, "Decorated.run": 1}


def test_several_base_classes_have_no_callbacks(watched):
    """Nor do what they inherit from."""
    found = watched(
        """
        import frame
        class Mine(frame.Plugin, frame.Async):
            def on_late(self): return "late"
        bus = frame.Bus()
        mine = Mine()
        bus.use(mine)
        print(mine.on_start(), mine.on_name(), mine.on_async(), mine.on_late())
        """,
        hook("use", "plugin", methods='["on_*"]', base='["frame:Plugin", "frame:Async"]'),
        BUS,
    )
    assert found.calls("hook") == {"Mine.on_late": 1}


def test_exceptions_that_are_control_flow_are_no_errors(watched):
    """Counted apart, with what inherits from them: functions, methods of objects, coroutines, generators; others are errors."""
    found = watched(
        """
        import asyncio, frame
        bus = frame.Bus()
        class Later(frame.Skip): pass
        def skips(): raise frame.Skip("s3cr3t")
        def skips_later(): raise Later()
        def fails(): raise ValueError()
        async def waits(): raise frame.Skip()
        def yields():
            yield 1
            raise frame.Skip()
        class Mine(frame.Plugin):
            def on_start(self): raise frame.Skip()
        bus.use(Mine())
        for call in (skips, skips, skips_later, fails, waits, yields):
            bus.on("a", call)
        def called(call):
            try:
                made = call()
                asyncio.run(made) if call.__name__ == "waits" else list(made)
            except Exception as error:
                return type(error).__name__
        print([called(call) for call in bus.table["a"]], [called(plugin.on_start) for plugin in bus.some])
        """,
        hook("on", "listener", expected='["frame:Skip", "other:Error"]') + USE + 'expected = ["frame:Skip"]\n',
        BUS,
    )
    assert found.calls("hook") == {"skips": 2, "skips_later": 1, "fails": 1, "waits": 1, "yields": 1, "Mine.on_start": 1}
    assert found.errors("hook") == {"fails": 1}
    apart = {row["name"]: row["interrupted"] for row in found.report["calls"] if row["interrupted"]}
    assert apart == {"skips": 2, "skips_later": 1, "waits": 1, "yields": 1, "Mine.on_start": 1}


def test_a_registration_for_several_events_names_each(watched):
    """It calls itself for each of them; the outermost call names nothing."""
    found = watched(
        """
        import frame
        bus = frame.Bus()
        def f(): return "f"
        class R:
            def m(self): return "m"
        r = R()
        bus.each("a b", f); bus.each("b c", r.m); bus.each("b", f)
        print({event: [call() for call in calls] for event, calls in sorted(bus.table.items())})
        print([call == f for call in bus.table["b"]], bus.table["b"][0] == bus.table["b"][2])
        bus.drop("b", f)
        print(len(bus.table["b"]))
        """,
        hook("each", "listener", span='"{event}: {callable}"', unregister='["Bus.drop"]'),
        BUS,
    )
    assert found.calls("hook") == {"a: f": 1, "b: f": 2, "b: R.m": 1, "c: R.m": 1}
    assert blind(found) == []


def test_objects_in_a_set_have_their_methods_timed(watched):
    """They stay in it themselves."""
    found = watched(
        """
        import frame
        class Mine(frame.Plugin):
            def on_start(self): return "mine"
        bus = frame.Bus()
        bus.use(Mine())
        print(bus.run(), bus.run())
        """,
        hook("use", "self.some", methods='["on_*"]', base='"frame:Plugin"'),
        BUS,
    )
    assert found.calls("hook") == {"Mine.on_start": 2}


def test_callbacks_that_are_held_weakly_are_called_as_long_as_without_us(watched):
    """A method as long as its object, a function of a module as long as that; two references to one method are equal."""
    found = watched(
        """
        import frame, gc
        bus = frame.Bus()
        class R:
            def m(self): return "m"
            @classmethod
            def c(cls): return "c"
        def f(): return "f"
        r = R()
        bus.connect(r.m); bus.connect(r.m); bus.connect(R.c); bus.connect(f); bus.hold(f)
        print(bus.refs[0] == bus.refs[1], bus.send(), bus.send())
        gone = bus.refs[0]
        del r
        gc.collect()
        print(gone(), bus.send())
        """,
        hook("connect", "listener") + hook("hold", "listener"),
        BUS,
    )
    assert found.calls("hook") == {"R.m": 4, "R.c": 3, "f": 6}
    assert blind(found) == []


def test_what_may_die_at_any_moment_is_left_alone_where_weak_references_are_named(watched):
    """A function inside a function, a lambda, a partial: whoever kept its stand-in would keep it."""
    found = watched(
        """
        import frame, functools
        bus = frame.Bus()
        class R:
            def __call__(self): return "called"
        def make():
            def inner(): return "inner"
            bus.connect(inner)
            print(bus.send())
        make()
        print(bus.send())
        kept = [lambda: "kept", functools.partial(len, "four"), R()]
        for listener in kept:
            bus.connect(listener)
        print(bus.send())
        del kept, listener
        print(bus.send())
        """,
        hook("connect", "listener"),
        BUS,
    )
    functions = {"lambda app.py:12", "make.inner"}
    itself = functions if watched.times_itself else set()
    assert found.calls("hook") == dict.fromkeys({"R", *itself}, 1)  # an object is handed on itself
    reason = "is not timed: it may die at any moment, and the framework may hold it by a weak reference"
    assert blind(found) == sorted(f"{name} {reason}" for name in {*functions, "len"} - itself)


def test_a_callback_keeps_its_parameters(watched):
    """Whether somebody asks `inspect`, or the code of `__call__` as PyDispatcher does."""
    found = watched(
        """
        import frame, inspect, functools
        bus = frame.Bus()
        def f(a): return "f", a
        class C:
            def __call__(self, a): return "c", a
            def m(self, a): return "m", a
        c = C()
        for listener in (f, c, c.m, functools.partial(f)):
            bus.on("a", listener)
        def robust(receiver, **given):
            call = receiver.__call__
            if hasattr(call, "__func__") or hasattr(call, "__code__"):
                receiver = call
            names = receiver.__func__.__code__.co_varnames[1:] if hasattr(receiver, "__func__") else receiver.__code__.co_varnames
            return receiver(**{name: value for name, value in given.items() if name in names})
        held = bus.table["a"]
        print([robust(receiver, a=1, signal=2) for receiver in held[:3]])
        print([inspect.getfullargspec(receiver).args for receiver in held], [str(inspect.signature(call)) for call in held])
        print(held[1] is c, hasattr(held[3].__call__, "__func__"), inspect.getfullargspec(C.__call__).args)
        """,
        hook("on", "listener"),
        BUS,
    )
    assert found.calls("hook") == {"f": 1, "C": 1, "C.m": 1}


def test_a_copy_of_a_callback_is_a_copy(watched):
    """Of a partial and of an object, shallow, deep and pickled: its calls change the copy, and nothing else."""
    found = watched(
        """
        import copy, frame, functools, pickle
        class C:
            n = 0
            def __call__(self): self.n += 1; return self.n
        def f(a): return len(a)
        bus, c, given = frame.Bus(), C(), ["a"]
        bus.on("a", functools.partial(f, given)); bus.on("a", c); bus.on("a", f)
        partial, held, function = bus.table["a"]
        for made in (copy.deepcopy(bus), pickle.loads(pickle.dumps(bus.table["a"])), copy.copy(bus.table["a"])):
            one, other, last = made if type(made) is list else made.table["a"]
            print(type(other) is C, other(), c.n, last == f, one.args[0] is given, one())
        print(type(copy.copy(partial)), copy.copy(partial).args, type(copy.deepcopy(partial)), copy.copy(function) == f)
        """,
        hook("on", "listener"),
        BUS,
    )
    assert found.calls("hook") == {"C": 1, "f": 1}  # those of the shallow copy of the list, which has the callbacks themselves


def test_callbacks_in_c_are_pickled_as_they_were(watched):
    """Functions by their names, methods of an object and of a class with what they belong to."""
    found = watched(
        """
        import frame, pickle
        bus = frame.Bus()
        for callback in (len, "-".join, dict.fromkeys, str.upper): bus.on("a", callback)
        loaded = pickle.loads(pickle.dumps(bus.table["a"]))
        print([type(callback).__name__ for callback in loaded], loaded[0] is len, loaded[1]("ab"), loaded[2]("a"), loaded[3]("a"))
        print([callback("ab") for callback in bus.table["a"]])
        """,
        hook("on", "listener"),
        BUS,
    )
    assert found.calls("hook") == {"len": 1, "str.join": 1, "dict.fromkeys": 1, "str.upper": 1}


def test_what_cannot_be_timed_is_named_with_its_reason(watched):
    """Classes, weak references, what C calls; methods that are no plain functions; objects that leave no room."""
    found = watched(
        """
        import enum, frame, operator, weakref
        bus = frame.Bus()
        class C:
            on_idle = None
            @staticmethod
            def on_start(): return "static"
        class Slotted(frame.Plugin):
            __slots__ = ()
        class Bare:
            __slots__ = ("n",)
            def on_start(self): return "bare"
        class Mode(enum.Enum):
            FAST = 1
            def on_start(self): return "fast"
        def f(): return "f"
        for listener in (C, weakref.ref(f), operator.itemgetter(0)):
            bus.on("a", listener)
        print([type(listener) for listener in bus.table["a"]])
        for plugin in (C(), Bare(), Mode.FAST, Slotted(), C):
            bus.use(plugin)
        bus.some.remove(C)
        print(sorted(bus.run()))
        """,
        hook("on", "listener") + USE,
        BUS,
    )
    assert found.calls("hook") == {}
    assert blind(found) == [
        "Bare.on_start is not timed: its class has __slots__ and no room for weak references",
        "C is not timed: it is a class, and has to stay one",
        "C is not timed: it is a class, and whose methods are called is not known",
        "C.on_start is not timed: its on_start is a staticmethod, no plain function",
        "Mode.on_start is not timed: the metaclass of Mode has its own way to set attributes",
        "frame:Bus.on: callbacks that are held by weak references are left alone and not timed",
        "itemgetter is not timed: its __call__ is a wrapper_descriptor, no plain function",
    ]


def test_what_the_base_class_inherits_itself_is_no_callback(watched):
    """Nor is what it defines; an object's own override is one, and does not count again for what it calls of its class's base."""
    found = watched(
        """
        import frame
        class Mine(frame.Plugin):
            def on_start(self): return "mine " + super().on_start()
        class Again(Mine):
            def on_start(self): return "again " + super().on_start()
        bus = frame.Bus()
        mine = Mine()
        bus.use(mine); bus.use(Again())
        print(sorted(bus.run()), [plugin.on_name() for plugin in bus.some], Mine().on_start(), mine.on_start())
        """,
        USE,
        BUS,
    )
    assert found.calls("hook") == {"Mine.on_start": 2, "Again.on_start": 1}


def test_an_object_whose_methods_are_timed_has_nothing_of_ours(watched):
    """It compares, prints, copies and pickles as without us, and its class gives away the function that somebody took before."""
    found = watched(
        """
        import copy, frame, inspect, json, pickle
        class Mine(frame.Plugin):
            def __init__(self): self.n = 0
            def on_start(self): self.n += 1; return self.n
            def __eq__(self, other): return self.__dict__ == other.__dict__
            __hash__ = object.__hash__
        taken, bound = Mine.on_start, Mine().on_start
        bus, mine = frame.Bus(), Mine()
        bus.use(mine)
        print(mine == Mine(), json.dumps(vars(mine)), "on_start" in vars(Mine), inspect.getsource(Mine.on_start).strip())
        print(Mine.on_start is taken, mine.on_start == taken.__get__(mine), {taken: 1}[vars(Mine)["on_start"]], bound())
        print(pickle.loads(pickle.dumps(Mine.on_start)) is taken, pickle.loads(pickle.dumps(mine)).on_start(), mine.n)
        for other in (copy.copy(mine), copy.deepcopy(mine)):
            other.n = 9
            print(other.on_start(), mine.n)
        print(mine.on_start(), getattr(mine, "on_start")(), Mine.on_start(mine), inspect.isfunction(vars(Mine)["on_start"]))
        """,
        USE,
        BUS,
    )
    assert found.calls("hook") == {"Mine.on_start": 2}  # not those of copies, and not one through the class


def test_what_is_patched_later_is_what_is_called(watched):
    """By `unittest.mock`, and for good; the class has its own function again afterwards, and that is timed."""
    found = watched(
        """
        import frame
        from unittest import mock
        class Mine(frame.Plugin):
            def on_start(self): return "mine"
        class Called:
            def __call__(self): return "called"
        bus, mine, called = frame.Bus(), Mine(), Called()
        bus.use(mine); bus.on("a", called)
        with mock.patch.object(Mine, "on_start", autospec=True, return_value="mocked") as patched:
            print(bus.run(), patched.call_count)
            bus.use(mine)
            print(bus.run(), patched.call_count)
        other = mock.patch.object(Called, "__call__", lambda self: "other")
        with mock.patch.object(mine, "on_start", return_value="mocked"), other:
            print(bus.run(), bus.table["a"][0]())
        print(bus.run(), bus.table["a"][0](), list(vars(mine)))
        Mine.on_start = lambda self: "for good"
        print(bus.run())
        """,
        USE + hook("on", "listener"),
        BUS,
    )
    assert found.calls("hook") == {
        "Mine.on_start": 2,
        "Called": 1,
    }  # one of them in the patch that was there when it was registered


def test_an_object_that_has_died_counts_for_nobody(watched):
    """Its address may be another object's at once."""
    found = watched(
        """
        import frame, weakref
        class Mine(frame.Plugin):
            def on_start(self): return "started"
        bus, mine = frame.Bus(), Mine()
        first = weakref.ref(mine)
        bus.use(mine)
        print(bus.run())
        bus.some.clear()
        del mine
        print(first())
        again = [Mine() for _ in range(10_000)]
        print({mine.on_start() for mine in again})
        """,
        USE,
        BUS,
    )
    assert found.calls("hook") == {"Mine.on_start": 1}


def test_an_object_has_one_name(watched):
    """That of its first registration; for another one its calls cannot be told apart, and that is said."""
    found = watched(
        """
        import frame
        class C:
            async def __call__(self): return "called"
        import asyncio
        bus, c = frame.Bus(), C()
        bus.on("a", c); bus.on("b", c); bus.on("a", c)
        print([asyncio.run(call()) for event in "ab" for call in bus.table[event]])
        """,
        hook("on", "listener", span='"{event}: {callable}"'),
        BUS,
    )
    assert found.calls("hook") == {"a: C": 3}
    assert blind(found) == ["b: C is counted under another name, by which the same object was registered before"]


def test_requests_with_a_table_for_its_hooks_works(watched):
    """It registers an empty list for each request, and a function or a list of them where there are hooks."""
    found = watched(
        """
        import requests
        from requests.hooks import dispatch_hook
        def seen(response, **more): return response + " seen"
        for hooks in (None, {"response": seen}, {"response": [seen, seen]}):
            prepared = requests.Request("GET", "http://127.0.0.1/", hooks=hooks).prepare()
            print(dispatch_hook("response", prepared.hooks, "answer"))
        """,
        '[[hook]]\nmodule = "requests.models"\ncalls = ["RequestHooksMixin.register_hook"]\ncallable = "hook"\n',
        BUS,
    )
    assert found.calls("hook") == {"seen": 3}
