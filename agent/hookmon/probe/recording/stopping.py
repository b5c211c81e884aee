"""The end of recording in a process that goes on: hookmon is detached from it.

In: the recorder. Out: nothing of the shard is open or mapped any more. Runs in the watched process, in the midst of whatever its
threads do.
"""

from __future__ import annotations

from hookmon.probe.base.private import mmap
from hookmon.probe.engine import NAME
from hookmon.probe.recording import control, recorder, tree


def stop() -> None:
    """End recording. The shard stays as it is, for the collector; `recorder.start` may follow.

    Calls that are open go on and end in the scratch record, and so does what still calls a wrapper. Whoever has an index into the
    shard may be anywhere: so the memory that takes its place is as large.
    """
    arena, place = recorder._arena, recorder._place
    recorder._arena, recorder._opened, recorder._place = None, True, None
    recorder.forks += 1
    memory = recorder.words
    if NAME == "compiled":
        tree.cover_words()
    else:
        memory = memoryview(mmap.mmap(-1, 8 * len(memory))).cast("Q")
    recorder.forget_all(memory)
    control.unmap_control()
    for gone in (arena, place):
        if gone is not None:
            gone.let_go()
