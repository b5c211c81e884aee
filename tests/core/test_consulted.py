"""What a configuration has come from is noted, all of it, and a change of any of it is seen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hookmon.config.load import load
from hookmon.core import consulted
from hookmon.core.consulted import Consulted

CONFIG = '[[watch]]\nmodule = "shop"\ncalls = ["quote"]\n'
PACK = '[pack]\ndescription = "theirs"\n\n[[watch]]\nmodule = "theirs"\ncalls = ["go"]\n'

AUDIT = """
import os, sys
from pathlib import Path
opened = []
def hook(event, arguments):
    if event in ("open", "os.listdir", "os.scandir"):
        opened.append(arguments[0])
from hookmon.config import packs, load, installed, find, exports
from hookmon.core.consulted import Consulted
import importlib.metadata, tomllib, zipfile
sys.addaudithook(hook)
with Consulted() as consulted:
    load.load(Path.cwd(), pack=["own.toml"])
hooked = {os.path.abspath(path or ".") for path in opened if isinstance(path, (str, os.PathLike))}
known = {*consulted.states, *consulted.there}
site = [path for path in sys.path if path]
print([path for path in sorted(hooked) if path not in known and not path.endswith((".py", ".pyc", ".so", "__pycache__"))
       and not any(path.endswith(end) for end in (".dist-info/entry_points.txt", ".dist-info/METADATA"))
       and not os.path.isdir(path)])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a configuration, a folder below it and a pack of its own; installed packages are in `site`."""
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "hookmon.toml").write_text(CONFIG)
    (project / "own.toml").write_text(PACK.replace("theirs", "own"))
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(project / "below")
    install(tmp_path / "site")
    age(tmp_path)
    return project


def install(site: Path, name: str = "theirs") -> None:
    """Install a package with a pack by hand, as pip lays it."""
    (site / name).mkdir()
    (site / name / "__init__.py").write_text("")
    (site / name / f"{name}.toml").write_text(PACK.replace("theirs", name))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hookmon.packs]\n{name} = {name}\n")


def age(folder: Path) -> None:
    """Wait until all that was written is so old that a later change is certain to be seen."""
    time.sleep(2 * consulted._TICK_NS / 1e9)
    assert folder.is_dir()


def consult() -> Consulted:
    """Load the configuration of the working folder, with a pack of its own."""
    with Consulted() as found:
        loaded = load(Path.cwd(), pack=("../own.toml",))
    assert {"own", "theirs", "redis"} <= set(loaded.packs)
    return found


CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda _: None,
    "the configuration is edited": lambda project: (project / "hookmon.toml").write_text(CONFIG.replace("quote", "price")),
    "another of the same size and time": lambda project: replace_alike(project / "hookmon.toml"),
    "a nearer configuration": lambda project: (project / "below" / "hookmon.toml").write_text(""),
    "a nearer pyproject.toml": lambda project: (project / "below" / "pyproject.toml").write_text("[tool.hookmon]\n"),
    "a nearer project": lambda project: (project / "below" / ".git").mkdir(),
    "the configuration goes": lambda project: (project / "hookmon.toml").unlink(),
    "a link that leads nowhere": lambda project: (project / "below" / "hookmon.toml").symlink_to("nowhere"),
    "a pack that was named is edited": lambda project: (project / "own.toml").write_text(PACK.replace("theirs", "other")),
    "an installed pack is edited": lambda project: append(project.parent / "site" / "theirs" / "theirs.toml"),
    "its entry point is edited": lambda project: append(project.parent / "site" / "theirs-1.0.dist-info" / "entry_points.txt"),
    "another pack is installed": lambda project: install(project.parent / "site", "others"),
    "a pack is uninstalled": lambda project: (project.parent / "site" / "theirs-1.0.dist-info").rename(project / "gone"),
}


def append(path: Path) -> None:
    """Add a comment to a file."""
    path.write_text(path.read_text() + "# more\n")


def replace_alike(path: Path) -> None:
    """Put another text of the same length there, with the time of the one before."""
    status = path.stat()
    path.write_text(CONFIG.replace("quote", "price"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(project: Path, change: str):
    """And nothing else is."""
    found = consult()
    assert found.is_settled
    CHANGES[change](project)
    assert found.has_changed() == (change != "nothing")


def test_what_has_just_been_written_may_change_unseen(project: Path):
    """Two changes within a tick of the file system's clock leave the same time: that is no base for anything."""
    (project / "hookmon.toml").write_text(CONFIG)
    assert not consult().is_settled


@pytest.mark.process
def test_all_files_that_are_read_are_noted(project: Path):
    """What the interpreter itself opens for `load` is among what was consulted: files, and folders that are listed."""
    done = subprocess.run([sys.executable, "-c", AUDIT], capture_output=True, text=True, cwd=project, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_nothing_is_noted_when_nobody_records(project: Path):
    """An ordinary load has nothing to pay."""
    found = consult()
    before = dict(found.states)
    load(Path.cwd())
    assert found.states == before
