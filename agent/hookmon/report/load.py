"""How busy the machine was while a run lasted. Pure computation."""

from __future__ import annotations

from hookmon.collector.store import Run


def waits(run: Run) -> float | None:
    """Return how long the processes of a run were ready and had no processor, for each second that they had one."""
    ran_ns = run.total("ran_ns")
    return run.total("waited_ns") / ran_ns if ran_ns else None
