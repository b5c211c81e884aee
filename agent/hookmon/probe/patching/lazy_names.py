"""Names that a module imports lazily (PEP 810, CPython 3.15): they are watched once the module that defines them is there.

In: a module and its watches. Out: the watches that can be applied at once; the others wait. Runs in the watched process, from
3.15 on. What a lazy name stands for is put in its place when its module has been executed, which is what Python itself does at
the first use of the name. Nothing is imported for that.
"""

from __future__ import annotations

import sys
import types

from hookmon.core import layout
from hookmon.probe.recording import notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from hookmon.core.plan import WatchPlan

_LAZY = getattr(types, "LazyImportType", None)


class LazyNames:
    """The watches that wait for modules which define lazily imported names."""

    def __init__(self, watch_also: Callable[[str], None], apply: Callable[[ModuleType, str, list[WatchPlan]], None]) -> None:
        """`watch_also` has a module noticed when it comes in; `apply` patches a module by watches."""
        self._watch_also = watch_also
        self._apply = apply
        self._waiting: dict[str, list[tuple[ModuleType, str, WatchPlan]]] = {}
        """{module that defines a name: (module that imports it, its name, watch)}."""
        self._arrived: dict[str, None] = {}  # of those that were waited for

    def keep_back(self, module: ModuleType, name: str, watches: list[WatchPlan]) -> list[WatchPlan]:
        """Return the watches without those of lazy names, for which this waits from now on."""
        ready: list[WatchPlan] = []
        for watch in watches:
            whole = "hook" in watch or "until" in watch  # their calls belong together
            lazy = [call for call in _names(watch) if self._is_kept_back(module, call)]
            if not lazy:
                ready.append(watch)
                continue
            if not whole and len(lazy) < len(watch["calls"]):
                ready.append({**watch, "calls": [call for call in watch["calls"] if call not in lazy]})
            for call in lazy if not whole else lazy[:1]:
                self._wait(module, name, watch if whole else {**watch, "calls": [call]}, call)
        return ready

    def arrive(self, name: str) -> None:
        """Apply the watches that have waited for a module, which has just been executed."""
        waiting = self._waiting.pop(name, ())
        if waiting:
            self._arrived[name] = None
        for module, importer, watch in waiting:
            ready = self.keep_back(module, importer, [watch])
            if ready:
                self._apply(module, importer, ready)

    def _is_kept_back(self, module: ModuleType, call: str) -> bool:
        """Say whether the first name of a call is lazy and stays so: what it stands for is not there."""
        first = call.partition(".")[0]
        value = vars(module).get(first)
        if _LAZY is None or type(value) is not _LAZY:
            return False
        definer, attribute = _origin(value)
        there = sys.modules.get(definer)
        is_executed = definer in self._arrived or not getattr(getattr(there, "__spec__", None), "_initializing", False)
        meant = vars(there).get(attribute, value) if there is not None and is_executed else value
        if type(meant) is _LAZY:
            return True
        vars(module)[first] = meant
        return False

    def _wait(self, module: ModuleType, name: str, watch: WatchPlan, call: str) -> None:
        definer, attribute = _origin(vars(module)[call.partition(".")[0]])
        there = sys.modules.get(definer)
        further = vars(there).get(attribute) if there is not None else None
        while type(further) is _LAZY:  # imported lazily there as well
            definer, attribute = _origin(further)
            there = sys.modules.get(definer)
            further = vars(there).get(attribute) if there is not None else None
        reason = f"it is imported lazily from {definer}, which nobody has imported"
        notes.note_watch(watch["id"], f"{name}:{call}", layout.TARGET_ELSEWHERE, reason)
        waiting = self._waiting.setdefault(definer, [])
        waiting.append((module, name, watch))
        self._watch_also(definer)


def _names(watch: WatchPlan) -> Iterator[str]:
    yield from watch["calls"]
    yield from watch.get("until", ())
    if "hook" in watch:
        yield from watch["hook"]["unregister"]


def _origin(lazy: object) -> tuple[str, str]:
    """Return the module that a lazy name comes from, and its name there; its representation tells them, and runs no code."""
    module, _, name = repr(lazy).partition("'")[2].rpartition("'")[0].rpartition(".")
    return module, name
