"""The shipped packs: found by listing their folder, read and checked by the code that reads the user's file.

A pack is `NAME.toml`: a `[pack]` table, then `[[watch]]` tables. Packs are on unless somebody turns them off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hookmon.config.collect import Collected
from hookmon.config.document import read_document
from hookmon.config.problem import Mistake, Place, Problem, closest, shown
from hookmon.config.settings import PACK
from hookmon.config.validate import check_document

FOLDER = Path(__file__).resolve().parent.parent / "packs"
ALL = "*"


@dataclass(frozen=True)
class Pack:
    """The watches shipped for one library. `library` is what pip calls it, "" for the standard library."""

    name: str
    library: str
    description: str
    content: Collected


def read_packs(problems: list[Problem], folder: Path = FOLDER) -> list[Pack]:
    """Return the packs in `folder` by name; what is wrong in one is appended to `problems`, and that pack is left out."""
    packs = (_read(path, problems) for path in sorted(folder.glob("*.toml")))
    return [pack for pack in packs if pack]


def _read(path: Path, problems: list[Problem]) -> Pack | None:
    own: list[Problem] = []
    document = read_document(path, f"packs/{path.name}", own)
    tables = check_document(document, PACK, own) if document else {}
    if document and not own and not tables["pack"]:
        own.append(
            Problem(Place(document.label), Mistake("there is no [pack]", "one [pack] table in each pack", code="no-table"))
        )
    problems += own
    if document is None or own:
        return None
    content = Collected()
    content.add_tables(document, tables["watch"], pack=path.stem)
    header = tables["pack"][0].values
    return Pack(path.stem, header["library"], header["description"], content)


@dataclass(frozen=True)
class Choice:
    """What one writer says about packs, each name with where it was said."""

    enable: Sequence[tuple[str, Place]]
    disable: Sequence[tuple[str, Place]]

    def verdict(self, name: str) -> bool | None:
        """Return whether the pack is on; None when this writer leaves it open."""
        if any(each == name for each, _ in self.enable):
            return True
        return False if any(each in (name, ALL) for each, _ in self.disable) else None


def choose(names: list[str], choices: Iterable[Choice], problems: list[Problem]) -> list[str]:
    """Return the names of the packs that are on: the first choice with a verdict wins, without one a pack is on.

    Unknown names, and names that one writer both enables and disables, are appended to `problems`.
    """
    choices = list(choices)
    for choice in choices:
        _check_choice(choice, names, problems)
    verdicts = {name: [choice.verdict(name) for choice in choices] for name in names}
    return [name for name in names if next((each for each in verdicts[name] if each is not None), True)]


def _check_choice(choice: Choice, names: list[str], problems: list[Problem]) -> None:
    enabled = dict(reversed(choice.enable))
    for written, known in ((choice.enable, names), (choice.disable, [*names, ALL])):
        for name, place in written:
            if name not in known:
                allowed = ", ".join(known)
                problems.append(
                    Problem(place, Mistake(f"there is no pack {shown(name)}", allowed, closest(name, known), code="unknown-pack"))
                )
    for name, place in choice.disable:
        if name in enabled and name in names:
            found = f"pack {shown(name)} is turned off here and turned on at {enabled[name]}"
            problems.append(Problem(place, Mistake(found, "one of both", code="contradiction")))
