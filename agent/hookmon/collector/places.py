"""Where hookmon keeps its files: run folders while their runs last, what is kept of them, and what is remembered.

In: the environment. Out: paths, which need not be there. Runs on the launcher's side only. `HOOKMON_FOLDER` names one folder for
all of it, as a volume that containers share. A user may have no home: a number without an entry in passwd, as platforms for
containers give one, and no HOME.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hookmon.collector import where

VARIABLE = where.VARIABLE
has_room = where.has_room


def named() -> Path | None:
    """Return the folder that the environment names for the files of hookmon, None where it names none."""
    name = where.named()
    return Path(name) if name else None


def for_run_folders() -> list[Path]:
    """Return where run folders are made, the best first: where a folder is named, only there."""
    folder = named()
    if folder is not None:
        return [folder]
    found = [Path(where.MEMORY)]
    if os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(os.environ["XDG_RUNTIME_DIR"]))
    import tempfile  # it takes as long as all of this module

    with suppress(OSError):
        found.append(Path(tempfile.gettempdir()))  # there may be none
    return found


def state() -> Path:
    """Return the folder for what is kept beyond a run: in XDG_STATE_HOME, else the named one, else one in the user's home."""
    return Path(where.state())


def cache() -> Path:
    """Return the folder for what can be measured, or made, again."""
    return Path(where.cache())


def runs_of(project: Path) -> Path:
    """Return the folder that keeps the runs of a project: `.hookmon` in it, or a folder of its own in the state folder.

    The second serves where the first cannot be written, and where it already holds runs while the first does not. The top of
    the file system is no project: whoever runs something there (cron, a container) has no use for a folder in it. Where the
    environment names a folder, the runs of all projects are together: another container has another working folder.
    """
    return Path(where.runs_of(str(project)))
