"""Chooses the engine: the compiled one where it is there for this interpreter, else the pure one.

`HOOKMON_ENGINE=pure` or `=compiled` in the environment decides; where the compiled one is asked for and missing, the pure one
serves, and the report shows which it was. Runs in the watched process.
"""

from __future__ import annotations

import os

from hookmon.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _load() -> Any:
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        return None
    try:
        from hookmon.probe import _engine  # type: ignore[attr-defined]
    except ImportError:  # not built, built for another interpreter, free-threaded, or a subinterpreter
        return None
    return _engine if getattr(_engine, "LAYOUT", 0) == layout.VERSION else None  # else left over from another version


compiled: Any = _load()
"""The extension module, None when the pure engine serves."""


def use_clock(source: str) -> None:
    """Let the compiled engine read the time-stamp counter itself, which is cheaper, where the kernel's clock `source` is that."""
    if compiled is not None and source == "tsc":
        compiled.use_counter()


NAME = "compiled" if compiled is not None else "pure"
