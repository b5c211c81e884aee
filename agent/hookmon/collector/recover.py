"""Reads a run whose launcher was killed, from the shards that its processes left or still write.

In: a run file in the state "running". Out: the run as far as it got; saved once nothing of it runs any more.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

import psutil

from hookmon.collector.collect import Collector
from hookmon.collector.store import FOLDER_PREFIX, BlindSpot, Run, RunFile, Store
from hookmon.core.errors import RunFileError


def recovered(run_file: RunFile, run: Run) -> Run:
    """Return the run with all that its shards hold.

    While its launcher lives, or one of its processes, this is a look at the moment: nothing is saved or deleted.
    Raises RunFileError when the run is over and cannot be saved.
    """
    launched = launcher_is_alive(run)
    note = BlindSpot("launcher killed", "hookmon itself was killed: exit codes, CPU time and memory are not known")
    if not launched and not _is_run_folder(Path(run.run_folder)):
        run.state = "recovered"
        run.blind_spots += [note, BlindSpot("run folder", "it is gone: only what had been saved before is here")]
        return run
    collector = Collector(run, run_file)
    collector.add_processes_of_folder()
    whole = collector.look(unattended=not launched)
    if launched:
        whole.duration_ns = monotonic_ns() - run.started_ns
        return whole
    whole.blind_spots.append(note)
    if collector.processes.watchers:
        whole.duration_ns = monotonic_ns() - run.started_ns
        return whole
    whole.state = "recovered"
    whole.duration_ns = (
        max((row.started_ns + row.duration_ns for row in whole.processes), default=run.started_ns) - run.started_ns
    )
    collector.end()
    return whole


def sweep(store: Store) -> None:
    """Save what killed launchers of a project left behind, and delete run folders that outlived their last process."""
    for number in store.numbers():
        run_file = store.run_file(number)
        with suppress(RunFileError):
            run = run_file.head()
            folder = Path(run.run_folder)
            if not _is_run_folder(folder) or launcher_is_alive(run) or _has_processes(folder):
                continue
            if run.state == "running":
                recovered(run_file, run_file.load())
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _is_run_folder(folder: Path) -> bool:
    """Say whether a folder is there and one of ours, whatever a run file says: what is saved from it is then deleted."""
    return folder.name.startswith(FOLDER_PREFIX) and folder.is_dir()


def _has_processes(folder: Path) -> bool:
    """Say whether a process that left something in a run folder still runs, or one that has its pid now."""
    pids = {name.partition("-")[0] for name in os.listdir(folder)}
    return any(pid.isdecimal() and psutil.pid_exists(int(pid)) for pid in pids)


def launcher_is_alive(run: Run) -> bool:
    """Say whether the `hookmon run` that made a run is still there."""
    try:
        return abs(psutil.Process(run.launcher_pid).create_time() - run.launcher_started) < 1
    except psutil.Error:
        return False
