"""What a run is called: by its number and name, or, a window of a service, by the service and the time."""

from __future__ import annotations

from hookmon.collector.store import Run
from hookmon.report.local_time import stretch


def window_of(run: Run) -> str:
    """Return the time that a window of a service covers, as local times; "" for a run."""
    return stretch(run.since_s, run.until_s) if run.since_s else ""


def title_of(run: Run) -> str:
    """Return what a run is called in a sentence: `run 7`, `web 2026-11-30 13:05 to 14:05`."""
    return f"{run.service} {window_of(run)}" if run.since_s else f"run {run.id}"
