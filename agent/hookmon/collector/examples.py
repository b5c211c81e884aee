"""Transactions that were kept whole: which of them a run keeps, and what they are to who looks on.

In: the examples of shards. Out: rows of a run, as many as are worth it, and LiveExamples with names, ids and parents, as a trace
has them. Pure computation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hookmon.collector.rows import Example
from hookmon.core import layout
from hookmon.core.record import Record, replace
from hookmon.core.traceparent import ids_of_spans

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from hookmon.collector.records import RawExample, RawNode
    from hookmon.collector.rows import Node

WINDOWS = 5
"""Of so many windows of each name, the latest ones, a run keeps examples."""

_MOST = 6_000  # of a run, as collector.loading takes


def row_of(raw: RawExample, places: Sequence[int], pid: int) -> Example:
    """Return an example of a shard as a row of a run, whose nodes are at these places."""
    high, low, span_id, parent_id, flags = raw.ids
    return Example(
        node=places[raw.node],
        started_ns=raw.started_ns,
        duration_ns=raw.duration_ns,
        status=raw.status,
        left_out=raw.left_out,
        pid=pid,
        spans=[(places[node], lane, start_ns, length_ns) for node, lane, start_ns, length_ns in raw.spans],
        computed_ns=raw.computed_ns,
        failed=raw.failed,
        is_slow=bool(raw.flags & layout.EXAMPLE_IS_SLOW),
        is_first_failed=bool(raw.flags & layout.EXAMPLE_IS_FIRST_FAILED),
        has_failed=bool(raw.flags & layout.EXAMPLE_HAS_FAILED),
        error=raw.error,
        window=raw.window,
        window_ns=raw.window_ns,
        started_at_ns=raw.started_at_ns,
        trace_id=f"{high:016x}{low:016x}" if span_id else "",
        span_id=f"{span_id:016x}" if span_id else "",
        parent_id=f"{parent_id:016x}" if parent_id else "",
        trace_flags=flags,
    )


def select(examples: Iterable[Example], nodes: Sequence[Node]) -> list[Example]:
    """Return the examples that a run keeps, the slowest first.

    Of each name the slowest three, the first with each failure, and of the latest windows the slowest and the first with each
    failure. One that is kept for several reasons is one example.
    """
    groups: dict[str, list[Example]] = {}
    for example in _unify(examples):
        groups.setdefault(nodes[example.node].name, []).append(example)
    ranked: list[tuple[int, Example]] = []  # 0 goes last where there are too many
    for group in groups.values():
        group.sort(key=lambda example: -example.duration_ns)
        wanted = {id(example): 0 for example in group[: layout.EXAMPLES]}
        for example in _first_failed(group):
            wanted.setdefault(id(example), 1)
        windows = sorted({example.window for example in group if example.window}, reverse=True)[:WINDOWS]
        for age, window in enumerate(windows, 2):
            own = [example for example in group if example.window == window]
            slowest = next((example for example in own if example.is_slow), own[0])
            for example in (slowest, *_first_failed(own)):
                wanted.setdefault(id(example), age)
        ranked += [(wanted[id(example)], example) for example in group if id(example) in wanted]
    if len(ranked) > _MOST:
        ranked.sort(key=lambda pair: pair[0])
    return sorted((example for _, example in ranked[:_MOST]), key=lambda example: -example.duration_ns)


def recent(examples: Iterable[Example]) -> list[Example]:
    """Return examples by when they ended, the oldest first: who keeps some of them keeps the last ones."""
    return sorted(examples, key=lambda example: example.started_ns + example.duration_ns)


def _unify(examples: Iterable[Example]) -> list[Example]:
    found: dict[tuple[int, int, str], Example] = {}
    for example in examples:
        key = (example.pid, example.started_ns, example.span_id)
        known = found.get(key)
        if known is None or example.window > known.window:
            found[key] = example
            known, example = example, known or example
        known.is_slow = known.is_slow or example.is_slow
        known.is_first_failed = known.is_first_failed or example.is_first_failed
    return list(found.values())


def _first_failed(examples: list[Example]) -> list[Example]:
    """Return the first example with each failure."""
    first: dict[tuple[int, str], Example] = {}
    for example in sorted(examples, key=lambda example: example.started_ns):
        if example.is_first_failed:
            first.setdefault((example.status, example.error), example)
    return list(first.values())[: layout.MOST_FAILED_EXAMPLES]


class LiveSpan(Record, slots=True):
    """One call of a transaction. `parent_id` is that of the call around it, or the transaction's own."""

    name: str
    kind: str
    target: str
    call_site: str
    span_id: str  # 16 digits in hex
    parent_id: str
    start_ns: int  # since the transaction's
    duration_ns: int
    has_failed: bool
    lane: int  # 0: the transaction's own thread or task


class LiveExample:
    """A transaction that was kept whole, `row`, with the nodes that it refers to."""

    __slots__ = ("nodes", "row")

    def __init__(self, row: Example, nodes: Sequence[Node | RawNode]) -> None:
        self.row = row
        self.nodes = nodes

    @property
    def name(self) -> str:
        """The transaction's: "GET /users/<id>"."""
        return self.nodes[self.row.node].name

    @property
    def kind(self) -> str:
        """One of core.plan.KINDS."""
        return self.nodes[self.row.node].kind

    @property
    def target(self) -> str:
        """The function that it is a call of."""
        return self.nodes[self.row.node].target

    def alone(self) -> LiveExample:
        """Return the same with those nodes only that it needs, without counts: those of its process may be many."""
        row, nodes = self.row, self.nodes
        needed: set[int] = set()
        for index in (row.node, *(span[0] for span in row.spans)):
            while index not in needed and index >= 0:
                needed.add(index)
                index = nodes[index].parent if index != row.node else -1
        order = {index: at for at, index in enumerate(sorted(needed))}  # a parent stands before its children
        spans = [(order[index], lane, start_ns, length_ns) for index, lane, start_ns, length_ns in row.spans]
        return LiveExample(
            replace(row, node=order[row.node], spans=spans),
            [replace(nodes[index], parent=order.get(nodes[index].parent, -1), buckets={}) for index in order],
        )

    def spans(self) -> list[LiveSpan]:
        """Return its calls with ids and parents, by their starts. The ids are the same whenever one asks."""
        row = self.row
        ids = ids_of_spans(row.span_id, row.started_ns, (start_ns for _, _, start_ns, _ in row.spans))
        failed = set(self.row.failed)
        made = []
        for at, (index, lane, start_ns, duration_ns) in enumerate(self.row.spans):
            node = self.nodes[index]
            above = parent_of(self.row, at, self.nodes)
            parent_id = ids[above] if above >= 0 else self.row.span_id
            made.append(
                LiveSpan(
                    node.name,
                    node.kind,
                    node.target,
                    node.call_site,
                    ids[at],
                    parent_id,
                    start_ns,
                    duration_ns,
                    at in failed,
                    lane,
                )
            )
        return made


def parent_of(example: Example, at: int, nodes: Sequence[Node | RawNode]) -> int:
    """Return the place of the span around another one, among an example's; -1 where that is the transaction itself.

    A span that was left out for want of room is passed over.
    """
    index, lane, start_ns, duration_ns = example.spans[at]
    above = nodes[index].parent
    while above >= 0 and above != example.node:
        for other in range(at, -1, -1):
            node, its_lane, its_start_ns, its_duration_ns = example.spans[other]
            is_around = its_start_ns <= start_ns and its_start_ns + its_duration_ns >= start_ns + duration_ns
            if node == above and its_lane == lane and is_around:
                return other
        above = nodes[above].parent
    return -1
