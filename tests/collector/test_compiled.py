"""What is read and added up compiled is what Python reads and adds up: of whole runs, and of whatever a file may hold."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.odd_shards import damage, put
from support.runs import PYTHON, hookmon_run, watch, write

from hookmon.collector import compiled
from hookmon.collector.cost import Work, add_work
from hookmon.collector.merge import Tree, calls_of, in_flight
from hookmon.collector.node_rows import NodeRows
from hookmon.collector.shards import ShardData, ShardReader
from hookmon.core import layout
from hookmon.core.errors import ShardError

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(compiled.engine is None, reason="the compiled engine was not built, or is not asked for"),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TIMES = int(os.environ.get("HOOKMON_FUZZ", "1"))
NOW_NS = 1 << 59  # later than any process began
PROGRAM = """
import asyncio, gc, os, signal, sys, threading

def again(depth):
    if depth:
        between(depth)
def between(depth):
    leaf()
    again(depth - 1)
def leaf():
    return sum(range(200))
def counted(number):
    yield from range(number)
async def waited():
    await asyncio.sleep(0)
    leaf()
def fail():
    raise ValueError("no")
def killed():
    os.kill(os.getpid(), signal.SIGKILL)

for _ in range(40):
    again(5)
    list(counted(3))
    try: fail()
    except ValueError: pass
async def main(): await asyncio.gather(*(waited() for _ in range(5)))
asyncio.run(main())
gc.collect()
threads = [threading.Thread(target=again, args=(3,)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for _ in range(2):
    if not os.fork():
        again(7)
        killed()
    os.wait()
"""

CONFIG = watch("__main__", "main", kind="task", entry=True) + watch("__main__", "again", "leaf", "waited", "fail", "killed")


@contextmanager
def in_python() -> Iterator[None]:
    """Have everything done in Python."""
    found, compiled.engine = compiled.engine, None
    try:
        yield
    finally:
        compiled.engine = found


def run_and_keep(folder: Path, command: list[str], options: list[str], exit_code: int = 0) -> list[Path]:
    """Run a program; return the shards that its processes left."""
    kept = folder / "kept"
    kept.mkdir(parents=True)
    done = hookmon_run(command, cwd=folder, options=options, env={"HOOKMON_KEEP_SHARDS": str(kept)})
    assert done.exit_code == exit_code
    return sorted(kept.rglob(f"*{layout.SHARD_SUFFIX}"))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Shards of real programs: a shop with requests, SQL and other processes, and one with something of everything else."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "odd.py").write_text(PROGRAM, "utf-8")
    found = run_and_keep(folder / "shop", [PYTHON, str(EXAMPLES / "shop.py")], ["--config", str(EXAMPLES / "hookmon.toml")])
    found += run_and_keep(folder / "own", [PYTHON, str(folder / "odd.py")], ["--own", "--signal", "gc"])
    config = write(folder, {"hookmon.toml": CONFIG}) / "hookmon.toml"
    found += run_and_keep(folder / "names", [PYTHON, str(folder / "odd.py")], ["--config", str(config)])
    return [path.read_bytes() for path in found]


def read(path: Path, content: bytes) -> ShardData | str:
    """Return what is read of some bytes, or why nothing is."""
    path.write_bytes(content)
    reader = ShardReader(path)
    try:
        return reader.read()
    except ShardError as error:
        return str(error)
    finally:
        reader.close()


def describe(data: ShardData) -> dict[str, Any]:
    """Return all that was read of a shard as plain values."""
    return {**vars(data), "nodes": [*data.nodes]}


def add(tree: Tree, data: ShardData, work: Work) -> list[Any]:
    """Add a shard to a tree as the collector does; return what else it says."""
    tree.add(data, NOW_NS)
    add_work(work, data)
    return [in_flight(data, NOW_NS, killed=True), calls_of(data), [*data.nodes]]


def contents_of(tree: Tree) -> list[Any]:
    """Return all of a tree as plain values."""
    return [tree.nodes, tree.examples, tree.signals, tree.statuses]


class Both:
    """Reads and adds every shard twice."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"x{layout.SHARD_SUFFIX}"
        self.tree = Tree()
        self.work: Work = {}
        self.was_compiled = 0
        with in_python():
            self.other = Tree()
        self._work: Work = {}

    def take(self, content: bytes) -> ShardData | None:
        """Read a shard in both ways and add it to both trees; return what it is, None where it is none."""
        data = read(self._path, content)
        with in_python():
            other = read(self._path, content)
        if isinstance(data, str) or isinstance(other, str):
            assert data == other
            return None
        self.was_compiled += isinstance(data.nodes, NodeRows)
        assert not isinstance(other.nodes, NodeRows)
        assert describe(data) == describe(other)
        assert add(self.tree, data, self.work) == add(self.other, other, self._work)
        return data

    def compare(self) -> None:
        """See that both trees are the same."""
        assert contents_of(self.tree) == contents_of(self.other)
        assert self.work == self._work


def test_real_shards_are_read_and_added_up_alike(tmp_path: Path, shards: list[bytes]):
    """Examples, statuses, signals, calls in flight of killed processes, recursions, coroutines."""
    both = Both(tmp_path)
    datas = [data for content in shards if (data := both.take(content)) is not None]
    both.compare()
    assert both.was_compiled == len(datas) == len(shards)
    nodes = [node for data in datas for node in data.nodes]
    kinds = {"examples": "examples", "statuses": "statuses", "signals": "signals", "lanes": "lanes"}
    assert {kind for kind in kinds if any(getattr(data, kind) for data in datas)} == {*kinds}
    for flag in (layout.FLAG_FOLDED, layout.FLAG_ENTRY, layout.FLAG_COROUTINE, layout.FLAG_SITED, layout.FLAG_CONCURRENT):
        assert any(node.flags & flag for node in nodes), flag
    assert any(node.per[0] for node in nodes)
    assert any(node.computing[0] for node in nodes)
    assert any(node.errors for node in nodes)


def test_calls_that_are_timed_by_samples_are_scaled_alike(tmp_path: Path, shards: list[bytes]):
    """Up to all calls, unless the shard is full: then they went untimed for want of space."""
    both = Both(tmp_path)
    for content in shards:
        sampled = put_word(content, first_node(content) + layout.NODE_UNTIMED, 7)
        data, full = both.take(sampled), both.take(put_word(sampled, layout.HEADER_STATE, layout.STATE_FULL))
        assert data is not None
        assert full is not None
        assert data.nodes[0].total_ns > full.nodes[0].total_ns > 0
        both.compare()


def test_a_tree_is_added_to_and_its_copy_is_not(tmp_path: Path, shards: list[bytes]):
    """Nor the other way round; rows that were taken stay as they are."""
    both = Both(tmp_path)
    for content in shards[:2]:
        both.take(content)
    rows, before = both.tree.nodes, [*both.tree.nodes]
    copy, calls = both.tree.copy(), [node.calls for node in before]
    for content in shards:
        both.take(content)
    both.compare()
    assert both.tree.nodes is rows
    assert [node.calls for node in before] == [node.calls for node in copy.nodes] == calls
    with in_python():
        first = both.other.copy()
    copy.add(read(tmp_path / "x.shard", shards[0]), NOW_NS)  # type: ignore[arg-type]
    assert contents_of(both.tree) == contents_of(first)


def test_what_no_number_of_c_holds_is_added_in_python(tmp_path: Path, shards: list[bytes]):
    """Sums without end, of files that are damaged: nothing of what was added before is lost, and what follows is added."""
    both = Both(tmp_path)
    old = put_word(shards[0], layout.HEADER_STARTED_NS, 2**62)  # from before the machine was started again: all is possible
    at = first_node(old)
    for value in (2**61, 2**61, 2**61 - 1, 2**64 - 1, 5):
        both.take(put_word(old, at + layout.NODE_TOTAL_NS, value))
        both.compare()
    assert max(node.total_ns for node in both.tree.nodes) > 2**62
    assert both.was_compiled >= 2


@pytest.mark.parametrize("seed", range((40 if "HOOKMON_BOTH" in os.environ else 12) * TIMES))
def test_damaged_shards_are_read_and_added_up_alike(tmp_path: Path, shards: list[bytes], seed: int):
    """Ten of them, one after the other into the same tree: the same result, or the same error."""
    chance, both = random.Random(seed), Both(tmp_path)
    for _ in range(10):
        content = damage(chance.choice(shards), chance)
        if chance.random() < 0.3:
            content = bytes(put_word(content, layout.HEADER_STARTED_NS, 2**62))
        both.take(content)
    both.compare()


@pytest.mark.parametrize("part", range(0, 60, 1 if "HOOKMON_BOTH" in os.environ else 4))
def test_cut_off_shards_are_read_alike(tmp_path: Path, shards: list[bytes], part: int):
    """Between two words, within one, between two records."""
    both = Both(tmp_path)
    for number, content in enumerate(shards):
        used = struct.unpack_from("=Q", content, layout.HEADER_USED * 8)[0] * 8
        both.take(content[: used * part // 60 + number % 9])
    both.compare()


def put_word(content: bytes, word: int, value: int) -> bytes:
    """Return a copy with one word changed."""
    changed = bytearray(content)
    put(changed, word, value)
    return bytes(changed)


def first_node(shard: bytes) -> int:
    """Return where the first node's record begins."""
    at = layout.SCRATCH
    while struct.unpack_from("=Q", shard, at * 8)[0] & 0xFF != layout.NODE:
        at += struct.unpack_from("=Q", shard, at * 8)[0] >> 8 & 0xFFFFFF
    return at
