"""The run folder and the plan in it: what the probe finds when it starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hookmon.core.errors import LaunchError

if TYPE_CHECKING:
    from hookmon.config.load import Config
    from hookmon.core.plan import PlanData, WatchPlan


def write(folder: Path, config: Config, version: str) -> list[WatchPlan]:
    """Write the plan of a configuration into a run folder; return its watches. Raises OSError."""
    from hookmon.collector.launch import clock_source
    from hookmon.core import plan

    watches = [watch.to_plan(number) for number, watch in enumerate(config.watches, 1)]
    content: PlanData = {
        "run_folder": str(folder),
        "wrapt_folder": _wrapt_folder(),
        "hookmon": version,
        "redact": config.redact,
        "clock_source": clock_source(),
        "max_overhead": config.max_overhead,
        "watches": watches,
    }
    modules = sorted({watch["module"] for watch in watches})
    _write_privately(folder / plan.FILE_NAME, plan.encode(content))
    _write_privately(folder / plan.MODULES_FILE_NAME, "\n".join(modules).encode())
    return watches


def run_folder() -> Path:
    """Make the private folder for plan and shards, in memory where the system has a place for that."""
    from hookmon.collector.store import FOLDER_PREFIX

    for place in ("/dev/shm", os.environ.get("XDG_RUNTIME_DIR", ""), None):  # None is the temporary folder, which may not exist
        if place is None or (place and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)):
            try:
                return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=place))
            except OSError:
                continue
    raise LaunchError(
        "no place for the run folder: /dev/shm, XDG_RUNTIME_DIR and the temporary folder cannot be written",
        125,
        code="no-run-folder",
    )


def _write_privately(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _wrapt_folder() -> str:
    from importlib.util import find_spec

    spec = find_spec("wrapt")
    return str(Path(spec.origin).parent) if spec is not None and spec.origin else ""
