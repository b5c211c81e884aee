"""Runs a program on a framework bare and under hookmon with each engine: what it prints is the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hookmon.testing import Recorded, run
from support.runs import PYTHON, bare_run, write

FRAMEWORK = """
import contextlib, weakref

class Events:
    def __init__(self):
        self.listeners = {}

    def on(self, event, listener=None):
        if listener is None:
            return lambda function: self.on(event, function)
        self.listeners.setdefault(event, []).append(listener)
        return listener

    def off(self, event, listener):
        kept = [other for other in self.listeners[event] if other is not listener]
        assert len(kept) < len(self.listeners[event]), "not registered"
        self.listeners[event] = kept

    def emit(self, event, *args):
        return [listener(*args) for listener in self.listeners.get(event, [])]

class Once:
    def __init__(self):
        self.known = {}

    def add(self, listener):
        if id(listener) in self.known:
            raise ValueError("twice")
        self.known[id(listener)] = listener

    def remove(self, listener):
        del self.known[id(listener)]

    def run(self):
        return [listener() for listener in self.known.values()]

class Weak:
    def __init__(self):
        self.refs = []

    def connect(self, listener):
        make = weakref.WeakMethod if hasattr(listener, "__self__") else weakref.ref
        self.refs.append(make(listener))

    def live(self):
        return [listener for listener in (ref() for ref in self.refs) if listener is not None]

    def live_one_by_one(self):
        yield from self.live()

    def send(self):
        return [listener() for listener in self.live()]

    def stream(self):
        return [listener() for listener in self.live_one_by_one()]

class Plugin:
    def on_start(self): pass
    def on_stop(self): pass
    def helper(self): return 1

class Manager:
    def __init__(self, plugins=()):
        self.plugins = list(plugins)

    def add(self, plugin, *, order=0):
        self.plugins.append(plugin)

    def run(self):
        for stage in ("on_start", "on_stop"):
            for plugin in self.plugins:
                getattr(plugin, stage)()

TABLE = []
PAIRS = {"first": [(1, print)]}
def run_table():
    return [listener() for listener in TABLE]

class Routes:
    def __init__(self):
        self.routes = {}

    def get(self, path):
        def decorate(function):
            self.routes[path] = function
            return function
        return decorate

    @classmethod
    def made(cls, *, handler):
        one = cls()
        one.routes["*"] = handler
        return one

    @staticmethod
    def default(function):
        Routes.fallback = function
        return function
"""


@pytest.fixture(params=["compiled", "pure"])
def watched(request: pytest.FixtureRequest, tmp_path: Path):
    """Run a program with the framework bare and under hookmon; what it prints is the same.

    `watched.times_itself` says whether a callback whose name is the same whoever calls it is timed itself, with all its calls.
    """

    def start(
        program: str, config: str, framework: str = FRAMEWORK, *, more: dict[str, str] | None = None, **options
    ) -> Recorded:
        files = {"frame.py": framework, **(more or {})}
        write(tmp_path, {**files, "app.py": program})
        bare = bare_run([PYTHON, "app.py"], cwd=tmp_path)
        assert bare.exit_code == 0, bare.stderr
        found = run(program, packs=[], config=config, files=files, env={"HOOKMON_ENGINE": request.param}, **options)
        assert (found.stdout, found.stderr, found.exit_code) == (bare.stdout, bare.stderr, 0)
        return found

    start.times_itself = request.param == "compiled" and sys.version_info >= (3, 12)
    return start
