"""Where hookmon keeps its files, by what the environment says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.users import as_user, need_root, open_python

from hookmon.collector import places, run_folder
from hookmon.collector.store import Store

AGENT = Path(__file__).resolve().parents[2] / "agent"
VARIABLES = ("HOOKMON_FOLDER", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that names no folder but a home; return the home."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_named_folder_has_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run folders, the runs of all projects together, and what is remembered: one volume is enough."""
    volume = tmp_path / "volume"
    monkeypatch.setenv("HOOKMON_FOLDER", str(volume))
    assert places.for_run_folders() == [volume]
    assert places.state() == places.cache() == volume
    assert Store.of_project(tmp_path / "a").folder == Store.of_project(tmp_path / "b").folder == volume / "runs"


def test_what_is_kept_may_lie_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run folders in memory, runs on a disk."""
    monkeypatch.setenv("HOOKMON_FOLDER", str(tmp_path / "memory"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "disk"))
    assert places.for_run_folders() == [tmp_path / "memory"]
    assert Store.of_project(tmp_path).folder == tmp_path / "disk" / "hookmon" / "runs"


def test_a_folder_that_is_named_from_here_is_told_from_the_top(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The run file says where its run folder is, whoever reads it from wherever."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKMON_FOLDER", "volume/")
    assert places.named() == tmp_path / "volume"


def test_without_a_name_all_is_as_ever(nothing_named: Path, tmp_path: Path) -> None:
    """In the home, and run folders in memory first."""
    assert places.named() is None
    assert (places.state(), places.cache()) == (nothing_named / ".local/state/hookmon", nothing_named / ".cache/hookmon")
    assert places.for_run_folders()[0] == Path("/dev/shm")
    assert Store.of_project(tmp_path).folder == tmp_path / ".hookmon"


@pytest.mark.process
def test_a_user_without_a_home_has_places_all_the_same() -> None:
    """A number that passwd does not know, and no HOME."""
    need_root()
    code = (
        f"import sys; sys.path[:0] = [{str(AGENT)!r}]; from hookmon.collector.places import cache, state; print(state(), cache())"
    )
    done = subprocess.run([open_python(), "-c", code], env={}, cwd="/", capture_output=True, text=True, **as_user(12_345))
    assert (done.stdout, done.stderr) == ("/.local/state/hookmon /.cache/hookmon\n", "")


def test_a_named_folder_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may be one in a volume that is empty at first; any other place has to be there."""
    place = tmp_path / "volume" / "hookmon"
    with pytest.raises(FileNotFoundError):
        run_folder.make(place)
    monkeypatch.setenv("HOOKMON_FOLDER", str(place))
    folder = run_folder.make(place)
    assert folder.parent == place
    run_folder.remove(folder)


def test_a_run_folder_may_lie_where_folders_hand_their_group_on(tmp_path: Path) -> None:
    """As volumes of Kubernetes with an fsGroup are: what is made in them has the set-group-ID bit, and is closed all the same."""
    tmp_path.chmod(0o2777)
    folder = run_folder.make(tmp_path)
    assert os.stat(folder).st_mode & 0o7777 == 0o2700
    with run_folder.claim(folder, None) as note:
        assert note is None  # it is held
    found = run_folder.note_of(folder)
    assert found is not None
    assert run_folder.is_readable(folder, found.key)
    run_folder.remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701, 0o1700])
def test_a_folder_that_is_open_to_others_is_no_run_folder(mode: int, tmp_path: Path) -> None:
    """Whoever may write in it may have put there what is read."""
    folder = run_folder.make(tmp_path)
    folder.chmod(mode)
    assert run_folder.note_of(folder) is None
    folder.chmod(0o700)
    run_folder.remove(folder)
