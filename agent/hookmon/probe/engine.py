"""Chooses the engine: the compiled one where it is there for this interpreter, else the pure one.

`HOOKMON_ENGINE=pure` or `=compiled` in the environment decides; where the compiled one is asked for and missing, the pure one
serves, the report shows which it was, and `WHY_PURE` why. Runs in the watched process.
"""

from __future__ import annotations

import os

from hookmon.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")

STALE = "the compiled one was built for other numbers; build it again"


def _load() -> tuple[ModuleType | None, str]:
    """Return the extension module, or None and why."""
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        return None, "HOOKMON_ENGINE is pure"
    try:
        import hookmon.probe._engine as _engine  # `from hookmon.probe` would not tell a missing module from a broken one
    except ModuleNotFoundError:  # or free-threaded
        return None, "the compiled one was not built for this interpreter"
    except ImportError as error:  # a subinterpreter, or a file that the system cannot load
        return None, f"the compiled one cannot be loaded: {error}"
    if getattr(_engine, "NUMBERS", 0) != layout.NUMBERS:  # it would write where the collector does not look
        return None, STALE
    return _engine, ""


compiled: Any
compiled, WHY_PURE = _load()
"""The extension module, None when the pure engine serves; and why that does, "" when it does not."""

NAME = "compiled" if compiled is not None else "pure"

pure: dict[str, Any] = {}
"""{name: class or function of the pure engine} of all that the compiled one has as well: what both have to be."""


def choose(own: T, name: str = "") -> T:
    """Return what the engine that serves has in the place of a class or function of the pure engine. Used as a decorator.

    So the pure one says what both are: attributes, methods, parameters. `tests/engine/test_contract.py` compares them. `name` is
    that in the compiled engine where it is another one.
    """
    name = name or own.__name__  # type: ignore[attr-defined]
    pure[name] = own
    chosen: T = own if compiled is None else getattr(compiled, name)
    return chosen


def use_clock(source: str) -> None:
    """Let the compiled engine read the time-stamp counter itself, which is cheaper, where the kernel's clock `source` is that."""
    if compiled is not None and source == "tsc":
        compiled.use_counter()
