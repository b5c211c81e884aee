"""One store, to which several processes write at once: while it begins, and while somebody deletes it or sets it aside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hookmon.services.store import ServiceStore

pytestmark = pytest.mark.process

WRITER = """
import sys
from pathlib import Path
from hookmon.core.errors import StoreError
from hookmon.services.store import ServiceStore

path, number = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for turn in range(8):
    store = ServiceStore(path, print)
    try:
        with store.writing() as connection:
            connection.execute("INSERT INTO services (name) VALUES (?)", [f"{number}-{turn}" + "x" * 3000])
        with store.reading() as connection:
            connection.execute("SELECT count(*) FROM services").fetchone()
    except StoreError as error:
        print(error)
"""


def write_at_once(path: Path, meanwhile: Callable[[], None], processes: int = 6) -> list[str]:
    """Let processes write and read eight times each, all from the same moment on; return what they say."""
    command = [sys.executable, "-c", WRITER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    writers = [subprocess.Popen([*command, str(number)], **pipes) for number in range(processes)]  # type: ignore[call-overload]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    meanwhile()
    return [line for writer in writers for line in writer.communicate(timeout=60)[0].splitlines()]


def integrity(path: Path) -> str:
    """Return what SQLite says of a store."""
    with ServiceStore(path).reading() as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def test_a_store_that_all_begin_at_once_has_what_all_wrote(tmp_path: Path):
    """Nobody takes it for another one's because its tables are not there yet."""
    path = tmp_path / "state" / "services.sqlite"
    assert write_at_once(path, lambda: None) == []
    with ServiceStore(path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM services").fetchone()[0] == 6 * 8


@pytest.mark.parametrize("after_ms", range(0, 40, 4 if "HOOKMON_BOTH" in os.environ else 12))
def test_a_store_that_is_deleted_under_way_is_begun_again(tmp_path: Path, after_ms: int):
    """As the how-to says that it may be, without what SQLite has beside it: the next is whole, and nobody calls it damaged.

    What a process writes to a file that is deleted in just that moment may be lost with it, and is told so.
    """
    path = tmp_path / "state" / "services.sqlite"

    def delete() -> None:
        end = time.monotonic() + 30
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(after_ms / 1000)
        path.unlink()

    told = write_at_once(path, delete)
    assert [line for line in told if "the service is not kept" not in line] == []
    assert [entry.name for entry in path.parent.iterdir() if "damaged" in entry.name] == []
    with ServiceStore(path).writing() as connection:
        connection.execute("INSERT INTO services (name) VALUES ('later')")
    assert integrity(path) == "ok"


def test_a_damaged_store_is_set_aside_once_by_all_who_come_at_once(tmp_path: Path):
    """One tells of it; what all write is in the new one."""
    path = tmp_path / "services.sqlite"
    path.write_bytes(b"nothing of a database" * 500)
    (told,) = write_at_once(path, lambda: None)
    assert "services.sqlite.damaged-1, and a new one is begun [store]" in told
    with ServiceStore(path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM services").fetchone()[0] == 6 * 8
