"""Notes in the shard, in words: what became of each target, and what could not be seen. Runs in the watched process."""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.recording import recorder


def note_watch(number: int, target: str, status: int, detail: str = "") -> None:
    """Note what became of a target."""
    arena = recorder.arena()
    if arena is not None:
        arena.record(layout.WATCH, number, [arena.string(target) | status << 32, arena.string(detail)])


def note(kind: str, detail: str) -> None:
    """Note something that could not be seen."""
    arena = recorder.arena()
    if arena is not None:
        arena.note(kind, detail)
