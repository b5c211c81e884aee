"""Holds a document against the table of settings and goes on after each mistake, so that one pass finds them all."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping

from hookmon.config.document import Document
from hookmon.config.problem import KeyPath, Mistake, Place, Problem, closest, quote
from hookmon.config.settings import (
    FLAG,
    NAMED_TABLES,
    NUMBER,
    ONE_OR_MORE,
    PAIRS,
    REPEATED_TABLES,
    ROOT,
    TEXT,
    TEXTS,
    Setting,
    settings_of,
    tables_of,
)
from hookmon.core.record import Record

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_TOML_WORDS: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
    datetime.datetime: "a date and time",
    datetime.date: "a date",
    datetime.time: "a time",
}


class Table(Record, frozen=True):
    """One table after checking.

    `values` has a value for each setting of the table, default or written; a key is absent when its value was wrong.
    `written` is the table as it was read. `is_sound` says that no value is absent.
    """

    path: KeyPath
    place: Place
    values: dict[str, Any]
    written: dict[str, Any]
    is_sound: bool


def check_document(document: Document, writer: str, problems: list[Problem]) -> dict[str, list[Table]]:
    """Return the tables of `document` by name; what is wrong in them is appended to `problems`."""
    names = tables_of(writer)
    root = settings_of(ROOT, writer)
    heads = dict.fromkeys(name.partition(".")[0] for name in names)
    problems += [_unknown(document, (key,), [*heads, *root]) for key in document.data if key not in (*heads, *root)]
    for head in heads:
        below = [name.partition(".")[2] for name in names if name.startswith(f"{head}.")]
        found = document.data.get(head)
        if head in names:  # it is checked as a table
            continue
        if below and found is not None and not isinstance(found, dict):
            mistake = Mistake(f"{head} is {_word(found)}", f"tables that begin with [{head}.{below[0]}]", code="wrong-type")
            problems.append(Problem(document.place((head,)), mistake))
        elif below and isinstance(found, dict):
            problems += [_unknown(document, (head, key), below) for key in found if key not in below]
    plain = {key: value for key, value in document.data.items() if key in root}
    tables = {ROOT: [_check_table(document, (), plain, root, problems)]}
    for name in names:
        entries = _entries(document, name, problems)
        below = [other.removeprefix(f"{name}.") for other in names if other.startswith(f"{name}.")]
        settings = settings_of(name, writer)
        checked = [(path, {key: value for key, value in data.items() if key not in below}) for path, data in entries]
        tables[name] = [_check_table(document, path, data, settings, problems, below) for path, data in checked]
    return tables


def _entries(document: Document, name: str, problems: list[Problem]) -> list[tuple[KeyPath, dict[str, Any]]]:
    """Return path and content of each table called `name`; one that is not a table becomes a problem."""
    own = tuple(name.split("."))
    value: Any = document.data
    for part in own:
        value = value.get(part) if isinstance(value, dict) else None
    entries: list[tuple[KeyPath, Any]]
    if value is None:
        return []
    if name in REPEATED_TABLES:
        header = f"[[{name}]]"
        is_whole = isinstance(value, list)
        entries = [((name, index), entry) for index, entry in enumerate(value)] if is_whole else []
    elif name in NAMED_TABLES:
        header = f'[{name}."NAME"]'
        is_whole = isinstance(value, dict)
        entries = [((name, key), entry) for key, entry in value.items()] if is_whole else []
    else:
        header = f"[{name}]"
        is_whole = isinstance(value, dict)
        entries = [(own, value)] if is_whole else []
    wrong = [(own, value)] if not is_whole else [(path, entry) for path, entry in entries if not isinstance(entry, dict)]
    for path, entry in wrong:
        meant = header if isinstance(entry, (dict, list)) else ""
        problems.append(
            Problem(
                document.place(path),
                Mistake(f"{_title(path)} is {_word(entry)}", f"tables that begin with {header}", meant, code="wrong-type"),
            )
        )
    return [(path, entry) for path, entry in entries if isinstance(entry, dict)]


def _title(path: KeyPath) -> str:
    """Return how a message calls a table: its name, and the key where tables are told apart by keys."""
    return f"{path[0]} {quote(path[1])}" if len(path) > 1 and isinstance(path[1], str) else str(path[0])


def _check_table(
    document: Document,
    path: KeyPath,
    data: dict[str, Any],
    settings: Mapping[str, Setting],
    problems: list[Problem],
    below: Iterable[str] = (),
) -> Table:
    """Check a table without those `below` it."""
    values: dict[str, Any] = {}
    problems += [_unknown(document, (*path, key), [*below, *settings]) for key in data if key not in settings]
    for key, setting in settings.items():
        if key in data:
            mistakes = list(_check_value(setting, data[key]))
            problems += [Problem(document.place((*path, key, *mistake.at)), mistake) for mistake in mistakes]
            if not mistakes:
                values[key] = data[key]
        elif setting.default is None and data.get(setting.instead):
            values[key] = ""
        elif setting.default is None:
            required = [
                f"{needed.key} or {needed.instead}" if needed.instead in settings else needed.key
                for needed in settings.values()
                if needed.default is None
            ]
            mistake = Mistake(
                f'there is no key "{key}" in this {path[0]}', f"{path[0]} with {' and '.join(required)}", code="missing-key"
            )
            problems.append(Problem(document.place(path), mistake))
        else:
            values[key] = setting.default
    return Table(path, document.place(path), values, data, len(values) == len(settings))


def _check_value(setting: Setting, value: Any) -> Iterator[Mistake]:
    if setting.type in (TEXTS, ONE_OR_MORE) and isinstance(value, list):
        wrong = [(index, element) for index, element in enumerate(value) if not isinstance(element, str)]
        for index, element in wrong:
            found = f"{setting.key} has {_word(element)} in it, {quote(element)}"
            yield Mistake(found, setting.type, at=(index,), code="wrong-type")
        yield from setting.check(value)
    elif _has_type(setting, value):
        yield from setting.check(value)
    else:
        yield Mistake(
            f"{setting.key} is {_word(value)}, {quote(value)}", setting.type, _meant_value(setting, value), code="wrong-type"
        )


def _has_type(setting: Setting, value: Any) -> bool:
    if setting.type == NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {TEXT: str, FLAG: bool, ONE_OR_MORE: str, PAIRS: dict}.get(setting.type, ()))


def _meant_value(setting: Setting, value: Any) -> str:
    if setting.type == TEXTS and isinstance(value, str):
        return f"[{quote(value)}]"
    if setting.type == FLAG and isinstance(value, str):
        return closest(value, ("true", "false"))
    return ""


def _unknown(document: Document, path: KeyPath, known: Iterable[str]) -> Problem:
    key = str(path[-1])
    found = f"there is no key {quote(key)} in {path[0]}" if len(path) > 1 else f"there is no table or key {quote(key)}"
    return Problem(document.place(path), Mistake(found, ", ".join(known), closest(key, known), code="unknown-key"))


def _word(value: Any) -> str:
    return _TOML_WORDS.get(type(value), "a value")
