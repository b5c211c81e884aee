"""How the rows of a run are laid out in SQLite: a column for each field, lists and dictionaries as JSON text.

What is read from a file has the types that the fields of the rows say, or a ValueError is raised. So a report need not check it.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from math import isfinite
from operator import attrgetter

from hookmon.collector.sqlite import sqlite3
from hookmon.collector.yielding import ROWS_A_LOOK, nothing
from hookmon.core.histogram import OCTAVES, SUB_BUCKETS
from hookmon.core.record import fields

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 2**63 - 1
_MOST_ELEMENTS = 8_000_000  # of JSON in one column: half a gigabyte of objects; 6,000 whole examples have 3 million
_MOST_BUCKETS = OCTAVES * SUB_BUCKETS


def columns_of(row_type: type) -> list[str]:
    """Return the columns of a table: the fields of its rows."""
    return list(fields(row_type))


_AS_THEY_ARE = ("int", "int | None", "float")  # types of fields that SQLite keeps without our doing: most of them


def write_rows(
    connection: sqlite3.Connection, table: str, row_type: type, rows: list[Any], look: Callable[[], None] = nothing
) -> None:
    """Write the rows of a table in place of those it has. A table that an older version made gets the columns of now.

    `look` is called now and then.
    """
    columns = columns_of(row_type)
    there = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    if there != columns:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    connection.execute(f"DELETE FROM {table}")
    packed = [at for at, kind in enumerate(fields(row_type).values()) if kind not in _AS_THEY_ARE]
    insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
    try:
        connection.executemany(insert, _values(rows, columns, packed, look))
    except OverflowError:  # sums of damaged counters, beyond what SQLite has room for
        connection.execute(f"DELETE FROM {table}")
        connection.executemany(insert, _values(rows, columns, range(len(columns)), look))


def _values(rows: list[Any], columns: list[str], packed: Iterable[int], look: Callable[[], None]) -> Iterator[list[Any]]:
    """Yield the fields of each row as SQLite keeps them; `packed` are those that it does not keep as they are."""
    of = attrgetter(*columns)
    for number, row in enumerate(rows):
        if not number % ROWS_A_LOOK:
            look()
        values = list(of(row))
        for at in packed:
            values[at] = pack(values[at])
        yield values


def pack(value: Any) -> Any:
    """Return a field as SQLite keeps it."""
    if isinstance(value, int):  # a flag, or a number: sums of damaged counters may be beyond what SQLite has room for
        return max(-_LARGEST, min(int(value), _LARGEST))
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))
    # a surrogate from a file name or an argument that is not UTF-8
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def unpack(row_type: type, names: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    """Return the rows of a table as objects: column by column, since 5,000 rows one by one take three times as long.

    `names` are the columns that the file has; what an older one has not is at its default. Raises ValueError for what is not of
    the type of its field.
    """
    types = fields(row_type)
    found: Iterable[tuple[Any, ...]] = zip(*rows, strict=True)
    columns = [_column(types[name], values) for name, values in zip(names if rows else (), found, strict=True)]
    if names == columns_of(row_type):
        return [row_type(*values) for values in zip(*columns, strict=True)]
    return [row_type(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def check(row_type: type, values: dict[str, Any]) -> None:
    """Raise ValueError when a single value is not of the type of its field; a name that is no field is not looked at."""
    types = fields(row_type)
    for name, value in values.items():
        kind = types.get(name, "")
        if kind == "list[str]":
            _check_lists([value])
            _check_texts(value)
        elif kind == "dict[str, int]":
            _check_types({type(value)}, {dict})
            _check_texts(value)
            _check_numbers(list(value.values()))
        elif kind == "dict[str, str]":
            _check_types({type(value)}, {dict})
            _check_texts([*value, *value.values()])
        elif kind == "list[dict[str, Any]]":
            _check_lists([value])
            _check_types({type(item) for item in value}, {dict})
        elif kind:
            _column(kind, (value,))


def parse(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError when it is none, or has more elements than any of ours."""
    if text.count(",") + text.count("[") + text.count("{") > _MOST_ELEMENTS:
        raise ValueError("a list is too long")
    return json.loads(text)


def _column(kind: str, values: tuple[Any, ...]) -> Iterable[Any]:
    """Return the values of a column as those of a field."""
    if kind == "str":
        _check_texts(values)
    elif kind == "bool":
        _check_numbers(values, {int, bool})
        return map(bool, values)
    elif kind == "int | None":
        _check_numbers([value for value in values if value is not None])
    elif kind == "float":
        _check_types(set(map(type, values)), {int, float})
        if not all(map(isfinite, values)):
            raise ValueError("a number without end")
    elif kind == "int":
        _check_numbers(values)
    else:
        return _READERS[kind](_lists(values))
    return values


def _lists(values: tuple[Any, ...]) -> list[Any]:
    _check_texts(values)
    found = parse(f"[{','.join(values)}]")
    if len(found) != len(values):
        raise ValueError("a list is not whole")
    return list(found)


def _texts_of(values: list[Any]) -> list[Any]:
    _check_lists(values)
    _check_texts(chain.from_iterable(values))
    return values


def _buckets_of(values: list[Any]) -> list[Any]:
    _check_types(set(map(type, values)), {dict})
    found = [dict(zip(map(int, counts), counts.values(), strict=True)) for counts in values]
    _check_numbers(list(chain.from_iterable(counts.values() for counts in found)))
    numbers: set[int] = set().union(*found)
    if numbers and not 0 <= min(numbers) <= max(numbers) < _MOST_BUCKETS:
        raise ValueError("there is no such bucket")
    return found


def _stacks_of(values: list[Any]) -> list[Any]:
    pairs = _tuples_of(values, 2)
    _check_texts(name for pair in pairs for name, _ in pair)
    _check_numbers([since_ns for pair in pairs for _, since_ns in pair])
    return pairs


def _spans_of(values: list[Any]) -> list[Any]:
    spans = _tuples_of(values, 4)
    _check_numbers(list(chain.from_iterable(chain.from_iterable(spans))))
    return spans


def _tuples_of(values: list[Any], size: int) -> list[Any]:
    _check_lists(values)
    _check_lists(list(chain.from_iterable(values)))
    found = [[tuple(item) for item in row] for row in values]
    if {len(item) for row in found for item in row} - {size}:
        raise ValueError("a list is not as long as it should be")
    return found


def _numbers_of(values: list[Any]) -> list[Any]:
    _check_lists(values)
    _check_numbers(list(chain.from_iterable(values)))
    return values


_READERS = {
    "list[str]": _texts_of,
    "list[int]": _numbers_of,
    "dict[int, int]": _buckets_of,
    "list[tuple[str, int]]": _stacks_of,
    "list[tuple[int, int, int, int]]": _spans_of,
}


def _check_numbers(values: Any, types: set[type] = {int}) -> None:  # noqa: B006  # only read
    _check_types(set(map(type, values)), types)
    if values and not -_LARGEST <= min(values) <= max(values) <= _LARGEST:
        raise ValueError("a number is too large")


def _check_texts(values: Iterable[Any]) -> None:
    _check_types(set(map(type, values)), {str})


def _check_lists(values: list[Any]) -> None:
    _check_types(set(map(type, values)), {list})


def _check_types(found: set[type], wanted: set[type]) -> None:
    if not found <= wanted:
        raise ValueError(f"{sorted(wrong.__name__ for wrong in found - wanted)[0]} where {next(iter(wanted)).__name__} should be")


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from looking at rows while they are made: none of them is garbage, and it takes a third."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
