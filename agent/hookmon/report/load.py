"""How busy the processors were while a run lasted. Pure computation."""

from __future__ import annotations

from hookmon.collector.store import Run


def waits(run: Run) -> float | None:
    """Return how long the threads of a run were ready and had no processor, for each second that they had one."""
    ran_ns = run.total("ran_ns")
    return run.total("waited_ns") / ran_ns if ran_ns else None


def cpu_ns(run: Run, *, of_rows: bool = False) -> int:
    """Return the CPU time of all processes; with `of_rows` without those that came and went too fast for a row.

    The scheduler's figure of the threads is finer than that of their process.
    """
    more_ns = max(run.more.get("cpu_ns", 0), run.more.get("ran_ns", 0))
    seen_ns = more_ns + sum(max(process.cpu_ns, process.ran_ns) for process in run.processes)
    return seen_ns if of_rows else max(seen_ns, run.used_ns)
