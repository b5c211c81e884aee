"""Whose word counts: a process obeys the run folder of its own user only, and none where it has the rights of another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.runs import PYTHON, Started, blind_spots, calls, environment, hookmon_run, watch, write
from support.users import ALICE, BOB, ROOT, as_user, common, copy_python, folder_of, hookmon_of_others, need_root, open_python

from hookmon.collector import launch
from hookmon.core import plan

__all__ = ["common"]

ADAPTER = """
    import os
    def patch(module, call, timed, patches):
        os.write(1, b"the adapter runs\\n")
"""
WATCH: dict[str, Any] = {
    "id": 1, "module": "colorsys", "calls": ["rgb_to_hsv"], "span": "", "kind": "function", "nested": False, "pack": "p",
    "source": "test", "entry": False, "entry_name": "", "entry_status": "", "entry_body": "", "waits": False,
}  # fmt: skip


def run_folder(folder: Path, *, uid: int | None = None, adapter_uid: int | None = None) -> dict[str, str]:
    """Fill a run folder whose plan has an adapter that prints, and return the environment of a process of its run."""
    adapter = folder / "adapter.py"
    write(folder, {"adapter.py": ADAPTER})
    content: Any = {"run_folder": str(folder), "hookmon": "0.1", "redact": "off", "max_overhead": 0.0}
    content["wrapt_folder"] = launch.wrapt_folder()  # a system's own Python may have none
    content["watches"] = [WATCH | {"adapter": str(adapter)}]
    (folder / plan.FILE_NAME).write_bytes(plan.encode(content))
    (folder / plan.MODULES_FILE_NAME).write_text("colorsys")
    for path in folder.iterdir() if uid is not None else ():
        os.chown(path, uid, uid)
    if adapter_uid is not None:
        os.chown(adapter, adapter_uid, adapter_uid)
    return launch.environment(environment(folder), folder)


def output(env: dict[str, str], python: str = PYTHON, **user: Any) -> str:
    """Return what a program prints that imports what is watched."""
    done = subprocess.run(
        [python, "-c", "import colorsys; print('done')"], env=env, capture_output=True, text=True, timeout=60, **user
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_run_folder_of_ones_own_is_obeyed(tmp_path: Path) -> None:
    """The folder that the other tests here change in one way each."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    assert output(run_folder(folder)) == "the adapter runs\ndone\n"
    assert len(list(folder.glob("*.born"))) == len(list(folder.glob("*.shard"))) == 1


def test_a_run_folder_of_another_user_is_neither_read_nor_written(common: Path) -> None:
    """HOOKMON_RUN outlives its run, and anybody may make a folder of that name in a public place: not even root obeys it."""
    need_root()
    folder = folder_of(ALICE, common / "run", 0o755)
    env = run_folder(folder, uid=ALICE)
    before = sorted(os.listdir(folder))
    assert output(env) == "done\n"
    assert output(env, open_python(), **as_user(BOB)) == "done\n"
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750, 0o1777], ids=oct)
def test_a_run_folder_that_is_open_to_others_is_left_alone(mode: int, tmp_path: Path) -> None:
    """The launcher makes none like that: whatever is in it may be from anybody."""
    folder = tmp_path / "run"
    folder.mkdir()
    env = run_folder(folder)
    folder.chmod(mode)
    before = sorted(os.listdir(folder))
    assert output(env) == "done\n"
    assert sorted(os.listdir(folder)) == before


def test_a_link_is_no_run_folder(tmp_path: Path) -> None:
    """It leads to wherever its maker wants."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    env = run_folder(folder)
    (tmp_path / "link").symlink_to(folder)
    assert output(env | {"HOOKMON_RUN": str(tmp_path / "link")}) == "done\n"
    assert not list(folder.glob("*.born"))


@pytest.mark.parametrize("name", [plan.FILE_NAME, plan.MODULES_FILE_NAME])
@pytest.mark.parametrize("change", ["foreign", "open", "link", "pipe"])
def test_a_file_that_is_not_ones_own_is_not_read(name: str, change: str, tmp_path: Path) -> None:
    """In a folder of one's own: of another user, open to others, a link, a pipe. The collector is told."""
    folder = tmp_path / "run"
    folder.mkdir(0o700)
    env = run_folder(folder)
    path = folder / name
    if change == "foreign":
        need_root()
        os.chown(path, ALICE, ALICE)
    elif change == "open":
        path.chmod(0o666)
    elif change == "link":
        path.symlink_to(path.rename(tmp_path / "elsewhere"))
    else:
        path.unlink()
        os.mkfifo(path, 0o600)
    assert output(env) == "done\n"
    assert [note for note in folder.glob("*.born") if b"the probe" in note.read_bytes()]


@pytest.mark.parametrize(("owner", "runs"), [(ALICE, False), (0, True)], ids=["another user", "the folder's owner"])
def test_an_adapter_that_somebody_slipped_in_is_not_executed(owner: int, runs: bool, common: Path) -> None:
    """Into a place where all may write: its owner is neither the user, root, nor whose folder it lies in."""
    need_root()
    folder = folder_of(0, common / "run")
    env = run_folder(folder, adapter_uid=owner)
    assert output(env) == ("the adapter runs\ndone\n" if runs else "done\n")


SETUID = """
    import subprocess, sys, shop
    shop.quote(1)
    code = "import os, shop, time; shop.quote(2); print(os.getuid(), os.geteuid()); time.sleep(1)"  # long enough to be seen
    subprocess.run([sys.argv[1], "-c", code], check=True)
"""
SHOP = "def quote(number):\n    return number\n"


def run_as(uid: int, folder: Path, args: list[str]) -> Any:
    """Run `hookmon run` as a user in a folder and return its Result."""
    command = [*hookmon_of_others(), "run", "--format", "json", "--output", str(folder / "report.json"), "--", *args]
    return Started(command, cwd=folder, report_path=folder / "report.json", **as_user(uid)).finish()


def project_of(uid: int, folder: Path, files: dict[str, str]) -> Path:
    """Make a project of a user."""
    folder_of(uid, folder, 0o755)
    write(folder, {"shop.py": SHOP, "hookmon.toml": watch("shop", "quote"), **files})
    for path in folder.iterdir():
        os.chown(path, uid, uid)
    return folder


@pytest.mark.parametrize(("mode", "ids"), [(0o4755, f"{ALICE} {BOB}"), (0o2755, f"{ALICE} {ALICE}")], ids=["user", "group"])
def test_a_program_with_the_rights_of_another_is_left_alone_and_named(mode: int, ids: str, common: Path) -> None:
    """A set-user-ID or set-group-ID Python below a run: it runs as without us, and leaves nothing in the run folder."""
    project = project_of(ALICE, common / "project", {"app.py": SETUID})
    python = copy_python(BOB, common / "python3-raised", mode)
    result = run_as(ALICE, project, [open_python(), "app.py", str(python)])
    assert (result.stdout, result.stderr, result.exit_code) == (f"{ids}\n", "", 0)
    assert calls(result.report, "shop:quote") == 1
    (spot,) = blind_spots(result.report)
    assert "with another user's rights" in spot


def test_a_program_with_file_capabilities_is_left_alone(common: Path) -> None:
    """Its users are those of its parent, and yet it has more rights."""
    folder = folder_of(ALICE, common / "run")
    env = run_folder(folder, uid=ALICE)
    python = copy_python(0, common / "python3-capable", 0o755)
    if subprocess.run(["setcap", "cap_net_bind_service+ep", python], capture_output=True, check=False).returncode:
        pytest.skip("file capabilities cannot be set here")
    assert output(env, str(python), **as_user(ALICE)) == "done\n"
    assert not list(folder.glob("*.born"))
    assert output(env, open_python(), **as_user(ALICE)) == "the adapter runs\ndone\n"


DROPS = """
    import subprocess, sys, shop
    shop.quote(1)
    subprocess.run([sys.argv[1], "-c", "import shop, time; shop.quote(2); time.sleep(0.3)"], user=int(sys.argv[2]), check=True)
"""


def test_a_child_of_another_user_is_named_however_short(common: Path) -> None:
    """The run folder is closed to it: neither note nor shard can be there."""
    write(common, {"shop.py": SHOP, "app.py": DROPS})
    args = [PYTHON, "app.py", open_python(), str(ALICE)]
    result = hookmon_run(args, cwd=common, config=watch("shop", "quote"), env={"PYTHONPATH": str(ROOT / "agent")})
    assert (result.stdout, result.stderr, result.exit_code) == ("", "", 0)
    assert calls(result.report, "shop:quote") == 1
    (spot,) = blind_spots(result.report)
    assert f"runs as user {ALICE}" in spot
