"""The call tree, added up by name. In: the nodes of a run. Out: one row for each name, and one for each node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hookmon.collector.store import Node
from hookmon.core.histogram import quantile_ns


@dataclass(slots=True)
class Figures:
    """What was measured of a number of calls.

    `mean_ns` and the percentiles are over every timed call, nested ones of a recursion included (the mean is scaled
    with the total where timing was sampled); `total_ns` counts a recursion once, so it can be less than `mean_ns` times `calls`.
    """

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    self_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    mean_ns: int = 0
    p50_ns: int = 0
    p95_ns: int = 0
    p99_ns: int = 0
    interrupted: int = 0
    untimed: int = 0
    active_ns: int = 0
    steps: int = 0


@dataclass(slots=True)
class CallRow:
    """All calls of one name."""

    name: str
    kind: str
    target: str
    figures: Figures


@dataclass(slots=True)
class TreeRow:
    """All calls of one name from one place. `parent` is an index into the rows, -1 for the root of a lane."""

    parent: int
    name: str
    kind: str
    target: str
    call_site: str
    flat: bool
    figures: Figures


@dataclass(slots=True)
class KindRow:
    """The self time of all calls of one kind; `share` is of the self time of all kinds, 0.0 to 1.0."""

    kind: str
    calls: int = 0
    errors: int = 0
    self_ns: int = 0
    share: float = 0.0


@dataclass(slots=True)
class Sum:
    """Figures in the making.

    `spent_ns` is the duration of all calls, recursive ones once each, `spent_calls` how many those are: the calls of places
    where any was timed, since time that was sampled is scaled up to all of them.
    """

    figures: Figures = field(default_factory=Figures)
    spent_ns: int = 0
    spent_calls: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, node: Node, is_outermost: bool) -> None:
        """Add the calls of a node; `is_outermost` says that no call around it is counted here."""
        figures = self.figures
        timed = node.calls - node.untimed
        self.spent_calls += node.calls if timed else 0
        if timed:
            already_timed = figures.calls > figures.untimed
            figures.min_ns = min(figures.min_ns, node.min_ns) if already_timed else node.min_ns
            figures.max_ns = max(figures.max_ns, node.max_ns)
        figures.calls += node.calls
        figures.errors += node.errors
        figures.interrupted += node.interrupted
        figures.untimed += node.untimed
        figures.self_ns += node.self_ns
        figures.active_ns += node.active_ns
        figures.steps += node.steps
        self.spent_ns += node.total_ns
        if is_outermost:
            figures.total_ns += node.total_ns
        for bucket, calls in node.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + calls

    def done(self) -> Figures:
        """Return the figures with mean and percentiles."""
        figures = self.figures
        figures.mean_ns = round(self.spent_ns / self.spent_calls) if self.spent_calls else 0
        figures.p50_ns, figures.p95_ns, figures.p99_ns = (
            quantile_ns(self.buckets, share, figures.min_ns, figures.max_ns) for share in (0.50, 0.95, 0.99)
        )
        return figures


def by_name(nodes: list[Node]) -> list[CallRow]:
    """Return one row for each (name, kind, target) that completed a call, most self time first."""
    rows = [CallRow(*key, total.done()) for key, total in sums_by_name(nodes).items() if total.figures.calls]
    rows.sort(key=lambda row: (-row.figures.self_ns, -row.figures.total_ns, row.name, row.target))
    return rows


def sums_by_name(nodes: list[Node]) -> dict[tuple[str, str, str], Sum]:
    """Return what was measured of each (name, kind, target), histograms included.

    A node adds to its name's total unless an ancestor has the same name and target; its self time counts always.
    """
    sums: dict[tuple[str, str, str], Sum] = {}
    for index, is_outermost in outermost(nodes):
        node = nodes[index]
        key = (node.name, node.kind, node.target)
        if key not in sums:
            sums[key] = Sum()
        sums[key].add(node, is_outermost)
    return sums


def outermost(nodes: list[Node]) -> Iterator[tuple[int, bool]]:
    """Yield each node's index, and whether none of its ancestors has its name and target; a walk in depth, without recursion."""
    children: list[list[int]] = [[] for _ in nodes]
    roots: list[int] = []
    for index, node in enumerate(nodes):
        (children[node.parent] if 0 <= node.parent < index else roots).append(index)
    above: dict[tuple[str, str], int] = {}
    waiting = [(index, False) for index in reversed(roots)]
    while waiting:
        index, is_left = waiting.pop()
        node = nodes[index]
        key = (node.name, node.target)
        if is_left:
            above[key] -= 1
            continue
        yield index, not above.get(key)
        if children[index]:
            above[key] = above.get(key, 0) + 1
            waiting.append((index, True))
            waiting.extend((child, False) for child in reversed(children[index]))


def tree(nodes: list[Node]) -> list[TreeRow]:
    """Return one row for each node, in the order of the nodes."""
    rows = []
    for node in nodes:
        total = Sum()
        total.add(node, True)
        total.buckets = node.buckets
        rows.append(TreeRow(node.parent, node.name, node.kind, node.target, node.call_site, node.flat, total.done()))
    return rows


def by_kind(calls: list[CallRow]) -> list[KindRow]:
    """Return the kinds that were called, most self time first."""
    rows: dict[str, KindRow] = {}
    for call in calls:
        row = rows.setdefault(call.kind, KindRow(call.kind))
        row.calls += call.figures.calls
        row.errors += call.figures.errors
        row.self_ns += call.figures.self_ns
    whole_ns = sum(max(0, row.self_ns) for row in rows.values())
    for row in rows.values():
        row.share = max(0, row.self_ns) / whole_ns if whole_ns else 0.0
    return sorted(rows.values(), key=lambda row: (-row.self_ns, row.kind))
