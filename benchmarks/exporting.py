"""What a state of a large run costs its exporter: CPU time of the launcher for one tick, and for one scrape.

    python -m benchmarks.exporting            200 routes with 2,000 requests each, 600 functions, an endpoint in another process

Prints milliseconds of CPU time, the share of a core at 15 seconds, and bytes. Needs `hookmon[export]`.
"""

from __future__ import annotations

import random
from time import monotonic_ns, process_time_ns, time_ns

from benchmarks.servers import run_endpoint
from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import Snapshot
from hookmon.core.histogram import bucket_of
from hookmon.export.delivery import Delivery
from hookmon.export.metrics import Metrics
from hookmon.export.prometheus import PROTOBUF, render
from hookmon.export.rows import Resource
from hookmon.export.settings import OtlpSettings

_TICKS = 30
_INTERVAL_S = 15


def counters(chance: random.Random, calls: int = 2_000) -> Counters:
    """Return the counters of calls of some milliseconds."""
    durations = [round(chance.lognormvariate(-4, 1) * 1e9) for _ in range(calls)]
    buckets: dict[int, int] = {}
    for duration_ns in durations:
        buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
    whole = sum(durations)
    found = Counters(calls, 0, whole, whole, min(durations), max(durations), histograms=[buckets])
    found.spent_ns, found.spent_calls = whole, calls
    return found


def main() -> None:
    """Measure and print."""
    chance = random.Random(1)
    routes = {CallKey(f"GET /r{number}", "request", "m:f"): counters(chance) for number in range(200)}
    calls = routes | {CallKey(f"f{number}", "function", f"m:f{number}"): counters(chance) for number in range(600)}
    with run_endpoint() as url:
        resource = Resource((("service.instance.id", "i"), ("service.name", "s")), time_ns() - 10**9)
        metrics = Metrics(resource, {})
        delivery = Delivery(OtlpSettings(f"{url}/v1/metrics", url), metrics, print)

        def snapshot() -> Snapshot:
            by_status = {(key, 200): found for key, found in routes.items()}
            return Snapshot(monotonic_ns(), Totals(dict(calls), Counters(), dict(routes), by_status))

        delivery.observe(snapshot())
        began_ns = process_time_ns()
        for _ in range(_TICKS):
            delivery.observe(snapshot())
        tick_ms = (process_time_ns() - began_ns) / _TICKS / 1e6
        print(f"a tick: {tick_ms:.1f} ms of CPU time, {tick_ms / _INTERVAL_S / 10:.2f} % of a core at {_INTERVAL_S} s")
        export = metrics.export(snapshot())
        for name, accept in (("text", ""), ("protobuf", PROTOBUF)):
            began_ns = process_time_ns()
            body, _ = render([export], accept)
            print(f"a scrape of {name}: {(process_time_ns() - began_ns) / 1e6:.1f} ms, {len(body):,} bytes")


if __name__ == "__main__":
    main()
