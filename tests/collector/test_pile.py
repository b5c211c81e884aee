"""What is packed counts as what is not, whichever shards come, grow and go."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from hookmon.collector import collect, shard_set
from hookmon.collector.collect import Collector
from hookmon.collector.counters import CallKey, Counters, Totals, sum_of
from hookmon.collector.pile import Pile
from hookmon.collector.shard_set import ShardSet
from hookmon.collector.store import Run, RunFile
from hookmon.core import layout


def counters(chance: random.Random, calls: int) -> Counters:
    """Return counters of so many calls."""
    buckets = {chance.randrange(900, 910): calls} if calls else {}
    least = chance.randrange(1, 50)
    whole = Counters(
        calls, chance.randrange(calls + 1), calls * 100, calls * 90, least, least + calls, 0, 0, 7, 3, calls * 100, calls
    )
    whole.histograms = [buckets]
    whole.sites = {"app.py:1": calls}
    return whole


def totals(chance: random.Random, grows: Totals | None = None) -> Totals:
    """Return totals of a shard, later ones of the same."""
    made = Totals()
    for number in range(chance.randrange(1, 12)):
        key = CallKey(f"name {number}", "sql", "m:f")
        made.by_key[key] = counters(chance, chance.randrange(1, 100))
        made.by_transaction[key] = counters(chance, chance.randrange(1, 100))
        made.by_status[key, 200] = counters(chance, chance.randrange(1, 100))
    made.transactions = Counters.sum_of(made.by_transaction.values())
    return sum_of([grows, made]) if grows is not None else made


def sums(whole: Totals) -> dict[object, tuple[object, ...]]:
    """Return the sums of totals by what they are of; the least and the most stay when a shard goes."""
    parts = {**whole.by_key, **{("transaction", *key): own for key, own in whole.by_transaction.items()}, **whole.by_status}
    parts |= {"all": whole.transactions}
    return {
        key: (own.calls, own.errors, own.total_ns, own.self_ns, own.spent_ns, own.buckets, own.sites)
        for key, own in parts.items()
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_pile_is_the_sum_of_its_parts(seed: int):
    """Put in, put in again and taken out at random; the least and the longest call with it."""
    chance = random.Random(seed)
    pile, parts = Pile(), {}
    for _ in range(60):
        name = str(chance.randrange(8))
        if chance.random() < 0.3:
            pile.remove(name)
            parts.pop(name, None)
        else:
            parts[name] = totals(chance, parts.get(name))
            pile.put(name, parts[name])
        assert sums(pile.totals) == sums(sum_of(parts.values()))
        assert (name in pile) == (name in parts)
    for name, part in parts.items():
        assert pile.get(name) == part
        assert min(own.min_ns for own in pile.totals.by_key.values()) <= min(own.min_ns for own in part.by_key.values())


def test_a_snapshot_keeps_what_it_had():
    """Whoever holds one in another thread sees no counter change."""
    chance = random.Random(7)
    pile = Pile()
    first = totals(chance)
    pile.put("a", first)
    held = sum_of([pile.totals])
    before = sums(held)
    pile.put("a", totals(chance, first))
    assert sums(held) == before


def shards_of(folder: Path, shard: bytes, count: int) -> ShardSet:
    """Return a set of so many shards of different processes."""
    for number in range(count):
        (folder / f"{number}-{number}{layout.SHARD_SUFFIX}").write_bytes(shard)
    shards = ShardSet(folder)
    shards.discover(1)
    return shards


@pytest.mark.process
def test_shards_without_room_count_as_the_others(tmp_path: Path, shard: bytes, monkeypatch: pytest.MonkeyPatch):
    """Their totals, their signals, what they do at present; read again, folded or dropped."""
    (tmp_path / "roomy").mkdir()
    (tmp_path / "narrow").mkdir()
    roomy = shards_of(tmp_path / "roomy", shard, 7)
    roomy.refresh(2)
    monkeypatch.setattr(shard_set, "_MOST_KEPT", len(next(iter(roomy.open.values())).data.nodes) * 2)  # type: ignore[union-attr]
    narrow = shards_of(tmp_path / "narrow", shard, 7)
    for _ in range(3):
        narrow.refresh(2)
        assert narrow.totals() == roomy.totals()
    assert sum(one.data is not None for one in narrow.open.values()) == 2
    for name in ("0-0.shard", "6-6.shard"):
        roomy.fold(name)
        narrow.fold(name)
    assert narrow.totals() == roomy.totals()
    assert [list(one.in_flight(10**12)) for one in narrow.open.values()] == [
        list(one.in_flight(10**12)) for one in roomy.open.values()
    ]
    for name in ("1-1.shard", "5-5.shard"):
        roomy.drop(name)
        narrow.drop(name)
    assert sums(narrow.totals()) == sums(roomy.totals())
    roomy.close()
    narrow.close()


@pytest.mark.process
def test_a_look_reads_large_shards_for_some_time_only(tmp_path: Path, shard: bytes, monkeypatch: pytest.MonkeyPatch):
    """One at least, and in the end all of them."""
    monkeypatch.setattr(shard_set, "_TURN_NS", 0)
    monkeypatch.setattr(shard_set, "_MOST_KEPT", 0)
    shards = shards_of(tmp_path, shard, 5)
    calls = []
    for at in range(7):
        shards.refresh(at)
        calls.append(sum(own.calls for own in shards.totals().by_key.values()))
    assert calls == [calls[0] * n for n in (1, 2, 3, 4, 5, 5, 5)]
    assert calls[0] > 0
    shards.close()


@pytest.mark.process
def test_signals_have_their_turn_while_shards_are_folded(tmp_path: Path, shard: bytes, monkeypatch: pytest.MonkeyPatch):
    """A launcher that has many to fold comes back after a while, and goes on at once."""
    monkeypatch.setattr(collect, "_SLICE_NS", 0)
    folder = tmp_path / "run"
    folder.mkdir()
    gone = put(put(shard, layout.HEADER_PID, (1 << 22) - 1), layout.HEADER_STARTED, 1)  # beyond the largest pid
    for number in range(5):
        (folder / f"{number}-{number}{layout.SHARD_SUFFIX}").write_bytes(put(gone, layout.HEADER_STARTED, number + 1))
    run = Run(1, "", [], "", "0.1", run_folder=str(folder))
    collector = Collector(run, RunFile(tmp_path / "run-0001.sqlite"))
    left = []
    for _ in range(5):
        assert collector.tick() == 0.0
        left.append(len(collector._shards.open))
    assert left == [4, 3, 2, 1, 0]
    collector.tick()
    assert sum(node.calls for node in run.nodes) == 5 * sum(range(1, 31))
    assert not list(folder.glob(f"*{layout.SHARD_SUFFIX}"))


def put(content: bytes, word: int, value: int) -> bytes:
    """Return a copy with one word changed."""
    changed = bytearray(content)
    struct.pack_into("=Q", changed, word * 8, value)
    return bytes(changed)
