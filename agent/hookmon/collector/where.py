"""The paths behind `places`, as text: a program waits until its launcher knows where to put its run folder.

In: the environment. Out: paths, which need not be there. Runs on the launcher's side only, and imports built-in modules only.
"""

from __future__ import annotations

import os

from hookmon.core import layout

VARIABLE = "HOOKMON_FOLDER"
MEMORY = "/dev/shm"
"""Where run folders are made first."""

ROOM_BYTES = 256 * 1024 * 1024
"""A place with so much room is as good as any: a container's /dev/shm has 64 MiB, which its program may need."""


def named() -> str:
    """Return the folder that the environment names for the files of hookmon, "" where it names none."""
    name = os.environ.get(VARIABLE)
    return os.path.abspath(name) if name else ""


def state() -> str:
    """Return the folder for what is kept beyond a run: in XDG_STATE_HOME, else the named one, else one in the user's home."""
    if os.environ.get("XDG_STATE_HOME"):
        return os.path.join(os.environ["XDG_STATE_HOME"], "hookmon")
    return named() or os.path.join(_home(), ".local", "state", "hookmon")


def cache() -> str:
    """Return the folder for what can be measured, or made, again."""
    if os.environ.get("XDG_CACHE_HOME"):
        return os.path.join(os.environ["XDG_CACHE_HOME"], "hookmon")
    return state() if named() else os.path.join(_home(), ".cache", "hookmon")


def runs_of(project: str) -> str:
    """Return the folder that keeps the runs of a project: see `places.runs_of`."""
    if named():
        return os.path.join(state(), "runs")
    own = os.path.join(project, ".hookmon")
    if project == os.path.dirname(project) and not os.path.isdir(own):
        return os.path.join(state(), "root")
    other = os.path.join(state(), "-".join(os.path.realpath(project).split(os.sep)[1:]))
    if os.path.isdir(own):
        return own if os.access(own, os.W_OK | os.X_OK) or not os.path.isdir(other) else other
    return own if os.access(project, os.W_OK | os.X_OK) else other


def free_bytes(place: str) -> int:
    """Return how much may still be written in a place."""
    try:
        status = os.statvfs(place)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def has_room(folder: str | os.PathLike[str]) -> bool:
    """Say whether another process finds room for a shard: probe/recording/arena leaves a share of the file system alone."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return True  # it is gone, which is told elsewhere
    total, free = status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize
    return not total or free - layout.FIRST_BYTES >= min(total // layout.LEFT_SHARE, layout.MOST_LEFT_BYTES)


def _home() -> str:
    """Return the user's home, the top of the file system where there is none, which is what engines of containers say as well."""
    home = os.path.expanduser("~")
    return "/" if home == "~" else home
