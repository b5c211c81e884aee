"""Chooses the engine: the compiled one where it is there for this interpreter, else the pure one.

`HOOKMON_ENGINE=pure` or `=compiled` in the environment decides. Where the compiled one is missing, the pure one serves also if
the other was asked for. The report shows which it was, `WHY_PURE` why. Runs in the watched process.
"""

from __future__ import annotations

import os

from hookmon.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")

STALE = "the compiled one was built from other sources; build it again"


def _load() -> tuple[ModuleType | None, str]:
    """Return the extension module, or None and why."""
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        return None, "HOOKMON_ENGINE is pure"
    try:
        import hookmon.probe._engine as _engine  # `from hookmon.probe` would not tell a missing module from a broken one
    except ModuleNotFoundError:
        return None, "the compiled one was not built for this interpreter"
    except ImportError as error:  # a file that the system cannot load, or an engine that serves the first interpreter only
        return None, f"the compiled one cannot be loaded: {error}"
    if getattr(_engine, "NUMBERS", 0) != layout.NUMBERS:  # it would write where the collector does not look
        return None, STALE
    return _engine, ""


compiled: Any
compiled, WHY_PURE = _load()
"""The extension module, None when the pure engine serves; and why that does, "" when it does not."""

NAME = "compiled" if compiled is not None else "pure"

pure: dict[str, Any] = {}
"""{name: class or function of the pure engine} of all that the compiled engine has as well. It says what both are."""


def choose(own: T, name: str = "") -> T:
    """Replace a class or function of the pure engine by that of the engine that serves. Used as a decorator.

    The pure one says what both are: attributes, methods, parameters. `tests/engine/test_contract.py` compares them. `name` is the
    name in the compiled engine where that is another one.
    """
    name = name or own.__name__  # type: ignore[attr-defined]
    pure[name] = own
    chosen: T = own if compiled is None else getattr(compiled, name)
    return chosen


def use_clock(source: str) -> None:
    """Let the compiled engine read the time-stamp counter itself, where that is the kernel's clock `source`. It is cheaper."""
    if compiled is not None and source == "tsc":
        compiled.use_counter()
