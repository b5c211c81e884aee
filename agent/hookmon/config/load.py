"""The whole way from files and options to a checked configuration, or to all that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hookmon.config import checks, packs
from hookmon.config.collect import Collected
from hookmon.config.document import Document, read_document
from hookmon.config.find import find_config, find_project
from hookmon.config.problem import Mistake, Place, Problem, in_order
from hookmon.config.settings import ROOT, USER
from hookmon.config.targets import duplicates, override
from hookmon.config.validate import Table, check_document
from hookmon.config.watch import Watch
from hookmon.core.errors import ConfigError

DEFAULT_MAX_OVERHEAD = 0.05


@dataclass(frozen=True)
class Config:
    """A configuration without a mistake.

    `watches` are the user's, then those of the active packs; `packs` the names of the active packs; `path` the file that was
    read, None for none; `project` the folder that the run belongs to. `max_overhead` is the share of
    a process's time that a target may cost before it is timed by samples, 0.0 for any.
    """

    watches: list[Watch]
    packs: list[str]
    path: Path | None
    project: Path
    max_overhead: float = DEFAULT_MAX_OVERHEAD


def load(
    start: Path,
    *,
    config: Path | None = None,
    no_config: bool = False,
    watch: Sequence[str] = (),
    pack: Sequence[str] = (),
    no_pack: Sequence[str] = (),
) -> Config:
    """Return the configuration of a run that is started in the folder `start`.

    `config` is the file of --config, else one is searched from `start` upwards unless `no_config`. `watch`, `pack` and
    `no_pack` are the values of the options of these names; about packs, options have the last word.

    Raises ConfigError with every mistake in files and options.
    """
    problems: list[Problem] = []
    if config and no_config:
        problems.append(Problem(Place("--no-config"), Mistake("--config names a file at the same time", "one of both")))
    path = None if no_config else (config or find_config(start))
    document = read_document(path, _label(path, start) if config is None else str(config), problems) if path else None
    tables = check_document(document, USER, problems) if document else {}

    own = Collected()
    if document:
        own.add_tables(document, [*tables["watch"], *tables["hook"]])
    for text in watch:
        own.add_option(text, problems)
    problems += [*duplicates(own.placed), *duplicates(own.placed_hooks)]

    shipped = _with_files(packs.read_packs(problems), pack, problems)
    pack = [Path(each).stem if packs.is_path(each) else each for each in pack]
    choices = [_choice_of_options(pack, no_pack)]
    if document:
        choices += [_choice_of_file(document, table) for table in tables["packs"]]
    names = packs.choose([each.name for each in shipped], choices, problems)
    active = [each for each in shipped if each.name in names]
    problems += duplicates(placed for each in active for placed in each.content.placed)
    problems += duplicates(placed for each in active for placed in each.content.placed_hooks)

    if problems:
        raise ConfigError([str(problem) for problem in in_order(problems)])
    watches = override(
        own.watches,
        [item for each in active for item in each.content.watches],
        [item for each in shipped for item in each.content.watches],
    )
    share = tables[ROOT][0].values["max_overhead"] if document else None
    max_overhead = DEFAULT_MAX_OVERHEAD if share is None else checks.share_of(share)
    return Config(watches, names, path, path.resolve().parent if path else find_project(start), max_overhead)


def _label(path: Path, start: Path) -> str:
    """Return the name of a file that was found, as the user would type it from the start folder."""
    return os.path.relpath(path, start.resolve())


def _with_files(shipped: list[packs.Pack], named: Sequence[str], problems: list[Problem]) -> list[packs.Pack]:
    """Add the packs that are named by their path; one that has the name of a shipped pack stands in its place."""
    found = {pack.name: pack for pack in shipped}
    for text in named:
        if packs.is_path(text):
            pack = packs.read_file(Path(text), text, problems)
            if pack:
                found[pack.name] = pack
    return list(found.values())


def _choice_of_options(pack: Sequence[str], no_pack: Sequence[str]) -> packs.Choice:
    enable = [(name, Place(f"--pack {name}")) for name in pack]
    return packs.Choice(enable, [(name, Place(f"--no-pack {name}")) for name in no_pack])


def _choice_of_file(document: Document, table: Table) -> packs.Choice:
    def placed(key: str) -> list[tuple[str, Place]]:
        names = table.values.get(key, [])
        return [(name, document.place((*table.path, key, index))) for index, name in enumerate(names)]

    return packs.Choice(placed("enable"), placed("disable"))
