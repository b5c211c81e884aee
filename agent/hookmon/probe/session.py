"""Sets the probe up when it is imported: reads the plan, opens the shard. Then patches one module after the other.

In: the Arrivals of this process. Out: `patch`. Runs in the watched process, when the first watched module has been loaded. The
import raises what the set-up raises; the next import tries again (see `start`).
"""

from __future__ import annotations

import sys

from hookmon.core import arguments, layout
from hookmon.core.plan import FILE_NAME, decode
from hookmon.probe import engine
from hookmon.probe.naming import filters
from hookmon.probe.recording import notes, overhead, recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.main_script import MainScript
    from hookmon.probe.start import Arrivals

_arrivals: Arrivals = sys.modules["hookmon.probe"].arrivals
_plan = decode(_arrivals.read(FILE_NAME))
engine.use_clock(_plan.get("clock_source", ""))
recorder.wrapt_folder = _plan["wrapt_folder"]
filters.redact = arguments.redact = _plan["redact"]

overhead.begin(_plan["max_overhead"], is_attached=_arrivals.is_attached)

from hookmon.probe.patching.patcher import Patches, patch_module  # noqa: E402  (takes wrapt from that folder)

_arrivals.take_back()
recorder.start(_arrivals.run_folder, _plan["hookmon"])
if recorder.arena() is None:
    raise OSError("the shard cannot be made in the run folder")
if engine.WHY_PURE == engine.STALE:
    notes.note("stale engine", f"the pure engine counts: {engine.STALE}")

if _plan.get("signals"):
    from hookmon.probe import signals

    signals.install(_plan["signals"])

_watches: dict[str, list[WatchPlan]] = {}
for _watch in _plan["watches"]:
    _watches.setdefault(_watch["module"], []).append(_watch)
if _arrivals.is_attached:
    from hookmon.probe.patching.changes import Changes

    _patches: Patches = Changes()
else:
    _patches = Patches()


def patch(module: ModuleType, name: str, is_late: bool) -> None:
    """Patch a watched module. `is_late`: the program may have called it already, and these calls are not counted."""
    if name == "greenlet":
        recorder.use_greenlets()
        return
    if name in _arrivals.BESIDES:
        notes.note(layout.NOTE_COMPILER, name)
        if name not in _watches:
            return
    if name == "coverage.inorout":
        from hookmon.probe.patching.coverage import leave_out

        leave_out(vars(module), __file__, _arrivals.attempt.__code__.co_filename)
        if name not in _watches:
            return
    if is_late:
        notes.note("watched late", f"{name} was imported while hookmon was getting ready; calls until then are not counted")
    patch_module(module, name, _watches.get(name, []), _patches)
    overhead.note_pace()


def add_own(duration_ns: int) -> None:
    """Charge the time of a set-up or of patching to hookmon."""
    recorder.words[layout.HEADER_OWN_NS] += duration_ns


def end() -> int:
    """End it in a process that hookmon was attached to: change everything back. Return how many wrappers the program has kept."""
    from hookmon.probe.recording.stopping import stop

    try:
        kept: int = _patches.take_back()  # type: ignore[attr-defined]
    finally:
        stop()
    return kept


def watch_main() -> MainScript:
    """Get ready for the started script, whose functions are to be watched."""
    from hookmon.probe.main_script import MainScript
    from hookmon.probe.patching.main_patcher import MainPatcher

    patcher = MainPatcher(_watches["__main__"])
    script = MainScript(patcher.wants, patcher.decorator, patcher.note_defined)
    script.install()
    return script


if hasattr(sys.modules.get("greenlet"), "getcurrent"):
    recorder.use_greenlets()
is_ready = True
