"""Every value of a configuration with who decided it: the file and line, an option, a pack, or the default.

In: what `load` gets. Out: rows for `hookmon config`. Raises what `load` raises, so what comes out is what a run would have.
"""

from __future__ import annotations

from pathlib import Path

from hookmon.config import exports
from hookmon.config.load import Config, load
from hookmon.config.settings import NAMED_TABLES, REPEATED_TABLES, ROOT, USER, settings_of, tables_of
from hookmon.config.watch import Watch
from hookmon.core.record import Record, fields

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

DEFAULT = "default"


class Value(Record, frozen=True):
    """One value. `table` is "" for what stands at the top, `number` tells the watches apart, from 1 on."""

    table: str
    key: str
    value: Any
    origin: str
    number: int = 0


class PackState(Record, frozen=True):
    """One pack, whether it is on, and who decided that."""

    name: str
    library: str
    description: str
    is_on: bool
    origin: str


class Origins(Record, frozen=True):
    """All of a configuration. `config` is what a run gets of it."""

    config: Config
    values: list[Value]
    packs: list[PackState]


def origins(start: Path, **options: Any) -> Origins:
    """Return every value; the options are those of `load`. Raises ConfigError with every mistake."""
    config = load(start, **options)
    return Origins(config, [*_plain(config), *_watches(config.watches), *_budgets(config)], _packs(config))


def settings(config: Config) -> list[dict[str, Any]]:
    """Return what a run keeps of its configuration: `table`, `key`, `value`, `origin` of each value that is no watch.

    Of the packs it has those that somebody switched on or off; the others can be told from their targets.
    """
    values = [*_plain(config), *_budgets(config)]
    rows = [{"table": value.table, "key": value.key, "value": value.value, "origin": value.origin} for value in values]
    packs = [state for state in _packs(config) if state.origin != DEFAULT]
    return rows + [{"table": "packs", "key": state.name, "value": state.is_on, "origin": state.origin} for state in packs]


def _plain(config: Config) -> list[Value]:
    """Return the values of all tables that stand once; the packs have rows of their own."""
    rows = []
    document = config.document
    for table in [ROOT, *(name for name in tables_of(USER) if name != "packs" and name not in REPEATED_TABLES | NAMED_TABLES)]:
        path = tuple(table.split(".")) if table else ()
        written: Any = document.data if document else {}
        for part in path:
            written = written.get(part, {})
        for key, setting in settings_of(table, USER).items():
            origin = str(document.place((*path, key))) if document and key in written else DEFAULT
            value = written.get(key, setting.default)
            if (table, key) == (ROOT, "signals") and config.signal_options:
                value = config.root[key]
                origin = ", ".join(([origin] if key in written else []) + list(config.signal_options))
            rows.append(Value(table, key, exports.shown(table, key, value), origin))
    return rows


def _watches(watches: list[Watch]) -> list[Value]:
    rows = []
    for number, watch in enumerate(watches, 1):
        table = "hook" if watch.hook else "watch"
        defaults = {key: setting.default for key, setting in settings_of(table, USER).items()}
        left_out = ("hook", "pack", "source", "others", "folder", *(("module",) if watch.file else ()))
        values = {name: getattr(watch, name) for name in fields(Watch) if name not in left_out}
        values |= {key: value for key, value in defaults.items() if key not in values} | dict(watch.others)
        if watch.hook:
            values = {key: value for key, value in (values | vars(watch.hook)).items() if key in defaults}
        for key, value in values.items():
            value = list(value) if isinstance(value, tuple) else value
            if value or key in defaults:
                is_default = value == defaults.get(key)
                rows.append(Value(table, key, value, DEFAULT if is_default else watch.source, number))
    return rows


def _budgets(config: Config) -> list[Value]:
    return [
        Value(f'budget."{budget.name}"', limit.key, limit.text, str(limit.place))
        for budget in config.budgets
        for limit in budget.limits
    ]


def _packs(config: Config) -> list[PackState]:
    return [
        PackState(pack.name, pack.library, pack.description, pack.name in config.packs, str(verdict.place or DEFAULT))
        for pack, verdict in config.offered
    ]
