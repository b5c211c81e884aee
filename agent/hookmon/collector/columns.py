"""How the rows of a run are laid out in SQLite: a column for each field, lists and dictionaries as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any


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
            columns[at] = [{int(bucket): count for bucket, count in each.items()} for each in columns[at]]
        elif name in ("stack", "spans"):
            columns[at] = [[tuple(each) for each in row] for row in columns[at]]
        elif name in ("flat", "sited", "entry", "waits", "killed"):
            columns[at] = map(bool, columns[at])
    if names == columns_of(row_type):
        return [row_type(*values) for values in zip(*columns, strict=True)]
    return [row_type(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
