"""Makes a run out of a run file that anybody may have made: what comes out is a run as ours are, or one error.

In: the path of a file. Out: a Run whose fields are of their types, whose places are in their tree, and which is no larger than
one that we save. Runs on the launcher's side, in bounded time and memory.
"""

from __future__ import annotations

from pathlib import Path

from hookmon.collector.columns import check, columns_of, pack, parse, unpack
from hookmon.collector.database import APPLICATION_ID, columns, open_for_reading
from hookmon.collector.old_grid import convert_run
from hookmon.collector.short_run import LATE
from hookmon.collector.sqlite import sqlite3
from hookmon.core.errors import RunFileError

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from hookmon.collector.store import Run

    R = TypeVar("R", bound=Run)

SCHEMA = 4
_READABLE = (1, 2, 3, SCHEMA)  # a column that a file of before has not is at its default
_SECONDS_SINCE = 4  # the version from which on the buckets are those of seconds
_LATER_TABLES = frozenset(
    ("series", "examples", "statuses", "signals", "sampled_processes", "sampled_frames", "sampled_stacks")
)  # a run file of before has none
_MOST_VALUES = 1_000  # single ones
_MOST_ROWS = {
    "processes": 20_000,
    "nodes": 131_072,
    "examples": 6_000,
    "statuses": 131_072,
    "signals": 10_000,
    "watched": 100_000,
    "blind_spots": 20_000,
    "in_flight": 20_000,
    "samples": 100_000,
    "series": 1_000,
    "sampled_processes": 2_000,
    "sampled_frames": 50_000,
    "sampled_stacks": 30_000,
}
"""Beyond what a run has, by layout's limits and the collector's, but for an extreme one: then what comes last is not saved."""

_OF_A_WATCH = {"id": int, "module": str, "calls": list, "pack": str, "source": str}
_OF_SOME_WATCHES = {"files": list, "until": list, "entry_name": str, "entry_status": str, "entry_body": str}
_HEX = frozenset("0123456789abcdef")
_OF_A_SETTING = {"table": str, "key": str, "origin": str}


def load(path: Path, run_type: type[R], tables: dict[str, type], without: tuple[str, ...] = ()) -> R:
    """Return the run in a file with the rows of some tables; the single values in `without` are not read.

    Raises RunFileError when the file is missing, unreadable, not a run file, damaged, or from another version.
    """
    try:
        with open_for_reading(path) as connection:
            return _read(connection, path, run_type, tables, without)
    except FileNotFoundError as error:
        raise RunFileError(f"{path}: there is no such run file", code="no-such-run") from error
    except PermissionError as error:
        from hookmon.collector.users import other_owner

        raise RunFileError(f"{path}: it belongs to {other_owner(path) or 'you, and is closed'}", code="run-file") from error
    except (sqlite3.Error, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise RunFileError(f"{path}: not a readable run file: {error}", code="not-a-run-file") from error
    except RecursionError as error:
        raise RunFileError(f"{path}: not a readable run file: lists inside lists", code="not-a-run-file") from error


def _read(connection: sqlite3.Connection, path: Path, run_type: type[R], tables: dict[str, type], without: tuple[str, ...]) -> R:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise RunFileError(f"{path}: not a run file of hookmon", code="not-a-run-file")
    if version not in _READABLE:
        raise RunFileError(f"{path}: a run file of version {version}; this hookmon reads version {SCHEMA}", code="other-version")
    columns(connection, "run")
    values = connection.execute(f"SELECT key, value FROM run LIMIT {_MOST_VALUES}")
    texts = dict(values)
    late = "".join(texts.pop(name, "") for name in LATE).rstrip()
    scalars = {key: parse(value) for key, value in texts.items() if key not in without}
    more = parse(late) if late else {"values": {}, "rows": {}}
    scalars |= more["values"]
    check(run_type, scalars)
    run = run_type(**scalars)
    _check_plan(run)
    for table, row_type in tables.items():
        there = columns(connection, table)
        if not there and table in _LATER_TABLES:
            continue
        names = [name for name in columns_of(row_type) if name in there]
        most = _MOST_ROWS[table]
        rows = connection.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid LIMIT {most + 1}").fetchall()
        if len(rows) > most:
            raise ValueError(f"{table} has more rows than a run can have")
        names, rows = _add_late(more["rows"].get(table, []), row_type, names, rows)
        setattr(run, table, unpack(row_type, names, rows))
    if version < _SECONDS_SINCE:
        convert_run(run)
    _check_places(run, has_nodes="nodes" in tables)
    return run


def _add_late(
    late: list[dict[str, Any]], row_type: type, names: list[str], rows: list[tuple[Any, ...]]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and rows of a table with those that a short run has beside it: see `short_run`."""
    if not late:
        return names, rows
    columns = columns_of(row_type)
    return columns, [tuple(pack(row[column]) for column in columns) for row in late]


def rows_to_keep(run: Run, table: str) -> list[Any]:
    """Return the rows of a table that are saved: as many as `load` takes."""
    most = _MOST_ROWS["nodes"]
    rows: list[Any] = getattr(run, table)
    if table == "statuses" and len(run.nodes) > most:
        rows = [row for row in rows if row.node < most]
    if table == "examples" and len(run.nodes) > most:
        rows = [row for row in rows if max(row.node, *(span[0] for span in row.spans)) < most]
    return rows[: _MOST_ROWS[table]]


def _check_plan(run: Run) -> None:
    """Raise ValueError when a watch or a setting has not what everybody reads of it."""
    for rows, wanted, possible in ((run.plan, _OF_A_WATCH, _OF_SOME_WATCHES), (run.settings, _OF_A_SETTING, {})):
        for row in rows:
            if not all(isinstance(row[key], kind) for key, kind in wanted.items()):
                raise ValueError("a watch or a setting is not what it should be")
            if not all(isinstance(row.get(key, kind()), kind) for key, kind in possible.items()):
                raise ValueError("a watch is not what it should be")
            if not all(isinstance(call, str) for key in ("calls", "until", "files") for call in row.get(key, ())):
                raise ValueError("a watch has calls that are no names")


def _check_places(run: Run, *, has_nodes: bool) -> None:
    """Raise ValueError when something refers to a node that is not there, or a node does not stand behind its parent."""
    if not all(-1 <= node.parent < at for at, node in enumerate(run.nodes)):
        raise ValueError("a place has no parent before it")
    most = len(run.nodes) if has_nodes else 2**63
    for example in run.examples:
        if not 0 <= example.node < most or not all(0 <= span[0] < most for span in example.spans):
            raise ValueError("an example is of no place")
        if not all(0 <= at < len(example.spans) for at in example.failed):
            raise ValueError("an example has no such call")
        for text, length in ((example.trace_id, 32), (example.span_id, 16), (example.parent_id, 16)):
            if text and (len(text) != length or not _HEX.issuperset(text)):
                raise ValueError("an example has an id that is none")
    if not all(0 <= row.node < most for row in run.statuses):
        raise ValueError("a status is of no place")
    frames = range(len(run.sampled_frames))
    if run.sampled_frames and not all(at in frames for stack in run.sampled_stacks for at in stack.frames):
        raise ValueError("a sampled stack has a frame that is not there")
