"""Chooses the engine: the compiled one where it is there for this interpreter, else the pure one.

`HOOKMON_ENGINE=pure` or `=compiled` in the environment decides. The compiled one was installed with hookmon, or `hookmon engine
build` has built it: then its path stands in the run folder. Where it is missing, the pure one serves also if the other was asked
for. The report shows which it was, `WHY_PURE` why. Runs in the watched process.
"""

from __future__ import annotations

import os
import sys

from hookmon.core import layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")

MISSING = "the compiled one was not built for this interpreter"
STALE = "the compiled one was built from other sources"
_NAME = "hookmon.probe._engine"


def _load() -> tuple[ModuleType | None, str, str]:
    """Return the extension module, "" and ""; or None, why, and under which kind of note that is told, "" for none."""
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        return None, "HOOKMON_ENGINE is pure", ""
    if sys.version_info[:2] > (3, layout.NEWEST_MINOR):
        text = f"CPython 3.{sys.version_info[1]} is newer than those that this hookmon knows, up to 3.{layout.NEWEST_MINOR}"
        return None, text, layout.NOTE_UNKNOWN_PYTHON
    module, why, kind = _load_installed()
    if module is not None:
        return module, "", ""
    path, size_bytes, problem = _built()
    if path:
        module, problem = _load_built(path, size_bytes) if not problem else (None, problem)
        if module is not None:
            return module, "", ""
        return None, f"the one of hookmon engine build is refused: {problem}", layout.NOTE_STALE_ENGINE
    return None, why, kind


def _load_installed() -> tuple[ModuleType | None, str, str]:
    """Load what was installed with hookmon."""
    try:
        import hookmon.probe._engine as _engine  # `from hookmon.probe` would not tell a missing module from a broken one
    except ModuleNotFoundError:
        return None, MISSING, layout.NOTE_NO_ENGINE
    except ImportError as error:  # a file that the system cannot load, or an engine that serves the first interpreter only
        is_of_interpreter = any(text in str(error) for text in ("subinterpreter", "first interpreter"))
        return None, f"the compiled one cannot be loaded: {error}", "" if is_of_interpreter else layout.NOTE_STALE_ENGINE
    if not _is_current(_engine):
        return None, STALE, layout.NOTE_STALE_ENGINE
    return _engine, "", ""


def _is_current(module: ModuleType) -> bool:
    """Say whether an engine has the numbers of this hookmon. Another one would write where the collector does not look."""
    return bool(getattr(module, "NUMBERS", 0) == layout.NUMBERS)


def _built() -> tuple[str, int, str]:
    """Return path, size and problem of the engine that was built for this interpreter into the user's cache; "" for no path.

    The launcher has looked there. What it found is in a file of the run folder, or `probe.calibrate` knows it.
    """
    package = vars(sys.modules["hookmon.probe"])
    found: dict[str, tuple[str, int, str]] | None = package.get("built_engines")
    if found is None and "arrivals" in package:
        from hookmon.core.plan import ENGINES_FILE_NAME, decode

        try:
            content = package["arrivals"].read(ENGINES_FILE_NAME)
        except OSError:  # none was ever built
            return "", 0, ""
        found = decode(content)
    return (found or {}).get(sys.modules["_imp"].extension_suffixes()[0], ("", 0, ""))


def _load_built(path: str, size_bytes: int) -> tuple[ModuleType | None, str]:
    """Load an engine from its file, and return "" with it; else why that cannot be done.

    A file that was cut off since the launcher has looked would end the process when its pages are touched.
    """
    importlib, external = sys.modules["_frozen_importlib"], sys.modules["_frozen_importlib_external"]
    before = sys.modules.pop(_NAME, None)  # what was installed, and is of no use
    try:
        if os.stat(path).st_size != size_bytes:
            return None, f"{path} was changed since the run began"
        spec = external.spec_from_file_location(_NAME, path, loader=external.ExtensionFileLoader(_NAME, path))
        module = importlib.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (ImportError, OSError) as error:
        module, problem = None, str(error)
    else:
        problem = "" if _is_current(module) else "it was built from other sources"
    if problem:
        if before is not None:
            sys.modules[_NAME] = before
        return None, problem
    sys.modules[_NAME] = module
    vars(sys.modules["hookmon.probe"])["_engine"] = module
    return module, ""


compiled: Any
compiled, WHY_PURE, NOTE = _load()
"""The extension module, None when the pure engine serves; why that does, "" when it does not; and the kind of the note about it.

Nothing is noted where the pure engine was chosen, and in a subinterpreter."""

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
