"""Measures calls in this process: `calls.py SUBJECT BATCHES VALKEY_PORT RESULT_FILE`.

Writes {"calls": {scenario: {"bare": ns, "watched": ns}}, "get_ns": …, "ended_ns": …} as its last deed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import loops
from peers import PEERS, Peer


def get_ns(port: int, batches: int, peer: Peer) -> float:
    """Return what one redis GET takes, by the fastest of some batches."""
    import redis

    client = redis.Redis(host="127.0.0.1", port=port)
    client.set("key", "value")
    best = float("inf")
    for _ in range(batches):
        peer.begin()
        started = time.perf_counter_ns()
        for _ in range(50):
            client.get("key")
        best = min(best, (time.perf_counter_ns() - started) / 50)
        peer.end()
    client.close()
    return best


def main() -> None:
    """Measure and write."""
    subject, batches, port, path = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    import shop

    peer = PEERS.get(subject, Peer)()
    peer.apply(shop)
    shops: dict[str, Any] = {"bare": loops.copy_of_shop("bare_shop"), "watched": shop}
    result: dict[str, Any] = {"calls": loops.measure(shops, batches, peer.begin, peer.end)}
    if port:
        result["get_ns"] = get_ns(port, 3 * batches, peer)
    result["ended_ns"] = time.monotonic_ns()
    path.write_text(json.dumps(result), "utf-8")


main()
