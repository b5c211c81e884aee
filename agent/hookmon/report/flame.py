"""The call tree laid out as a flame graph: what profilers' formats want.

In: the nodes of a run. Out: a slice for each node, as wide as its own time and its children's, the children one after the
other from its left edge. Places add up many calls, so a position on this axis is no moment of the run.
"""

from __future__ import annotations

from collections.abc import Iterator

from hookmon.collector.store import Node
from hookmon.core.record import Record


class Slice(Record, slots=True):
    """One node: `index` into the nodes, its two edges, and how many slices it lies in."""

    index: int
    begin_ns: int
    end_ns: int
    depth: int


def slices(nodes: list[Node]) -> list[Slice]:
    """Return the slices in depth-first order: a parent before its children, the widest child first.

    The time of a flat node lies in the slices of its callers, which are not known, so it has none of its own.
    """
    widths = [max(0, node.self_ns) for node in nodes]
    children: list[list[int]] = [[] for _ in nodes]
    roots: list[int] = []
    for index in range(len(nodes) - 1, -1, -1):  # a parent stands before its children
        parent = nodes[index].parent
        if 0 <= parent < index:
            widths[parent] += widths[index]
            children[parent].append(index)
        else:
            roots.append(index)
    found = []
    waiting = []
    at_ns = 0
    for root in sorted(roots, key=lambda index: -widths[index]):
        waiting.append((root, at_ns, 0))
        at_ns += widths[root]
    waiting.reverse()
    while waiting:
        index, at_ns, depth = waiting.pop()
        found.append(Slice(index, at_ns, at_ns + widths[index], depth))
        inside = []
        for child in sorted(children[index], key=lambda child_index: -widths[child_index]):
            inside.append((child, at_ns, depth + 1))
            at_ns += widths[child]
        waiting.extend(reversed(inside))
    return found


def edges(found: list[Slice]) -> Iterator[tuple[Slice, bool]]:
    """Yield each slice when it opens, with True, and when it closes, with False, as a walk from left to right meets them."""
    above: list[Slice] = []
    for piece in found:
        while len(above) > piece.depth:
            yield above.pop(), False
        yield piece, True
        above.append(piece)
    while above:
        yield above.pop(), False
