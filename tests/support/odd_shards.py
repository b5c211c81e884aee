"""Shards that no process has left so: copies of real ones with faults in them."""

from __future__ import annotations

import random
import struct

from hookmon.core import layout

EXTREMES = [0, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def put(content: bytearray, word: int, value: int) -> None:
    """Change one word."""
    if word * 8 + 8 <= len(content):
        struct.pack_into("=Q", content, word * 8, value)


def damage(shard: bytes, chance: random.Random) -> bytes:
    """Return a copy of a shard with up to 20 faults of one kind, or of several."""
    used = struct.unpack_from("=Q", shard, layout.HEADER_USED * 8)[0]
    content = bytearray(shard[: used * 8])
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        fault = chance.randrange(7)
        if fault == 0:
            put(content, chance.randrange(layout.HEADER_VERSION + 1, layout.HEADER_TEXT + 4), chance.choice(EXTREMES))
        elif fault == 1:
            put(content, chance.randrange(layout.SCRATCH, used), chance.choice(EXTREMES))
        elif fault == 2:
            put(content, chance.randrange(layout.SCRATCH, used), chance.getrandbits(64))
        elif fault == 3:
            content[chance.randrange(16, len(content))] ^= 1 << chance.randrange(8)
        elif fault == 4:
            start, end = sorted((chance.randrange(len(content)), chance.randrange(len(content))))
            at = chance.randrange(4096, len(content))
            content[at : at + end - start] = content[start:end]
        elif fault == 5:
            at = chance.randrange(layout.SCRATCH, used)
            kind, size = chance.randrange(12), chance.choice([2, 3, layout.NODE_WORDS, layout.LANE_WORDS, layout.EXAMPLE_WORDS])
            put(content, at, layout.record_head(kind, size, chance.choice([0, 1, 5, 2**32 - 1])))
        else:
            del content[chance.randrange(4096, len(content)) :]
            content += bytes(8 * 600)
    return bytes(content)


def make(places: int, names: int, pid: int, started_ns: int) -> bytes:
    """Return the shard of a process that has made two calls at each of so many places, ten below each root."""
    texts = ["", "function", "shop:f", *(f"name {number}" for number in range(names))]
    words: list[int] = [layout.record_head(0, layout.SCRATCH_WORDS, 0), *[0] * (layout.SCRATCH_WORDS - 1)]
    for number, text in enumerate(texts[1:], 1):
        padded = text.encode().ljust(-(-len(text) // 8) * 8, b"\0")
        record = struct.unpack(f"={len(padded) // 8}Q", padded)
        words += (layout.record_head(layout.STRING, 2 + len(record), number), len(text), *record)
    words += (layout.record_head(layout.TARGET, 3, 1), 2, 1)
    for number in range(1, places + 1):
        parent = 0 if number % 11 == 1 else number - (number - 1) % 11
        own = [parent | (3 + number % names) << 32, 1, 0, 3_000, 1_000, 2_000, 0, 0, 0, 0, 0]
        words += (layout.record_head(layout.NODE, layout.NODE_WORDS, number), *own)
        for octave in (19, 20):
            counts = [0, 0, 0, 1, *[0] * 12]
            words += (layout.record_head(layout.BUCKETS, layout.BUCKETS_WORDS, number), octave, *counts)
    head = bytearray(layout.PAGE_BYTES)
    put(head, layout.HEADER_MAGIC, layout.MAGIC)
    put(head, layout.HEADER_VERSION, layout.VERSION)
    put(head, layout.HEADER_PID, pid)
    put(head, layout.HEADER_STARTED, 1)
    put(head, layout.HEADER_STARTED_NS, started_ns)
    put(head, layout.HEADER_USED, layout.SCRATCH + len(words))
    put(head, layout.HEADER_STATE, layout.STATE_RECORDING)
    return bytes(head) + struct.pack(f"={len(words)}Q", *words)
