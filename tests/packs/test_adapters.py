"""The adapters of packs: what they change can be changed back."""

from __future__ import annotations

import importlib

import pytest

from hookmon.config.packs import read_packs
from hookmon.probe.patcher import Patches

ADAPTED = [
    (watch.adapter, watch.module, call)
    for pack in read_packs([])
    for watch in pack.content.watches
    for call in watch.calls
    if watch.adapter
]


REGISTERING = {"gevent"}
"""Those that only ask the library, by its own function for that, to call back: nothing of it is changed."""


@pytest.mark.parametrize("adapter", sorted({adapter for adapter, _, _ in ADAPTED}))
def test_what_an_adapter_changes_can_be_changed_back(adapter: str):
    """The module and each class in it are what they were."""
    calls = [(module, call) for each, module, call in ADAPTED if each == adapter]
    modules = [pytest.importorskip(name) for name in dict.fromkeys(module for module, _ in calls)]
    before = [_looks(module) for module in modules]
    patches = Patches()
    patch = importlib.import_module(f"hookmon.packs.{adapter}").patch
    try:
        for name, call in calls:
            patch(importlib.import_module(name), call, _timed, patches)
        assert ([_looks(module) for module in modules] == before) is (adapter in REGISTERING)
    finally:
        patches.undo()
    assert [_looks(module) for module in modules] == before


def _timed(function, call):
    """Return another callable than the one given."""

    def stand_in(*args, **kwargs):
        return function(*args, **kwargs)

    return stand_in


def _looks(module) -> dict[str, object]:
    """Return what is in a module, and in the classes and modules in it, by identity."""
    found: dict[str, object] = {}
    for name, value in vars(module).items():
        found[name] = id(value)
        if isinstance(value, type) or (hasattr(value, "__spec__") and str(value.__name__).startswith(module.__name__)):
            found |= {f"{name}.{inner}": id(each) for inner, each in list(vars(value).items())}
    return found
