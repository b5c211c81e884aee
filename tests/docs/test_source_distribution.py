"""The source distribution has the tests, and they run from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.interpreters import new_virtualenv, site_packages

pytestmark = pytest.mark.skipif(
    "HOOKMON_BOTH" not in os.environ, reason="downloads setuptools and builds; .ci/interpreters asks for it (HOOKMON_BOTH)"
)

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import os, sys; from setuptools import build_meta; build_meta.build_sdist(os.path.abspath(sys.argv[1]))"
LEFT_BEHIND = (".hookmon", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", ".git", ".benchmarks", "build", "dist")
PART = (
    "tests/core",
    "tests/config/test_load.py",
    "tests/probe/test_counts.py",
    "tests/docs/test_documents.py::test_the_reference_is_current",
)
"""A room that imports, one that reads files, one that starts interpreters, and one that reads what lies beside the package."""


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command that has to succeed; return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that has what `[build-system]` asks for."""
    folder = tmp_path_factory.mktemp("builder")
    run([sys.executable, "-m", "venv", folder], folder)
    python = folder / "bin" / "python"
    run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "setuptools>=77", "wheel"], folder)
    return python


@pytest.fixture(scope="module")
def unpacked(builder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that comes out of a source distribution of this tree."""
    folder = tmp_path_factory.mktemp("sources")
    leave = shutil.ignore_patterns(*LEFT_BEHIND, "__pycache__", "*.egg-info", "*.so")
    shutil.copytree(ROOT, folder / "tree", ignore=leave)
    run([builder, "-c", BUILD, folder], folder / "tree")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder / "out", filter="data")
    (found,) = (folder / "out").iterdir()
    return found


def test_it_has_what_a_clone_has(unpacked: Path):
    """Each file that git knows."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a clone")
    missing = {name for name in done.stdout.splitlines() if (ROOT / name).exists() and not (unpacked / name).exists()}
    assert missing == set()


def test_its_tests_pass(builder: Path, unpacked: Path, tmp_path: Path):
    """A part of the suite, against the package that is built from it; the libraries of the tests are this environment's."""
    python = new_virtualenv(tmp_path)
    (site_packages(python) / "libraries.pth").write_text(f"{site_packages(Path(sys.executable))}\n", "utf-8")
    pip = [builder, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, unpacked], tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    run([*pip, "--python", python, "install", "--no-deps", wheel], tmp_path)
    where = run([python, "-c", "import hookmon; print(hookmon.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    printed = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PART], unpacked)
    assert " passed" in printed
