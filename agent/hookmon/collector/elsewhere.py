"""Processes that cannot be seen from here, because they are of another PID namespace: a container beside this one, say.

In: a run whose launcher lives, as that has saved it, and the shards that its processes write. Out: rows of those that run, with
the figures of the launcher's last sample, a few seconds old. Their pids are those of their own namespace, and no process of this
one is ever asked for by such a number. Runs in whatever looks on.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookmon.collector.feed import LiveProcess
from hookmon.collector.identity import Identity
from hookmon.collector.rows import Process, Sample

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.shard_set import Shard
    from hookmon.collector.store import Run


def describe_running(run: Run, writers: Iterable[Identity], now_ns: int) -> None:
    """Complete the rows of a run of elsewhere that goes on: those that run, how long, and what they had used when last sampled.

    `writers` have left something in the run folder that their launcher has not taken away, as it does when they have ended.
    """
    identities = {identity.text() for identity in writers}
    samples = _last_samples(run)
    for row in run.processes:
        sample = samples.get(row.pid)
        if row.identity in identities or (sample is not None and not row.python):
            row.state, row.duration_ns = "running", max(0, now_ns - row.started_ns)
        if sample is not None and row.state == "running":
            _fill(row, sample)


def live_processes(run: Run, shards: Iterable[Shard]) -> list[LiveProcess]:
    """Return the processes that ran when the launcher sampled last, with what each has counted by now.

    `run` has its rows of processes and samples.
    """
    counted: dict[str, list[Shard]] = {}
    for shard in shards:
        owner = shard.owner()
        if owner is not None:
            counted.setdefault(owner.identity.text(), []).append(shard)
    samples = _last_samples(run)
    found = []
    for row in run.processes:
        sample = samples.get(row.pid)
        if row.state != "running" or sample is None:
            continue
        counters = [counters for shard in counted.get(row.identity, ()) for counters in shard.totals.by_key.values()]
        calls, errors = sum(own.calls for own in counters), sum(own.errors for own in counters)
        process = LiveProcess(row.pid, row.command, row.python, sample.cpu_ns, sample.rss_bytes, sample.threads, calls, errors)
        found.append(process)
    return found


def _last_samples(run: Run) -> dict[int, Sample]:
    """Return the newest sample of each process of a run, by pid, of the last moment at which samples were taken."""
    last_ns = max((sample.at_ns for sample in run.samples), default=0)
    return {sample.pid: sample for sample in run.samples if sample.at_ns == last_ns}


def _fill(row: Process, sample: Sample) -> None:
    """Put the figures of a sample into a row where the row has none that are later."""
    row.cpu_ns = max(row.cpu_ns, sample.cpu_ns)
    row.rss_max_bytes = max(row.rss_max_bytes, sample.rss_bytes)
    row.threads_max = max(row.threads_max, sample.threads)
    row.files_max = max(row.files_max, sample.files)
    row.read_bytes, row.written_bytes, row.switches = sample.read_bytes, sample.written_bytes, sample.switches
