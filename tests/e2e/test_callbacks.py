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


def test_a_list_of_callbacks_is_left_alone_and_named(watched):
    """Where a function takes one or several: the one is timed. A list that is empty hides nothing."""
    found = watched(
        """
        import frame
        bus = frame.Bus()
        def f(): return "f"
        several = [f, f]
        bus.on("a", several); bus.on("b", f); bus.on("c", []); bus.on("d", "name"); bus.on("e", (f,)[:0])
        print([call() for event in "ab" for call in bus.table[event]], bus.table["a"][0] is f, bus.table["d"])
        """,
        hook("on", "listener"),
        BUS,
    )
    assert found.calls("hook") == {"f": 3 if watched.times_itself else 1}
    assert blind(found) == ["frame:Bus.on: the callbacks in a list are left alone and not timed"]


def test_sets_and_deques_are_left_alone_and_named(watched):
    """And keys of a dictionary, and what a framework's own container holds; a stand-in in them would be another element."""
    found = watched(
        """
        import collections, frame
        bus = frame.Bus()
        def f(): return "f"
        bus.put("a", f); bus.put("a", f); bus.queue("b", f)
        print([call() for event in "ab" for call in bus.kinds[event]], type(bus.kinds["a"]), f in bus.kinds["a"])
        bus.table[f] = 1
        bus.on("c")
        bus.entries = collections.UserList([f])
        bus.add(order=1, listener=f)
        print(type(bus.entries), len(bus.entries))
        """,
        hook("put", "self.kinds") + hook("queue", "self.kinds") + hook("on", "self.table") + hook("add", "self.entries"),
        BUS,
    )
    assert found.calls("hook") == {}
    assert blind(found) == [
        "frame:Bus.add: a UserList is no callback, and is not looked through for callbacks",
        "frame:Bus.on: the callbacks that are keys of a dict are left alone and not timed",
        "frame:Bus.put: the callbacks in a set are left alone and not timed",
        "frame:Bus.queue: the callbacks in a deque are left alone and not timed",
        "frame:Bus.queue: the callbacks in a set are left alone and not timed",
    ]


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
    assert found.calls("hook") == {"seen": 3 if watched.times_itself else 1}
