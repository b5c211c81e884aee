"""The reader meets what its writer left, and what nobody wrote."""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path

import pytest

from hookmon.collector.merge import Tree, calls_of, in_flight
from hookmon.collector.shards import ShardData, ShardReader
from hookmon.core import layout
from hookmon.core.errors import ShardError


def read(path: Path, content: bytes | bytearray | None = None) -> ShardData:
    """Write a file and return what the reader makes of it."""
    if content is not None:
        path.write_bytes(content)
    reader = ShardReader(path)
    try:
        return reader.read()
    finally:
        reader.close()


def try_reading(path: Path, content: bytes | bytearray) -> ShardData | None:
    """Read and merge; a ShardError is an answer, anything else is a bug."""
    try:
        data = read(path, content)
    except ShardError:
        return None
    tree = Tree()
    tree.add(data, 10**12)
    in_flight(data, 10**12, killed=True)
    calls_of(data)
    return data


def put(content: bytes, word: int, value: int) -> bytearray:
    """Return a copy with one word changed."""
    changed = bytearray(content)
    struct.pack_into("=Q", changed, word * 8, value)
    return changed


def test_a_whole_shard_is_read_whole(tmp_path: Path, shard: bytes):
    """Nodes, watches, notes, the call in flight."""
    data = read(tmp_path / "x.shard", shard)
    assert not data.damaged
    assert not data.full
    assert data.engine in ("compiled", "pure")
    assert calls_of(data) == (sum(range(1, 31)), sum(range(1, 31)))
    assert {(node.kind, node.target) for node in data.nodes} == {("cache", "shop.pricing:quote")}
    assert {node.name for node in data.nodes} == {*(f"quote {number} ä" for number in range(20)), "leave"}
    assert data.watches[2, "shop.pricing:qoute"] == (layout.TARGET_NOT_FOUND, "quote\nother")
    assert data.notes == [("early reference", "a.b was taken")]
    (lane,) = data.lanes
    assert [data.nodes[index].name for index, _ in lane.stack] == ["leave"]


@pytest.mark.parametrize("part", range(51))
def test_a_truncated_shard_is_an_error_or_a_part(tmp_path: Path, shard: bytes, part: int):
    """At every fiftieth of its length."""
    whole = read(tmp_path / "whole.shard", shard)
    used = struct.unpack_from("=Q", shard, layout.HEADER_USED * 8)[0] * 8
    length = used * part // 50
    data = try_reading(tmp_path / "x.shard", shard[:length])
    if length < layout.PAGE_BYTES:
        assert data is None
    else:
        assert data is not None
        assert data.damaged == (length < used)
        assert len(data.nodes) <= len(whole.nodes)


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        (layout.HEADER_MAGIC, 0, "not a shard of hookmon"),
        (layout.HEADER_VERSION, 2, "a shard of version 2, not 3"),
        (layout.HEADER_VERSION, 2**64 - 1, "a shard of version"),
    ],
)
def test_a_foreign_shard_is_refused(tmp_path: Path, shard: bytes, word: int, value: int, said: str):
    """By its name and version."""
    with pytest.raises(ShardError, match=said):
        read(tmp_path / "x.shard", put(shard, word, value))


@pytest.mark.parametrize("value", [0, 1, 511, 2**32, 2**63, 2**64 - 1])
def test_a_wrong_mark_of_what_is_used_is_no_harm(tmp_path: Path, shard: bytes, value: int):
    """The file's own size holds."""
    data = try_reading(tmp_path / "x.shard", put(shard, layout.HEADER_USED, value))
    assert data is not None
    assert data.damaged == (value > len(shard) // 8)


@pytest.mark.parametrize("seed", range(60))
def test_random_bytes_are_no_shard(tmp_path: Path, seed: int):
    """Not even behind a good magic and version."""
    chance = random.Random(seed)
    content = chance.randbytes(chance.choice([0, 1, 8, 4095, 4096, 5000, 40_000]))
    if seed % 2 and len(content) >= 4096:
        content = bytes(put(put(content, layout.HEADER_MAGIC, layout.MAGIC), layout.HEADER_VERSION, layout.VERSION))
    try_reading(tmp_path / "x.shard", content)


@pytest.mark.parametrize("seed", range(10))
def test_flipped_bytes_are_an_error_or_a_shard(tmp_path: Path, shard: bytes, seed: int):
    """30 single ones each, anywhere in what is used."""
    chance = random.Random(seed)
    used = struct.unpack_from("=Q", shard, layout.HEADER_USED * 8)[0] * 8
    for _ in range(30):
        changed = bytearray(shard[:used])
        changed[chance.randrange(used)] ^= 1 << chance.randrange(8)
        started = time.process_time()
        data = try_reading(tmp_path / "x.shard", changed)
        assert time.process_time() - started < 5
        assert data is None or len(data.nodes) < 1_000


SIZES = [1, 2, 3, layout.NODE_WORDS, layout.BUCKETS_WORDS, layout.LANE_WORDS, layout.PER_WORDS, layout.EXAMPLE_WORDS]
RECORDS = [(kind, size) for kind in (*range(11), 255) for size in SIZES]


@pytest.mark.parametrize(("kind", "size"), RECORDS)
def test_a_record_of_any_kind_and_size_at_the_end_is_no_harm(tmp_path: Path, shard: bytes, kind: int, size: int):
    """Also one that is too short for its kind."""
    end = struct.unpack_from("=Q", shard, layout.HEADER_USED * 8)[0]
    record = struct.pack(f"={size}Q", layout.record_head(kind, size, 3), *[2**64 - 1] * (size - 1))
    content = put(shard[: end * 8] + record, layout.HEADER_USED, end + size)
    assert try_reading(tmp_path / "x.shard", content) is not None


def test_a_record_without_a_size_ends_the_reading(tmp_path: Path, shard: bytes):
    """It would be read for ever."""
    data = try_reading(tmp_path / "x.shard", put(shard, layout.SCRATCH + layout.SCRATCH_WORDS, 0))
    assert data is not None
    assert data.damaged
    assert data.nodes == []


def test_a_node_that_is_its_own_parent_becomes_a_root(tmp_path: Path, shard: bytes):
    """Loops cannot be."""
    at = layout.SCRATCH
    words = memoryview(shard).cast("Q")
    while words[at] & 0xFF != layout.NODE:
        at += words[at] >> 8 & 0xFFFFFF
    number = words[at] >> 32
    data = try_reading(tmp_path / "x.shard", put(shard, at + layout.NODE_PARENT_NAME, number))
    assert data is not None
    assert data.damaged
    assert all(node.parent < index for index, node in enumerate(data.nodes))


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "missing", "device"])
def test_what_is_no_file_is_an_error_at_once(tmp_path: Path, kind: str):
    """Nothing waits for a writer, no link is followed."""
    path = tmp_path / "x.shard"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "real").write_bytes(b"x" * 5_000)
        path.symlink_to(tmp_path / "real")
    elif kind == "device":
        path = Path("/dev/zero")
    with pytest.raises(ShardError):
        read(path)


def test_a_deleted_shard_can_still_be_read(tmp_path: Path, shard: bytes):
    """The reader keeps it open."""
    path = tmp_path / "x.shard"
    path.write_bytes(shard)
    reader = ShardReader(path)
    path.unlink()
    assert calls_of(reader.read())[0] == 465
    reader.close()
