"""The probe's first steps: all that happens in a process before its program runs.

In: the run folder. Out: a finder on sys.meta_path, and nothing else; no module beyond this one and `finder` is imported
until the first watched module has been loaded. Called by the bootstrap's sitecustomize.
"""

from __future__ import annotations

import sys

from hookmon.probe.finder import Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MODULES_FILE = "modules"  # core.plan.MODULES_FILE_NAME, not imported here: start-up


def start(run_folder: str, report: Callable[[str], None]) -> None:
    """Install the finder.

    `report` tells the collector why nothing is recorded in this process, should that come to light later. Raises OSError when
    the run folder cannot be read; the bootstrap notes it.
    """
    with open(f"{run_folder}/{_MODULES_FILE}", encoding="utf-8") as file:
        names = frozenset(file.read().split())
    session = _Session(run_folder, report)
    if "__main__" in names:
        names = names - {"__main__"} | {"runpy"}
        session.watch_main()
    Finder(names | {"greenlet"}, session.loaded).install()


class _Session:
    """What this process watches, from the first watched module on."""

    def __init__(self, run_folder: str, report: Callable[[str], None]) -> None:
        self._run_folder = run_folder
        self._report = report
        self._failed = False
        self._main: Any = None
        self._watches: dict[str, Any] | None = None
        self._patches: Any = None

    def loaded(self, module: Any, name: str) -> None:
        """Patch a watched module; never raises."""
        if self._failed:
            return
        from hookmon.probe import guard

        guard.shielded(None)(self._patch)(module, name)
        if self._watches is None and name != "greenlet":
            self._failed = True
            guard.shielded(None)(self._report)(f"the probe failed: {'; '.join(guard.failures)}")

    def _patch(self, module: Any, name: str) -> None:
        if name == "runpy" and self._main is not None:
            self._main.patch_runpy(module)
        if name == "greenlet":
            if self._watches is not None:
                recorder = sys.modules["hookmon.probe.recorder"]
                recorder.use_greenlets()
            return
        watches = self._begin()
        from hookmon.probe.patcher import patch_module

        patch_module(module, name, watches.get(name, []), self._patches)

    def watch_main(self) -> None:
        """Get ready for the started script, whose functions are to be watched; raises what `_begin` does."""
        from hookmon.probe.main_script import MainScript

        watches = self._begin()["__main__"]
        from hookmon.probe.patcher import MainPatcher

        patcher = MainPatcher(watches)
        self._main = MainScript(patcher.wants, patcher.decorator, patcher.note_defined)
        self._main.install()

    def _begin(self) -> dict[str, Any]:
        """Read the plan and open the shard, once; return the watches by module."""
        if self._watches is None:
            from hookmon.core.plan import FILE_NAME, decode

            with open(f"{self._run_folder}/{FILE_NAME}", "rb") as file:
                plan = decode(file.read())
            from hookmon.probe import engine, overhead, recorder

            engine.use_clock(plan.get("clock_source", ""))
            recorder.wrapt_folder = plan["wrapt_folder"]
            from hookmon.probe import filters
            from hookmon.probe.patcher import Patches

            filters.redact = plan["redact"]
            if plan["max_overhead"]:
                overhead.begin(plan["max_overhead"])
            recorder.start(self._run_folder, plan["hookmon"])
            if recorder.arena() is None:
                raise OSError("the shard cannot be made in the run folder")
            watches: dict[str, Any] = {}
            for watch in plan["watches"]:
                watches.setdefault(watch["module"], []).append(watch)
            if "greenlet" in sys.modules:
                recorder.use_greenlets()
            self._patches = Patches()
            self._watches = watches
        return self._watches
