"""What became of the watches, folded: a pack is one row however many targets it has."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hookmon.collector.store import Watched
from hookmon.core.record import Record, field

ACTIVE = ("active", "unused")
"""States of a watch that is in place: with and without a call."""

ABSENT = ("never imported",)
"""States of a watch whose library this program did not use."""


class WatchGroup(Record, slots=True):
    """The watches of one pack, or the user's own where `pack` is empty."""

    pack: str
    called: list[Watched] = field(default_factory=list)
    uncalled: list[Watched] = field(default_factory=list)  # active, and no call came
    naming: list[Watched] = field(default_factory=list)  # of a pack, and there to name transactions: their calls are not counted
    absent: list[Watched] = field(default_factory=list)
    failed: list[Watched] = field(default_factory=list)  # not found or refused

    @property
    def is_idle(self) -> bool:
        """Say whether targets are in place, and none was called or has named anything."""
        return bool(self.uncalled) and not (self.called or self.naming or self.failed)

    @property
    def active(self) -> int:
        """The number of targets that were wrapped."""
        return len(self.called) + len(self.uncalled) + len(self.naming)


def fold(watched: list[Watched], called_targets: set[str], naming: set[str]) -> list[WatchGroup]:
    """Return the groups: the user's own first, then the packs by name. `naming` are the targets that only name transactions."""
    groups: dict[str, WatchGroup] = {}
    for row in watched:
        group = groups.setdefault(row.pack, WatchGroup(row.pack))
        if row.status in ACTIVE and row.pack and row.target in naming and not _is_called(row.target, called_targets):
            group.naming.append(row)
        elif row.status in ACTIVE:
            (group.called if _is_called(row.target, called_targets) else group.uncalled).append(row)
        else:
            (group.absent if row.status in ABSENT else group.failed).append(row)
    return [groups[pack] for pack in sorted(groups)]


def _is_called(target: str, called_targets: set[str]) -> bool:
    if target in called_targets or not any(sign in target for sign in "*?["):
        return target in called_targets
    return any(fnmatchcase(called, target) for called in called_targets)
