"""The shard as a file: it grows, it comes to an end, and the program goes on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hookmon.collector.shards import ShardReader
from hookmon.core import layout
from hookmon.probe.recording.arena import Arena

HEADER = [layout.VERSION, 11, 22, 33, 44]
TEXT = b"0.1\0pure\x003.12.4\0/usr/bin/python\0python\0app.py"


@pytest.fixture
def arena(tmp_path: Path):
    """A fresh shard."""
    made = Arena(str(tmp_path / "1-1.shard"), HEADER, TEXT)
    yield made
    made.close_in_child()


def read(path: str):
    """Return what a collector reads."""
    reader = ShardReader(Path(path))
    try:
        return reader.read()
    finally:
        reader.close()


def test_a_shard_is_private(arena: Arena):
    """Nobody else may read it."""
    assert stat.S_IMODE(os.stat(arena.path).st_mode) == 0o600


def test_the_header_is_read_as_it_was_written(arena: Arena):
    """Numbers and text."""
    data = read(arena.path)
    assert (data.pid, data.parent_pid, data.started_ns, data.started_wall_ns) == (11, 22, 33, 44)
    assert (data.hookmon, data.engine, data.python, data.executable) == ("0.1", "pure", "3.12.4", "/usr/bin/python")
    assert data.argv == ["python", "app.py"]
    assert not data.full
    assert not data.damaged


def test_storage_is_reserved_and_never_sparse(arena: Arena):
    """As many blocks as bytes."""
    status = os.stat(arena.path)
    assert status.st_size == layout.FIRST_BYTES
    assert status.st_blocks * 512 >= layout.FIRST_BYTES


def test_growing_moves_nothing(arena: Arena):
    """A counter of the first page is still counted after a megabyte."""
    first = arena.record(layout.NOTE, 0, [arena.string("kind"), arena.string("first")])
    for number in range(20_000):
        assert arena.string(f"a string with the number {number}")
    arena.words[first + 2] = arena.string("later")
    data = read(arena.path)
    assert data.notes == [("kind", "later")]
    assert os.stat(arena.path).st_blocks * 512 >= os.stat(arena.path).st_size > 10 * layout.FIRST_BYTES


def test_a_string_is_stored_once(arena: Arena):
    """And a long one in part."""
    assert arena.string("a") == arena.string("a") != arena.string("b")
    arena.record(layout.NOTE, 0, [arena.string("x" * 9_000), arena.string("ä" * 3_000)])
    ((long, wide),) = read(arena.path).notes
    assert long == "x" * 4_000
    assert wide == "ä" * 2_000


def test_a_shard_is_never_made_twice(arena: Arena, tmp_path: Path):
    """Neither over a file nor through a symbolic link."""
    with pytest.raises(FileExistsError):
        Arena(arena.path, HEADER, TEXT)
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"exists|symbolic"):
        Arena(str(tmp_path / "link"), HEADER, TEXT)
    assert not (tmp_path / "victim").exists()


def test_a_closed_descriptor_is_opened_again(arena: Arena):
    """As when a program becomes a daemon."""
    os.close(arena._descriptor)  # as a daemon does
    for number in range(5_000):
        assert arena.string(f"a string with the number {number}")
    assert not read(arena.path).full


def test_a_descriptor_that_is_another_file_now_is_left_alone(arena: Arena, tmp_path: Path):
    """The program's file keeps its content."""
    other = tmp_path / "theirs"
    other.write_bytes(b"theirs")
    opened = os.open(other, os.O_RDWR)
    os.dup2(opened, arena._descriptor)
    for number in range(5_000):
        arena.string(f"a string with the number {number}")
    assert other.read_bytes() == b"theirs"
    assert not read(arena.path).full
    os.close(opened)


def test_a_shard_that_was_deleted_goes_on_while_it_has_its_descriptor(arena: Arena):
    """And ends when it has not."""
    os.unlink(arena.path)
    for number in range(5_000):
        assert arena.string(f"a string with the number {number}")
    os.close(arena._descriptor)
    while arena.string(f"more {arena.used}"):
        pass
    assert arena.words[layout.HEADER_STATE] == layout.STATE_FULL


FILL = """
import resource
shop = module("def quote(n): return n")
watch(shop, "quote", span="quote {arg0}")
shop.quote(0)
resource.setrlimit(resource.RLIMIT_FSIZE, (STORAGE, STORAGE))
for number in range(COUNT): assert shop.quote(number % 3_000) == number % 3_000
for _ in range(500): shop.quote(0)
"""


def test_a_full_disk_ends_the_tree_and_not_the_program(fresh):
    """What has a place is still counted, the state says so, and no signal comes."""
    recorded = fresh(FILL.replace("STORAGE", str(layout.FIRST_BYTES)).replace("COUNT", "6_000"))
    (shard,) = recorded.shards
    assert shard.full
    assert not shard.damaged
    assert 500 < sum(recorded.calls().values()) < 6_501
    assert recorded.calls()["quote 0"] >= 503


def test_a_limit_of_file_size_makes_a_smaller_shard(fresh, prelude: str):
    """The limit is there before the start."""
    recorded = fresh(
        "shop = module('def quote(): pass')\nwatch(shop, 'quote')\nshop.quote()",
        prelude="import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n" + prelude,
    )
    assert recorded.calls() == {"quote": 1}
