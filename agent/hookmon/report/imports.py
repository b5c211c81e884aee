"""The imports of a run as a tree. In: the nodes of a run that was asked for them. Out: a row for each module and what imports it.

Hookmon's own calls at that time (the patching of watched modules, its own imports, the measuring) are in none of the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from hookmon.collector.store import Node
from hookmon.core.plan import IMPORT, OWN
from hookmon.core.record import Record

_OURS = -2
"""Stands for the place of a node below hookmon's own calls."""


class ImportRow(Record, slots=True):
    """One module where it was imported. `parent` is an index into the rows, -1 where no import is around it.

    The figures are sums over all processes. `total_ns` has everything inside, `self_ns` all but the modules that it imported.
    """

    parent: int
    depth: int  # how many imports are around it
    name: str
    imports: int
    errors: int
    total_ns: int
    self_ns: int


def imports(nodes: Sequence[Node]) -> list[ImportRow]:
    """Return the rows, each before those below it, of one parent those with the most time first."""
    if not any(node.kind == IMPORT for node in nodes):
        return []
    own_ns = _own_times(nodes)
    numbers: dict[tuple[int, str], int] = {}
    places: list[int] = []  # for each node the row of the innermost import around it or of itself; -1 for none, or _OURS
    rows: list[ImportRow] = []
    for node, own in zip(nodes, own_ns, strict=True):
        place = places[node.parent] if node.parent >= 0 else -1
        if node.kind == OWN:
            place = _OURS
        elif node.kind == IMPORT and place != _OURS:
            above, place = place, numbers.setdefault((place, node.name), len(rows))
            if place == len(rows):
                rows.append(ImportRow(above, rows[above].depth + 1 if above >= 0 else 0, node.name, 0, 0, 0, 0))
            duration_ns = max(0, node.total_ns - own)
            rows[place].imports += node.calls
            rows[place].errors += node.errors
            rows[place].total_ns += duration_ns
            rows[place].self_ns += duration_ns
            if above >= 0:
                rows[above].self_ns -= duration_ns
        places.append(place)
    return _in_order(rows)


def _own_times(nodes: Sequence[Node]) -> list[int]:
    """Return for each node how long hookmon's own calls inside it took."""
    times = [node.total_ns if node.kind == OWN else 0 for node in nodes]
    for index in range(len(nodes) - 1, -1, -1):  # a parent stands before its children
        parent = nodes[index].parent
        if parent >= 0 and nodes[parent].kind != OWN:
            times[parent] += times[index]
    return times


def _in_order(rows: list[ImportRow]) -> list[ImportRow]:
    """Return rows as a tree is read. What was still being imported has no time itself: it gets that of the modules inside."""
    below: list[list[int]] = [[] for _ in range(len(rows) + 1)]  # the last is of those without a parent
    for number, row in enumerate(rows):
        below[row.parent].append(number)
    for number in range(len(rows) - 1, -1, -1):
        row = rows[number]
        row.total_ns = max(row.total_ns, sum(rows[inner].total_ns for inner in below[number]))
        row.self_ns = max(0, row.self_ns)
    ordered: list[ImportRow] = []
    places: dict[int, int] = {-1: -1}
    waiting = sorted(below[-1], key=lambda number: rows[number].total_ns)
    while waiting:
        number = waiting.pop()
        row = rows[number]
        places[number] = len(ordered)
        row.parent = places[row.parent]
        ordered.append(row)
        waiting += sorted(below[number], key=lambda inner: rows[inner].total_ns)
    return ordered


def most_time(rows: Sequence[ImportRow], most: int) -> list[ImportRow]:
    """Return the rows with the most time, in their order. No row is without its parent, which has more."""
    kept = {id(row) for row in sorted(rows, key=lambda row: -row.total_ns)[:most]}
    return [row for row in rows if id(row) in kept]
