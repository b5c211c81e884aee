"""Packs that come with installed packages: their entry points of the group `hookmon.packs`.

In: the metadata of what is installed beside hookmon. Out: packs, and the ones that had to be left out. An entry point is
`NAME = "package.subpackage"`: the pack is the file `NAME.toml` in that folder, which is found without importing anything of
the package. The user has not asked for such a pack, so a mistake in it is no error: the pack is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from hookmon.config.packs import Pack, read_file
from hookmon.config.problem import Mistake, Place, Problem
from hookmon.config.targets import Target, duplicates
from hookmon.core import consulted
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "hookmon.packs"


class LeftOut(Record, frozen=True):
    """A pack of an installed package that cannot be used, and why."""

    name: str
    origin: str
    problems: list[Problem]

    def __str__(self) -> str:
        reasons = "; ".join(str(problem) for problem in self.problems)
        return f"the pack {self.name} of {self.origin} is left out: {reasons}"


def read_installed(taken: Iterable[str]) -> tuple[list[Pack], list[LeftOut]]:
    """Return the packs of installed packages by name; `taken` are the names that they cannot have."""
    packs: dict[str, Pack] = {}
    left_out: list[LeftOut] = []
    if not sum(_may_name_packs(folder or os.curdir) for folder in sys.path):  # not any: each is noted as consulted
        return [], []
    from importlib import metadata

    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        problems: list[Problem] = []
        pack = None
        place = Place(f"entry point {entry.name}")
        if entry.name in taken or entry.name in packs:
            problems.append(
                Problem(place, Mistake(f"there is another pack {entry.name}", "a name of its own", code="contradiction"))
            )
        else:
            pack = _read(entry, place, origin, problems)
        if pack:
            packs[entry.name] = pack
        else:
            left_out.append(LeftOut(entry.name, origin, problems))
    return list(packs.values()), left_out


def _may_name_packs(place: str) -> bool:
    """Say whether a package that is installed in a place of sys.path may have packs; mostly none has.

    `importlib.metadata` would take longer than all other reading at the start of a run, mostly for its own import.
    """
    consulted.note(place)
    if os.path.isfile(place):
        return True  # an archive
    may = False
    with suppress(OSError), os.scandir(place) as found:
        for entry in found:
            name = entry.name.lower()
            if name.endswith((".dist-info", ".egg-info")) or name == "egg-info":
                if not name.endswith(".dist-info"):  # installers put another folder in the place of those
                    consulted.note(Path(entry.path, "entry_points.txt"))
                with suppress(OSError):
                    if GROUP.encode() in Path(entry.path, "entry_points.txt").read_bytes():
                        consulted.note(Path(entry.path, "entry_points.txt"))
                        may = True
    return may


def _read(entry: EntryPoint, place: Place, origin: str, problems: list[Problem]) -> Pack | None:
    folder = _folder_of(entry.value)
    if folder is None:
        problems.append(
            Problem(
                place, Mistake(f"{entry.value} is no folder of an installed package", "package.subpackage", code="unknown-pack")
            )
        )
        return None
    return read_file(folder / f"{entry.name}.toml", f"{folder.name}/{entry.name}.toml", origin, problems)


def _folder_of(package: str) -> Path | None:
    """Return the folder of a package. `find_spec` looks for its top package only: below that, it would import."""
    top, *below = package.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    folders = [Path(place, *below) for place in places or ()]
    for folder in folders:
        consulted.note_existence(folder)
    return next((folder for folder in folders if folder.is_dir()), None)


def leave_out_doubles(packs: list[Pack], named: Iterable[str]) -> tuple[list[Pack], list[LeftOut]]:
    """Return the packs to use, and those to leave out: packs of installed packages that watch what another pack watches.

    What the user has named is not left out.
    """
    kept: set[int] = set()
    left_out = []
    placed: list[tuple[Target, Place]] = []
    for pack in sorted(packs, key=lambda pack: (bool(pack.origin), pack.name not in named)):
        own = list(pack.content.placed)
        may_go = pack.origin and pack.name not in named  # to compare what each of our own has with all others takes long
        if may_go and (problems := list(duplicates([*placed, *own]))):
            left_out.append(LeftOut(pack.name, pack.origin, problems))
        else:
            kept.add(id(pack))
            placed += own
    return [pack for pack in packs if id(pack) in kept], left_out
