"""The commands of README.md, as they stand there: from a clone to a finding with its line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "agent", "bootstrap", "examples")
LEFT_OUT = shutil.ignore_patterns(".hookmon", "__pycache__", "*.so", "*.egg-info", "build")
TRY = "python3 -m venv .venv && .venv/bin/pip install . && "
FINDING = re.compile(r"^  (?:high|medium|low) +(.+)\n +\S+ · saves [^·]+ · (examples/shop\.py:\d+)$", re.MULTILINE)


def clone(folder: Path) -> Path:
    """Copy what an installation needs, without what one has left behind."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def shown(marker: str) -> str:
    """Return the one line of README that begins with a marker."""
    (line,) = [line for line in README.splitlines() if line.startswith(marker)]
    return line


@pytest.mark.build
def test_two_commands_lead_to_a_finding_with_its_line(tmp_path: Path):
    """An installation into a new environment, and a run of the example: what README shows first is what comes first.

    .ci/run has just installed into a new environment, with README's other command, so it runs the example there.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOOKMON_", "PYTHON", "COLUMNS"))}
    install, run = shown(TRY).rsplit(" && ", 1)
    folder = clone(tmp_path)
    if "HOOKMON_BOTH" in os.environ:
        installed = subprocess.run(install, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        if "No matching distribution" in installed.stderr + installed.stdout:
            pytest.skip("pip reaches no package index")
        assert installed.returncode == 0, installed.stderr
    else:
        (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        run, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [line for line in README.splitlines() if line.startswith(("shop: ", "nightly: "))]
    title, place = FINDING.findall(README)[0]
    assert (title, place) in FINDING.findall(done.stderr)
    called = title.split(" calls ")[1].split(" ")[0]
    source = (folder / "examples" / "shop.py").read_text("utf-8").splitlines()
    assert called in source[int(place.rpartition(":")[2]) - 1]


def test_the_screen_of_the_readme_is_of_the_command_above_it():
    """The line that is shown first differs from the one to try only by where the environment lies."""
    tried = shown(TRY).rsplit(" && ", 1)[1].replace(".venv/bin/", "")
    assert shown("$ hookmon run --config ").removeprefix("$ ") == tried
