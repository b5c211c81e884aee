"""Which room may import which, read from the source of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent" / "hookmon"
BOOTSTRAP = ROOT / "bootstrap" / "hookmon_bootstrap"
MODULES = {f"hookmon/{path.relative_to(AGENT)}": path for path in sorted(AGENT.rglob("*.py"))}
MODULES |= {f"hookmon_bootstrap/{path.name}": path for path in sorted(BOOTSTRAP.glob("*.py"))}


@dataclass(frozen=True)
class Import:
    """One imported name. `where` is "top", "function" or "typing"; a name of `from x import y` is "x.y"."""

    name: str
    where: str
    line: int

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        return self.name.split(".")[1] if self.name.count(".") else ""


@cache
def imports_of(path: Path) -> list[Import]:
    """Return all imports of a module."""
    return list(_imports(ast.parse(path.read_bytes()), "top"))


def _imports(node: ast.AST, where: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, where, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import"
            yield from (Import(f"{child.module}.{alias.name}", where, child.lineno) for alias in child.names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(child, "typing" if where == "typing" else "function")
        elif isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from _imports(ast.Module(child.body, []), "typing")
            yield from _imports(ast.Module(child.orelse, []), where)
        else:
            yield from _imports(child, where)


def room_of(name: str) -> str:
    """Return the room of a module: cli, report, … ; "adapter" is one by itself, and "" is for the package."""
    parts = name.split("/")
    if name == "hookmon/adapter.py":
        return "adapter"
    return "bootstrap" if parts[0] == "hookmon_bootstrap" else parts[1] if len(parts) > 2 else ""


ROOMS = {  # room: (rooms of ours, libraries of others)
    "": ({"cli"}, set()),  # python -m hookmon
    "cli": ({"cli", "testing", "report", "export", "services", "collector", "config", "core"}, {"click", "psutil", "tomlkit"}),
    "services": ({"services", "collector", "core"}, {"psutil"}),
    "export": ({"export", "collector", "core"}, set()),
    "report": ({"report", "collector", "core"}, {"rich"}),
    "collector": ({"collector", "core"}, {"psutil"}),
    "config": ({"config", "core"}, set()),
    "core": ({"core"}, set()),
    "probe": ({"probe", "core"}, set()),
    "adapter": ({"probe", "core"}, set()),
    "packs": ({"packs", "adapter"}, set()),
    "testing": ({"testing", "report", "collector", "config", "core"}, {"pytest"}),
}


OPTIONAL = {
    "hookmon/cli/_live_app.py": {"rich", "textual"},
    "hookmon/export/otlp.py": {"opentelemetry", "google"},
    "hookmon/export/otlp_traces.py": {"opentelemetry"},
    "hookmon/export/prometheus.py": {"prometheus_client"},
    "hookmon/export/stream.py": {"redis"},
}
"""Libraries of an extra, and the modules that are imported only where they are."""


COMPILED = {"hookmon/collector/compiled.py": "hookmon.probe._engine"}
"""What is in the engine's extension for another room, and needs no probe: {the module that takes it: from where}."""


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) != "bootstrap"])
def test_a_room_imports_only_what_lies_below(name: str):
    """Imports point down the layers; a type that is only checked may come from anywhere in the package."""
    ours, others = ROOMS[room_of(name)]
    others = others | OPTIONAL.get(name, set())
    wrong = []
    for imported in imports_of(MODULES[name]):
        if imported.top == "hookmon":
            of_all = imported.name in ("hookmon.__version__", f"hookmon.{room_of(name)}", COMPILED.get(name))
            if imported.room not in ours and not of_all and imported.where != "typing":
                wrong.append(imported)
        elif imported.top not in sys.stdlib_module_names and imported.top not in others:
            wrong.append(imported)
    assert wrong == []


PROBE_ROOMS = ["engine", "base", "recording", "naming", "transactions", "wrappers", "signals", "patching", "coming in"]
"""The rooms of the probe, the lowest first. Those who come in are its own modules, of which `engine` is a room by itself."""


def probe_room_of(parts: list[str]) -> str:
    """Return the room of a module of the probe by its path below it."""
    return parts[0] if parts[0] in PROBE_ROOMS else "engine" if parts[0] == "_engine" else "coming in"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("hookmon/probe/")])
def test_a_room_of_the_probe_imports_only_what_lies_below(name: str):
    """Wherever the import stands, in a function and for types only, too."""
    own = PROBE_ROOMS.index(probe_room_of(name.removesuffix(".py").split("/")[2:]))
    found = [found.name.split(".")[2:] for found in imports_of(MODULES[name]) if found.room == "probe"]
    assert [".".join(parts) for parts in found if PROBE_ROOMS.index(probe_room_of(parts)) > own] == []


def test_no_modules_import_each_other():
    """Neither at once nor later, by way of however many others, nor by a name in a text. Types are no imports."""
    by_dots = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for name, path in MODULES.items()}
    needs = {}
    for name, path in by_dots.items():
        found = [found.name for found in imports_of(path) if found.where != "typing"]
        modules = [dots if dots in by_dots else dots.rpartition(".")[0] for dots in found]
        modules += [node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant)]
        needs[name] = {dots for dots in modules if dots in by_dots and dots != name}

    def reach_of(name: str) -> set[str]:
        known: set[str] = set()
        ahead = set(needs[name])
        while ahead:
            known |= ahead
            ahead = {further for dots in ahead for further in needs[dots]} - known
        return known

    assert [name for name in needs if name in reach_of(name)] == []


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "report"])
def test_the_report_knows_only_the_store_and_the_counters_of_the_collector(name: str):
    """What is shown comes from a run file, never from a process; its sums are made as those of a running run are."""
    found = {imported.name for imported in imports_of(MODULES[name]) if imported.room == "collector"}
    assert all(imported.startswith(("hookmon.collector.store.", "hookmon.collector.counters.")) for imported in found)


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "cli"])
def test_the_command_line_never_imports_the_probe(name: str):
    """Not even for its types."""
    assert not [imported for imported in imports_of(MODULES[name]) if imported.room == "probe"]


def test_the_package_imports_nothing():
    """`import hookmon` is free."""
    assert imports_of(AGENT / "__init__.py") == []


START = {"sys", "_thread", "posix"}
LATER = START | {"_contextvars", "_weakref", "itertools", "math", "mmap", "os", "re", "time", "types"}
BY_ITSELF = LATER | {"tempfile"}  # runs in a process of its own, which nobody watches

OF_THE_LAUNCHER = ("hookmon/core/record.py",)
"""Modules of core that all rooms of the launcher need and the probe does not."""

ENTERING = [name for name in MODULES if room_of(name) in ("core", "probe", "adapter") and name not in OF_THE_LAUNCHER]


@pytest.mark.parametrize("name", ENTERING)
def test_what_enters_the_program_knows_nothing_of_the_launcher_alone(name: str):
    """What lies in core for the launcher's sake may import more."""
    others = tuple(name.removesuffix(".py").replace("/", ".") for name in OF_THE_LAUNCHER)
    assert [imported.name for imported in imports_of(MODULES[name]) if imported.name.startswith(others)] == []


@pytest.mark.parametrize("name", ENTERING)
def test_what_enters_the_program_imports_little_at_module_level(name: str):
    """Built-in modules at the start; the rest only when a watched module has been loaded."""
    stem = Path(name).stem
    allowed = START if stem in ("start", "finder", "guard") else BY_ITSELF if stem == "calibrate" else LATER
    if room_of(name) == "core":
        allowed = allowed | {"marshal"}
    found = {imported.top for imported in imports_of(MODULES[name]) if imported.where == "top"} - {"__future__", "hookmon"}
    assert found <= allowed


@pytest.mark.parametrize("name", ENTERING)
def test_typing_never_enters_the_program(name: str):
    """Names from typing and collections.abc are for type checkers."""
    found = [imported for imported in imports_of(MODULES[name]) if imported.top in ("typing", "collections", "typing_extensions")]
    assert [imported for imported in found if imported.where != "typing"] == []


def test_the_start_imports_one_module_of_ours():
    """All others wait for the first watched module."""
    found = {
        imported.name.rpartition(".")[0]
        for imported in imports_of(AGENT / "probe" / "start.py")
        if imported.where == "top" and imported.top == "hookmon"
    }
    assert found == {"hookmon.probe.finder"}


@pytest.mark.parametrize("name", ["start", "finder", "base/guard"])
def test_the_start_does_without_the_future(name: str):
    """`__future__` would be one module more in every process."""
    assert "__future__" not in {imported.top for imported in imports_of(AGENT / "probe" / f"{name}.py")}


def test_the_bootstrap_imports_the_probe_and_nothing_else():
    """It runs on any Python, before anything else does; the last import is the user's own."""
    found = {imported.name for imported in imports_of(BOOTSTRAP / "sitecustomize.py")}
    assert found == {"os", "sys", "time", "hookmon.probe.start.start", "sitecustomize"}


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "packs"])
def test_an_adapter_imports_what_any_adapter_may(name: str):
    """`hookmon.adapter`, another adapter, and of the standard library what is there in any program: no more than others can."""
    for imported in imports_of(MODULES[name]):
        if imported.where == "typing":
            assert imported.top in ("typing", "collections", "types") or imported.room == "adapter"
        else:
            assert imported.top in LATER | {"__future__"} or imported.room in ("adapter", "packs")
