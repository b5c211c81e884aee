"""What the program lets go of goes: no list of ours keeps a module, a class or a function that is watched."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import PYTHON, bare_run, calls, hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

ENGINES = pytest.mark.parametrize("engine", ["pure", "compiled"])

JOURNAL = """
    import os

    def work():
        return 1

    class Journal:
        def __init__(self):
            self.lines = ["first"]

        def add(self, line):
            self.lines.append(line)

        def __del__(self):
            os.write(1, b"saved %d lines" % len(self.lines))

    journal = Journal()
"""


@ENGINES
@pytest.mark.parametrize("call", ["work", "Journal.add", "Journal.__del__"])
def test_what_is_saved_at_the_end_is_saved(call: str, engine: str, tmp_path: Path) -> None:
    """Python lets go of a module that nobody else holds before it empties it, so a finaliser finds its globals."""
    program = "import journal\njournal.work()\njournal.journal.add('second')\n"
    write(tmp_path, {"journal.py": JOURNAL, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=watch("journal", call), env={"HOOKMON_ENGINE": engine})
    assert bare.stdout == "saved 2 lines"
    assert under.seen == bare.seen
    assert calls(under.report, f"journal:{call}") == 1


EVERY_KIND = """
    import asyncio, functools

    def work(): return 1
    def numbers(): yield 1
    async def later(): return 1
    also = work

    class Basket:
        def __init__(self): self.listeners = []
        def add(self): return 1
        def begin(self): pass
        def end(self): pass
        def on(self, listener): self.listeners.append(listener)
        def since(self): pass
        def off(self, listener): pass
        @staticmethod
        def count(): return 1
        @classmethod
        def make(cls): return cls()
        @property
        def price(self): return 1
        @functools.cached_property
        def weight(self): return 1

    class Callable:
        def __call__(self): return 1

    called = Callable()
    kept = functools.lru_cache(lambda: 1)

    def use():
        basket = Basket.make()
        basket.since(), basket.on(work), basket.off(work), basket.begin(), basket.end(), basket.listeners[0]()
        basket.add(), basket.count(), basket.price, basket.weight, list(numbers()), asyncio.run(later()), called(), kept(), also()
"""

HOOKS = """
    [[hook]]
    module = "every"
    calls = ["Basket.on"]
    callable = "listener"
    unregister = ["Basket.off"]
    since = ["Basket.since"]
    span = "{callable}"

    [[watch]]
    module = "every"
    calls = ["Basket.begin"]
    until = ["Basket.end"]
    span = "stretch {arg0}"
"""


@ENGINES
def test_a_module_that_is_unloaded_goes(engine: str, tmp_path: Path) -> None:
    """After a run of every kind of watch, nobody holds the module that has left sys.modules, nor what it had."""
    program = """
    import gc, sys, weakref, wsgiref.simple_server
    from importlib import import_module

    gone = []
    for _ in range(3):
        every = import_module("every")
        every.use()
        gone += [weakref.ref(value) for value in (every, every.Basket, every.use)]
        del sys.modules["every"], every
    server = weakref.ref(sys.modules.pop("wsgiref.simple_server"))
    del wsgiref, import_module
    sys.modules.pop("wsgiref")
    gc.collect()
    print([reference() for reference in (*gone, server)].count(None))
    print([type(holder) for reference in gone if reference() is not None for holder in gc.get_referrers(reference())])
    """
    config = watch("every", "work", "numbers", "later", "use", "called", "kept", "Basket", "Basket.add", "Basket.count")
    config += watch("every", "Basket.make", "Basket.price", "Basket.weight") + HOOKS
    write(tmp_path, {"every.py": EVERY_KIND, "app.py": program})
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, env={"HOOKMON_ENGINE": engine})
    assert (bare.stdout, bare.exit_code) == ("10\n[]\n", 0)
    assert under.seen == bare.seen
    counts = {name: calls(under.report, f"every:{name}") for name in ("use", "work", "Basket.price", "called", "Basket.begin")}
    assert counts == {"use": 3, "work": 6, "Basket.price": 3, "called": 3, "Basket.begin": 3}
