"""Programs that record durations which are known beforehand, and the truth about them."""

from __future__ import annotations

import math
import random

CALLS = 20_000
OK = {"http_route": "/known", "http_response_status_code": 200}
"""The attributes of the series that has what is known."""

CONFIG = """
[[watch]]
module = "known"
calls = ["handle"]
span = "GET /known"
kind = "request"
entry = true
entry_status = "{result.status}"
"""
MODULE = """
class Answer:
    def __init__(self):
        self.status = 204

def handle():
    return Answer()
"""
PROGRAM = """
import os, random, sys, time
import known
from hookmon.probe.recording import recorder
from hookmon.probe.transactions.statuses import status_node

def record(seed, calls, errors=0):
    chance = random.Random(seed)
    known.handle()
    entry = next(node for node in recorder.root.children.values() if node.span.name == "GET /known")
    for number in range(calls):
        duration_ns = round(chance.lognormvariate(-4, 1) * 1e9)
        for node in (entry, status_node(entry, 503 if number < errors else 200)):
            recorder.words[node.total] += duration_ns
            recorder.count_call(node, duration_ns)
            if number < errors:
                recorder.count_error(node, ValueError())
"""
"""Beside it a `record(seed, calls, errors)`, which first makes one real call that takes no time to speak of, of status 204.

The first `errors` calls have the status 503, all others 200.
"""


def durations_ns(seed: int, calls: int = CALLS, errors: int = 0) -> list[int]:
    """Return what `record` has recorded of calls without an error, in ascending order."""
    chance = random.Random(seed)
    return sorted([round(chance.lognormvariate(-4, 1) * 1e9) for _ in range(calls)][errors:])


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
