"""The environment that the program gets, and what starting it answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import hookmon_bootstrap
from hookmon.collector import launch, signals
from hookmon.core.errors import LaunchError

BOOT = str(Path(hookmon_bootstrap.__file__).parent)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, [BOOT]),
        ("", [BOOT]),
        ("/a", [BOOT, "/a"]),
        ("/a:/b", [BOOT, "/a", "/b"]),
        (BOOT, [BOOT]),
        (f"{BOOT}:/a", [BOOT, "/a"]),
        (f"/a:{BOOT}:/b", [BOOT, "/a", "/b"]),
        ("/a:/a", [BOOT, "/a", "/a"]),
        (".", [BOOT, "."]),
        ("relative/dir", [BOOT, "relative/dir"]),
        ("/a:", [BOOT, "/a", ""]),
        ("/ä\udc80", [BOOT, "/ä\udc80"]),
    ],
)
def test_the_bootstrap_goes_first_and_the_rest_keeps_its_order(before: str | None, after: list[str]):
    """Once, and never with an empty entry that was not there."""
    base = {"HOME": "/home/bob"} if before is None else {"HOME": "/home/bob", "PYTHONPATH": before}
    made = launch.environment(base, Path("/run/folder"))
    assert made["PYTHONPATH"].split(os.pathsep) == after
    assert made["HOOKMON_RUN"] == "/run/folder"
    assert Path(made["HOOKMON_AGENT"], "hookmon", "probe", "start.py").is_file()
    assert made["HOME"] == "/home/bob"
    assert base.get("PYTHONPATH") == before


def test_a_run_within_a_run_changes_nothing_but_the_folder():
    """The user's entries survive any number of launchers."""
    once = launch.environment({"PYTHONPATH": "/a:/b"}, Path("/one"))
    twice = launch.environment(once, Path("/two"))
    assert twice == once | {"HOOKMON_RUN": "/two"}


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "exit_code", "said"),
    [
        ("no-such-command-anywhere", 127, "there is no such command"),
        ("./missing", 127, "there is no such command"),
        ("pyhton3", 127, "there is no such command; did you mean python3?"),
        ("script.py", 127, "there is no such command; did you mean python script.py?"),
        ("./folder", 126, "a folder cannot be run"),
        ("./plain", 126, "no permission to execute it"),
        ("./headless", 126, "neither a program nor a script"),
        ("./orphan", 127, "its interpreter"),
    ],
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the launcher has one thread
def test_what_cannot_be_started_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, exit_code: int, said: str
):
    """As the shells have it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "script.py").touch()
    for name, content, mode in (
        ("plain", "#!/bin/sh\n", 0o600),
        ("headless", "nothing", 0o700),
        ("orphan", "#!/nowhere/sh\n", 0o700),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    with pytest.raises(LaunchError, match=said) as caught:
        launch.start([command], {"PATH": os.defpath}, signals.Inherited((), ignores_children=False))
    assert caught.value.exit_code == exit_code
