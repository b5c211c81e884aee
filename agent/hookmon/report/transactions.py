"""The call tree, cut into requests, jobs and tests. In: nodes and examples of a run. Out: one row for each transaction's name.

Calls that ran in other threads and tasks for a transaction are its own, but their time may have passed side by side: in the split
by kind they share what the transaction itself spent waiting or working, and never more than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import ceil

from hookmon.collector.counters import Counters, Walk, walk_of
from hookmon.collector.store import Example, Node
from hookmon.core.plan import CLIENT_KINDS, ORM_MODULES
from hookmon.core.record import Record, field, replace
from hookmon.core.traceparent import SAMPLED, ids_of_spans
from hookmon.report.computing import Computing, MeasuredSums, computing_of
from hookmon.report.statuses import StatusRow

_MADE_OF_CALLS = CLIENT_KINDS - {"template"}

MAIN = "(main)"
"""The name of what belongs to no transaction."""


class ChildRow(Record, slots=True):
    """All calls of one name within transactions of one name; of a client's calls those from one line.

    `part` says that they are parts of other calls, as the rows of a statement.

    `place` is "" for calls in the transaction's own thread or task, "concurrent" for those in others, "after" for those that
    began when it had ended. `per_call_max` is the most in one transaction, at least: calls of several places are counted place by
    place, and can have been `per_call_bound`. `within` says that all of them are what another client's calls are made of.
    `repeated` says in how many threads and tasks of transactions it was called five times or more, `repeated_calls` and
    `repeated_ns` how often and how long there. `layer_ns` is the time of the same calls with what an ORM did around each.
    """

    name: str
    kind: str
    target: str
    call_site: str
    place: str
    waits: bool
    part: bool
    within: bool
    figures: Counters
    per_call_mean: float
    per_call_max: int
    per_call_bound: int
    transactions: int
    repeated: int
    repeated_calls: int
    repeated_ns: int
    most_repeated: int
    layer_ns: int = 0

    @property
    def is_call(self) -> bool:
        """Say whether it counts as calls of its kind: rows of a statement are part of one, and waits ask nothing."""
        return not (self.part or self.waits)


class SpanRow(Record, slots=True):
    """One call of an example. `depth` 1 is called by the transaction itself; lane 0 is the transaction's own."""

    name: str
    kind: str
    call_site: str
    depth: int
    lane: int
    start_ns: int
    duration_ns: int
    part: bool = False  # of the call before: the rows of a statement, the body of a response
    failed: bool = False
    span_id: str = ""


class ExampleRow(Record, slots=True):
    """A transaction, whole; `left_out` shorter calls found no room. `computed_ns` is None where it was not measured.

    `reasons` say why it was kept: "slowest", "first failed". `window_ns` is how long the last window is that it was kept for, 0
    where it was the run as a whole. The ids are those of W3C trace context in hex; `parent_id` is "" where it came without one.
    """

    started_ns: int
    duration_ns: int
    status: int
    pid: int
    left_out: int
    computed_ns: int | None  # CPU time in all threads and tasks
    spans: list[SpanRow]
    reasons: list[str] = field(default_factory=list)
    has_failed: bool = False
    error: str = ""  # the type of what it raised, where it did
    window_ns: int = 0
    started_at_ns: int = 0  # since 1970, 0 in runs of an older hookmon
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    is_sampled: bool = False  # as its caller has said


class TransactionRow(Record, slots=True):
    """All transactions of one name. `by_kind` splits `figures.total_ns`; `children` come by their self time."""

    name: str
    kind: str
    figures: Counters
    by_kind: dict[str, int]
    children: list[ChildRow]
    examples: list[ExampleRow]
    after_ns: int  # spent on its behalf when it had ended
    computing: Computing | None = None  # None where its CPU time was not measured
    statuses: list[StatusRow] = field(default_factory=list)  # of requests, by their status


class _Child(Record, slots=True):
    figures: Counters = field(default_factory=Counters)
    most: int = 0
    most_together: int = 0
    within: bool = True
    transactions: int = 0
    repeated: int = 0
    repeated_calls: int = 0
    repeated_ns: int = 0
    most_repeated: int = 0
    layer_ns: int = 0


_ChildKey = tuple[str, str, str, str, str, bool, bool]  # name, kind, target, call site, place, waits, part


class _Group(Record, slots=True):
    figures: Counters = field(default_factory=Counters)
    children: dict[_ChildKey, _Child] = field(default_factory=dict)
    sites: dict[tuple[str, str, str], str] = field(default_factory=dict)
    own_ns: dict[str, int] = field(default_factory=dict)  # self time by kind, in line
    beside_ns: dict[str, int] = field(default_factory=dict)  # the same, in other threads and tasks
    after_ns: int = 0
    measured: MeasuredSums = field(default_factory=MeasuredSums)


def transactions(
    nodes: list[Node], examples: Iterable[Example], processes: int, walk: Walk | None = None
) -> list[TransactionRow]:
    """Return a row for each name of transactions, most time first, and one for the rest of the program last."""
    entries, places = belongings(nodes)
    groups: dict[tuple[str, str], _Group] = {}
    first = dict(walk_of(nodes) if walk is None else walk)
    within = _within(nodes)
    layered = _layered(nodes)
    for index, node in enumerate(nodes):
        entry = entries[index]
        key = (nodes[entry].name, nodes[entry].kind) if entry >= 0 else (MAIN, "")
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group()
        if entry == index:
            group.figures.add_node(node)
            group.measured.add(node)
            group.own_ns[node.kind] = group.own_ns.get(node.kind, 0) + node.self_ns
        elif node.calls:
            _add_child(group, node, places[index], first[index], within[index], layered.get(index, node.repeated_ns))
            if entry < 0 and node.parent < 0:
                group.figures.total_ns += node.total_ns
    main = groups.pop((MAIN, ""), None)
    found: dict[tuple[str, str], list[ExampleRow]] = {}
    for example in examples:
        named = nodes[example.node]
        found.setdefault((named.name, named.kind), []).append(_example(nodes, example))
    rows = [_row(*key, group, found.get(key, [])) for key, group in groups.items() if group.figures.calls or group.children]
    rows.sort(key=lambda row: (-row.figures.total_ns, row.name))
    if main is not None and main.children:
        main.figures.calls = processes
        rows.append(_row(MAIN, "", main, []))
    return rows


def belongings(nodes: list[Node]) -> tuple[list[int], list[str]]:
    """Return for each node the index of its transaction's entry, -1 for none, and its place in it: "", "concurrent", "after"."""
    entries: list[int] = []
    places: list[str] = []
    for index, node in enumerate(nodes):
        above = entries[node.parent] if node.parent >= 0 else -1
        place = places[node.parent] if above >= 0 else ""
        if above < 0 and node.entry:
            above, place = index, ""
        if node.detached and place != "after":
            place = node.detached
        entries.append(above)
        places.append(place)
    return entries, places


def _within(nodes: list[Node]) -> list[bool]:
    """Say for each node whether a client's call around it is made of it: the LPUSH of a send, not the query of a template."""
    found: list[bool] = []
    for node in nodes:
        parent = nodes[node.parent] if node.parent >= 0 else None
        is_client = parent is not None and parent.kind in _MADE_OF_CALLS and not parent.waits
        found.append(is_client or (parent is not None and found[node.parent]))
    return found


def _layered(nodes: list[Node]) -> dict[int, int]:
    """Return how long repeated queries took with what an ORM did around each, by their index: several share it by their time."""
    layers: dict[int, int] = {}  # of a query the outermost call of an ORM that was made for each of them
    asked_ns: dict[int, int] = {}
    for index, node in enumerate(nodes):
        if not node.repeated or node.kind not in CLIENT_KINDS:
            continue
        above, layer = node.parent, index
        while above >= 0 and nodes[above].kind == "hook" and nodes[above].target.startswith(ORM_MODULES):
            if (nodes[above].repeated, nodes[above].repeated_calls) == (node.repeated, node.repeated_calls):
                layer = above
            above = nodes[above].parent
        if layer != index:
            layers[index] = layer
            asked_ns[layer] = asked_ns.get(layer, 0) + node.repeated_ns
    return {
        index: nodes[layer].repeated_ns * nodes[index].repeated_ns // max(1, asked_ns[layer]) for index, layer in layers.items()
    }


def _add_child(group: _Group, node: Node, place: str, is_outermost: bool, is_within: bool, layer_ns: int) -> None:
    named = (node.name, node.kind, node.target)
    site = node.call_site if node.sited else group.sites.setdefault(named, node.call_site)
    key = (*named, site, place, node.waits, node.part)
    child = group.children.get(key)
    if child is None:
        child = group.children[key] = _Child()
    child.figures.add_node(node, is_outermost=is_outermost)
    child.most = max(child.most, node.most)
    child.most_together += node.most
    child.within = child.within and is_within
    child.transactions = max(child.transactions, node.transactions)
    child.repeated += node.repeated
    child.repeated_calls += node.repeated_calls
    child.repeated_ns += node.repeated_ns
    child.layer_ns += layer_ns
    child.most_repeated = max(child.most_repeated, node.most_repeated)
    if place == "after":
        group.after_ns += node.self_ns
    else:
        side = group.beside_ns if place else group.own_ns
        side[node.kind] = side.get(node.kind, 0) + node.self_ns


def _row(name: str, kind: str, group: _Group, examples: list[ExampleRow]) -> TransactionRow:
    figures = group.figures
    calls = figures.calls or 1
    children = [
        ChildRow(
            *key,
            child.within,
            child.figures,
            round(child.figures.calls / calls, 3),
            max(child.most, -(-child.figures.calls // calls)) if child.most else 0,
            child.most_together,
            child.transactions,
            child.repeated,
            child.repeated_calls,
            child.repeated_ns,
            child.most_repeated,
            child.layer_ns,
        )
        for key, child in group.children.items()
    ]
    children.sort(key=lambda row: (-row.figures.self_ns, row.name, row.call_site))
    split = _by_kind(group)
    return TransactionRow(
        name, kind, figures, split, children, examples, group.after_ns, computing_of(group.measured, figures, split)
    )


def merge_alike(children: list[ChildRow]) -> list[ChildRow]:
    """Return the rows for a reader, to whom targets of one name from one line are one thing: most self time first."""
    found: dict[tuple[str, str, str, str, bool], list[ChildRow]] = {}
    for child in children:
        found.setdefault((child.name, child.kind, child.call_site, child.place, child.part), []).append(child)
    rows = [group[0] if len(group) == 1 else _merge(group) for group in found.values()]
    return sorted(rows, key=lambda row: (-row.figures.self_ns, row.name, row.call_site))


def _merge(group: list[ChildRow]) -> ChildRow:
    figures = Counters.sum_of(child.figures for child in group)
    mean = round(sum(child.per_call_mean for child in group), 3)
    most = (
        max(max(child.per_call_max for child in group), ceil(mean - 0.001)) if any(child.per_call_max for child in group) else 0
    )
    bound = sum(child.per_call_bound for child in group)
    return replace(group[0], figures=figures, per_call_mean=mean, per_call_max=most, per_call_bound=bound)


def _by_kind(group: _Group) -> dict[str, int]:
    """Split a transaction's time: what was in line as it is, what was beside scaled to the time that is nobody else's."""
    split = dict(group.own_ns)
    beside_ns = sum(group.beside_ns.values())
    free = {kind: own_ns for kind, own_ns in split.items() if kind not in CLIENT_KINDS}
    free_ns = sum(free.values())
    if beside_ns and free_ns:
        used_ns = min(beside_ns, free_ns)
        for kind, own_ns in free.items():
            split[kind] -= own_ns * used_ns // free_ns
        for kind, own_ns in group.beside_ns.items():
            split[kind] = split.get(kind, 0) + own_ns * used_ns // beside_ns
    return dict(sorted(((kind, own_ns) for kind, own_ns in split.items() if own_ns), key=lambda item: -item[1]))


def _example(nodes: list[Node], example: Example) -> ExampleRow:
    spans = []
    failed = set(example.failed)
    starts = [start_ns for _, _, start_ns, _ in example.spans]
    ids = ids_of_spans(example.span_id, example.started_ns, starts) if example.span_id else [""] * len(starts)
    for at, (index, lane, start_ns, duration_ns) in enumerate(example.spans):
        node = nodes[index]
        depth = _depth(nodes, index, example.node)
        span = SpanRow(node.name, node.kind, node.call_site, depth, lane, start_ns, duration_ns, node.part)
        span.failed, span.span_id = at in failed, ids[at]
        spans.append(span)
    computed_ns = example.computed_ns if example.computed_ns >= 0 else None
    return ExampleRow(
        example.started_ns,
        example.duration_ns,
        example.status,
        example.pid,
        example.left_out,
        computed_ns,
        spans,
        reasons=["slowest"] * example.is_slow + ["first failed"] * example.is_first_failed,
        has_failed=example.has_failed,
        error=example.error,
        window_ns=example.window_ns if example.window else 0,
        started_at_ns=example.started_at_ns,
        trace_id=example.trace_id,
        span_id=example.span_id,
        parent_id=example.parent_id,
        is_sampled=bool(example.parent_id and example.trace_flags & SAMPLED),
    )


def trace_of(example: ExampleRow) -> str:
    """Return in words by which ids an example is found in other tools."""
    caller = ""
    if example.parent_id:
        caller = f", called from span {example.parent_id}" + ("" if example.is_sampled else " (not sampled there)")
    return f"trace {example.trace_id}, span {example.span_id}{caller}, {_time_of(example)}"


def _time_of(example: ExampleRow) -> str:
    try:
        return datetime.fromtimestamp(example.started_at_ns / 1e9).astimezone().isoformat(" ", "milliseconds")
    except (OverflowError, ValueError, OSError):  # of a file that anybody may have made
        return "at a time that is none"


def _depth(nodes: list[Node], index: int, entry: int) -> int:
    depth = 0
    while index >= 0 and index != entry:
        depth += not nodes[index].detached
        index = nodes[index].parent
    return depth
