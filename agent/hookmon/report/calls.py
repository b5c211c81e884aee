"""The call tree, added up by name. In: the nodes of a run. Out: one row for each name, and one for each node."""

from __future__ import annotations

from hookmon.collector.counters import Counters, Walk, by_key
from hookmon.collector.store import Node
from hookmon.core.record import Record

FIGURES = (
    *("calls", "errors", "total_ns", "self_ns", "min_ns", "max_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns"),
    *("interrupted", "untimed", "active_ns", "steps"),
)
"""What a format shows of Counters, in this order."""


class CallRow(Record, slots=True):
    """All calls of one name. `location` is where a function of the user's own is defined, "" for those of packs.

    `others` are more targets that are added up in the row, where they are (`merge_alike`).
    """

    name: str
    kind: str
    target: str
    figures: Counters
    location: str = ""
    others: tuple[str, ...] = ()


def _rank(row: CallRow) -> tuple[int, int, str, str]:
    return (-row.figures.self_ns, -row.figures.total_ns, row.name, row.target)


class TreeRow(Record, slots=True):
    """All calls of one name from one place. `parent` is an index into the rows, -1 for the root of a lane."""

    parent: int
    name: str
    kind: str
    target: str
    call_site: str
    flat: bool
    figures: Counters


class KindRow(Record, slots=True):
    """The self time of all calls of one kind; `share` is of the self time of all kinds, 0.0 to 1.0.

    `waits` are the waits for a pool or an executor, which like the parts of a call (rows of a statement) are none of `calls`.
    """

    kind: str
    calls: int = 0
    waits: int = 0
    errors: int = 0
    self_ns: int = 0
    share: float = 0.0


def by_name(nodes: list[Node], walk: Walk | None = None) -> list[CallRow]:
    """Return one row for each name that completed a call, most self time first."""
    counted = by_key(nodes, walk)
    return sorted((CallRow(*key, counters) for key, counters in counted.items() if counters.calls), key=_rank)


def merge_alike(rows: list[CallRow], nodes: list[Node]) -> list[CallRow]:
    """Return the rows for a reader, to whom targets of one name, kind and location are one thing: most self time first.

    Of several that are added up `target` is the one with most self time. A call within another one of the same row adds nothing
    to its total.
    """
    alike: dict[tuple[str, str, str], list[CallRow]] = {}
    for row in rows:
        alike.setdefault((row.name, row.kind, row.location), []).append(row)
    several = {key: group for key, group in alike.items() if len(group) > 1}
    if not several:
        return rows
    merged = {
        (row.name, row.kind, row.target): added for group in several.values() for added in [_sum_of(group)] for row in group
    }
    found = [merged.get((node.name, node.kind, node.target)) for node in nodes]
    for index, row_of_node in enumerate(found):
        if row_of_node is not None:
            row_of_node.figures.add_node(nodes[index], is_outermost=not _is_within(row_of_node, index, nodes, found))
    shown = [group[0] if len(group) == 1 else merged[group[0].name, group[0].kind, group[0].target] for group in alike.values()]
    return sorted(shown, key=_rank)


def _sum_of(group: list[CallRow]) -> CallRow:
    """Return an empty row for what rows have in common."""
    first = group[0]
    others = tuple(row.target for row in group[1:])
    return CallRow(first.name, first.kind, first.target, Counters(), first.location, others)


def _is_within(row: CallRow, index: int, nodes: list[Node], found: list[CallRow | None]) -> bool:
    """Say whether a call around a node belongs to the same row."""
    parent = nodes[index].parent
    while 0 <= parent < index:
        if found[parent] is row:
            return True
        index, parent = parent, nodes[parent].parent
    return False


def tree(nodes: list[Node]) -> list[TreeRow]:
    """Return one row for each node, in the order of the nodes."""
    rows = []
    for node in nodes:
        figures = Counters()
        figures.add_node(node)
        rows.append(TreeRow(node.parent, node.name, node.kind, node.target, node.call_site, node.flat, figures))
    return rows


def by_kind(nodes: list[Node]) -> list[KindRow]:
    """Return the kinds that were called, most self time first."""
    rows: dict[str, KindRow] = {}
    for node in nodes:
        row = rows.get(node.kind)
        if row is None:
            row = rows[node.kind] = KindRow(node.kind)
        if node.waits:
            row.waits += node.calls
        elif not node.part:
            row.calls += node.calls
        row.errors += node.errors
        row.self_ns += node.self_ns
    whole_ns = sum(max(0, row.self_ns) for row in rows.values())
    for row in rows.values():
        row.share = max(0, row.self_ns) / whole_ns if whole_ns else 0.0
    shown = [row for row in rows.values() if row.calls or row.waits or row.self_ns]
    return sorted(shown, key=lambda row: (-row.self_ns, row.kind))
