"""The launcher finds its own modules by what is compiled of them, as Python would find them, and only where that holds."""

from __future__ import annotations

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from hookmon.cli import _own_modules

SOURCE = "def answer():\n    return 42\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A package with a module and a room, compiled."""
    folder = tmp_path / "hookmon"
    (folder / "room").mkdir(parents=True)
    for path in (folder / "part.py", folder / "room" / "__init__.py"):
        path.write_text(SOURCE)
        py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    return folder


@pytest.fixture
def finder(folder: Path) -> _own_modules.OwnModules:
    """The finder for it."""
    return _own_modules.OwnModules(str(folder), f".{sys.implementation.cache_tag}.pyc")


@pytest.mark.parametrize("name", ["part", "room"])
def test_a_module_is_as_python_would_import_it(folder: Path, finder: _own_modules.OwnModules, name: str):
    """Its file, its package, what is compiled of it and its functions; and again whoever asks its loader later."""
    spec = finder.find_spec(f"hookmon.{name}")
    path = folder / ("part.py" if name == "part" else "room/__init__.py")
    places = None if name == "part" else [str(path.parent)]
    usual = importlib.util.spec_from_file_location(f"hookmon.{name}", path, submodule_search_locations=places)
    assert spec is not None
    assert usual is not None
    facts = [(found.name, found.origin, found.cached, found.parent, found.has_location) for found in (spec, usual)]
    assert facts[0] == facts[1]
    assert spec.submodule_search_locations == usual.submodule_search_locations
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (module.answer(), module.__file__, module.answer.__code__.co_filename) == (42, str(path), str(path))
    assert spec.loader.get_code(spec.name) == usual.loader.get_code(spec.name)
    assert spec.loader.get_source(spec.name) == SOURCE


def test_what_was_compiled_of_another_source_is_left_to_python(folder: Path, finder: _own_modules.OwnModules):
    """One of another size, and one of the same size that is younger."""
    part = folder / "part.py"
    part.write_text(SOURCE + "#")
    assert finder.find_spec("hookmon.part") is None
    part.write_text(SOURCE.replace("42", "43"))
    os.utime(part, (1, 1))
    assert finder.find_spec("hookmon.part") is None


@pytest.mark.parametrize("content", [b"", b"\0" * 16, None], ids=["empty", "foreign", "cut"])
def test_a_damaged_file_is_left_to_python(folder: Path, finder: _own_modules.OwnModules, content: bytes | None):
    """Whatever is in it."""
    (cached,) = (folder / "__pycache__").iterdir()
    cached.write_bytes(cached.read_bytes()[:40] if content is None else content)
    assert finder.find_spec("hookmon.part") is None


def test_what_checks_its_source_by_a_hash_is_left_to_python(folder: Path, finder: _own_modules.OwnModules):
    """PEP 552: time and size do not stand in such a file."""
    py_compile.compile(str(folder / "part.py"), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    assert finder.find_spec("hookmon.part") is None


def test_modules_of_others_are_left_to_python(finder: _own_modules.OwnModules):
    """Also hookmon itself, and what is not there."""
    assert [finder.find_spec(name) for name in ("part", "hookmon", "hookmonx.part", "hookmon.absent")] == [None] * 4


@pytest.mark.process
@pytest.mark.parametrize("prefix", [False, True], ids=["beside the source", "in a folder of their own"])
def test_the_command_has_its_modules_found_so(tmp_path: Path, prefix: bool):
    """Where what is compiled lies beside the source. `PYTHONPYCACHEPREFIX` puts it elsewhere: then Python finds all itself."""
    code = "from hookmon.cli import _own_modules as own; import sys; own.install(); print(type(sys.meta_path[0]).__name__)"
    env = dict(os.environ) | ({"PYTHONPYCACHEPREFIX": str(tmp_path)} if prefix else {})
    told = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True).stdout
    assert (told == "OwnModules\n") is not prefix
