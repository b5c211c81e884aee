"""Which processes of a run were not watched, and why: the judgement over all that was seen of them.

In: watchers, with the notes and shards that their processes left. Out: half a sentence for each, and blind spots. Runs in the
launcher.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hookmon.collector import places
from hookmon.collector.identity import TICK_NS
from hookmon.collector.store import BlindSpot, Run
from hookmon.collector.unwatched import FOREIGN, GONE, REPLACED, SHADOWED
from hookmon.collector.watcher import Watcher

_TOO_SHORT_NS = 400_000_000
_MOST_IMAGES = 10_000

_BEFORE = (
    "what it called until then, calls under way, callbacks it had registered and objects of C types it had made are not counted"
)
_KEPT = "still held by the program, in tables, closures or calls that go on: which call through and count for nobody"


class Judgement:
    """Knows which images had the probe, and counts the processes that did not."""

    def __init__(self, folder: Path, *, is_attached: bool = False) -> None:
        """Begin for a run folder. When somebody has deleted it, no process finds the plan any more.

        `is_attached`: the probe came into a process that ran, whose children do not find the plan, but for its later forks.
        """
        self._folder = folder
        self._is_attached = is_attached
        self._attached_ns = 0  # when the probe first came into a process
        self._images: dict[
            int, None
        ] = {}  # those that left a note at their start: what has one of them is such a process, or its fork
        self._had_room = True
        self._forgotten: dict[str, tuple[str, int]] = {}  # {reason: (the first process, how many)}

    def note_room(self) -> None:
        """Look whether a process that begins now would find room for its counters."""
        self._had_room = self._had_room and places.has_room(self._folder)

    def note_image(self, image: int, watchers: Iterable[Watcher]) -> None:
        """Remember an image that began with the probe; of very many, those of `watchers`."""
        if image:
            if len(self._images) >= _MOST_IMAGES:
                self._images = {watcher.image: None for watcher in watchers if watcher.image in self._images}
            self._images[image] = None

    def note_attachment(self, at_ns: int) -> None:
        """Remember when the probe first came into a process."""
        if not self._attached_ns or at_ns < self._attached_ns:
            self._attached_ns = at_ns

    def _reason_beside_attached(self, watcher: Watcher) -> str:
        """Return why a process was not reached by the probe that came into another one, "" when nothing speaks against it."""
        if watcher.birth is not None or watcher.has_shard:
            return ""
        if watcher.row.started_ns + TICK_NS < self._attached_ns:
            return "it was there before hookmon was attached to the process above it, and needs a hookmon attach of its own"
        if watcher.reason.startswith(REPLACED):
            return "it was executed by a process that hookmon was attached to, and does not know of hookmon"
        return ""

    def has_lost(self, watcher: Watcher) -> bool:
        """Say whether a process that began with the probe has become another one by exec, in which the probe never reported."""
        birth, image = watcher.birth, watcher.image
        if birth is None:
            return bool(
                watcher.row.calls and image and watcher.shard_image and image != watcher.shard_image and image not in self._images
            )
        if birth.image and image:
            return (
                image != birth.image and watcher.image_seen_ns > birth.started_ns
            )  # a later note belongs to what was not seen yet
        return SHADOWED in watcher.reason and watcher.row.command != birth.argv

    def reason(self, watcher: Watcher, parents: dict[int, Watcher]) -> str:
        """Return why a process was not watched, "" when it was, or when it is a fork of one that was. `parents` are by pid."""
        if watcher.is_saved:
            return watcher.row.reason
        closed = f"it {watcher.rights}" if watcher.rights and not watcher.has_shard else ""
        if self.has_lost(watcher):
            return watcher.reason or self._unknown_reason(watcher)
        if watcher.birth is not None:
            return watcher.birth.status or closed
        if self._is_attached and (beside := self._reason_beside_attached(watcher)):
            return beside
        if self._is_fork(watcher, parents.get(watcher.row.parent_pid)):
            return closed  # else it counts from its first watched call on
        if watcher.has_shard and watcher.image in (0, watcher.shard_image):
            return ""
        return watcher.reason or closed or self._unknown_reason(watcher)

    def _is_fork(self, watcher: Watcher, parent: Watcher | None) -> bool:
        if watcher.image:
            return watcher.image in self._images
        return parent is not None and parent.has_probe and watcher.row.command in ([], parent.row.command)

    def _unknown_reason(self, watcher: Watcher) -> str:
        row = watcher.row
        if not self._folder.is_dir():
            return "the run folder was deleted"
        if not row.command or row.started_ns + row.duration_ns - watcher.image_ns < _TOO_SHORT_NS:
            return ""  # it may have ended before Python had got as far as the probe
        return "the probe did not start in it"

    def forget(self, watchers: list[Watcher], others: Iterable[Watcher]) -> None:
        """Count processes that will have no row."""
        for reason, found in self._by_reason(watchers, [*watchers, *others]).items():
            first, number = self._forgotten.get(reason, (_name_of(found[0]), 0))
            self._forgotten[reason] = first, number + len(found)

    def blind_spots(self, watchers: list[Watcher]) -> list[BlindSpot]:
        """Return one blind spot for each reason; processes that were forgotten count, too."""
        counted = dict(self._forgotten)
        for reason, found in self._by_reason(watchers, watchers).items():
            counted[reason] = _name_of(found[0]), len(found) + counted.get(reason, ("", 0))[1]
        spots = []
        for reason, ((pid, command), number) in (
            (reason, (first.split(" ", 1), number)) for reason, (first, number) in counted.items()
        ):
            more = f" and {number - 1} more" if number > 1 else ""
            called = f" ({command})" if command else ""
            spots.append(BlindSpot("not watched", f"process {pid}{more}{called}: {reason}"))
        if not self._had_room:
            detail = f"{self._folder.parent} was too full for another process: the calls of those that made their first ones then"
            spots.append(BlindSpot("no room", f"{detail} are not counted"))
        return spots

    def _by_reason(self, watchers: list[Watcher], everybody: list[Watcher]) -> dict[str, list[Watcher]]:
        parents = {watcher.row.pid: watcher for watcher in everybody}
        above = _pids_above_watched(everybody, parents)
        found: dict[str, list[Watcher]] = {}
        for watcher in watchers:
            reason = self.reason(watcher, parents)
            is_tool = reason.endswith((FOREIGN, GONE)) and not self.has_lost(watcher)
            if reason and not (is_tool and (watcher.row.pid in above or _is_below_watched(watcher, parents))):
                found.setdefault(reason, []).append(watcher)
        return found


def blind_spots_beside(run: Run, kept_wrappers: int) -> list[BlindSpot]:
    """Return what was not counted of a run that hookmon was attached to: what was before, and what was left behind."""
    spots = []
    if run.attached_after_ns:
        detail = f"process {run.main_pid} had run for {run.attached_after_ns / 1e9:.3g} s before: {_BEFORE}"
        spots.append(BlindSpot("attached", detail))
    if kept_wrappers:
        wrappers = "1 wrapper is" if kept_wrappers == 1 else f"{kept_wrappers} wrappers are"
        spots.append(BlindSpot("left behind", f"{wrappers} {_KEPT}"))
    return spots


def _pids_above_watched(watchers: list[Watcher], parents: dict[int, Watcher]) -> set[int]:
    """Return the pids of processes that have started watched ones: launchers, shells, runners."""
    above: set[int] = set()
    for watcher in watchers:
        parent = watcher.row.parent_pid if watcher.has_probe else 0
        while parent in parents and parent not in above:
            above.add(parent)
            parent = parents[parent].row.parent_pid
    return above


def _is_below_watched(watcher: Watcher, parents: dict[int, Watcher]) -> bool:
    """Say whether a watched process has started it: the call that did so is in the report."""
    seen: set[int] = set()
    parent = parents.get(watcher.row.parent_pid)
    while parent is not None and parent.row.pid not in seen:
        if parent.has_probe:
            return True
        seen.add(parent.row.pid)
        parent = parents.get(parent.row.parent_pid)
    return False


def _name_of(watcher: Watcher) -> str:
    return f"{watcher.row.pid} {' '.join(watcher.row.command)[:80]}"
