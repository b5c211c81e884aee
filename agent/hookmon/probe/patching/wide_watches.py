"""The watches that are for several modules: by a glob of names ("app.**"), or by files ("/srv/dags/*.py").

In: those watches of the plan, and each module that comes in. Out: the watches that are for it, the narrowest first. What is for
one module by its name is applied before any of these, and so beats them. Runs in the watched process, if there are such watches.
"""

from __future__ import annotations

from hookmon.core.globs import Glob
from hookmon.core.plan import MOST_MODULES
from hookmon.probe.base.wanted import Files, Names
from hookmon.probe.recording import notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hookmon.core.plan import WatchPlan


class WideWatches:
    """The watches of several modules, and which modules each of their globs has taken."""

    def __init__(self, watches: list[WatchPlan]) -> None:
        self._watches = [(watch, _judge(watch)) for watch in sorted(watches, key=_sort_key)]
        self._taken: dict[str, dict[str, None]] = {}  # {glob: {name of a module: None}}
        self._full: set[str] = set()  # globs that had no room for a module
        notes.expect_misses(watch["id"] for watch in watches)

    def of(self, origin: object, name: str) -> list[WatchPlan]:
        """Return the watches that are for a module, by its file and its name."""
        return [watch for watch, takes in self._watches if takes(name, origin) and self._has_room(watch["module"], name)]

    def _has_room(self, glob: str, name: str) -> bool:
        taken = self._taken.setdefault(glob, {})
        if name in taken:
            return True
        if len(taken) >= MOST_MODULES:
            if glob not in self._full:
                self._full.add(glob)
                notes.note("glob full", f"{glob} stands for more than {MOST_MODULES:,} modules; the others are not watched")
            return False
        taken[name] = None
        return True


def is_wide(watch: WatchPlan) -> bool:
    """Say whether a watch is for several modules."""
    return "files" in watch or any(sign in watch["module"] for sign in "*?[")


def _sort_key(watch: WatchPlan) -> tuple[bool, int]:
    is_by_name = "files" not in watch
    return is_by_name, -Glob(watch["module"], "." if is_by_name else "/").literal_length


def _judge(watch: WatchPlan) -> Callable[[str, object], bool]:
    """Return what says of a module, by its name and its origin, whether a watch is for it."""
    if "files" in watch:
        files = Files(watch["files"])
        return lambda _, origin: files.take(origin)
    names = Names(frozenset(), [watch["module"]])
    return lambda name, origin: name in names and names.admits(name, origin)


def origin_of(module: Any) -> object:
    """Return the file of a module as its spec has it, else as the module has it; None where nobody says."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return getattr(module, "__file__", None) if origin is None else origin
