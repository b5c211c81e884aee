"""`hookmon detach`: ends what `hookmon attach` began, also where its launcher is gone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookmon.cli import _output
from hookmon.core.errors import AttachError, NotRunningError, RunFileError

if TYPE_CHECKING:
    from hookmon.collector.run_folder import Note

_LONGEST_S = 60.0


@click.command("detach", short_help="Leave a program that hookmon attach watches.")
@click.argument("pid", type=click.IntRange(min=1))
def command(pid: int) -> int:
    """End the `hookmon attach` of the program PID, or of one of its forks: everything is changed back, and the run is saved.

    The report is printed where `hookmon attach` was started. Where that was killed, this does what it would have done. Exit code
    1 where hookmon is not attached to PID.
    """
    from hookmon.collector import run_folder

    found = _find_folder(pid)
    if found is None:
        raise NotRunningError(f"hookmon is not attached to process {pid}")
    folder, note = found
    if run_folder.launcher_lives(folder, note.key):
        _end_launcher(folder, note)
    else:
        _end_alone(folder, note, pid)
    return 0


def _find_folder(pid: int) -> tuple[Path, Note] | None:
    """Return the run folder of an attachment that a process counts for, None where there is none."""
    from hookmon.collector import places, run_folder
    from hookmon.core import layout
    from hookmon.core.attachment import DETACH, script_name

    for place in places.for_run_folders():
        for folder in sorted(place.glob(f"{run_folder.PREFIX}*")):
            note = run_folder.note_of(folder)
            if note is None or note.pids != run_folder.pid_namespace() or not (folder / script_name(DETACH)).is_file():
                continue
            names = [
                name.partition("-")[0] for name in os.listdir(folder) if name.endswith((layout.BIRTH_SUFFIX, layout.SHARD_SUFFIX))
            ]
            if str(pid) in names:
                return folder, note
    return None


def _end_launcher(folder: Path, note: Note) -> None:
    """Have `hookmon attach` end, and wait for it."""
    from hookmon.collector import run_folder
    from hookmon.collector.store import RunFile

    try:
        run = RunFile(Path(note.run_file)).head()
    except RunFileError as error:
        raise AttachError(f"the hookmon attach of it cannot be found: {error}") from error
    with suppress(ProcessLookupError):
        os.kill(run.launcher_pid, signal.SIGTERM)
    end = time.monotonic() + _LONGEST_S
    while run_folder.launcher_lives(folder, note.key):
        if time.monotonic() > end:
            raise AttachError(f"hookmon attach (process {run.launcher_pid}) has not ended in {_LONGEST_S:g} s")
        time.sleep(0.05)
    _output.tell(f"hookmon: detached; hookmon report {run.id} shows the run")


def _end_alone(folder: Path, note: Note, pid: int) -> None:
    """Do what a launcher would have done that is gone."""
    from hookmon.cli._detaching import leave
    from hookmon.collector import run_folder
    from hookmon.collector.attachment import find_target
    from hookmon.collector.collect import Collector
    from hookmon.collector.store import BlindSpot, RunFile

    target = find_target(pid)
    with run_folder.claim(folder, note.key) as claimed:
        if claimed is None:
            raise AttachError(f"somebody else is about to end the run of process {pid}")
        run_file = RunFile(Path(note.run_file))
        with suppress(RunFileError):
            run_file.roll_back()
        collector = Collector(run_file.load(), run_file)
        collector.add_processes_of_folder()
        for line in leave(collector, target.sender):
            _output.tell(f"hookmon: {line}")
        run = collector.look(state="recovered", unattended=True)
        run.blind_spots.append(
            BlindSpot("launcher killed", "hookmon attach itself was killed: memory and CPU time are not known")
        )
        run.duration_ns = time.monotonic_ns() - run.started_ns
        collector.end()
    _output.tell(f"hookmon: detached; hookmon report {run.id} shows the run")
