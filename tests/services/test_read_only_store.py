"""A store where nothing can be written: in a volume that is mounted read-only, in a copy, beside a service that goes on."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import containers
from support.kept_services import Keeper, store_of
from support.runs import HOOKMON, Started, calls

from hookmon.services import copying
from hookmon.services.clock import HOUR_S
from hookmon.services.store import ServiceStore

pytestmark = pytest.mark.process


@contextmanager
def log_kept(store: ServiceStore) -> Iterator[None]:
    """Let what is written stay in the log: whoever closes a store last empties it."""
    with store.reading():
        yield


def fill_hours(store: ServiceStore, *hours: int) -> None:
    """Keep ten requests in each hour."""
    for hour in hours:
        keeper = Keeper(store, "web", hour * HOUR_S)
        keeper.count("GET /", 10)
        keeper.end(hour * HOUR_S + 60)


def requests_in(folder: Path) -> int:
    """Return the requests of a service that a report shows where a folder is mounted read-only."""
    containers.need()
    at = shlex.quote(str(folder))
    mount = f"mount --make-rprivate / && mount --bind {at} {at} && mount -o remount,ro,bind {at}"
    line = shlex.join([HOOKMON, "report", "web", "--since", "1970-01-01 12:00", "--until", "1970-01-01 23:00", "--json"])
    command = ["unshare", "--mount", "sh", "-c", f"{mount} && cd {at} && exec {line}"]
    done = Started(command, cwd=folder, env={"TZ": "UTC"}).finish()
    assert done.exit_code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return calls(report, "GET /")


def test_a_store_without_a_log_is_read(tmp_path: Path):
    """As a volume has it whose services rest."""
    fill_hours(store_of(tmp_path), 12, 13, 14)
    assert requests_in(tmp_path) == 30


def test_what_is_in_the_log_only_is_read(tmp_path: Path):
    """The service writes at this moment; and in a copy that somebody has made meanwhile there is no index."""
    here, there = tmp_path / "here", tmp_path / "there"
    store = store_of(here)
    fill_hours(store, 12)
    with log_kept(store):
        fill_hours(store, 13, 14, 15)
        assert Path(f"{store.path}-wal").stat().st_size
        assert requests_in(here) == 40
        shutil.copytree(here, there, ignore=shutil.ignore_patterns("*-shm"))
    assert requests_in(there) == 40


def test_a_copy_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is written while it is made is in it whole."""
    store = store_of(tmp_path)
    fill_hours(store, 12)
    copyfile = shutil.copyfile
    written: list[str] = []

    def copy(source: str, target: str) -> None:
        copyfile(source, target)
        if not written:
            written.append(source)
            fill_hours(store, 13, 14)

    monkeypatch.setattr(shutil, "copyfile", copy)
    with copying.copied(store.path) as path, ServiceStore(path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM starts").fetchone() == (3,)
