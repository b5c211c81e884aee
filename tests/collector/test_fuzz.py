"""Shards and birth notes that were written by nobody, through all that becomes of them: collected, saved, read, in every format.

Bounded and with fixed seeds. `HOOKMON_FUZZ=100` in the environment makes it a hundred times longer.
"""

from __future__ import annotations

import io
import os
import random
import resource
import struct
import time
from pathlib import Path

import pytest
from support.odd_shards import EXTREMES, damage, put

from hookmon.collector.collect import Collector
from hookmon.collector.store import Run, RunFile
from hookmon.core import layout
from hookmon.report import FORMATS, render

TIMES = int(os.environ.get("HOOKMON_FUZZ", "1"))
HONEST_PID = 2**22 + 1  # no process has it
HONEST_CALLS = sum(range(1, 31))


def birth(chance: random.Random) -> bytes:
    """Return what may stand in a birth note."""
    numbers = [str(chance.choice([*EXTREMES, -1, -(2**63), "9" * 5000, "", "١", "1e9"])) for _ in range(3)]
    texts = [chance.choice(["", "3.12.1", "x" * 3000, "\u2028<b>&", "a\nb\x1b[2J", "?" * 9]) for _ in range(chance.randrange(6))]
    content = "\0".join([*numbers, *texts]).encode("utf-8", "surrogateescape")
    return chance.choice([content, content[: chance.randrange(50)], chance.randbytes(300), content + b"\xff" * 70_000])


def save_and_load(tmp_path: Path, shard: bytes, others: dict[str, bytes], *, unattended: bool = False) -> Run:
    """Collect a run of one honest process and of what else lies in its folder, save it and read it back."""
    folder = tmp_path / "hookmon-fuzz"
    (folder / layout.DROP_NAME).mkdir(parents=True)
    honest = bytearray(shard)
    put(honest, layout.HEADER_PID, HONEST_PID)
    (folder / f"{HONEST_PID}-1.shard").write_bytes(honest)
    for name, content in others.items():
        (folder / name).write_bytes(content)
    plan = [{"id": 1, "module": "shop.pricing", "calls": ["quote"], "pack": "", "source": "test"}]
    run = Run(1, "", ["app"], "2026-01-01T00:00:00+00:00", "0.1", run_folder=str(folder), plan=plan)
    run.started_ns = time.monotonic_ns()
    collector = Collector(run, RunFile(tmp_path / "run.sqlite"))
    collector.tick()
    collector.look(state="finished", unattended=unattended)
    collector.end()
    loaded = RunFile(tmp_path / "run.sqlite").load()
    assert [row.calls for row in loaded.processes if row.pid == HONEST_PID] == [HONEST_CALLS]
    return loaded


HEADER = ("PID", "PARENT_PID", "STARTED_NS", "STARTED_WALL_NS", "HIDDEN_LANES", "TEXT_BYTES", "STATE")


@pytest.mark.parametrize("word", HEADER)
def test_a_damaged_header_costs_no_other_process_anything(tmp_path: Path, shard: bytes, word: str) -> None:
    """Its highest bit is set: the run is saved, and that shard's own counts are there, too."""
    content = bytearray(shard)
    put(content, getattr(layout, f"HEADER_{word}"), 2**63)
    run = save_and_load(tmp_path, shard, {f"{HONEST_PID + 1}-1.shard": bytes(content)})
    assert sum(node.calls for node in run.nodes) == 2 * HONEST_CALLS
    assert ("shard damaged" in {spot.kind for spot in run.blind_spots}) == (word in HEADER[:4])


COUNTERS = {
    "more errors than calls": (layout.NODE_ERRORS, 110_377_862),
    "more interrupted than calls": (layout.NODE_INTERRUPTED, 2**40),
    "more calls than there was time for": (layout.NODE_UNTIMED, 4_026_809_898_398),
    "a call that lasted longer than the process": (layout.NODE_MAX_NS, 10**17),
    "more time than all calls can have taken": (layout.NODE_TOTAL_NS, 2**62),
}


@pytest.mark.parametrize("counter", COUNTERS)
def test_a_counter_that_cannot_be_is_damage_and_no_figure(tmp_path: Path, shard: bytes, counter: str) -> None:
    """The node's counts are left out and the damage is named; every other one is kept."""
    word, value = COUNTERS[counter]
    content = bytearray(shard)
    put(content, layout.HEADER_STARTED_NS, time.monotonic_ns() - 10**9)
    put(content, first_node(shard) + word, value)
    run = save_and_load(tmp_path, shard, {f"{HONEST_PID + 1}-1.shard": bytes(content)})
    assert HONEST_CALLS < sum(node.calls for node in run.nodes) < 2 * HONEST_CALLS
    assert sum(node.errors for node in run.nodes) == sum(node.calls for node in run.nodes)  # here each call is one
    assert "shard damaged" in {spot.kind for spot in run.blind_spots}


def first_node(shard: bytes) -> int:
    """Return where the first node's record begins."""
    at = layout.SCRATCH
    while True:
        (head,) = struct.unpack_from("=Q", shard, at * 8)
        if head & 0xFF == layout.NODE:
            return at
        at += head >> 8 & 0xFFFFFF


@pytest.mark.parametrize("seed", range(6 * TIMES))
def test_nothing_that_lies_in_a_run_folder_costs_more_than_itself(tmp_path: Path, shard: bytes, seed: int) -> None:
    """The run is saved and shown, what an honest process counted is in it, and it takes neither long nor much memory."""
    chance = random.Random(seed)
    others = {}
    for number in range(5):
        place = chance.choice(["", f"{layout.DROP_NAME}/"])
        others[f"{place}{HONEST_PID + 1 + number}-{number}.shard"] = damage(shard, chance)
        others[f"{place}{chance.choice([HONEST_PID + 9, 10**10])}-{number}.born"] = birth(chance)
    started_s, memory_kib = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = save_and_load(tmp_path, shard, others, unattended=bool(seed % 2))
    for format in FORMATS:
        content = io.BytesIO()
        file = io.TextIOWrapper(content, "utf-8", newline="\n")
        render(run, format, file=file, width=100, everything=True)
        assert content.getvalue() or format == "collapsed"
    assert time.process_time() - started_s < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib < 200_000
