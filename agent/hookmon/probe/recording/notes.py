"""Notes in the shard, in words: what became of each target, and what could not be seen. Runs in the watched process."""

from __future__ import annotations

from hookmon.core import layout
from hookmon.probe.recording import recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_MISSES = 8

_misses_left: dict[int, int] = {}
"""{watch of several modules: how many more of them may lack a name, with a note about it}."""

_told: set[tuple[int, str, int]] = set()
"""(watch, target, status) of what was said of targets."""


def expect_misses(numbers: Iterable[int]) -> None:
    """Take it that of these watches some modules lack a name. That of the first ones is noted, in case that all do."""
    _misses_left.update(dict.fromkeys(numbers, _MOST_MISSES))


def note_watch(number: int, target: str, status: int, detail: str = "") -> None:
    """Note what became of a target."""
    if status == layout.TARGET_NOT_FOUND and number in _misses_left:
        if not _misses_left[number]:
            return
        _misses_left[number] -= 1
    arena = recorder.arena()
    if arena is not None and (number, target, status) not in _told:  # a module may be loaded again and again
        _told.add((number, target, status))
        arena.record(layout.WATCH, number, [arena.string(target) | status << 32, arena.string(detail)])


def note_once(kind: str, detail: str) -> None:
    """Note the first thing of a kind that could not be seen."""
    if kind not in _noted:
        _noted.add(kind)
        note(kind, detail)


_noted: set[str] = set()


def note(kind: str, detail: str) -> None:
    """Note something that could not be seen."""
    arena = recorder.arena()
    if arena is not None:
        arena.note(kind, detail)
