"""Finds the versions of the packs' libraries that an interpreter has, by asking it in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

from hookmon.core.errors import HookmonError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.store import Run
    from hookmon.config.packs import Pack

_INCOMPLETE = ("not found", "refused")


def libraries_of(packs: Iterable[Pack]) -> list[tuple[str, str]]:
    """Return what to ask an interpreter for: the library of each pack that has one, with the first of its modules."""
    return [(pack.library, pack.content.watches[0].module.partition(".")[0]) for pack in packs if pack.library]


def installed_versions(python: str, packs: Iterable[Pack]) -> dict[str, list[str]]:
    """Return {library: [distribution, version]} of what is installed for an interpreter. Raises HookmonError."""
    from hookmon.collector.interpreter import ask

    return ask([python], os.environ, libraries=libraries_of(packs)).libraries


def name_versions(run: Run, offered: Callable[[], Iterable[Pack]], python: str) -> None:
    """Say of each target that a pack has missed which version of the library the program had. `offered` gives all packs."""
    rows = [row for row in run.watched if row.pack and row.status in _INCOMPLETE]
    if not rows or not python:
        return
    packs = {pack.name: pack for pack in offered()}
    with suppress(HookmonError):  # then it is said without the version
        versions = installed_versions(python, [packs[name] for name in {row.pack for row in rows}])
        for row in rows:
            pack = packs[row.pack]
            if pack.library in versions:
                tested = f"; the pack was tested with {', '.join(pack.tested)}" if pack.tested else ""
                said = f"{' '.join(versions[pack.library])} is installed{tested}"
                row.detail = f"{row.detail}; {said}" if row.detail else said
