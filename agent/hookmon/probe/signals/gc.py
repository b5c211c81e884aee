"""How long the garbage collector stops the program, by generation, and what it finds.

In: `gc.callbacks`, which the collector calls when a collection begins and ends, in the thread that it stops. Whoever looks there
finds one more. Out: for each generation a histogram of pauses in seconds and a counter of the objects that were freed; and in the
call tree, below the watched call that was stopped, a part of that call: its time is none of that call's own. What finalizers call
meanwhile stands below the pause. Runs in the watched process, in both engines.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.core.plan import GC
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.base.target import Target
from hookmon.probe.recording import control, recorder
from hookmon.probe.recording.instruments import instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.recording.tree import Lane, Node

_GENERATIONS = 3
_ONE_CHARGED_OF = 16  # to time each note would take as long as a part of it; what is noted at a start costs as much as at an end
_RETURNED = layout.OUTCOME_RETURNED


class Pauses:
    """The collections of this process, of which there is one at a time."""

    def __init__(self) -> None:
        numbers = range(_GENERATIONS)
        pauses = [instrument(f"gc pause, generation {number}", "s", "histogram") for number in numbers]
        self._record = [pause.record_unshielded for pause in pauses]
        self._freed = [instrument(f"gc freed objects, generation {number}", "1", "counter") for number in numbers]
        self._left = instrument("gc objects that could not be freed", "1", "counter")
        self._span = Target("gc", GC, "", "", False, part=True).span("gc")
        self._started_ns = 0
        self._pauses = 0
        self._stopped: tuple[Lane, Node, Node, int] | None = None
        """(lane, its open node, the node of the pause, `recorder.forks`) while a watched call is stopped."""

    @shielded(None)
    def note(self, phase: str, info: dict[str, Any]) -> None:
        """Note that a collection begins or has ended."""
        if phase == "start":
            self._stop_call()
            self._started_ns = monotonic_ns()
        elif self._started_ns:  # else it was installed in the midst of one
            now_ns = monotonic_ns()
            started_ns, self._started_ns = self._started_ns, 0
            self._go_on(started_ns, now_ns - started_ns)
            generation = info["generation"]
            self._record[generation]((now_ns - started_ns) / 1e9)
            if info["collected"]:
                self._freed[generation].add_unshielded(info["collected"])
            if info["uncollectable"]:
                self._left.add_unshielded(info["uncollectable"])
            self._pauses += 1
            if not self._pauses % _ONE_CHARGED_OF:
                recorder.words[layout.HEADER_OWN_NS] += 2 * _ONE_CHARGED_OF * (monotonic_ns() - now_ns)

    def _stop_call(self) -> None:
        """Open the pause below the watched call that is open, if there is one."""
        lane = getattr(recorder.current, "lane", None)
        if lane is None or lane.node is recorder.root or control.is_off(self._span.target):
            return
        parent = lane.node
        node = parent.children.get(self._span) or recorder.new_node(parent, self._span)
        if node is not None:
            lane.node = node
            self._stopped = (lane, parent, node, recorder.forks)

    def _go_on(self, started_ns: int, duration_ns: int) -> None:
        """Close the pause. In a child that a finalizer has forked, the call was the parent's."""
        stopped, self._stopped = self._stopped, None
        if stopped is None:
            return
        lane, parent, node, forks = stopped
        if lane.node is node:
            lane.node = parent
        if forks == recorder.forks:
            recorder.charge_call(node, duration_ns)
            if lane.trace is not None:
                lane.trace.add(node, started_ns, duration_ns, _RETURNED)


def install() -> None:
    """Measure each collection from now on."""
    import gc

    gc.callbacks.append(Pauses().note)
