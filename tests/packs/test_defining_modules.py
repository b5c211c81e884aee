"""A pack names the module that defines what it watches, not one that only imports it.

Where imports are put off (`lazy`, and -X lazy_imports=all of CPython 3.15), such a name is nothing to be watched until somebody
has used it. Sources are read, nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from hookmon.config.packs import read_packs
from hookmon.core.globs import is_glob

TARGETS = sorted(
    {
        (pack.name, watch.module, call)
        for pack in read_packs([])
        for watch in pack.content.watches
        for call in (*watch.calls, *watch.until, *(watch.hook.unregister if watch.hook else ()))
    }
)
MODULES = sorted({(pack, module) for pack, module, _ in TARGETS if not is_glob(module)})

MAY_BE_IMPORTED = {
    ("pluggy._hooks", "_HookCaller"): "up to pluggy 1.6 it is defined there, and with both modules it would be timed twice",
    ("snowflake.connector.cursor", "SnowflakeCursor"): "up to its release 4 it is defined there",
    ("aiosqlite.core", "Cursor"): "what its adapter times is in this module",
}
"""Names that are watched where they are imported: the probe follows a lazy import, so that they are watched a little later."""


def source_of(name: str) -> Path | None:
    """Return the source of a module, None where it is not installed or has none; a package above it is not imported."""
    path: list[str] | None = None
    origin = None
    for part in name.split("."):  # by its last part: of a namespace in another one the finder would ask for the package above
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path, origin = list(spec.submodule_search_locations or ()), spec.origin
    return Path(origin) if origin and origin.endswith(".py") else None


def names_in(body: Iterable[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether it is an import) of all that a module binds at its top, in whatever branch."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, False
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (((alias.asname or alias.name).partition(".")[0], True) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((name.id, False) for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        else:
            for block in ("body", "orelse", "finalbody"):
                yield from names_in(getattr(node, block, ()))
            for handler in getattr(node, "handlers", ()):
                yield from names_in(handler.body)


def test_the_reading_tells_definitions_from_imports():
    """Also in branches; what is assigned is defined."""
    text = "from a import b\nimport c.d\ntry:\n    from e import f\nexcept E:\n    def f(): pass\nclass G: pass\nh = i = G()\n"
    found = list(names_in(ast.parse(text).body))
    assert found == [("b", True), ("c", True), ("f", True), ("f", False), ("G", False), ("h", False), ("i", False)]


@pytest.mark.files
@pytest.mark.parametrize(("pack", "module"), MODULES, ids=[f"{pack}-{module}" for pack, module in MODULES])
def test_a_pack_names_the_module_that_defines_what_it_watches(pack: str, module: str):
    """Of a method that is its class; where a class inherits the method makes no difference."""
    path = source_of(module)
    if path is None:
        pytest.skip(f"there is no source of {module} here")
    defined: dict[str, bool] = {}
    for name, is_import in names_in(ast.parse(path.read_bytes()).body):
        defined[name] = defined.get(name, False) or not is_import
    calls = {call.partition(".")[0] for of_pack, of_module, call in TARGETS if (of_pack, of_module) == (pack, module)}
    imported = {name for name in calls if not is_glob(name) and defined.get(name) is False}
    assert sorted(name for name in imported if (module, name) not in MAY_BE_IMPORTED) == []
