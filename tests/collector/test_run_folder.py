"""Whose a run folder is, whether its launcher lives, and what may be deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.users import ALICE, need_root

from hookmon.collector import leases, run_folder
from hookmon.collector.recover import sweep
from hookmon.collector.store import Run, RunFile, Store
from hookmon.core.record import asdict, replace

pytestmark = pytest.mark.process

AGENT = Path(__file__).resolve().parents[2] / "agent"
MAKE = """
import os, sys
from pathlib import Path
from hookmon.collector import leases, run_folder
folder = run_folder.make(Path(sys.argv[1]))
if sys.argv[2]:
    run_folder.name_run_file(folder, Path(sys.argv[2]))
(folder / "plan").write_text("a plan")
(folder / "4194304-1.shard").write_text("a shard")  # beyond the largest pid
print(folder, run_folder.key(folder), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one place for run folders, here and in the processes that are started."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    return place


@contextmanager
def launcher(place: Path, run_file: str = "") -> Iterator[tuple[subprocess.Popen[str], Path, str]]:
    """Start a process that makes a run folder and lives until it is killed; give it, the folder and its key."""
    command = [sys.executable, "-c", MAKE, str(place), run_file]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(AGENT)}
    ) as process:
        try:
            assert process.stdout is not None
            folder, key = process.stdout.readline().split()
            yield process, Path(folder), key
        finally:
            process.kill()


def leave(place: Path, run_file: str = "", *, age_s: float = 3_600) -> tuple[Path, str]:
    """Return a run folder, and its key, whose launcher was killed some time ago."""
    with launcher(place, run_file) as (_, folder, key):
        pass
    grow_old(folder, age_s)
    return folder, key


def grow_old(folder: Path, age_s: float = 3_600) -> None:
    """Make a folder look as if nothing had happened in it for some time."""
    os.utime(folder, (time.time() - age_s, time.time() - age_s))


def test_the_lock_tells_whether_a_launcher_lives(place: Path):
    """Until it is killed, and only to whom the key was given."""
    with launcher(place) as (process, folder, key):
        assert run_folder.launcher_lives(folder, key) is True
        assert run_folder.launcher_lives(folder, "another") is None
        process.kill()
        process.wait()
        assert run_folder.launcher_lives(folder, key) is False


def test_a_look_takes_the_lock_from_nobody(place: Path):
    """Two that look at the same time see the same."""
    with launcher(place) as (_, folder, key):
        assert [run_folder.launcher_lives(folder, key) for _ in range(3)] == [True] * 3
    assert [run_folder.launcher_lives(folder, key) for _ in range(3)] == [False] * 3


def test_a_child_does_not_inherit_the_lock(tmp_path: Path, place: Path):
    """The program outlives its launcher, and must not pass for it."""
    folder = run_folder.make(place)
    try:
        lock = os.stat(folder / "lock")
        code = f"""import os
for number in os.listdir("/dev/fd"):
    try: print((os.fstat(int(number)).st_dev, os.fstat(int(number)).st_ino) == ({lock.st_dev}, {lock.st_ino}))
    except OSError: pass
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False, check=True)
        assert "True" not in done.stdout.split()
    finally:
        run_folder.remove(folder)


def test_a_folder_goes_with_what_is_ours_in_it(place: Path):
    """All of it, by its names."""
    folder = run_folder.make(place)
    for name in ("plan", "modules", "1-2.born", "1-2.shard", "run.sqlite", "run.sqlite-journal", "survivors.sqlite"):
        (folder / name).touch()
    run_folder.remove(folder)
    assert not folder.exists()


def test_a_foreign_file_saves_the_folder(place: Path):
    """And its own folders with what is in them."""
    folder = run_folder.make(place)
    (folder / "thesis.txt").write_text("work of years")
    (folder / "plan").touch()
    (folder / "1-1.shard").mkdir()
    (folder / "1-1.shard" / "letter").touch()
    run_folder.remove(folder)
    assert sorted(os.listdir(folder)) == ["1-1.shard", "thesis.txt"]
    assert os.listdir(folder / "1-1.shard") == ["letter"]


def test_a_folder_that_this_process_does_not_hold_is_not_deleted(place: Path):
    """Whatever it is called and whatever is in it."""
    folder, _ = leave(place)
    there = sorted(os.listdir(folder))
    run_folder.remove(folder)
    assert sorted(os.listdir(folder)) == there
    assert {"4194304-1.shard", "lock", "plan"} <= set(there)


def sweep_project(tmp_path: Path) -> None:
    """Do what the start of a run does, in a project without runs."""
    sweep(Store(tmp_path / "project" / ".hookmon"))


def test_what_a_launcher_left_before_the_start_is_swept(tmp_path: Path, place: Path):
    """It had named no run file yet, so its program never ran."""
    folder, _ = leave(place)
    sweep_project(tmp_path)
    assert not folder.exists()


def test_what_is_young_or_held_is_not_swept(tmp_path: Path, place: Path):
    """It is just being made, or goes on."""
    young, _ = leave(place, age_s=0)
    with launcher(place) as (_, held, _):
        grow_old(held)
        sweep_project(tmp_path)
        assert young.exists()
        assert held.exists()


def test_what_another_project_can_still_recover_is_not_swept(tmp_path: Path, place: Path):
    """Its run file is there, and names the folder."""
    run_file = RunFile(tmp_path / "other" / "run-0001.sqlite")
    run_file.path.parent.mkdir()
    folder, key = leave(place, str(run_file.path))
    run_file.save(Run(1, "", [], "", "0.1.0", run_folder=str(folder), run_key=key))
    sweep_project(tmp_path)
    assert folder.exists()
    run_file.save(Run(1, "", [], "", "0.1.0", run_folder=str(folder), run_key="of another run"))
    sweep_project(tmp_path)
    assert not folder.exists()


def test_what_belongs_to_a_removed_run_is_swept(tmp_path: Path, place: Path):
    """Nobody can read it any more."""
    folder, _ = leave(place, str(tmp_path / "gone" / "run-0001.sqlite"))
    sweep_project(tmp_path)
    assert not folder.exists()


def change_note(where: Path, **changes: str) -> None:
    """Write something else into a folder's lock."""
    note = run_folder.note_of(where)
    assert note is not None
    (where / "lock").write_text(json.dumps(asdict(replace(note, **changes))))
    grow_old(where)


@pytest.mark.parametrize("change", ["pids", "mounts", "folder"])
def test_what_is_of_another_container_is_not_swept(change: str, tmp_path: Path, place: Path):
    """Its processes cannot be seen from here, nor its run file; a copy of a folder names another one."""
    folder, _ = leave(place, str(tmp_path / "gone" / "run-0001.sqlite"))
    change_note(folder, **{change: "another"})
    sweep_project(tmp_path)
    assert folder.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"folder": 1}', "[" * 5_000, "\0" * 100, "9" * 6_000])
def test_a_damaged_note_saves_the_folder(content: str, tmp_path: Path, place: Path):
    """Nobody knows what it was."""
    folder, key = leave(place)
    (folder / "lock").write_text(content)
    grow_old(folder)
    sweep_project(tmp_path)
    assert folder.exists()
    assert run_folder.launcher_lives(folder, key) is None


@pytest.mark.parametrize("damage", ["no lock", "a pipe", "a link", "open to others", "not called so"])
def test_what_looks_not_like_ours_is_not_swept(damage: str, tmp_path: Path, place: Path):
    """One sign is enough."""
    folder, key = leave(place)
    lock = folder / "lock"
    if damage == "no lock":
        lock.unlink()
    elif damage == "a pipe":
        lock.unlink()
        os.mkfifo(lock)
    elif damage == "a link":
        lock.symlink_to(lock.rename(tmp_path / "elsewhere"))
    elif damage == "open to others":
        folder.chmod(0o755)
    else:
        folder = folder.rename(place / "thesis")
        (folder / "lock").write_text((folder / "lock").read_text().replace("hookmon-", "thesis-"))
    grow_old(folder)
    sweep_project(tmp_path)
    assert (folder / "plan").exists()
    assert not run_folder.launcher_lives(folder, key)


def test_what_belongs_to_another_user_is_not_swept(tmp_path: Path, place: Path):
    """Not even by root."""
    need_root()
    folder, key = leave(place)
    os.chown(folder, ALICE, ALICE)
    sweep_project(tmp_path)
    assert folder.exists()
    assert run_folder.launcher_lives(folder, key) is None


def test_a_living_process_saves_the_folder(tmp_path: Path, place: Path):
    """Which left a shard there: it outlived its launcher."""
    folder, _ = leave(place, str(tmp_path / "gone" / "run-0001.sqlite"))
    (folder / f"{os.getpid()}-{time.monotonic_ns()}.shard").touch()
    grow_old(folder)
    sweep_project(tmp_path)
    assert folder.exists()


@pytest.mark.parametrize("name", [f"{2**70}-5.shard", "0-0.born", "-5.shard", "x-5.born", f"{2**22}-{'9' * 200}.shard"])
def test_a_name_that_is_none_of_a_process_is_no_obstacle(name: str, tmp_path: Path, place: Path):
    """The program can write anything there."""
    folder, _ = leave(place, str(tmp_path / "gone" / "run-0001.sqlite"))
    (folder / name).touch()
    grow_old(folder)
    sweep_project(tmp_path)
    assert not folder.exists()


def test_a_later_process_of_the_same_number_does_not(tmp_path: Path, place: Path):
    """It was started after the shard was made."""
    folder, _ = leave(place, str(tmp_path / "gone" / "run-0001.sqlite"))
    (folder / f"{os.getpid()}-1000.shard").touch()
    grow_old(folder)
    sweep_project(tmp_path)
    assert not folder.exists()


WRITER = """
import mmap, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(descriptor, 4096)
words = mmap.mmap(descriptor, 4096, **({"trackfd": False} if sys.version_info >= (3, 13) else {}))
if sys.argv[2] == "mapped":
    os.closerange(3, 100)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["open", "mapped"])
def test_a_shard_that_somebody_writes_is_known_as_one(how: str, place: Path):
    """Whoever it is, also when nothing but the mapping is left of it; who reads one does not count."""
    folder = run_folder.make(place)
    shard = folder / "1-1.shard"
    command = [sys.executable, "-c", WRITER, str(shard), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with shard.open("rb"):
            assert leases.is_written(folder)
            writer.communicate("\n")
            assert not leases.is_written(folder)
    run_folder.remove(folder)
