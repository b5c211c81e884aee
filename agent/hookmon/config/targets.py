"""Who watches a target: nobody twice, and the user before a pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hookmon.config.problem import Mistake, Place, Problem
from hookmon.config.watch import Watch

Target = tuple[str, str]
"""Module and call as they are written; a glob is itself, not what it matches."""


def duplicates(placed: Iterable[tuple[Target, Place]]) -> Iterator[Problem]:
    """Yield a problem for each target that stands a second time."""
    first: dict[Target, Place] = {}
    for (module, call), place in placed:
        if (module, call) in first:
            found = f'"{call}" of module "{module}" is watched a second time, first at {first[module, call]}'
            yield Problem(place, Mistake(found, "each target once", code="watched-twice"))
        else:
            first[module, call] = place


def override(own: list[Watch], active: list[Watch], shipped: list[Watch]) -> list[Watch]:
    """Return the user's watches and then those targets of the `active` packs that the user does not watch.

    A target that a shipped pack reaches through an adapter cannot be patched without it, so the user's watch of that target
    gets the adapter too; it is split where its other calls have none.
    """
    adapters = {(watch.module, call): watch.adapter for watch in shipped for call in watch.calls if watch.adapter}
    own_targets = {(watch.module, call, watch.is_timed) for watch in own for call in watch.calls}
    watches = []
    for watch in own:
        if not watch.is_timed:  # it needs none
            watches.append(watch)
            continue
        calls_by_adapter: dict[str, list[str]] = {}
        for call in watch.calls:
            calls_by_adapter.setdefault(adapters.get((watch.module, call), ""), []).append(call)
        watches += [replace(watch, calls=tuple(calls), adapter=adapter) for adapter, calls in calls_by_adapter.items()]
    for watch in active:
        calls = tuple(call for call in watch.calls if (watch.module, call, watch.is_timed) not in own_targets)
        if calls:
            watches.append(replace(watch, calls=calls))
    return watches
