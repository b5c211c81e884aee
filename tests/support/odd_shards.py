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
