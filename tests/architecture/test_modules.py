"""What holds for every module."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from hookmon.config.packs import read_packs

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent" / "hookmon"
ENGINE = AGENT / "probe" / "_engine.c"
C_PARTS = sorted((AGENT / "probe" / "c").glob("*.h"))
SITECUSTOMIZE = ROOT / "bootstrap" / "hookmon_bootstrap" / "sitecustomize.py"
MODULES = [*sorted(AGENT.rglob("*.py")), *sorted(SITECUSTOMIZE.parent.glob("*.py"))]
EVERY = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a module as a tree."""
    return ast.parse(path.read_bytes())


@EVERY
def test_a_module_says_what_it_is(path: Path):
    """The first line is a sentence."""
    text = ast.get_docstring(tree_of(path)) or ""
    first = text.partition("\n\n")[0]
    assert first.endswith((".", ":", ")")), f"{path}: {first!r}"


@pytest.mark.parametrize("path", [*MODULES, ENGINE, *C_PARTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short(path: Path):
    """400 lines are the limit."""
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by their names alone where their folder is no package, and collects nothing where two are the same."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if not (path.parent / "__init__.py").exists()]
    assert sorted({name for name in names if names.count(name) > 1} - {"conftest.py"}) == []


MAY_SWALLOW = {
    "hookmon/cli/_served.py": ["_finish_safely"],
    "hookmon/cli/serve.py": ["_begin", "_tick"],
    "hookmon/cli/_session.py": ["_begin", "look_through"],
    "hookmon/cli/_telling.py": ["write_report"],
    "hookmon/cli/run.py": ["_prepare_next"],
    "hookmon/export/filtering.py": ["load_filter", "_apply"],
}
"""Functions that stand before and after the program, or around code of the user: whatever fails there, the program runs, and its
exit code stands; or a collector follows others beside it."""


@EVERY
def test_failures_are_swallowed_in_one_place(path: Path):
    """A broad except that does not raise again stands in the guard, the bootstrap, around others' observers, and in the table."""
    if path.name in ("guard.py", "sitecustomize.py") or path == AGENT / "collector" / "worker.py":
        return
    tree = tree_of(path)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    allowed = MAY_SWALLOW.get(str(path.relative_to(AGENT.parent)), []) if path.is_relative_to(AGENT) else []
    swallowing = [node for node in ast.walk(tree) if _swallows(node)]
    expected = [node for name in allowed for function in functions if function.name == name for node in ast.walk(function)]
    assert [node.lineno for node in swallowing if node not in expected] == []
    assert len(swallowing) == len(allowed)


def _swallows(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    broad = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
    return broad and not any(isinstance(statement, ast.Raise) and statement.exc is None for statement in node.body)


INTERPRETERS = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


def _interpreter(version: str) -> Path | None:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return found[-1] if found else None


@pytest.mark.process
@pytest.mark.parametrize("version", INTERPRETERS)
def test_the_bootstrap_parses_on_every_python(version: str):
    """Whatever interpreter finds the folder on PYTHONPATH."""
    python = _interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    code = "import sys; name = sys.argv[1]; compile(open(name).read(), name, 'exec')"
    environment = {"PATH": os.defpath}
    done = subprocess.run([str(python), "-S", "-c", code, str(SITECUSTOMIZE)], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_packs_are_found_by_listing(tmp_path: Path):
    """A file more in the folder is a pack more."""
    (tmp_path / "lately.toml").write_text(
        '[pack]\ndescription = "what came last"\n\n[[watch]]\nmodule = "lately"\ncalls = ["now"]\n', "utf-8"
    )
    problems: list = []
    assert [pack.name for pack in read_packs(problems, tmp_path)] == ["lately"]
    assert problems == []


@cache
def _constants(path: Path) -> set[object]:
    return {node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)}


ALSO_OTHER_THINGS = {"http", "json", "redis"}
"""Names of packs that a kind, a format and a broker to export to have too."""


@pytest.mark.parametrize("name", sorted({path.stem for path in (AGENT / "packs").glob("*.toml")} - ALSO_OTHER_THINGS))
def test_no_module_names_a_pack(name: str):
    """What is special about a library stands in its pack. The doctor looks for some of them by name."""
    naming = [
        str(path) for path in MODULES if path.parent.name != "packs" and path.name != "_diagnosis.py" and name in _constants(path)
    ]
    assert naming == []


def test_all_parts_of_the_engine_are_part_of_it():
    """Each header is included by the engine or by a header that is."""
    included: set[str] = set()
    waiting = [ENGINE]
    while waiting:
        text = waiting.pop().read_text("utf-8")
        found = set(re.findall(r'#include "(?:c/)?(.*)"', text)) - included
        included |= found
        waiting += [ENGINE.parent / "c" / name for name in found]
    assert sorted(included) == [path.name for path in C_PARTS]


@pytest.mark.process
def test_nothing_compiled_is_kept_in_the_repository():
    """A stale .pyc beside the source would be imported by some interpreters."""
    done = subprocess.run(["git", "ls-files", "*.pyc", "*.so"], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a clone")
    assert done.stdout == ""
