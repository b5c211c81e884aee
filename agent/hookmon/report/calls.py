"""The call tree, added up by name. In: the nodes of a run. Out: one row for each name, and one for each node."""

from __future__ import annotations

from dataclasses import dataclass, field

from hookmon.collector.store import Node
from hookmon.core.histogram import quantiles_ns

FIGURES = (
    *("calls", "errors", "total_ns", "self_ns", "min_ns", "max_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns"),
    *("interrupted", "untimed", "active_ns", "steps"),
)
"""What a format shows of Figures, in this order."""


_SUMS = ("calls", "errors", "total_ns", "self_ns", "interrupted", "untimed", "active_ns", "steps", "spent_ns", "spent_calls")
"""What of Figures is added where calls are put together."""


@dataclass(slots=True)
class Figures:
    """What was measured of a number of calls, added up place by place.

    `mean_ns` and the percentiles are over every timed call, nested ones of a recursion included (the mean is scaled
    with the total where timing was sampled); `total_ns` counts a recursion once, so it can be less than `mean_ns` times `calls`.
    `spent_ns` is the duration of all calls, recursive ones once each, `spent_calls` how many those are: the calls of places
    where any was timed, since time that was sampled is scaled up to all of them.

    Histograms are added and percentiles found when somebody asks for them: most rows of a large run are never shown.
    """

    calls: int = 0
    errors: int = 0
    total_ns: int = 0
    self_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    interrupted: int = 0
    untimed: int = 0
    active_ns: int = 0
    steps: int = 0
    spent_ns: int = 0
    spent_calls: int = 0
    _histograms: list[dict[int, int]] = field(default_factory=list)
    _percentiles: list[int] = field(default_factory=list)

    def add(self, node: Node, is_outermost: bool) -> None:
        """Add the calls of a node; `is_outermost` says that no call around it is counted here."""
        calls = node.calls
        if calls - node.untimed:
            already_timed = self.calls > self.untimed
            self.min_ns = min(self.min_ns, node.min_ns) if already_timed else node.min_ns
            self.max_ns = max(self.max_ns, node.max_ns)
            self.spent_calls += calls
        self.calls += calls
        self.errors += node.errors
        self.interrupted += node.interrupted
        self.untimed += node.untimed
        self.self_ns += node.self_ns
        self.active_ns += node.active_ns
        self.steps += node.steps
        self.spent_ns += node.total_ns
        if is_outermost:
            self.total_ns += node.total_ns
        self._histograms.append(node.buckets)
        self._percentiles = []

    def join(self, other: Figures) -> None:
        """Add what was measured elsewhere of other calls, none of them inside one another."""
        if other.calls > other.untimed:
            self.min_ns = min(self.min_ns, other.min_ns) if self.calls > self.untimed else other.min_ns
            self.max_ns = max(self.max_ns, other.max_ns)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._histograms.append(other.buckets)
        self._percentiles = []

    @property
    def buckets(self) -> dict[int, int]:
        """The histogram of all places; not to be changed."""
        if len(self._histograms) > 1:
            added: dict[int, int] = {}
            for each in self._histograms:
                for bucket, calls in each.items():
                    added[bucket] = added.get(bucket, 0) + calls
            self._histograms = [added]
        return self._histograms[0] if self._histograms else {}

    @property
    def mean_ns(self) -> int:
        """The duration of a call, on average."""
        return round(self.spent_ns / self.spent_calls) if self.spent_calls else 0

    @property
    def p50_ns(self) -> int:
        """The median."""
        return self._percentile(0)

    @property
    def p95_ns(self) -> int:
        """The duration that 95 % of the calls kept within."""
        return self._percentile(1)

    @property
    def p99_ns(self) -> int:
        """The same for 99 %."""
        return self._percentile(2)

    def _percentile(self, which: int) -> int:
        if not self._percentiles:
            self._percentiles = quantiles_ns(self.buckets, (0.50, 0.95, 0.99), self.min_ns, self.max_ns)
        return self._percentiles[which]


@dataclass(slots=True)
class CallRow:
    """All calls of one name. `location` is where a function of the user's own is defined, "" for those of packs.

    `others` are more targets that are added up in the row, where they are (`told_apart`).
    """

    name: str
    kind: str
    target: str
    figures: Figures
    location: str = ""
    others: tuple[str, ...] = ()


def _rank(row: CallRow) -> tuple[int, int, str, str]:
    return (-row.figures.self_ns, -row.figures.total_ns, row.name, row.target)


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
    """The self time of all calls of one kind; `share` is of the self time of all kinds, 0.0 to 1.0.

    `waits` are the waits for a pool or an executor, which like the parts of a call (rows of a statement) are none of `calls`.
    """

    kind: str
    calls: int = 0
    waits: int = 0
    errors: int = 0
    self_ns: int = 0
    share: float = 0.0


Walk = list[tuple[int, bool]]
"""Nodes in the order of a walk in depth: (index, whether none of its ancestors has its name and target).

Whoever adds up the same nodes twice walks once and passes it on.
"""


def by_name(nodes: list[Node], walk: Walk | None = None) -> list[CallRow]:
    """Return one row for each (name, kind, target) that completed a call, most self time first."""
    rows = [CallRow(*key, figures) for key, figures in figures_by_name(nodes, walk).items() if figures.calls]
    return sorted(rows, key=_rank)


def told_apart(rows: list[CallRow], nodes: list[Node]) -> list[CallRow]:
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
            row_of_node.figures.add(nodes[index], not _is_within(row_of_node, index, nodes, found))
    shown = [group[0] if len(group) == 1 else merged[group[0].name, group[0].kind, group[0].target] for group in alike.values()]
    return sorted(shown, key=_rank)


def _sum_of(group: list[CallRow]) -> CallRow:
    """Return an empty row for what rows have in common."""
    first = group[0]
    others = tuple(row.target for row in group[1:])
    return CallRow(first.name, first.kind, first.target, Figures(), first.location, others)


def _is_within(row: CallRow, index: int, nodes: list[Node], found: list[CallRow | None]) -> bool:
    """Say whether a call around a node belongs to the same row."""
    parent = nodes[index].parent
    while 0 <= parent < index:
        if found[parent] is row:
            return True
        index, parent = parent, nodes[parent].parent
    return False


def figures_by_name(nodes: list[Node], walk: Walk | None = None) -> dict[tuple[str, str, str], Figures]:
    """Return what was measured of each (name, kind, target).

    A node adds to its name's total unless an ancestor has the same name and target; its self time counts always.
    """
    found: dict[tuple[str, str, str], Figures] = {}
    for index, is_outermost in walk_of(nodes) if walk is None else walk:
        node = nodes[index]
        key = (node.name, node.kind, node.target)
        figures = found.get(key)
        if figures is None:
            figures = found[key] = Figures()
        figures.add(node, is_outermost)
    return found


def walk_of(nodes: list[Node]) -> Walk:
    """Walk the call tree in depth, without recursion."""
    children: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        children.setdefault(node.parent if 0 <= node.parent < index else -1, []).append(index)
    above: dict[tuple[str, str], int] = {}
    walk: Walk = []
    waiting = children.get(-1, [])[::-1]
    while waiting:
        index = waiting.pop()
        if index < 0:  # ~index is left
            node = nodes[~index]
            above[node.name, node.target] -= 1
            continue
        node = nodes[index]
        key = (node.name, node.target)
        walk.append((index, not above.get(key)))
        below = children.get(index)
        if below:
            above[key] = above.get(key, 0) + 1
            waiting.append(~index)
            waiting += below[::-1]
    return walk


def tree(nodes: list[Node]) -> list[TreeRow]:
    """Return one row for each node, in the order of the nodes."""
    rows = []
    for node in nodes:
        figures = Figures()
        figures.add(node, True)
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
