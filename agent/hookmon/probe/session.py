"""Sets the probe up when it is imported: reads the plan, opens the shard. Then patches one module after the other.

In: the Arrivals of this process. Out: `patch`. Runs in the watched process, when the first watched module has been loaded. The
import raises what the set-up raises; the next import tries again (see `start`).
"""

from __future__ import annotations

import sys
from _thread import get_ident

from hookmon.core import arguments, layout
from hookmon.core.plan import FILE_NAME, READS_CODE, addition_name, decode
from hookmon.probe import engine
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.naming import filters
from hookmon.probe.recording import control, notes, overhead, recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from hookmon.core.plan import WatchPlan
    from hookmon.probe.main_script import MainScript
    from hookmon.probe.start import Arrivals

_arrivals: Arrivals = sys.modules["hookmon.probe"].arrivals
_plan = decode(_arrivals.read(FILE_NAME))
engine.use_clock(_plan.get("clock_source", ""))
recorder.wrapt_folder = _plan["wrapt_folder"]
filters.redact = arguments.redact = _plan["redact"]

overhead.begin(_plan["max_overhead"], is_attached=_arrivals.is_attached)

from hookmon.probe.patching.patcher import patch_module, prepare_module  # noqa: E402  (takes wrapt from that folder)
from hookmon.probe.patching.patches import Patches  # noqa: E402

_arrivals.take_back()
recorder.start(_arrivals.run_folder, _plan["hookmon"])
if recorder.arena() is None:
    raise OSError("the shard cannot be made in the run folder")
control.begin(_arrivals.run_folder)
if engine.NOTE:
    notes.note(engine.NOTE, engine.WHY_PURE)

if _plan.get("signals"):
    from hookmon.probe import signals

    signals.install(_plan["signals"])

_watches: dict[str, list[WatchPlan]] = {}
_wide: WideWatches | None = None
if "hookmon.probe.base.wanted" in sys.modules:  # there are globs
    from hookmon.probe.patching.wide_watches import WideWatches, is_wide, origin_of

    _wide = WideWatches([watch for watch in _plan["watches"] if is_wide(watch)])
for _watch in _plan["watches"]:
    if _wide is None or not is_wide(_watch):
        _watches.setdefault(_watch["module"], []).append(_watch)
if _arrivals.is_attached:
    from hookmon.probe.patching.changes import Changes

    _patches: Patches = Changes()
else:
    _patches = Patches()
_lazy: LazyNames | None = None
if hasattr(sys, "lazy_modules"):  # CPython 3.15
    from hookmon.probe.patching.lazy_names import LazyNames

    _lazy = LazyNames(
        lambda name: _arrivals.watch_also(name), lambda module, name, watches: patch_module(module, name, watches, _patches)
    )


def take_plan(number: int, is_importing: bool) -> bool:
    """Watch what was added to the plan by `hookmon reload`; say whether that can be done now, else the next call asks again.

    `is_importing`: a module is about to be patched, and this is a part of that.
    """
    me = get_ident()
    if me in _arrivals.work.by_thread and not is_importing:  # a signal handler in the midst of our own work
        return False
    begun_ns = monotonic_ns()
    if not is_importing:
        _arrivals.work.begin(me, None, "")
    try:
        _add(decode(_arrivals.read(addition_name(number)))["watches"])
        notes.note(layout.NOTE_PLAN, str(number))
    except OSError as error:  # it is another user by now, or has another root
        notes.note(layout.NOTE_PLAN, f"{number} {error.strerror or error}")
    finally:
        if not is_importing:
            _arrivals.work.end(me)
            add_own(monotonic_ns() - begun_ns)
    return True


def _add(watches: list[WatchPlan]) -> None:
    """Add watches, each of one module, and apply those whose module is there."""
    known = {watch["id"] for of_module in _watches.values() for watch in of_module}
    fresh: dict[str, list[WatchPlan]] = {}
    for watch in watches:
        if watch["id"] not in known:
            fresh.setdefault(watch["module"], []).append(watch)
    for name, added in fresh.items():
        _watches.setdefault(name, []).extend(added)
        module = sys.modules.get(name)
        if module is None or getattr(getattr(module, "__spec__", None), "_initializing", False):
            _arrivals.watch_also(name)
        else:
            ready = added if _lazy is None else _lazy.keep_back(module, name, added)
            patch_module(module, name, ready, _patches)


control.take_plan = take_plan


def patch(module: ModuleType, name: str, is_late: bool) -> None:
    """Patch a watched module. `is_late`: the program may have called it already, and these calls are not counted."""
    control.take_new_plan(True)
    if name == "greenlet":
        recorder.use_greenlets()
        return
    exact = _watches.get(name, [])
    wide = _wide.of(origin_of(module), name) if _wide is not None else []
    if not exact and not wide and name in _plan.get("unwatched", ()):
        notes.note(layout.NOTE_LIBRARY, name)
        return
    if _lazy is not None:
        exact, wide = _lazy.keep_back(module, name, exact), _lazy.keep_back(module, name, wide)
    if name in READS_CODE:
        from hookmon.probe.patching import compilers

        compilers.patch(module, name, _patches)
        if not exact and not wide:
            return
    elif name in _arrivals.BESIDES:
        notes.note(layout.NOTE_COMPILER, name)
        if not exact and not wide:
            return
    if name == "coverage.inorout":
        from hookmon.probe.patching.coverage import leave_out

        leave_out(vars(module), __file__, _arrivals.attempt.__code__.co_filename)
        if not exact and not wide:
            return
    if _plan.get("signals"):
        signals.patch(_plan["signals"], module, name)
    if is_late:
        notes.note("watched late", f"{name} was imported while hookmon was getting ready; calls until then are not counted")
    for watches in (exact, wide):  # one after the other: what is for this very module beats a glob
        if watches or (not exact and not wide):
            patch_module(module, name, watches, _patches)
    if _lazy is not None:
        _lazy.arrive(name)
    overhead.note_pace_now_and_then()


def prepare(code: CodeType, name: str) -> CodeType:
    """Watch functions of a watched module by their code, before it is executed; return the code to execute."""
    wide = _wide.of(code.co_filename, name) if _wide is not None else []
    return prepare_module(code, name, _watches.get(name, []), wide)


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

    script = MainScript(MainPatcher(_watches["__main__"]))
    script.install()
    return script


if hasattr(sys.modules.get("greenlet"), "getcurrent"):
    recorder.use_greenlets()
is_ready = True
