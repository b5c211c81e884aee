"""Installed as users do it: from a wheel, and from the sources where there is no C compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.interpreters import new_virtualenv, site_packages

pytestmark = pytest.mark.skipif(
    "HOOKMON_BOTH" not in os.environ, reason="downloads setuptools and builds; .ci/interpreters asks for it (HOOKMON_BOTH)"
)

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sqlite3
connection = sqlite3.connect(":memory:")
for number in range(7):
    connection.execute("SELECT ?", (number,))
"""
BUILD = "import os, sys; from setuptools import build_meta; build_meta.build_sdist(os.path.abspath(sys.argv[1]))"


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that has what `[build-system]` asks for."""
    folder = tmp_path_factory.mktemp("builder")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip(folder / "bin" / "python", "install", "setuptools>=77")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def sources(builder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sdist, made in a copy of the tree."""
    folder = tmp_path_factory.mktemp("sources")
    leave = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "*.so", "tests", "benchmarks")
    shutil.copytree(ROOT, folder / "tree", ignore=leave)
    subprocess.run([builder, "-c", BUILD, folder], cwd=folder / "tree", check=True, capture_output=True)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def compiled(builder: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, with the compiled engine where there is a compiler."""
    return wheel(builder, sources, tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="module")
def hookmon(builder: Path, compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `hookmon` of that wheel in an environment of its own."""
    return install(builder, compiled, tmp_path_factory.mktemp("venv"))


def pip(python: Path, *words: str | Path, **env: str) -> None:
    line = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr


def wheel(builder: Path, sources: Path, folder: Path, **env: str) -> Path:
    pip(builder, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, sources, **env)
    (found,) = folder.glob("hookmon-*.whl")
    return found


def install(builder: Path, file: Path, folder: Path) -> Path:
    """Install a wheel into an environment of its own, with the libraries of the tests' own; return its `hookmon`."""
    python = new_virtualenv(folder)
    (site_packages(python) / "libraries.pth").write_text(f"{site_packages(Path(sys.executable))}\n", "utf-8")
    pip(builder, "--python", python, "install", "--no-deps", file)
    return python.parent / "hookmon"


def answers(hookmon: Path, folder: Path) -> tuple[str, str]:
    """Return what `hookmon --version -v` prints, and the report of a program in the same environment."""
    (folder / "app.py").write_text(PROGRAM, "utf-8")
    env = {name: value for name, value in os.environ.items() if name != "HOOKMON_ENGINE"}
    version = subprocess.run([hookmon, "--version", "-v"], capture_output=True, text=True, cwd=folder, env=env, check=True)
    line = [hookmon, "run", hookmon.parent / "python", "app.py"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=env)
    assert (done.returncode, done.stdout) == (0, "")
    return version.stdout, done.stderr


def test_a_wheel_has_all_files_and_works(compiled: Path, hookmon: Path, tmp_path: Path):
    """Each file of the two packages, made from the sdist, the C sources too; the compiled engine where there is a compiler."""
    packages = ROOT / "agent" / "hookmon", ROOT / "bootstrap" / "hookmon_bootstrap"
    ours = {path for package in packages for path in package.rglob("*") if path.is_file()}
    expected = {path.relative_to(ROOT).as_posix().partition("/")[2] for path in ours if not str(path).endswith((".so", ".pyc"))}
    names = {name for name in zipfile.ZipFile(compiled).namelist() if ".dist-info/" not in name and not name.endswith(".so")}
    scripts = {name for name in names if ".data/scripts/" in name}
    assert names - scripts == expected
    assert [name.rpartition("/")[2] for name in scripts] == ["hookmon"]
    version, report = answers(hookmon, tmp_path)
    assert f"engine {'compiled' if shutil.which(os.environ.get('CC', 'cc')) else 'pure'}" in version
    assert "SELECT ?" in report
    assert "7 calls" in report


def test_without_a_compiler_the_pure_engine_serves_and_says_why(builder: Path, sources: Path, tmp_path: Path):
    """The installation succeeds, and the program is recorded."""
    file = wheel(builder, sources, tmp_path, CC="/bin/false")
    version, report = answers(install(builder, file, tmp_path / "venv"), tmp_path)
    assert "engine pure (the compiled one was not built for this interpreter)" in version
    assert "SELECT ?" in report
    assert "7 calls" in report


@pytest.mark.parametrize("engine", ["compiled", "pure"])
@pytest.mark.parametrize(
    ("python", "pytests"),
    [([], []), ([], ["-W", "error"]), ([], ["-W", "error", "-n", "1"]), (["-OO"], ["-W", "error"])],
    ids=["", "warnings are errors", "xdist", "without docstrings"],
)
def test_a_test_suite_says_what_it_says_without_hookmon(
    hookmon: Path, tmp_path: Path, engine: str, python: list[str], pytests: list[str]
):
    """Word for word: no warning that the plugin was imported before pytest could rewrite it, which is an error in many suites."""
    (tmp_path / "test_sum.py").write_text("def test_sum():\n    assert 1 + 1 == 2\n", "utf-8")
    # with -OO, pytest itself warns that assertions elsewhere are not checked
    line = [hookmon.parent / "python", *python, "-m", "pytest", "-v", *pytests, "-W", "ignore:assertions not in test modules"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {"HOOKMON_ENGINE": engine}
    bare, watched = (
        subprocess.run([*head, *line], cwd=tmp_path, env=env, capture_output=True, text=True)
        for head in ([], [hookmon, "run", "--quiet"])
    )
    assert "hookmon-" in bare.stdout  # among the plugins
    assert "1 passed" in bare.stdout
    of_time = re.compile(r"=+ 1 passed in [0-9.]+s.* =+")  # as wide as the terminal, whatever the time
    assert of_time.sub("", watched.stdout) == of_time.sub("", bare.stdout)
    assert (watched.returncode, watched.stderr) == (0, bare.stderr)
