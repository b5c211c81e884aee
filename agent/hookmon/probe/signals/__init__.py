"""Signals of the interpreter itself: one module for each, found by listing, with a function `install`.

In: the names that the configuration has under `signals`. Runs in the watched process.
"""

from __future__ import annotations

import sys

from hookmon.probe.base.guard import shielded_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def install(names: Iterable[str]) -> None:
    """Begin to measure the signals of these names."""
    for name in names:
        _install(name)


@shielded_import(None)
def _install(name: str) -> None:
    __import__(f"{__name__}.{name}")
    sys.modules[f"{__name__}.{name}"].install()
