"""How long each import takes, as a tree: the modules that a module imports stand below it.

In: `_find_and_load` of importlib, which the import statement calls for every module that is not there yet, wherever it comes
from: a file, an archive, a C extension, the interpreter itself. It is what `-X importtime` times. Out: calls in the tree, of the
kind "import", each with the name of a module; one that raises is an error. `importlib.import_module` is seen as well. Not seen is
what is executed without being imported: by `importlib.reload`, by a loader that somebody calls, by a LazyLoader later on. A
thread that waits for another one's import may count as an import, too, as it does there.

What we do meanwhile are calls named "hookmon": the patching of a watched module, our own imports, and this measuring. So it is no
module's own time, and the report takes it out of the times with everything inside. Runs in the watched process, in both engines.
"""

from __future__ import annotations

import sys

from hookmon.core.plan import IMPORT, OWN
from hookmon.probe.base.frames import drop_frame
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.base.target import Target
from hookmon.probe.recording import control, recorder
from hookmon.probe.transactions.paired_spans import PairedSpan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.base.target import Span

_FILE = "<frozen importlib._bootstrap>"
"""Frames of this file are cut out of the traceback of a failing import (`remove_importlib_frames` in import.c)."""

_imports = Target("importlib:import", IMPORT, "", "", False)
_own = Target("hookmon:import", OWN, "", "", False).span(OWN)


@shielded(None)
def _open(span: Span) -> PairedSpan | None:
    if control.is_off(span.target):
        return None
    lane = getattr(recorder.current, "lane", None) or recorder.enter_thread()
    opened = PairedSpan(0, None, lane, owns_lane=False)
    return opened if opened.open(span) else None


@shielded(None)
def _close(opened: PairedSpan, error: BaseException | None) -> None:
    opened.end(monotonic_ns(), error)


@shielded(None)
def _charge(opened: PairedSpan, begun_ns: int, ended_ns: int) -> None:
    """Charge what measuring took before and after an import to ourselves, where it would be the time of a call around it."""
    parent = opened.parent
    if parent is not recorder.root and parent.number:
        node = parent.children.get(_own) or recorder.new_node(parent, _own)
        if node is not None:
            recorder.charge_call(node, max(0, opened.started_ns - begun_ns + monotonic_ns() - ended_ns))


def install() -> None:
    """Time every import from now on."""
    importlib: Any = sys.modules["_frozen_importlib"]
    arrivals: Any = sys.modules["hookmon.probe"].arrivals
    find_and_load, patch, prepare = importlib._find_and_load, arrivals.patch, arrivals.prepare

    def _find_and_load(name: str, import_: object) -> object:
        if name in sys.modules:  # importlib.import_module asks for what is there, too
            return find_and_load(name, import_)
        begun_ns = monotonic_ns()
        opened = _open(_own if name.partition(".")[0] == OWN else _imports.span(name))
        try:
            module = find_and_load(name, import_)
        except BaseException as error:
            if opened is not None:
                _close(opened, error)
            drop_frame(error)
            raise
        if opened is not None:
            ended_ns = monotonic_ns()
            _close(opened, None)
            _charge(opened, begun_ns, ended_ns)
        return module

    def patch_as_ours(module: object, name: str) -> None:
        opened = _open(_own)
        patch(module, name)
        if opened is not None:
            _close(opened, None)

    _find_and_load.__code__ = _find_and_load.__code__.replace(co_filename=_FILE)

    def prepare_as_ours(code: object, name: str) -> object:
        opened = _open(_own)
        made = prepare(code, name)
        if opened is not None:
            _close(opened, None)
        return made

    importlib._find_and_load = _find_and_load
    arrivals.patch, arrivals.prepare = patch_as_ours, prepare_as_ours
