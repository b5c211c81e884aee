"""Both engines are the same to those who use them: what the pure one has, the compiled one has as well.

`engine.choose` names each class and function that there is twice. Names that begin with an underscore are its own business.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PARTS = Path(__file__).resolve().parents[2] / "agent" / "hookmon" / "probe" / "c"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hookmon.probe._engine") is None, reason="the compiled engine was not built"
)

DESCRIBE = """
import json
from inspect import Parameter, isfunction, signature
from hookmon.probe import engine
from hookmon.probe.recording import recorder, tree
from hookmon.probe.transactions import context, response, traces
from hookmon.probe.wrappers import coroutines, generators

def parameters(function):
    shielded = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if isfunction(cell.cell_contents)]
    function = shielded[0] if shielded else function  # what `guard.shielded` calls
    try:
        known = signature(function).parameters.items()
    except ValueError:
        return "unknown"
    return [name if own.default is Parameter.empty else f"{name}?" for name, own in known if name != "self"]

def described(value):
    if not isinstance(value, type):
        return {"parameters": parameters(value)}
    names = {name for owner in value.__mro__ if owner is not object for name in vars(owner) if not name.startswith("_")}
    methods = {name: getattr(value, name) for name in names}
    methods = {name: method for name, method in methods.items() if callable(method)}
    methods = {name: parameters(method) for name, method in methods.items()}
    return {"names": sorted(names), "parameters": parameters(value), "methods": methods}

print(json.dumps({name: [described(pure), described(getattr(engine.compiled, name))] for name, pure in engine.pure.items()}))
"""
"""Prints {name: [what the pure engine has, what the compiled one has]}."""

ONLY_PURE = {
    "Node": {"buckets", "max_ns", "min_ns"},  # how a node finds its counters is the engine's own
    "Lane": {"ending", "open"},  # the C library tells of a thread's end; open calls are structs
    "Transaction": {"token"},
}
"""What only the pure engine's own code uses."""

MADE_BY_PYTHON = {"CurrentLane", "TimedCoroutine", "TimedGenerator"}
"""A storage of threads, and wrappers of what Python makes: their methods are Python's protocols, and nobody else makes one."""


@pytest.fixture(scope="module")
def both() -> dict[str, list[dict[str, Any]]]:
    command = [sys.executable, "-c", DESCRIBE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"HOOKMON_ENGINE": "compiled"}, check=True)
    return json.loads(done.stdout)


def test_the_compiled_engine_has_what_the_pure_one_has(both):
    """Every attribute and method of each class."""
    missing = {
        name: lacking
        for name, (pure, compiled) in both.items()
        if "names" in pure and (lacking := set(pure["names"]) - set(compiled["names"]) - ONLY_PURE.get(name, set()))
    }
    assert missing == {}
    assert {"Node", "Lane", "Trace", "Transaction", "Member", "settle", "give", "count_call"} <= set(both)


def test_both_take_the_same(both):
    """Constructors, methods and functions, by the names of their parameters."""
    for name, (pure, compiled) in both.items():
        if name not in MADE_BY_PYTHON:
            assert (name, compiled["parameters"]) == (name, pure["parameters"])
            methods = {method: compiled["methods"].get(method) for method in pure.get("methods", ())}
            assert (name, methods) == (name, pure.get("methods", {}))


def test_callbacks_are_checked_once_when_they_are_handed_over(fresh):
    """A name that is missing, one too many, or what cannot be called, is an error there, and not in a call of the program."""
    names = re.findall(r"^    X\((\w+)\)", (PARTS / "state.h").read_text(), re.MULTILINE)
    found = fresh(CONFIGURE.replace("NAMES", repr(names)), env={"HOOKMON_ENGINE": "compiled"})
    assert json.loads(found.out) == [
        f"configure() takes {len(names)} callbacks, not {len(names) - 1}",
        f"configure() takes {len(names)} callbacks, not {len(names) + 1}",
        "configure() lacks 'rename'",
        "configure(): 'rename' cannot be called",
    ]


CONFIGURE = """
import json
from hookmon.probe import _engine
from hookmon.probe.recording import recorder, tree
from hookmon.probe.transactions import context

def refused(**callbacks):
    try:
        _engine.configure(recorder.root, tree.no_children, context.members, **callbacks)
    except TypeError as error:
        return str(error)

whole = dict.fromkeys(NAMES, print)
without = {name: print for name in whole if name != "rename"}
texts = [refused(**without), refused(**whole, another=print), refused(**without, another=print), refused(**without, rename=None)]
print(json.dumps(texts))
"""
