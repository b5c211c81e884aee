"""The run folder and the plan in it: what the probe finds when it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hookmon.collector import control, engines, places, run_folder, where
from hookmon.collector.where import ROOM_BYTES
from hookmon.core.errors import LaunchError

_NOWHERE = "/dev/shm, XDG_RUNTIME_DIR and the temporary folder cannot be written"

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

    from hookmon.config.load import Config
    from hookmon.core.plan import WatchPlan


def write(folder: Path, config: Config, version: str) -> list[WatchPlan]:
    """Write the plan of a configuration into a run folder; return its watches. Raises OSError."""
    from hookmon.collector.launch import clock_source
    from hookmon.core import layout, plan

    watches = [watch.to_plan(number) for number, watch in enumerate(config.watches, 1)]
    whole = content(config, version, watches) | {"run_folder": str(folder), "clock_source": clock_source()}
    _write_privately(folder / layout.CONTROL_NAME, control.page())
    _write_privately(folder / plan.FILE_NAME, plan.encode(whole))
    if known := engines.file_for_probe():
        _write_privately(folder / plan.ENGINES_FILE_NAME, known)
    _write_privately(folder / plan.MODULES_FILE_NAME, modules_file(whole))
    return watches


def content(config: Config, version: str, watches: list[WatchPlan]) -> dict[str, Any]:
    """Return a plan, a `core.plan.PlanData` without `run_folder` and `clock_source`, which belong to one run."""
    from hookmon.collector.launch import wrapt_folder
    from hookmon.core.known_libraries import not_watched

    offered = (watch for pack, _ in config.offered for watch in pack.content.watches)
    return {
        **config.root,
        "wrapt_folder": wrapt_folder(),
        "hookmon": version,
        "redact": config.redact,
        "max_overhead": config.max_overhead,
        "watches": watches,
        "unwatched": not_watched({watch.module for watch in (*config.watches, *offered)}),
    }


def modules_file(whole: dict[str, Any]) -> bytes:
    """Return the file of modules of a whole plan."""
    return "\n".join(lines_of_plan(whole)).encode("utf-8", "surrogateescape")


def lines_of_plan(whole: dict[str, Any]) -> list[str]:
    """Return the lines of the file of modules of a whole plan."""
    from hookmon.core import plan

    lines = module_lines(whole["watches"], is_at_once=bool(whole["signals"]))
    lines += sorted({*whole.get("unwatched", ())} - {*lines})
    return lines + sorted({name for signal in whole["signals"] for name in plan.SIGNAL_MODULES.get(signal, ())} - set(lines))


def module_lines(watches: list[WatchPlan], *, is_at_once: bool) -> list[str]:
    """Return the lines of the file of modules: names, globs, and what else the probe has to know at its start."""
    from hookmon.core import plan
    from hookmon.core.globs import is_glob

    names = {watch["module"] for watch in watches if not watch.get("files")}
    files = {file for watch in watches for file in watch.get("files", ())}
    is_by_path = any(not watch["pack"] and watch["module"] != "__main__" for watch in watches)
    marks = {
        plan.AT_ONCE: is_at_once,
        plan.BY_PATH: is_by_path,
        plan.GLOBS: bool(files) or any(is_glob(name) for name in names),
    }
    return sorted({*plan.HEARD_OF, *names, *files, *(mark for mark, is_set in marks.items() if is_set)})


def prepare(config: Config, version: str) -> tuple[Path, list[WatchPlan]]:
    """Make a run folder with the plan of a configuration, in the first place that takes both; return it, and the watches.

    Raises OSError when no place does.
    """
    problem = OSError(_NOWHERE)
    for folder in _run_folders():
        try:
            return folder, write(folder, config, version)
        except OSError as error:
            problem = error
            run_folder.remove(folder)
    raise problem


def make_run_folder() -> Path:
    """Make the private folder for plan and shards, in memory where the system has a place for that, and take its lock."""
    try:
        for folder in _run_folders():
            return folder
    except OSError as error:
        raise LaunchError(f"no place for the run folder: {error}", 125, code="no-run-folder") from error
    raise LaunchError(f"no place for the run folder: {_NOWHERE}", 125, code="no-run-folder")


def _run_folders() -> Iterator[Path]:
    """Make a run folder in each place, one at a time, those with the most room first.

    Raises OSError for a place that the environment names, and that cannot be used.
    """
    for place in sorted(places.for_run_folders(), key=lambda place: -min(where.free_bytes(str(place)), ROOM_BYTES)):
        try:
            folder = run_folder.make(place)
        except OSError as error:  # it cannot be written
            if place == places.named():
                raise OSError(f"{places.VARIABLE}: {place} cannot be used: {error.strerror or error}") from error
            continue
        yield folder


def _write_privately(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
