"""Other users of the machine, by number. Whoever is not root skips the tests that need them, and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ALICE = 20_001
BOB = 20_002

ROOT = Path(__file__).resolve().parents[2]
_LAUNCHER = "import sys; sys.path[:0] = {path!r}; from hookmon.cli.main import main; sys.argv[0] = 'hookmon'; main()"


def need_root() -> None:
    """Skip the test for everybody but root."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")


@cache
def _open_python() -> str | None:
    """Return an interpreter that every user may execute, and by which they can import hookmon; None where there is none."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        code = _LAUNCHER.format(path=_import_path()).replace("main()", "sys.version_info >= (3, 11) or sys.exit(1)")
        try:
            done = subprocess.run([candidate, "-c", code], user=ALICE, group=ALICE, extra_groups=[], cwd="/", capture_output=True)
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    return None


def _import_path() -> list[str]:
    import click

    return [str(ROOT / "agent"), str(ROOT / "bootstrap"), str(Path(click.__file__).parents[1])]


def open_python() -> str:
    """Return an interpreter that every user may execute, or skip the test."""
    need_root()
    found = _open_python()
    if found is None:
        pytest.skip("there is no Python here that other users may execute, or the source tree is closed to them")
    return found


def as_user(uid: int) -> dict[str, Any]:
    """Return what makes subprocess start a process as a user, with no groups besides."""
    return {"user": uid, "group": uid, "extra_groups": []}


def hookmon_of_others() -> list[str]:
    """Return the command line of hookmon for any user, or skip the test."""
    return [open_python(), "-c", _LAUNCHER.format(path=_import_path())]


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that all users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="common-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def folder_of(uid: int, folder: Path, mode: int = 0o700) -> Path:
    """Make a folder that belongs to a user."""
    folder.mkdir(mode)
    folder.chmod(mode)
    os.chown(folder, uid, uid)
    return folder


def copy_python(uid: int, path: Path, mode: int) -> Path:
    """Copy the open interpreter for a user, with a mode such as 0o4755, or skip the test where that has no effect."""
    shutil.copyfile(os.path.realpath(open_python()), path)
    os.chown(path, uid, uid)
    path.chmod(mode)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID has no effect on this file system")
    return path
