"""The packs: found by listing their folder, or named by their path; read and checked by the code that reads the user's file.

A pack is `NAME.toml`: a `[pack]` table, then `[[watch]]` and `[[hook]]` tables. Packs are on unless somebody turns them off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
    """The watches for one library. `library` is what pip calls it, "" for the standard library."""

    name: str
    library: str
    description: str
    content: Collected


def read_packs(problems: list[Problem], folder: Path = FOLDER) -> list[Pack]:
    """Return the packs in `folder` by name; what is wrong in one is appended to `problems`, and that pack is left out."""
    packs = (_read(path, f"packs/{path.name}", problems) for path in sorted(folder.glob("*.toml")))
    return [pack for pack in packs if pack]


def is_path(text: str) -> bool:
    """Say whether what was given for a pack is the path of a file and not a name."""
    return text.endswith(".toml") or os.sep in text


def read_file(path: Path, label: str, problems: list[Problem]) -> Pack | None:
    """Return the pack in a file that does not belong to hookmon; None, with the reasons appended to `problems`, for none.

    Its adapters are the modules beside it, by their paths.
    """
    own: list[Problem] = []
    pack = _read(path, label, own)
    folder = path.resolve().parent
    watches = pack.content.watches if pack else []
    for name in sorted({watch.adapter for watch in watches if watch.adapter}):
        if not (folder / f"{name}.py").is_file():
            mistake = Mistake(f"adapter {shown(name)} is not there", f"a file {name}.py beside the pack")
            own.append(Problem(Place(label), mistake))
    problems += own
    if pack is None or own:
        return None
    pack.content.watches = [
        replace(watch, adapter=str(folder / f"{watch.adapter}.py") if watch.adapter else "") for watch in watches
    ]
    return pack


def _read(path: Path, label: str, problems: list[Problem]) -> Pack | None:
    own: list[Problem] = []
    document = read_document(path, label, own)
    tables = check_document(document, PACK, own) if document else {}
    if document and not own and not tables["pack"]:
        own.append(Problem(Place(document.label), Mistake("there is no [pack]", "one [pack] table in each pack")))
    problems += own
    if document is None or own:
        return None
    content = Collected()
    content.add_tables(document, [*tables["watch"], *tables["hook"]], pack=path.stem)
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
                problems.append(Problem(place, Mistake(f"there is no pack {shown(name)}", allowed, closest(name, known))))
    for name, place in choice.disable:
        if name in enabled and name in names:
            found = f"pack {shown(name)} is turned off here and turned on at {enabled[name]}"
            problems.append(Problem(place, Mistake(found, "one of both")))
