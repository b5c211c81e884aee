"""Other Python interpreters of this machine: pyenv's and those on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from hookmon.probe import engine


@cache
def find(version: str) -> str | None:
    """Return the interpreter of a version such as "3.12", None when there is none."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates = [str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python"))]
    on_path = shutil.which(f"python{version}")
    for candidate in [*candidates, *([on_path] if on_path else [])]:
        code = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
        answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if answer.stdout == version:
            return candidate
    return None


def need(version: str) -> str:
    """Return the interpreter of a version, or skip the test and say which one is missing."""
    found = find(version)
    if found is None:
        pytest.skip(f"there is no Python {version} here")
    return found


@cache
def find_with(version: str, *modules: str) -> str | None:
    """Return an interpreter of a version that has these modules, None when there is none: this one for "this", else one on PATH
    or pyenv's."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    on_path = [str(path) for folder in folders if (path := Path(folder, f"python{version}")).exists()]
    candidates = [sys.executable] if version == "this" else [*on_path, *filter(None, [find(version)])]
    code = "import importlib.util, sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        have = "".join(f"; importlib.util.find_spec({module!r}) or sys.exit(1)" for module in modules)
        answer = subprocess.run([candidate, "-c", code + have], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and version in ("this", answer.stdout):
            return candidate
    return None


def need_with(version: str, *modules: str) -> str:
    """Return an interpreter of a version that has these modules, or skip the test and say what is missing."""
    found = find_with(version, *modules)
    if found is None:
        pytest.skip(f"there is no Python {version} with {', '.join(modules) or 'nothing besides'} here")
    return found


def need_compiled(version: str) -> str:
    """Return the interpreter of a version that the compiled engine is built for, or skip the test and say what is missing."""
    return need_engine(need(version))


def need_engine(python: str) -> str:
    """Return an interpreter that the compiled engine is built for, or skip the test and say what is missing."""
    code = "import _imp, sys; print(_imp.extension_suffixes()[0], *sys.version_info[:2])"
    suffix, *version = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    if not Path(engine.__file__).with_name(f"_engine{suffix}").exists():
        pytest.skip(f"the compiled engine is not built for Python {'.'.join(version)}; .ci/interpreters builds it")
    return python


def need_engine_of_others(python: str) -> str:
    """Return an interpreter whose compiled engine serves other interpreters of a process, too, or skip the test."""
    need_engine(python)
    agent = str(Path(engine.__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {agent!r}); from hookmon.probe import _engine; print(_engine.SERVES_OTHERS)"
    if subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout != "1\n":
        pytest.skip("the compiled engine was built without _engine_others.c")
    return python


def base_python() -> str:
    """Return the interpreter that the running virtual environment was made from: it has no hookmon."""
    return os.path.join(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")


def new_virtualenv(folder: Path, python: str | None = None) -> Path:
    """Make an empty virtual environment, without pip, and return its interpreter."""
    subprocess.run([python or base_python(), "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def site_packages(python: Path) -> Path:
    """Return the site-packages folder of a virtual environment."""
    return next((python.parent.parent / "lib").glob("python*")) / "site-packages"
