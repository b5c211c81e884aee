"""What a start has counted that is not in the store yet: of one that goes on, and of one whose launcher was killed.

In: starts that have not said that they ended, with their run files and run folders. Out: their runs, whole; and, from `settle`,
the rest of those that are over, in the minute of their last moment. What is written is held against what the store has of the
start, so it is there once, whoever comes first; whoever only looks writes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hookmon.collector import run_folder
from hookmon.collector.recover import complete, launcher_is_alive
from hookmon.collector.store import Run, RunFile
from hookmon.core.errors import RunFileError
from hookmon.core.record import Record
from hookmon.services.clock import minute_of
from hookmon.services.off import pack_stretches, stretches_of
from hookmon.services.places import Places
from hookmon.services.reading import ENDED, LOST, RECOVERED, RUNNING
from hookmon.services.store import ServiceStore
from hookmon.services.writing import About, StartWriter, State

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_PATIENCE_S = 2.0  # a program waits for its start

_SILENT_S = 600
"""A start of which nobody here can tell whether it lives writes each minute if it does."""


class Whole(Record, slots=True):
    """A start as it is now. `end` is the state it has come to, "" while a launcher or a process of it lives."""

    run: Run
    at_s: float  # its last moment, or now
    end: str
    is_attended: bool  # its launcher lives, and writes the minutes itself
    is_local: bool = False  # its pids mean the same processes here


def look(about: About) -> Whole | None:
    """Return a start as it is now, from its run file and its shards; None where they are not there, or another's."""
    run_file = RunFile(Path(about.run_file))
    try:
        run = run_file.load()
        if run.run_key != about.key:
            return None
        is_attended = run.state == "running" and launcher_is_alive(run)
        if run.state == "running" and not run_folder.is_readable(Path(run.run_folder), run.run_key):
            return None  # what was saved is less than what was seen
        run = complete(run_file, run)
        if not run.main_pid and run.processes:  # a killed launcher has not saved it
            run.main_pid = min(run.processes, key=lambda process: process.started_ns).pid
    except (RunFileError, OSError):
        return None
    if run.state == "running" or run.still_running:
        return Whole(run, time.time(), "", is_attended, run_folder.shares_pids(Path(run.run_folder)))
    at_s = datetime.fromisoformat(run.started_at).timestamp() + run.duration_ns / 1e9
    return Whole(run, at_s, RECOVERED if run.state == "recovered" else ENDED, is_attended=False)


def is_attended(about: About) -> bool:
    """Say whether the launcher of a start lives: then the store has all but the running minute."""
    with suppress(RunFileError):
        run = RunFile(Path(about.run_file)).head()
        return run.run_key == about.key and run.state == "running" and launcher_is_alive(run)
    return False


def settle(store: ServiceStore, now_s: float | None = None) -> None:
    """Write the rest of all starts whose launchers were killed; of very many some are left to the next one. Raises StoreError."""
    if not store.path.exists():
        return
    now_s = time.time() if now_s is None else now_s
    end = time.monotonic() + _PATIENCE_S
    for about, seen_s in _open_starts(store):
        if time.monotonic() > end:
            return
        if is_attended(about):
            continue
        whole = look(about)
        if whole is not None and not whole.is_attended:
            places = Places()
            counts = places.count([(whole.run.nodes, whole.run.statuses)])
            state = State(whole.at_s, minute_of(whole.at_s), places.rows, counts, end=whole.end)
            state.cpu_ns, state.launcher_cpu_ns = whole.run.total("cpu_ns"), -1
            state.exit_code, state.pid, state.python = whole.run.exit_code, whole.run.main_pid, whole.run.python
            state.switched = pack_stretches(stretches_of(Path(whole.run.run_folder))) or None
            StartWriter(store, about).write(state)
        elif whole is None and not 0 <= now_s - seen_s < _SILENT_S:
            with store.writing() as connection:
                connection.execute(
                    "UPDATE starts SET state = ?, ended_s = seen_s WHERE key = ? AND state = ? AND seen_s = ?",
                    [LOST, about.key, RUNNING, seen_s],
                )


def _open_starts(store: ServiceStore) -> Iterator[tuple[About, float]]:
    """Yield the starts that have not said that they ended, with the moment they were seen last."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT seen_s, {ABOUT} FROM starts JOIN services ON services.id = service WHERE state = ?", [RUNNING]
        ).fetchall()
    for seen_s, *values in rows:
        with suppress(ValueError):
            yield about_of(values), seen_s


ABOUT = "services.name, key, run_file, command, version, project, hookmon, machine, started_s"
"""Columns of a start and its service, for `about_of`."""


def about_of(values: list[Any]) -> About:
    """Return a start by its columns ABOUT. Raises ValueError where they are damaged."""
    name, key, run_file, command, *rest = values
    try:
        return About(name, key, run_file, json.loads(command), *rest)
    except (TypeError, RecursionError) as error:
        raise ValueError("not a start") from error
