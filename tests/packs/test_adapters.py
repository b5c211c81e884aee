"""The adapters of packs: what they change can be changed back."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from support.fresh import AGENT

from hookmon.config.packs import read_packs

from .conftest import PYTHON, _has

ADAPTED = [
    (watch.adapter, watch.module, call)
    for pack in read_packs([])
    for watch in pack.content.watches
    for call in watch.calls
    if watch.adapter
]


REGISTERING = {"gevent"}
"""Those that only ask the library, by its own function for that, to call back: nothing of it is changed."""

ONLY_IN_SOME = {"fastapi", "optional"}
"""Those for what only some releases have."""

PROGRAM = """
import importlib, json, sys, types
from hookmon.probe.patching.patches import Patches

def timed(function, call, **more):
    def stand_in(*args, **kwargs): return function(*args, **kwargs)
    return stand_in

def looks(module):
    "Return what is in a module, and in the classes and modules in it, by identity."
    found = {}
    for name, value in vars(module).items():
        found[name] = id(value)
        is_part = issubclass(type(value), types.ModuleType) and value.__name__.startswith(module.__name__)
        if issubclass(type(value), type) or is_part:  # not isinstance: a proxy of Flask's has no class outside of a request
            found |= {f"{name}.{inner}": id(part) for inner, part in list(vars(value).items())}
    return found

adapter, calls = json.loads(sys.argv[1])
modules = {name: importlib.import_module(name) for name, _ in calls}
before = {name: looks(module) for name, module in modules.items()}
patches = Patches([])
try:
    for name, call in calls:
        importlib.import_module(f"hookmon.packs.{adapter}").patch(modules[name], call, timed, patches)
    between = {name: looks(module) for name, module in modules.items()}
finally:
    patches.undo()
print(json.dumps([between == before, {name: looks(module) for name, module in modules.items()} == before]))
"""


@pytest.mark.parametrize("adapter", sorted({adapter for adapter, _, _ in ADAPTED}))
def test_what_an_adapter_changes_can_be_changed_back(adapter: str):
    """The module and each class in it are what they were."""
    calls = [(module, call) for owner, module, call in ADAPTED if owner == adapter]
    missing = _has(tuple(dict.fromkeys(module for module, _ in calls)))
    calls = [(module, call) for module, call in calls if module not in missing.split()]
    if not calls:
        pytest.skip(f"not installed for {PYTHON}: {missing}")
    env = {**os.environ, "PYTHONPATH": str(AGENT), "PYTHONWARNINGS": "ignore"}
    line = [PYTHON, "-c", PROGRAM, json.dumps([adapter, calls])]
    done = subprocess.run(line, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    is_same_between, is_same_after = json.loads(done.stdout)
    assert is_same_after
    assert is_same_between is (adapter in REGISTERING) or adapter in ONLY_IN_SOME
