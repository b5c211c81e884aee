"""How the rows of a run are laid out in SQLite: a column for each field, lists and dictionaries as JSON text."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any


def read_only(path: Path) -> str:
    """Return the address under which SQLite opens a file without writing."""
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{quoted}?mode=ro"


def columns_of(row_type: type) -> list[str]:
    """Return the columns of a table: the fields of its rows."""
    return [each.name for each in fields(row_type)]


def pack(value: Any) -> Any:
    """Return a field as SQLite keeps it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"))
    # a surrogate from a file name or an argument that is not UTF-8
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def unpack(row_type: type, names: list[str], rows: list[tuple[Any, ...]]) -> list[Any]:
    """Return the rows of a table as objects: column by column, since 5,000 rows one by one take three times as long.

    `names` are the columns that the file has; what an older one has not is at its default.
    """
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for at, name in enumerate(names if rows else ()):
        if name in ("buckets", "stack", "spans", "command"):
            columns[at] = json.loads(f"[{','.join(columns[at])}]")
        if name == "buckets":
            columns[at] = [dict(zip(map(int, each), each.values(), strict=True)) for each in columns[at]]
        elif name in ("stack", "spans"):
            columns[at] = [[tuple(each) for each in row] for row in columns[at]]
        elif name in ("flat", "sited", "entry", "waits", "killed"):
            columns[at] = map(bool, columns[at])
    if names == columns_of(row_type):
        return [row_type(*values) for values in zip(*columns, strict=True)]
    return [row_type(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector from looking at rows while they are made: none of them is garbage, and it takes a fifth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
