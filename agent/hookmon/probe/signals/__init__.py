"""Signals of the interpreter itself: one module for each, found by listing, with a function `install`.

One that waits for modules of the program (core.plan.SIGNAL_MODULES) has a function `patch`, too, for when they are there.

In: the names that the configuration has under `signals`. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.core.plan import SIGNAL_MODULES
from hookmon.probe.base.guard import shielded_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import Any


def install(names: Iterable[str]) -> None:
    """Begin to measure the signals of these names."""
    for name in names:
        _install(name)


def patch(names: Iterable[str], module: ModuleType, module_name: str) -> None:
    """Tell those signals of these names that have waited for a module that it has been imported."""
    for name in names:
        if module_name in SIGNAL_MODULES.get(name, ()):
            shielded_import(None)(_module_of(name).patch)(module, module_name)


@shielded_import(None)
def _install(name: str) -> None:
    _module_of(name).install()


def _module_of(name: str) -> Any:
    __import__(f"{__name__}.{name}")
    return sys.modules[f"{__name__}.{name}"]
