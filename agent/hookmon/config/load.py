"""The whole way from files and options to a checked configuration, or to all that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hookmon.config import checks, exports, pack_table, packs
from hookmon.config.budgets import Budget, budgets
from hookmon.config.collect import Collected, own_watches
from hookmon.config.document import Document, read_document
from hookmon.config.find import find_config, find_project
from hookmon.config.installed import LeftOut, leave_out_doubles, read_installed
from hookmon.config.packs import Pack, Verdict
from hookmon.config.problem import Mistake, Place, Problem, sort_by_place
from hookmon.config.settings import ROOT, USER, settings_of
from hookmon.config.targets import duplicates, override
from hookmon.config.validate import Table, check_document
from hookmon.config.watch import Watch
from hookmon.core.errors import ConfigError
from hookmon.core.record import Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any


class Config(Record, frozen=True):
    """A configuration without a mistake.

    `watches` are the user's, then those of the active packs; `packs` the names of the active packs; `path` the file that was
    read, None for none; `project` the folder that the run belongs to, wherever the file is. `root` are the settings that stand
    before all tables, by key, written or default. `max_overhead` is the share of a process's time that a target may cost before
    it is timed by samples, 0.0 for any; `redact` says what of SQL is not shown. `offered` are all packs there are, each with who
    switched it on or off, `left_out` those of installed packages that could not be used. `budgets` are what `hookmon check`
    enforces, in the order of the file; `document` is what stood in the file. `signal_options` are the options that have asked for
    signals. `exporters` are the exporters that are on, by name, with the values of their tables. `service` is the name of the
    service that runs belong to, "" for none, `version` what is deployed.
    """

    watches: list[Watch]
    packs: list[str]
    path: Path | None
    project: Path
    root: Mapping[str, Any]
    max_overhead: float
    redact: str
    offered: list[tuple[Pack, Verdict]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    budgets: tuple[Budget, ...] = ()
    document: Document | None = None
    signal_options: tuple[str, ...] = ()
    exporters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    export_filter: str = ""
    service: str = ""
    version: str = ""


def load(
    start: Path,
    *,
    config: Path | None = None,
    no_config: bool = False,
    watch: Sequence[str] = (),
    own: bool = False,
    pack: Sequence[str] = (),
    no_pack: Sequence[str] = (),
    signal: Sequence[str] = (),
    imports: bool = False,
    export: Sequence[str] = (),
    no_export: bool = False,
) -> Config:
    """Return the configuration of a run that is started in the folder `start`.

    `config` is the file of --config, else one is searched from `start` upwards unless `no_config`. `watch`, `own`, `pack`,
    `no_pack`, `signal`, `imports`, `export` and `no_export` are the values of the options of these names; about packs and
    exporters, options have the last word.

    Raises ConfigError with every mistake in files and options.
    """
    problems: list[Problem] = []
    if config and no_config:
        problems.append(
            Problem(Place("--no-config"), Mistake("--config names a file at the same time", "one of both", code="contradiction"))
        )
    path = None if no_config else (config or find_config(start))
    if path and config is None and not path.is_file():
        place = Place(label(path, start))
        problems.append(Problem(place, Mistake("it is no file", "a file, or nothing of that name", code="unreadable-file")))
        path = None
    document = read_document(path, label(path, start) if config is None else str(config), problems) if path else None
    tables = check_document(document, USER, problems) if document else {}

    named = Collected(folder=str(path.absolute().parent) if path else "")
    if document:
        named.add_tables(document, [*tables["watch"], *tables["hook"]], problems)
    for text in watch:
        named.add_option(text, problems)
    problems += [*duplicates(named.placed), *duplicates(named.placed_hooks)]

    shipped, left_out = _all_packs(pack, problems)
    names = [pack.name for pack in shipped]
    files = {text: Path(text).stem for text in pack if packs.is_path(text)}  # a broken file has its problem already
    pack = [files.get(text, text) for text in pack if text not in files or files[text] in names]
    choices = [_choice_of_options(pack, no_pack)]
    if document:
        choices += [_choice_of_file(document, table) for table in tables["packs"]]
    broken = [failed for failed in left_out if failed.name not in names]
    off = [pack.name for pack in shipped if not pack.on]
    verdicts = packs.choose([*names, *(failed.name for failed in broken)], choices, problems, off)
    switched_on = {name for name, verdict in verdicts.items() if verdict.is_on and verdict.place}
    problems += [problem for failed in broken if failed.name in switched_on for problem in failed.problems]
    active, doubles = leave_out_doubles([pack for pack in shipped if verdicts[pack.name].is_on], switched_on)
    left_out += doubles
    problems += duplicates(placed for pack in active for placed in pack.content.placed)
    problems += duplicates(placed for pack in active for placed in pack.content.placed_hooks)

    signals = [(name, f"--signal {name}") for name in signal] + ([("imports", "--imports")] if imports else [])
    for name, option in signals:
        problems += [Problem(Place(option), mistake) for mistake in checks.signals([name])]

    if problems:
        ordered = sort_by_place(problems)
        raise ConfigError([str(problem) for problem in ordered], [problem.mistake.code for problem in ordered])
    watches = override(
        [*named.watches, *(own_watches() if own else ())],
        [pack_watch for pack in active for pack_watch in pack.content.watches],
        [pack_watch for pack in shipped for pack_watch in pack.content.watches],
    )
    root: dict[str, Any] = {key: setting.default for key, setting in settings_of(ROOT, USER).items()}
    root |= tables[ROOT][0].values if document else {}
    if not root["propagate"]:
        watches = [kept for kept in watches if ("propagates", True) not in kept.others]
    root["signals"] = list(dict.fromkeys([*root["signals"], *(name for name, _ in signals)]))
    return Config(
        watches=watches,
        packs=[pack.name for pack in active],
        path=path,
        project=find_project(start),
        root=root,
        max_overhead=checks.share_of(root["max_overhead"]),
        redact=root["redact"],
        offered=[(pack, verdicts[pack.name]) for pack in shipped],
        left_out=left_out,
        budgets=budgets(document, tables["budget"]) if document else (),
        document=document,
        signal_options=tuple(option for _, option in signals),
        exporters=exports.chosen(tables, export, is_off=no_export),
        export_filter=exports.filter_of(tables),
        service=_text(tables["service"], "name") if document else "",
        version=_text(tables["service"], "version") if document else "",
    )


def label(path: Path, start: Path) -> str:
    """Return the name of a file that was found, as the user would type it from the start folder."""
    return os.path.relpath(path, start.resolve())


def _text(tables: Sequence[Table], key: str) -> str:
    return next((str(written.values[key]) for written in tables), "")


def _all_packs(named: Sequence[str], problems: list[Problem]) -> tuple[list[Pack], list[LeftOut]]:
    """Return the shipped packs, those of installed packages, and those that are named by their path, which replace others."""
    found = {pack.name: pack for pack in pack_table.shipped_packs(problems)}
    installed, left_out = read_installed(found)
    found |= {pack.name: pack for pack in installed}
    paths = [Path(text) for text in named if packs.is_path(text)]
    given = [packs.read_file(path, str(path), str(path), problems) for path in paths]
    found |= {pack.name: pack for pack in given if pack}
    return list(found.values()), [failed for failed in left_out if failed.name not in {path.stem for path in paths}]


def _choice_of_options(pack: Sequence[str], no_pack: Sequence[str]) -> packs.Choice:
    enable = [(name, Place(f"--pack {name}")) for name in pack]
    return packs.Choice(enable, [(name, Place(f"--no-pack {name}")) for name in no_pack])


def _choice_of_file(document: Document, table: Table) -> packs.Choice:
    def names_at(key: str) -> list[tuple[str, Place]]:
        names = table.values.get(key, [])
        return [(name, document.place((*table.path, key, index))) for index, name in enumerate(names)]

    return packs.Choice(names_at("enable"), names_at("disable"))
