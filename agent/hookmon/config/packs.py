"""The packs: found by listing their folder, or named by their path; read and checked by the code that reads the user's file.

A pack is `NAME.toml`: a `[pack]` table, then `[[watch]]` and `[[hook]]` tables. Packs are on unless somebody turns them off;
one that says `on = false` is off unless somebody names it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from hookmon.config.collect import Collected
from hookmon.config.document import read_document
from hookmon.config.problem import Mistake, Place, Problem, closest, quote
from hookmon.config.settings import PACK
from hookmon.config.validate import check_document
from hookmon.core import consulted
from hookmon.core.record import Record, replace

FOLDER = Path(__file__).resolve().parent.parent / "packs"
ALL = "*"


class Pack(Record, frozen=True):
    """The watches for one library.

    `library` is what pip calls it, "" for the standard library; `tested` are versions of it. `origin` is who brings the
    pack, "acme 1.2" for a package that is installed, the path of a file, or "" for hookmon itself. `on`: by itself. `database` is
    what OpenTelemetry calls the system of its sql and cache calls (db.system.name), "" for none or another one. `against` is a
    key of checks.TESTED_AGAINST, `tests` a file of tests/packs; both "" for packs of others.
    """

    name: str
    library: str
    tested: list[str]
    description: str
    content: Collected
    origin: str = ""
    on: bool = True
    database: str = ""
    against: str = ""
    tests: str = ""

    @property
    def targets(self) -> list[str]:
        """What it watches, as `module:call`, in the order of the file."""
        return [f"{watch.module}:{call}" for watch in self.content.watches for call in (*watch.calls, *watch.until)]


def read_packs(problems: list[Problem], folder: Path = FOLDER) -> list[Pack]:
    """Return the packs in `folder` by name; what is wrong in one is appended to `problems`, and that pack is left out."""
    packs = (read_pack(path, problems) for path in sorted(folder.glob("*.toml")))
    return [pack for pack in packs if pack]


def read_pack(path: Path, problems: list[Problem]) -> Pack | None:
    """Return one of these packs; None, with what is wrong in it appended to `problems`, for none."""
    return _read(path, label_of(path), problems)


def label_of(path: Path) -> str:
    """Return the name of the file of one of these packs in messages."""
    return f"packs/{path.name}"


def is_path(text: str) -> bool:
    """Say whether what was given for a pack is the path of a file and not a name."""
    return text.endswith(".toml") or os.sep in text


def read_file(path: Path, label: str, origin: str, problems: list[Problem]) -> Pack | None:
    """Return the pack in a file that does not belong to hookmon; None, with the reasons appended to `problems`, for none.

    Its adapters are the modules beside it, by their paths.
    """
    own: list[Problem] = []
    pack = _read(path, label, own)
    folder = path.resolve().parent
    watches = pack.content.watches if pack else []
    for name in sorted({watch.adapter for watch in watches if watch.adapter}):
        consulted.note(folder / f"{name}.py")
        if not (folder / f"{name}.py").is_file():
            mistake = Mistake(f"adapter {quote(name)} is not there", f"a file {name}.py beside the pack", code="not-a-module")
            own.append(Problem(Place(label), mistake))
    problems += own
    if pack is None or own:
        return None
    pack.content.watches = [
        replace(watch, adapter=str(folder / f"{watch.adapter}.py") if watch.adapter else "") for watch in watches
    ]
    return replace(pack, origin=origin)


def _read(path: Path, label: str, problems: list[Problem]) -> Pack | None:
    own: list[Problem] = []
    document = read_document(path, label, own)
    tables = check_document(document, PACK, own) if document else {}
    if document and not own and not tables["pack"]:
        own.append(
            Problem(Place(document.label), Mistake("there is no [pack]", "one [pack] table in each pack", code="no-table"))
        )
    content = Collected()
    if document and not own:
        content.add_tables(document, [*tables["watch"], *tables["hook"]], own, pack=path.stem)
    problems += own
    if document is None or own:
        return None
    header = tables["pack"][0].values
    return Pack(
        path.stem,
        header["library"],
        header["tested"],
        header["description"],
        content,
        on=header["on"],
        database=header["database"],
        against=header["against"],
        tests=header["tests"],
    )


class Choice(Record, frozen=True):
    """What one writer says about packs, each name with where it was said."""

    enable: Sequence[tuple[str, Place]]
    disable: Sequence[tuple[str, Place]]

    def verdict(self, name: str) -> Verdict | None:
        """Return whether the pack is on; None when this writer leaves it open."""
        for is_on, written, names in ((True, self.enable, (name,)), (False, self.disable, (name, ALL))):
            place = next((place for known, place in written if known in names), None)
            if place:
                return Verdict(is_on, place)
        return None


class Verdict(Record, frozen=True):
    """Whether a pack is on, and who said so; `place` is None when nobody did."""

    is_on: bool
    place: Place | None


def choose(names: list[str], choices: Iterable[Choice], problems: list[Problem], off: Collection[str] = ()) -> dict[str, Verdict]:
    """Return which packs are on. The first choice with a verdict wins; without any verdict a pack is on, unless it is in `off`.

    Unknown names, and names that one writer both enables and disables, are appended to `problems`.
    """
    choices = list(choices)
    for choice in choices:
        _check_choice(choice, names, problems)
    given = {name: [choice.verdict(name) for choice in choices] for name in names}
    return {name: next(filter(None, verdicts), Verdict(name not in off, None)) for name, verdicts in given.items()}


def _check_choice(choice: Choice, names: list[str], problems: list[Problem]) -> None:
    enabled = dict(reversed(choice.enable))
    listed = "a name that hookmon packs lists"
    for written, known, allowed in ((choice.enable, names, listed), (choice.disable, [*names, ALL], f'{listed}, or "{ALL}"')):
        for name, place in written:
            if name not in known:
                mistake = Mistake(f"there is no pack {quote(name)}", allowed, closest(name, known), code="unknown-pack")
                problems.append(Problem(place, mistake))
    for name, place in choice.disable:
        if name in enabled and name in names:
            found = f"pack {quote(name)} is turned off here and turned on at {enabled[name]}"
            problems.append(Problem(place, Mistake(found, "one of both", code="contradiction")))
