"""How long the garbage collector stops the program, by generation: a histogram in seconds for each.

In: `gc.callbacks`, which the collector calls when a collection begins and ends, in the thread that it stops. Whoever looks there
finds one more. Runs in the watched process.
"""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.base.guard import shielded
from hookmon.probe.base.private import monotonic_ns
from hookmon.probe.recording import recorder
from hookmon.probe.recording.instruments import instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GENERATIONS = 3


def install() -> None:
    """Measure each collection from now on."""
    import gc

    pauses = [instrument(f"gc pause, generation {number}", "s", "histogram") for number in range(_GENERATIONS)]
    started_ns = 0

    @shielded(None)
    def note_pause(phase: str, info: dict[str, Any]) -> None:
        nonlocal started_ns
        now_ns = monotonic_ns()
        if phase == "start":
            started_ns = now_ns
        elif started_ns:  # else it was installed in the midst of one
            pauses[info["generation"]].record((now_ns - started_ns) / 1e9)
            recorder.words[layout.HEADER_OWN_NS] += monotonic_ns() - now_ns

    gc.callbacks.append(note_pause)
