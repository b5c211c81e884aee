"""Turns checked tables and `--watch` options into watches, and keeps the place of each target for later questions."""

from __future__ import annotations

from collections.abc import Iterator

from hookmon.config import checks
from hookmon.config.document import Document
from hookmon.config.problem import Mistake, Place, Problem, quote
from hookmon.config.settings import PACK, USER, settings_of
from hookmon.config.targets import Target
from hookmon.config.validate import Table
from hookmon.config.watch import Hook, Watch
from hookmon.core.globs import EVERYTHING
from hookmon.core.plan import OWN_OPTION
from hookmon.core.record import Record, field, fields, replace

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any


class Collected(Record):
    """Watches of one writer. `placed` also has the targets of watches left out because something else in them is wrong.

    `folder` is the absolute path of the folder in which the writer's file lies: files that a watch names are below it.
    """

    watches: list[Watch] = field(default_factory=list)
    placed: list[tuple[Target, Place]] = field(default_factory=list)
    placed_hooks: list[tuple[Target, Place]] = field(default_factory=list)
    folder: str = ""

    def add_tables(self, document: Document, tables: list[Table], problems: list[Problem], pack: str = "") -> None:
        """Add the [[watch]] or [[hook]] tables of `document`; `pack` is the pack's name, "" for the user's file.

        What in one of them does not go together is appended to `problems`.
        """
        for table in tables:
            problems += [
                Problem(document.place((*table.path, "until", *mistake.at)), mistake) for mistake in _beside_until(table)
            ]
            beside = [*_beside_file(table), *_beside_when(table)]
            problems += [Problem(document.place((*table.path, *mistake.at)), mistake) for mistake in beside]
            values = table.values
            calls = table.written.get("calls")
            place = values.get("module") or values.get("file")
            if place and isinstance(calls, list):
                told = _told_apart(values.get("when"))
                targets = [((place, f"{call}{told}"), (*table.path, "calls", index)) for index, call in enumerate(calls)]
                is_other = table.path[0] == "hook" or bool(table.values.get("until"))  # it leaves the call itself alone
                placed = self.placed_hooks if is_other else self.placed
                placed += [(target, document.place(path)) for target, path in targets if isinstance(calls[int(path[-1])], str)]
            if table.is_sound:
                source = f"pack {pack}" if pack else str(table.place)
                self.watches.append(_watch(str(table.path[0]), values, pack, source, self.folder))

    def add_option(self, text: str, problems: list[Problem]) -> None:
        """Add the watch that `--watch text` asks for; what is wrong with it is appended to `problems`."""
        place = Place(f'--watch "{text}"')
        module, colon, call_text = text.partition(":")
        calls = [call.strip() for call in call_text.split(",")] if call_text.strip() else []
        if colon:
            self.placed += [((module.strip(), call), place) for call in calls]
            mistakes = [*checks.modules(module.strip()), *checks.calls(calls)]
        else:
            mistakes = [Mistake(f"there is no colon in {quote(text)}", "MODULE:CALL or MODULE:CALL,CALL", code="no-colon")]
        if mistakes:
            problems += [Problem(place, mistake) for mistake in mistakes]
            return
        values = {**_defaults("watch", USER), "module": module.strip(), "calls": calls}
        self.watches.append(_watch("watch", values, "", str(place)))


def own_watches() -> list[Watch]:
    """Return the watches of --own: all of the modules that are neither installed nor of the standard library, and the script."""
    values = {**_defaults("watch", USER), "calls": [EVERYTHING]}
    made = [_watch("watch", {**values, "module": module}, "", OWN_OPTION) for module in (EVERYTHING, "__main__")]
    return [replace(watch, others=(*watch.others, ("own", True))) for watch in made]


def _watch(table: str, values: dict[str, Any], pack: str, source: str, folder: str = "") -> Watch:
    """Return the watch of a checked table; `values` has one for each of its settings."""
    defaults = _defaults(table, PACK if pack else USER)
    named = {name for kind in (Watch, Hook) for name in fields(kind)}
    others = tuple((key, _freeze(value)) for key, value in values.items() if key not in named and value != defaults[key])
    values = {key: _freeze(value) for key, value in values.items() if key in named}
    if table == "hook":
        hook = Hook(**{name: values.pop(name) for name in fields(Hook)})
        values |= {"nested": False, "hook": hook}
    if values.get("file"):
        values["folder"] = folder
    return Watch(**values, pack=pack, source=source, others=others)


def _defaults(table: str, writer: str) -> dict[str, Any]:
    return {key: setting.default for key, setting in settings_of(table, writer).items()}


def _freeze(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else tuple(value) if isinstance(value, list) else value


def _told_apart(when: Any) -> str:
    """Return by what calls of one function are told apart, to stand behind its name; "" where they are not."""
    return f" when {', '.join(f'{key} = {value}' for key, value in when.items())}" if when else ""


def _beside_file(table: Table) -> Iterator[Mistake]:
    """Yield a mistake where a watch has a module and a file."""
    if "module" in table.written and table.values.get("file"):
        yield Mistake("module and file stand in one table", "one of both", at=("file",), code="contradiction")


def _beside_when(table: Table) -> Iterator[Mistake]:
    """Yield a mistake where calls are told apart that begin or end nothing."""
    for key in ("when", "until_when"):
        if table.values.get(key) and table.values.get("until") == []:
            yield Mistake(f"{key} stands without until", "until, whose calls it tells apart", at=(key,), code="contradiction")


def _beside_until(table: Table) -> Iterator[Mistake]:
    """Yield what cannot stand in a table beside `until`."""
    values = table.values
    until = values.get("until", ())
    when, until_when = values.get("when", {}), values.get("until_when", {})
    for index, call in enumerate(until):
        if call in values.get("calls", ()) and when == until_when:
            found = f"{quote(call)} is to begin what it ends"
            allowed = "other functions than those in calls, or when and until_when that tell its calls apart"
            yield Mistake(found, allowed, at=(index,), code="contradiction")
    for key in ("entry_name", "entry_status", "entry_body", "adapter"):
        if until and values.get(key):
            yield Mistake(f"until and {key} stand in one table", "one of both", code="contradiction")
