"""Programs that record durations which are known beforehand, and the truth about them."""

from __future__ import annotations

import math
import random

CALLS = 20_000
CONFIG = '[[watch]]\nmodule = "known"\ncalls = ["handle"]\nspan = "GET /known"\nkind = "request"\nentry = true\n'
MODULE = "def handle():\n    pass\n"
PROGRAM = """
import os, random, sys, time
import known
from hookmon.probe.recording import recorder

def record(seed, calls, errors=0):
    chance = random.Random(seed)
    known.handle()
    node = next(node for node in recorder.root.children.values() if node.span.name == "GET /known")
    recorder.words[node.total] -= 0
    first = recorder.words[node.total]
    for _ in range(calls):
        duration_ns = round(chance.lognormvariate(-4, 1) * 1e9)
        recorder.words[node.total] += duration_ns
        recorder.count_call(node, duration_ns)
    for _ in range(errors):
        recorder.count_error(node, ValueError())
    return first
"""
"""Beside it a `record(seed, calls, errors)`, which first makes one call that is real and takes as good as no time."""


def durations_ns(seed: int, calls: int = CALLS) -> list[int]:
    """Return what `record` has recorded, in ascending order."""
    chance = random.Random(seed)
    return sorted(round(chance.lognormvariate(-4, 1) * 1e9) for _ in range(calls))


def quantile_s(durations: list[int], share: float) -> float:
    """Return the nearest-rank quantile, in seconds."""
    return durations[max(1, math.ceil(share * len(durations))) - 1] / 1e9


def quantile_of(buckets: dict[int, int], share: float) -> float:
    """Return what a backend computes of an exponential histogram of scale 4: within a bucket by its logarithm."""
    rank = share * sum(buckets.values())
    seen = 0
    for index, count in sorted(buckets.items()):
        if seen + count >= rank:
            return float(2 ** ((index + (rank - seen) / count) / 16))
        seen += count
    raise ValueError("no value")
