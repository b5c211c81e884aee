"""Reads a run whose launcher was killed, from the shards that its processes left or still write.

In: a run file in the state "running". Out: the run as far as it got; saved once nothing of it runs any more.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from hookmon.collector.collect import Collector
from hookmon.collector.store import BlindSpot, Run, RunFile


def recovered(run_file: RunFile, run: Run) -> Run:
    """Return the run with all that its shards hold.

    While its launcher lives, or one of its processes, this is a look at the moment: nothing is saved or deleted.
    Raises RunFileError when the run is over and cannot be saved.
    """
    if _launcher_is_alive(run):
        return Collector(run, run_file).look()
    note = BlindSpot("launcher killed", "hookmon itself was killed: exit codes, CPU time and memory are not known")
    folder = Path(run.run_folder)
    if not folder.is_dir():
        run.state = "recovered"
        run.blind_spots += [note, BlindSpot("run folder", "it is gone: only what had been saved before is here")]
        return run
    collector = Collector(run, run_file)
    collector.add_processes_of_folder()
    still_runs = bool(collector.processes.watchers)
    whole = collector.look(state="running" if still_runs else "recovered", unattended=True)
    whole.blind_spots.append(note)
    if not still_runs:
        collector.end()
    return whole


def _launcher_is_alive(run: Run) -> bool:
    try:
        return abs(psutil.Process(run.launcher_pid).create_time() - run.launcher_started) < 1
    except psutil.Error:
        return False
