"""Transactions that a service keeps whole: of each name and ten minutes a few.

In: examples of snapshots. Out: rows, each with the part of the call tree that it needs, so that it outlives its run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from hookmon.collector.examples import LiveExample
from hookmon.services import limits
from hookmon.services.packing import pack_value
from hookmon.services.places import flags_of

_TEN = 10  # minutes


@dataclass(slots=True)
class ExampleText:
    """A transaction that was kept whole, as the store has it."""

    name: str
    kind: str
    duration_ns: int
    is_failed: bool
    body: bytes


_KEPT = (
    "duration_ns",
    "status",
    "left_out",
    "pid",
    "computed_ns",
    "failed",
    "has_failed",
    "error",
    "started_at_ns",
    "trace_id",
    "span_id",
    "parent_id",
    "trace_flags",
)
"""Fields of an Example that are kept as they are."""


def pick(examples: Iterable[LiveExample]) -> list[ExampleText]:
    """Return those that are kept, of each name: the first that failed, and the slowest."""
    groups: dict[tuple[str, str], list[LiveExample]] = {}
    for example in examples:
        groups.setdefault((example.name, example.kind), []).append(example)
    found = []
    for (name, kind), group in groups.items():
        failed = [example for example in group if example.row.is_first_failed or example.row.has_failed]
        first = min(failed, key=lambda example: example.row.started_ns, default=None)
        slowest = sorted(group, key=lambda example: -example.row.duration_ns)
        kept = [example for example in (first, *slowest) if example is not None]
        seen: set[tuple[int, int]] = set()
        for example in kept:
            row = example.row
            if (row.pid, row.started_ns) not in seen and len(seen) < limits.MOST_EXAMPLES:
                seen.add((row.pid, row.started_ns))
                found.append(ExampleText(name, kind, row.duration_ns, example is first, _body(example)))
    return found


def _body(example: LiveExample) -> bytes:
    """Return an example with the places that it needs, each after the one above it."""
    row, nodes = example.row, example.nodes
    needed: set[int] = set()
    for index in (row.node, *(span[0] for span in row.spans)):
        while index not in needed and index >= 0:
            needed.add(index)
            index = nodes[index].parent if index != row.node else -1
    order = {index: at for at, index in enumerate(sorted(needed))}
    return pack_value(
        {
            "nodes": [
                [order.get(node.parent, -1), node.name, node.kind, node.target, node.call_site, flags_of(node)]
                for node in (nodes[index] for index in sorted(needed))
            ],
            "node": order[row.node],
            "spans": [[order[index], *more] for index, *more in row.spans],
            "row": {name: getattr(row, name) for name in _KEPT},
        }
    )


def add_examples(connection: sqlite3.Connection, service: int, start: int, minute: int, examples: Iterable[ExampleText]) -> None:
    """Keep transactions whole, of each name and ten minutes a few: the first that failed and the slowest."""
    first = minute - minute % _TEN
    names = set()
    for example in examples:
        names.add((example.name, example.kind))
        connection.execute(
            "INSERT INTO examples (service, start, minute, name, kind, duration_ns, is_failed, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [service, start, minute, example.name, example.kind, example.duration_ns, example.is_failed, example.body],
        )
    for name, kind in names:
        rows = connection.execute(
            "SELECT id, duration_ns, is_failed FROM examples"
            " WHERE service = ? AND minute BETWEEN ? AND ? AND name = ? AND kind = ? ORDER BY id",
            [service, first, first + _TEN - 1, name, kind],
        ).fetchall()
        kept = {number for number, _, is_failed in rows if is_failed}
        kept = {min(kept)} if kept else set()
        for number, _, _ in sorted(rows, key=lambda row: -row[1]):
            if len(kept) < limits.MOST_EXAMPLES:
                kept.add(number)
        connection.executemany("DELETE FROM examples WHERE id = ?", [(row[0],) for row in rows if row[0] not in kept])
