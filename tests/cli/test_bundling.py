"""What starts a program is read from one bundle, which is what Python would compile, and is never used when it is stale."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from hookmon.cli import _bundling, _own_modules

MODULES = {
    "room/__init__": "LIMIT: int = 3\n",
    "part": "from __future__ import annotations\ndef answer(a: int) -> int:\n    'Why.'\n    return a\n",
}
NAMES = ("hookmon.room", "hookmon.part")
TAIL = f".{sys.implementation.cache_tag}.pyc"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that is called hookmon, with a bundle of two modules that are not imported yet."""
    folder = tmp_path / "hookmon"
    for place in ("room", "cli/__pycache__"):
        (folder / place).mkdir(parents=True)
    for name, text in MODULES.items():
        path = folder / f"{name}.py"
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(_bundling, "MODULES", NAMES)
    monkeypatch.setattr(_bundling, "place", lambda: (str(folder), TAIL))
    monkeypatch.setattr(_bundling, "find_spec", lambda name: importlib.util.spec_from_file_location(name, _source(folder, name)))
    monkeypatch.setattr(_bundling, "_SETTLED_NS", 0)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    _bundling.keep()
    return str(folder)


def _source(folder: Path | str, name: str) -> str:
    return str(Path(folder, "room/__init__.py" if name == "hookmon.room" else "part.py"))


def loaded(folder: str) -> list[str]:
    """Load the bundle; return which of its modules are there then."""
    _own_modules.load_bundle(folder, TAIL)
    return [name for name in NAMES if name in sys.modules]


def test_modules_of_the_bundle_are_as_python_would_import_them(folder: str):
    """Their files, their packages, their functions, lines and all; without what only readers want."""
    assert loaded(folder) == [*NAMES]
    room, part = (sys.modules[name] for name in NAMES)
    assert (room.LIMIT, room.__path__, room.__package__) == (3, [os.path.dirname(room.__file__)], "hookmon.room")
    assert (part.answer(5), part.answer.__annotations__, part.answer.__doc__) == (5, {}, None)
    assert (part.__file__, part.__spec__.origin, part.__package__) == (*[_source(folder, "hookmon.part")] * 2, "hookmon")
    assert part.answer.__code__.co_firstlineno == 2
    assert part.__cached__ == importlib.util.cache_from_source(part.__file__)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["content", "same size, same time", "gone"])
def test_a_bundle_of_another_source_is_not_used(folder: str, name: str, change: str):
    """Where one of them has changed all are imported as ever."""
    path = Path(_source(folder, name))
    text = path.read_text()
    status = path.stat()
    path.unlink()
    if change != "gone":
        path.write_text(text + "#" if change == "content" else text.replace("int", "str"))
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert loaded(folder) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 64, None], ids=["empty", "foreign", "cut"])
def test_a_damaged_bundle_is_not_used(folder: str, content: bytes | None):
    """Whatever is in it."""
    path = Path(_own_modules.bundle_of(folder, TAIL))
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    assert loaded(folder) == []


def test_a_source_that_is_being_edited_is_not_bundled(folder: str, monkeypatch: pytest.MonkeyPatch):
    """It may change once more in the same tick of the clock of its file system."""
    path = Path(_own_modules.bundle_of(folder, TAIL))
    path.unlink()
    monkeypatch.setattr(_bundling, "_SETTLED_NS", 3_600_000_000_000)
    _bundling.keep()
    assert not path.exists()


def test_a_module_that_fails_is_not_left_behind(folder: str, monkeypatch: pytest.MonkeyPatch):
    """As importing it would."""
    Path(_source(folder, "hookmon.part")).write_text("raise OSError('part')\n")
    _bundling.keep()
    with pytest.raises(OSError, match="part"):
        _own_modules.load_bundle(folder, TAIL)
    assert "hookmon.part" not in sys.modules


@pytest.mark.process
def test_the_bundle_has_all_that_starts_a_program_in_the_order_of_need():
    """Each module behind those that it imports."""
    code = "import sys; from hookmon.cli import _brief; print(*[name for name in sys.modules if name.startswith('hookmon.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {*_bundling.MODULES, "hookmon.cli"}
    for number, name in enumerate(_bundling.MODULES):
        code = f"import sys; import {name}; print(*[name for name in sys.modules if name.startswith('hookmon.')])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) <= {*_bundling.MODULES[: number + 1], "hookmon.cli"}


@pytest.mark.parametrize("name", _bundling.MODULES)
def test_the_bundle_has_no_records(name: str):
    """Their fields are annotations, which the bundle leaves out."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    classes = [node for node in ast.walk(ast.parse(Path(spec.origin).read_bytes())) if isinstance(node, ast.ClassDef)]
    bases = {
        ast.unparse(base) for node in classes if any(isinstance(part, ast.AnnAssign) for part in node.body) for base in node.bases
    }
    assert bases <= {"TypedDict"}


@pytest.mark.parametrize("name", _bundling.MODULES)
def test_what_is_left_out_changes_no_code(name: str):
    """Functions do what those of the source do, line by line."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    lean, usual = (
        _bundling.compile_lean(spec.origin),
        compile(Path(spec.origin).read_bytes(), spec.origin, "exec", dont_inherit=True),
    )
    functions = [{code.co_qualname: code for code in codes(whole) if code.co_flags & 2} for whole in (lean, usual)]
    assert functions[0].keys() == functions[1].keys()
    for qualname, code in functions[0].items():
        other = functions[1][qualname]
        assert (code.co_varnames, code.co_names, code.co_firstlineno) == (other.co_varnames, other.co_names, other.co_firstlineno)


def codes(code: CodeType) -> list[CodeType]:
    """Return a code and all within it."""
    return [code, *[inner for const in code.co_consts if isinstance(const, CodeType) for inner in codes(const)]]
