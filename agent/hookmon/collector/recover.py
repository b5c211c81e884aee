"""Reads a run from the shards that its processes left or still write, and saves what killed launchers left behind.

In: a run file in the state "running", or one that processes have outlived. Out: the run as far as it got. Whoever only looks
writes and deletes nothing: that is left to `sweep`, at the start of the next `hookmon run`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

from hookmon.collector import leases, run_folder
from hookmon.collector.births import has_processes, writers_in
from hookmon.collector.collect import Collector
from hookmon.collector.elsewhere import describe_running
from hookmon.collector.identity import created_s
from hookmon.collector.store import BlindSpot, Run, RunFile, Store
from hookmon.core.attachment import DETACH, script_name
from hookmon.core.errors import RunFileError

_UNSERVED = BlindSpot("not followed", "no hookmon serve was there all the time: CPU time and memory are not known of all of it")
_KILLED = BlindSpot("launcher killed", "hookmon itself was killed: exit codes, CPU time and memory are not known")


def complete(run_file: RunFile, run: Run) -> Run:
    """Return a run with what its run file and its shards hold together. Nothing is saved or deleted."""
    if run.state != "running":
        from hookmon.collector.survivors import follow_up

        return follow_up(run)
    folder = Path(run.run_folder)
    if not run_folder.is_readable(folder, run.run_key):
        return _without_folder(run, folder)
    return _collector(run_file, run, is_attended=launcher_is_alive(run))[1]


def _collector(run_file: RunFile, run: Run, *, is_attended: bool) -> tuple[Collector, Run]:
    """Return the run, and the collector that has put it together. `is_attended`: its launcher lives."""
    folder = Path(run.run_folder)
    is_visible = run_folder.shares_pids(folder, run.pids)
    collector = Collector(run, run_file, sees_processes=is_visible)
    collector.add_processes_of_folder()
    whole = collector.look(unattended=not is_attended)
    if not is_attended:
        whole.blind_spots.append(_loss(whole))
    note = run_folder.note_of(folder)
    if not is_attended and not is_visible and not (note is not None and _is_over(folder, note, run)):
        elsewhere = "they are of another container, or from before the machine was started: whether one still runs cannot be told"
        whole.blind_spots.append(BlindSpot("processes", elsewhere))
    if is_attended and not is_visible:
        describe_running(whole, writers_in(folder), monotonic_ns())
    if is_attended or collector.processes.watchers:
        whole.duration_ns = monotonic_ns() - whole.started_ns
        return collector, whole
    _recovered(whole)
    return collector, whole


def settle(collector: Collector) -> Run:
    """Put a run together that was followed after its launcher was killed, and has ended now."""
    whole = collector.look(unattended=True)
    whole.blind_spots.append(_loss(whole))
    _recovered(whole)
    return whole


def _loss(run: Run) -> BlindSpot:
    return _UNSERVED if run.served else _KILLED


def _recovered(whole: Run) -> None:
    whole.state = "recovered"
    ends = (row.started_ns + row.duration_ns for row in whole.processes)
    whole.duration_ns = max(ends, default=whole.started_ns) - whole.started_ns


def _without_folder(run: Run, folder: Path) -> Run:
    """Return a run with what was saved of it and why there is no more."""
    with suppress(OSError):
        owner = os.lstat(folder).st_uid
        if owner != os.geteuid() and run.run_key:
            from hookmon.collector.users import user_name

            detail = f"it belongs to {user_name(owner)}: only what had been saved before is here"
            run.blind_spots.append(BlindSpot("run folder", detail))
            return run
    if run.pids not in ("", run_folder.pid_namespace()):
        detail = "it is of another container, and not in a volume that is shared: only what had been saved before is here"
        run.blind_spots.append(BlindSpot("run folder", detail))
        return run
    if not launcher_is_alive(run):
        run.state = "recovered"
        run.blind_spots.append(_loss(run))
    run.blind_spots.append(BlindSpot("run folder", "it is gone: only what had been saved before is here"))
    return run


def sweep(store: Store) -> None:
    """Save what killed launchers of a project left behind, and delete run folders that outlived their last process."""
    numbers: list[int] = []
    with suppress(RunFileError):  # there may be others' folders to clear up all the same
        numbers = store.numbers()
    for number in numbers:
        run_file = store.run_file(number)
        with suppress(RunFileError, OSError):
            if os.lstat(run_file.path).st_uid == os.geteuid():
                with suppress(RunFileError):
                    run_file.roll_back()
                _sweep(run_file)
    for folder in run_folder.find_left_behind():
        with suppress(OSError), run_folder.claim(folder, None) as note:
            if note is not None and _is_abandoned(folder, note):
                run_folder.remove(folder)


def _sweep(run_file: RunFile) -> None:
    run = run_file.head()
    folder = Path(run.run_folder)
    with run_folder.claim(folder, run.run_key) as note:
        if note is None or not _is_over(folder, note, run):
            return
        if run_file.head().state == "running":  # nobody but us writes it from here on
            collector, whole = _collector(run_file, run_file.load(), is_attended=False)
            if whole.state == "recovered":
                collector.end()
        else:
            from hookmon.collector import survivors

            if survivors.final_part(run) is not None:
                run_file.save(survivors.follow_up(run_file.load()))
            run_folder.remove(folder)


def find_forsaken() -> Iterator[tuple[Path, run_folder.Note, bool]]:
    """Yield the run folders that no launcher holds, with their notes, and whether a process of them runs.

    Those of other namespaces are none of ours, and one that hookmon was attached to is left to `hookmon detach`.
    """
    for folder in run_folder.find_left_behind(young_s=0):
        note = run_folder.note_of(folder)
        if note is None or not note.run_file or note.pids != run_folder.pid_namespace() or not run_folder.shares_mounts(note):
            continue
        if run_folder.launcher_lives(folder, note.key) or (folder / script_name(DETACH)).exists():
            continue
        with suppress(OSError):
            yield folder, note, has_processes(folder)


def save_forsaken(note: run_folder.Note) -> None:
    """Save a run without a launcher that has no process any more. Raises HookmonError and OSError."""
    _sweep(RunFile(Path(note.run_file)))


def _is_abandoned(folder: Path, note: run_folder.Note) -> bool:
    """Say whether nobody will ever read a folder whose launcher is gone: its program never started, or its run is not kept."""
    if not note.run_file:
        return True
    is_within = Path(note.run_file).parent == folder
    if not is_within and not run_folder.shares_mounts(note):
        return False
    try:
        run = RunFile(Path(note.run_file)).head()
    except RunFileError as error:
        is_gone = is_within or error.code == "no-such-run"
        return is_gone and note.pids == run_folder.pid_namespace() and not has_processes(folder)
    return (is_within or run.run_key != note.key) and _is_over(folder, note, run)


def _is_over(folder: Path, note: run_folder.Note, run: Run) -> bool:
    """Say whether no process of a run can count any more whose launcher is gone; False where that cannot be known.

    The processes of another namespace cannot be seen. But where the launcher was its PID 1, as in a container, the kernel has
    ended them all with it; those that are just being ended have their shards open.
    """
    if note.pids == run_folder.pid_namespace():
        return not has_processes(folder)
    is_of_now = note.pids.split(" ")[0] == run_folder.pid_namespace().split(" ")[0]
    return is_of_now and run.launcher_pid == 1 and note.pids == run.pids and not leases.is_written(folder)


def launcher_is_alive(run: Run) -> bool:
    """Say whether the `hookmon run` that made a run is still there.

    Its lock tells, in every namespace. Where there is none, the folder is gone, or was made by an older hookmon, its pid does
    where that can be known.
    """
    lives = run_folder.launcher_lives(Path(run.run_folder), run.run_key)
    if lives is not None:
        return lives
    if run.pids not in ("", run_folder.pid_namespace()):
        return False  # its number means another process here
    try:
        return abs(created_s(run.launcher_pid) - run.launcher_started) < 1
    except OSError:
        return False
