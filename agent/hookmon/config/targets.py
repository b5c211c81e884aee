"""Who watches a target: nobody twice, and the user before a pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hookmon.config.problem import Mistake, Place, Problem
from hookmon.config.watch import Watch
from hookmon.core.globs import SUFFIXES
from hookmon.core.record import replace

Target = tuple[str, str]
"""Module or file, and call, as they are written; a glob is itself, not what it matches."""


def duplicates(placed: Iterable[tuple[Target, Place]]) -> Iterator[Problem]:
    """Yield a problem for each target that stands a second time."""
    first: dict[Target, Place] = {}
    for (module, call), place in placed:
        if (module, call) in first:
            what = "file" if module.endswith(SUFFIXES) else "module"
            found = f'"{call}" of {what} "{module}" is watched a second time, first at {first[module, call]}'
            yield Problem(place, Mistake(found, "each target once", code="watched-twice"))
        else:
            first[module, call] = place


def override(own: list[Watch], active: list[Watch], shipped: list[Watch]) -> list[Watch]:
    """Return the user's watches and then those targets of the `active` packs that the user does not watch.

    The user's watch of a target takes two things over from a pack's watch of the same target: the adapter, without which it
    cannot be patched, and, from an active pack, that its calls are transactions. A watch of several calls is split where only
    some of them need that. Watches that only observe a transaction stay active, around the user's wrapper.
    """
    timed = {(watch.place, call): watch for watch in shipped if watch.role == "time" for call in watch.calls if watch.adapter}
    timed |= {(watch.place, call): watch for watch in active if watch.entry for call in watch.calls}
    own_targets = {(watch.place, call, watch.role) for watch in own for call in watch.calls}
    watches = []
    for watch in own:
        calls_by_pack: dict[Watch | None, list[str]] = {}
        for call in watch.calls:
            calls_by_pack.setdefault(timed.get((watch.place, call)) if watch.role == "time" else None, []).append(call)
        watches += [_complete(replace(watch, calls=tuple(calls)), pack) for pack, calls in calls_by_pack.items()]
    for watch in active:
        calls = tuple(call for call in watch.calls if (watch.place, call, watch.role) not in own_targets)
        if calls:
            watches.append(replace(watch, calls=calls))
    return watches


def _complete(own: Watch, pack: Watch | None) -> Watch:
    """Return a user's watch with what it takes over from the pack's watch of the same targets."""
    if pack is None:
        return own
    if own.entry or not pack.entry:
        return replace(own, adapter=pack.adapter)
    return replace(pack, calls=own.calls, span=own.span or pack.span, pack="", source=own.source)
