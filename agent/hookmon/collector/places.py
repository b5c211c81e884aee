"""Where hookmon keeps its files: run folders while their runs last, what is kept of them, and what is remembered.

In: the environment. Out: paths, which need not be there. Runs on the launcher's side only. `HOOKMON_FOLDER` names one folder for
all of it, as a volume that containers share. A user may have no home: a number without an entry in passwd, as platforms for
containers give one, and no HOME.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from hookmon.core import layout

VARIABLE = "HOOKMON_FOLDER"


def named() -> Path | None:
    """Return the folder that the environment names for the files of hookmon, None where it names none."""
    name = os.environ.get(VARIABLE)
    return Path(os.path.abspath(name)) if name else None


def for_run_folders() -> list[Path]:
    """Return where run folders are made, the best first: where a folder is named, only there."""
    folder = named()
    if folder is not None:
        return [folder]
    found = [Path("/dev/shm")]
    if os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(os.environ["XDG_RUNTIME_DIR"]))
    with suppress(OSError):
        found.append(Path(tempfile.gettempdir()))  # there may be none
    return found


def state() -> Path:
    """Return the folder for what is kept beyond a run: in XDG_STATE_HOME, else the named one, else one in the user's home."""
    if os.environ.get("XDG_STATE_HOME"):
        return Path(os.environ["XDG_STATE_HOME"]) / "hookmon"
    return named() or _home() / ".local" / "state" / "hookmon"


def cache() -> Path:
    """Return the folder for what can be measured again."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "hookmon"
    return state() if named() is not None else _home() / ".cache" / "hookmon"


def runs_of(project: Path) -> Path:
    """Return the folder that keeps the runs of a project: `.hookmon` in it, or a folder of its own in the state folder.

    The second serves where the first cannot be written, and where it already holds runs while the first does not. The top of
    the file system is no project: whoever runs something there (cron, a container) has no use for a folder in it. Where the
    environment names a folder, the runs of all projects are together: another container has another working folder.
    """
    if named() is not None:
        return state() / "runs"
    own = project / ".hookmon"
    other = state() / "-".join(project.resolve().parts[1:])
    if project == project.parent and not own.is_dir():
        return state() / "root"
    if own.is_dir():
        return own if os.access(own, os.W_OK | os.X_OK) or not other.is_dir() else other
    return own if os.access(project, os.W_OK | os.X_OK) else other


def has_room(folder: Path) -> bool:
    """Say whether another process finds room for a shard: probe/recording/arena leaves a share of the file system alone."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return True  # it is gone, which is told elsewhere
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    return not total or free - layout.FIRST_BYTES >= min(total // layout.LEFT_SHARE, layout.MOST_LEFT_BYTES)


def _home() -> Path:
    """Return the user's home, the top of the file system where there is none, which is what engines of containers say as well."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
