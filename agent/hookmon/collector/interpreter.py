"""What an interpreter says of itself: version, installed libraries, what comes in at its start.

In: an interpreter with its options, and an environment. Out: an Interpreter, asked of the interpreter itself in a process of its
own, which runs no program. Runs on the launcher's side.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping

from hookmon.collector.engines import for_probe
from hookmon.core import layout
from hookmon.core.errors import HookmonError
from hookmon.core.record import Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_TIMEOUT_S = 30
_MARK = "hookmon says: "  # whatever a sitecustomize prints stands elsewhere

_ASK = """
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]  # the folder that this was started in may have a json.py of its own
import json
wanted = json.loads(sys.argv[1])
found = {"version": ".".join(map(str, sys.version_info[:3])), "executable": sys.executable, "prefix": sys.prefix}
found["base"] = getattr(sys, "_base_executable", None) or ""
found["name"] = getattr(getattr(sys, "implementation", None), "name", "cpython")
loaded = sorted(set(name.partition(".")[0] for name in list(sys.modules)))
found["sitecustomize"] = getattr(sys.modules.get("sitecustomize"), "__file__", None) or ""
found["probe"] = "hookmon.probe.start" in sys.modules
found["engine"] = found["why_pure"] = found["engine_note"] = ""
found["reads"] = {}
if found["probe"]:
    from hookmon.probe import engine
    found["engine"], found["why_pure"], found["engine_note"] = engine.NAME, engine.WHY_PURE, engine.NOTE
    if engine.compiled:
        found["reads"] = engine.compiled.reads()
found["loaded"] = [name for name in wanted["loaded"] if name in loaded]
try:
    import sysconfig
    found["site_packages"] = sysconfig.get_path("purelib")
except Exception:  # Python 2.6
    found["site_packages"] = ""
found["importable"] = []
found["libraries"] = {}
try:
    from importlib.util import find_spec
    from importlib import metadata
except ImportError:
    pass
else:
    for name in wanted["importable"]:
        try:
            if find_spec(name) is not None:
                found["importable"].append(name)
        except (ImportError, ValueError, AttributeError):
            pass
    modules = None
    for library, module in wanted["libraries"]:
        try:
            found["libraries"][library] = [library, metadata.version(library)]
        except metadata.PackageNotFoundError:  # psycopg2 may be installed as psycopg2-binary
            if modules is None:
                modules = getattr(metadata, "packages_distributions", dict)()  # Python 3.10
            for name in modules.get(module, [])[:1]:
                found["libraries"][library] = [name, metadata.version(name)]
sys.stdout.write("\\n" + sys.argv[2] + json.dumps(found) + "\\n")
"""


class Interpreter(Record):
    """One interpreter as it starts. `importable`, `loaded` and `libraries` are those of the modules and libraries asked about."""

    version: str
    name: str  # cpython, pypy …
    executable: str
    prefix: str
    sitecustomize: str  # its path, "" for none
    probe: bool  # hookmon's probe was started in it
    engine: str  # the recorder that serves in it, "" without the probe
    site_packages: str = ""  # where pip installs
    base: str = ""  # the interpreter that its environment was made from
    why_pure: str = ""  # why it is the pure one, "" where it is not
    engine_note: str = ""  # one of layout.ENGINE_NOTES: what that is about, "" where it is as somebody wanted it
    reads: dict[str, bool | None] = field(default_factory=dict)  # see _engine.reads
    importable: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)  # at its start
    libraries: dict[str, list[str]] = field(default_factory=dict)  # {library: [the distribution it is installed by, version]}

    @property
    def is_supported(self) -> bool:
        """Say whether the probe runs on this version."""
        numbers = tuple(int(part) for part in self.version.split(".")[:2])
        return numbers >= (3, 11) and self.name == "cpython"

    @property
    def can_be_built(self) -> bool:
        """Say whether `hookmon engine build` may bring the compiled engine."""
        return self.engine_note in (layout.NOTE_NO_ENGINE, layout.NOTE_STALE_ENGINE)


def engine_of(interpreter: list[str]) -> tuple[str, str]:
    """Return the engine that serves in an interpreter that has hookmon installed, and why it is the pure one, "" where it is not.

    Raises HookmonError when it cannot be asked.
    """
    code = f"import hookmon.probe; hookmon.probe.built_engines = {for_probe()!r}; from hookmon.probe import engine; "
    code += "print(engine.NAME, engine.WHY_PURE, sep=chr(10))"
    try:
        done = subprocess.run(
            [*interpreter, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HookmonError(f"{interpreter[0]}: it cannot be asked: {error}", code="interpreter") from error
    name, why = done.stdout.split("\n")[:2]
    return name, why


def ask(
    interpreter: list[str],
    environment: Mapping[str, str],
    *,
    importable: Iterable[str] = (),
    loaded: Iterable[str] = (),
    libraries: Iterable[tuple[str, str]] = (),
) -> Interpreter:
    """Start an interpreter and return what it says. Raises HookmonError when it cannot be started or says nothing.

    `importable` and `loaded` are names of modules. Each of `libraries` has what pip calls it and a module of it.
    """
    wanted = {"importable": list(importable), "loaded": list(loaded), "libraries": list(libraries)}
    command = [*interpreter, "-c", _ASK, json.dumps(wanted), _MARK]
    try:
        done = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HookmonError(f"{interpreter[0]}: it cannot be asked: {error}", code="interpreter") from error
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith(_MARK)]
    if not lines:
        reason = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise HookmonError(f"{interpreter[0]}: it is no Python that can be asked: {reason[:200]}", code="interpreter")
    try:
        answer: dict[str, Any] = json.loads(lines[-1].removeprefix(_MARK))
        return Interpreter(**answer)
    except (ValueError, TypeError) as error:
        raise HookmonError(f"{interpreter[0]}: its answer cannot be read: {error}", code="interpreter") from error
