"""Processes that outlive their launcher: daemons, and what was still at work when the program ended.

They count on in their shards, which stay in the run folder. The launcher leaves a second run file there, of all that was final by
then. In: a run that is over. Out: the same run with what its survivors have counted since. Nothing is saved or deleted.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.collector.collect import Collector
from hookmon.collector.store import FINAL, Process, Run, RunFile, Watched
from hookmon.core.errors import RunFileError

_RANK = {status: rank for rank, status in enumerate(("never imported", "not found", "refused", "unused", "active"))}
_OF_THE_PROGRAM = ("__main__", "not watched")
"""Kinds of blind spots that the launcher itself has settled."""


def final_part(run: Run) -> tuple[RunFile, Run] | None:
    """Return what was final when the launcher of a run ended, and where it is; None for a run without survivors."""
    folder = Path(run.run_folder)
    if run.run_key and run_folder.is_readable(folder, run.run_key):
        with suppress(RunFileError):
            run_file = RunFile(folder / run_folder.SURVIVORS_FILE_NAME)
            final = run_file.load_tables(FINAL)
            if (final.run_folder, final.run_key) == (run.run_folder, run.run_key):
                return run_file, final
    return None


def follow_up(run: Run) -> Run:
    """Return a run that is over, whole, with what its survivors have counted until now."""
    found = final_part(run)
    if found is None:
        return run
    return merge(run, follow(run, *found).look(unattended=True))


def follow(run: Run, run_file: RunFile, final: Run) -> Collector:
    """Return a collector of what was final, in the run file of that, and of what the survivors of a run have counted since."""
    final.series, final.samples, final.still_running = run.series, run.samples, []
    collector = Collector(final, run_file, sees_processes=run_folder.shares_pids(Path(run.run_folder), run.pids))
    collector.add_processes_of_folder()
    return collector


def merge(run: Run, whole: Run) -> Run:
    """Return a run that is over, with what was counted of it until now: all of it, of the survivors what there is."""
    run.nodes, run.examples, run.signals = whole.nodes, whole.examples, whole.signals
    run.statuses = whole.statuses
    run.in_flight, run.unnamed_calls = whole.in_flight, whole.unnamed_calls
    run.series, run.interval_ns, run.still_running = whole.series, whole.interval_ns, whole.still_running
    run.processes = _merge_processes(run.processes, whole.processes)
    run.watched = _merge_watched(run.watched, whole.watched)
    more = (spot for spot in whole.blind_spots if spot.kind not in _OF_THE_PROGRAM)
    run.blind_spots += [spot for spot in more if spot not in run.blind_spots]
    return run


def _merge_processes(rows: list[Process], later: list[Process]) -> list[Process]:
    """Return the processes of a run, those of the survivors as they are now."""
    by_pid = {row.pid: row for row in rows}
    for row in later:
        known = by_pid.get(row.pid)
        if known is None:
            rows.append(row)
            continue
        known.calls, known.errors = row.calls, row.errors
        known.python, known.engine = row.python or known.python, row.engine or known.engine
        if known.state == "running":
            known.state = row.state
    return rows


def _merge_watched(rows: list[Watched], later: list[Watched]) -> list[Watched]:
    """Return what became of each target, as the run or its survivors say: of two statuses the one that says more."""
    found = {(row.target, row.pack, row.source): row for row in later}
    best = []
    for row in rows:
        other = found.get((row.target, row.pack, row.source), row)
        best.append(max(row, other, key=lambda known: _RANK.get(known.status, -1)))
    return best
