"""What the documents say is so: the reference is the code's, the tutorial runs, links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
from support.runs import environment

from hookmon.cli._reference import reference

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.mark.files
def test_the_reference_is_current():
    """After a change: python -m hookmon.cli._reference > docs/reference.md."""
    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == reference()


@pytest.mark.files
def test_the_reference_names_every_verb_and_format():
    """Found by listing, so it cannot forget one."""
    text = reference()
    for folder in ("cli", "report/formats"):
        for path in (ROOT / "agent" / "hookmon" / folder).glob("[a-z]*.py"):
            name = path.stem.replace("_", "-")
            assert (f"### `hookmon {name}`" if folder == "cli" else f"| `{name}` |") in text or name == "main"


@pytest.mark.long
def test_every_command_of_the_tutorial_works(tmp_path: Path):
    """One after the other, in a copy of the examples."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".hookmon"))
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    commands = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    assert len(commands) >= 10
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / ".git").mkdir()
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment(tmp_path, {"PATH": path}),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout or "--output" in command
    screen = subprocess.run(
        "hookmon report 2", shell=True, cwd=tmp_path, env=environment(tmp_path, {"PATH": path}), capture_output=True, text=True
    ).stdout
    assert "demand_factor" in screen
    assert (tmp_path / "shop.speedscope.json").stat().st_size > 1_000


@pytest.mark.files
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path):
    """Those to files of this project."""
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
        assert "://" in target or (document.parent / target).exists(), target


def test_the_groups_of_dependencies_that_the_guide_names_are_there():
    """Each of `pip install -e '.[NAME]'`, and no other one is left out."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = set(re.findall(r"'\.\[(\w+)\]'", CONTRIBUTING))
    assert named == set(extras) - {"top", "samples", "export", "stream"}  # which are for users


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b(?:agent|benchmarks|docs|tests)/[\w/.]*\w", CONTRIBUTING))))
def test_what_the_guide_names_is_there(name: str):
    """Files and folders; a name in capitals stands for any."""
    if re.search(r"\b[A-Z]{2,}\b", name):
        folder = ROOT / name.rpartition("/")[0]
        assert list(folder.glob(re.sub(r"[A-Z]{2,}", "*", name.rpartition("/")[2])))
    else:
        assert (ROOT / name).exists()
