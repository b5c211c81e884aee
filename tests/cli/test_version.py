"""`hookmon --version`, which a shell's prompt may wait for, and the search for a command without `shutil`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from support.runs import HOOKMON, PYTHON, Started

import hookmon
from hookmon.collector.launch import which

ROOT = Path(__file__).resolve().parents[2]

COUNT = """
import os, sys
real, before = os._exit, set(sys.modules)
def leave(code):
    sys.stderr.write(" ".join(sorted(set(sys.modules) - before)))
    sys.stderr.flush()
    real(code)
os._exit = leave
sys.argv = ["hookmon", "--version"]
from hookmon.cli.main import main
main()
"""


@pytest.mark.process
def test_the_version_needs_three_modules_of_ours_and_none_of_others(tmp_path: Path):
    """Beyond those that every interpreter has imported at its start."""
    done = Started([PYTHON, "-c", COUNT], cwd=tmp_path).finish()
    assert done.stdout == f"hookmon {hookmon.__version__}\n"
    assert done.stderr.split() == ["__future__", "errno", "hookmon", "hookmon.cli", "hookmon.cli.main"]


@pytest.mark.process
def test_the_version_on_a_full_disk_is_an_error(tmp_path: Path):
    """As any output is."""
    line = f"exec {HOOKMON} --version > /dev/full"
    done = Started(["sh", "-c", line], cwd=tmp_path).finish()
    assert (done.exit_code, done.stderr) == (2, "hookmon: the output cannot be written: No space left on device [output]\n")


def test_the_installed_command_imports_nothing_first():
    """What an installer writes for an entry point imports `re`, which takes half as long as an interpreter's start."""
    lines = (ROOT / "bin" / "hookmon").read_text("utf-8").splitlines()
    assert lines[0] == "#!python"
    assert [line for line in lines if "import" in line.split()] == ["from hookmon.cli.main import main"]


@pytest.mark.parametrize("path", ["a:b", "b:a", "", ":a", "a:", "none:b", None], ids=repr)
@pytest.mark.parametrize(
    "name", ["tool", "plain", "folder", "absent", "./a/tool", "a/tool", "a/plain", "a/folder", "/no", "", "."]
)
def test_a_command_is_found_as_shutil_finds_it(name: str, path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same file, for every name and path."""
    for folder in ("a", "b"):
        (tmp_path / folder / "folder").mkdir(parents=True)
        (tmp_path / folder / "plain").write_text("")
        (tmp_path / folder / "tool").touch(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "b")
    assert which(name, path) == shutil.which(name, path=path)
    monkeypatch.delenv("PATH")
    assert which(os.path.basename(sys.executable), path) == shutil.which(os.path.basename(sys.executable), path=path)
