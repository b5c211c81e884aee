"""Adds the shards of many processes up to one run.

In: ShardData, each once, with the moment at which it was true. Out: the run's call tree, in-flight calls and what became of
each target. Runs in the launcher; pure computation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hookmon.collector.compiled import call_tree
from hookmon.collector.counters import Totals, totals_of
from hookmon.collector.examples import row_of, select
from hookmon.collector.metrics import Signal, add_signals, copy_signal
from hookmon.collector.node_rows import NodeRows, PlaceRows
from hookmon.collector.records import NO_SUMS, RawNode, RawStatus
from hookmon.collector.shards import ShardData
from hookmon.collector.store import Example, InFlight, Node, Run, Status
from hookmon.collector.yielding import NODES_A_LOOK, nothing
from hookmon.core import histogram, layout
from hookmon.core.record import replace

_NO_PER, _NO_COMPUTING = NO_SUMS[layout.PER], NO_SUMS[layout.COMPUTING]
_Key = tuple[int, str, str, bool, str]  # parent, name, target, flat, call site where that tells nodes apart
_FLAT, _SITED = layout.FLAG_FLAT, layout.FLAG_SITED
_DETACHED = {layout.FLAG_CONCURRENT: "concurrent", layout.FLAG_AFTER: "after"}


class Tree:
    """The call tree of a run and its signals, to which shards are added."""

    def __init__(
        self,
        nodes: Iterable[Node] = (),
        examples: Iterable[Example] = (),
        signals: Iterable[Signal] = (),
        statuses: Iterable[Status] = (),
    ) -> None:
        """Begin with the nodes, examples, signals and statuses of an earlier state of the run, if there is one."""
        self._nodes: list[Node] = list(nodes)
        self._compiled = call_tree() if not self._nodes else None  # else what was added to it is not in `_nodes` yet
        self.examples: list[Example] = list(examples)
        self.signals: list[Signal] = list(signals)
        self.statuses: dict[tuple[int, int], Status] = {(row.node, row.status): row for row in statuses}
        self._index: dict[_Key, int] = _index_of(self._nodes)

    @property
    def nodes(self) -> list[Node]:
        """All nodes: always the same list, and other nodes in it where their counters have changed."""
        return self.take_nodes(nothing)

    def take_nodes(self, look: Callable[[], None]) -> list[Node]:
        """Return all nodes, as `nodes` does. `look` is called now and then."""
        while self._compiled is not None and (changes := self._compiled.take_changes(NODES_A_LOOK)):
            for place, row in changes:
                self._nodes[place : place + 1] = [Node(*row)]
            look()
        return self._nodes

    def copy(self) -> Tree:
        """Return a tree that can be added to without changing this one."""
        fresh = Tree()
        if self._compiled is not None:
            fresh._compiled = self._compiled.copy()
        else:
            fresh._compiled = None
            fresh._nodes = [Node(**{**vars(node), "buckets": dict(node.buckets)}) for node in self._nodes]
            fresh._index = dict(self._index)
        fresh.examples = [replace(example) for example in self.examples]
        fresh.signals = [copy_signal(signal) for signal in self.signals]
        fresh.statuses = {key: Status(**{**vars(row), "buckets": dict(row.buckets)}) for key, row in self.statuses.items()}
        return fresh

    def totals(self, look: Callable[[], None] = nothing) -> Totals:
        """Return what was counted by name. What is added later changes nothing in that. `look` is called now and then."""
        totals = totals_of(self.take_nodes(look), self.statuses.values(), look)
        totals.detach()
        return totals

    def write_to(self, run: Run, look: Callable[[], None] = nothing) -> None:
        """Make this the tree of a run. `look` is called now and then."""
        run.nodes, run.examples, run.signals = self.take_nodes(look), self.examples, self.signals
        run.statuses = list(self.statuses.values())

    def add(self, data: ShardData, now_ns: int, look: Callable[[], None] = nothing) -> None:
        """Measure one process and add it. `now_ns` is when it was read, or when it died, on CLOCK_MONOTONIC.

        `look` is called now and then.
        """
        measure(data, now_ns)
        look()
        places = self._add_compiled(data)
        if places is None:
            places = self._add_nodes(data.nodes, look)
        self._add_examples(data, places, look)
        for status in data.statuses:
            which = (places[status.node], status.status)
            _add_status(self.statuses.setdefault(which, Status(*which)), status)
        add_signals(self.signals, data.signals)

    def _add_compiled(self, data: ShardData) -> list[int] | None:
        """Add the nodes of a shard compiled; return their places, None where that cannot be done, from now on."""
        if self._compiled is None:
            return None
        if isinstance(data.nodes, NodeRows):
            places = self._compiled.add(data.nodes.compiled)
            if places is not None:
                return places
        self._nodes, self._compiled = self.nodes, None
        self._index = _index_of(self._nodes)
        return None

    def _add_nodes(self, raws: Sequence[RawNode], look: Callable[[], None]) -> list[int]:
        """Add nodes that were measured; return their places."""
        places: list[int] = []
        nodes, index = self._nodes, self._index
        for raw in raws:
            parent, flags = raw.parent, raw.flags
            if parent >= 0:
                parent = places[parent]
            key = (parent, raw.name, raw.target, flags & _FLAT > 0, raw.call_site if flags & _SITED else "")
            place = index.get(key)
            if place is None:
                place = index[key] = len(nodes)
                nodes.append(_new_node(parent, raw))
            places.append(place)
            _add(nodes[place], raw)
            if not place % NODES_A_LOOK:
                look()
        return places

    def _add_examples(self, data: ShardData, places: list[int], look: Callable[[], None]) -> None:
        """Keep those that are worth it."""
        rows = []
        for raw in data.examples:
            rows.append(row_of(raw, places, data.pid))
            look()
        if rows:
            nodes = PlaceRows(self._compiled) if self._compiled is not None else self._nodes
            self.examples = select([*self.examples, *rows], nodes)


def _index_of(nodes: list[Node]) -> dict[_Key, int]:
    return {
        (node.parent, node.name, node.target, node.flat, node.call_site if node.sited else ""): index
        for index, node in enumerate(nodes)
    }


def _new_node(parent: int, raw: RawNode) -> Node:
    return Node(
        parent,
        raw.name,
        raw.kind,
        raw.target,
        raw.call_site,
        bool(raw.flags & layout.FLAG_FLAT),
        sited=bool(raw.flags & layout.FLAG_SITED),
        entry=raw.entry,
        waits=bool(raw.flags & layout.FLAG_WAITS),
        part=bool(raw.flags & layout.FLAG_PART),
        detached=next((word for flag, word in _DETACHED.items() if raw.flags & flag), ""),
    )


def measure(data: ShardData, now_ns: int) -> None:
    """Fill in what a shard does not say itself: time in flight, time of calls that were not timed, self times.

    Once for each reading of a shard. `now_ns` is when it was read, or when its process died, on CLOCK_MONOTONIC.
    """
    stacks = [call for lane in data.lanes for call in lane.stack]
    if isinstance(data.nodes, NodeRows):
        if data.nodes.compiled.measure(now_ns, stacks, not data.full):
            return
        data.nodes = data.nodes.read()  # of a file that is damaged: times that no number of C holds
    for index, since_ns in stacks:
        data.nodes[index].in_flight_ns += max(0, now_ns - since_ns)
    if not data.full:  # else calls went untimed for want of space
        _scale(data.nodes)
    _set_self_times(data.nodes)


def _scale(nodes: Sequence[RawNode]) -> None:
    """Scale the time of nodes that were timed by samples up to all their calls."""
    for node in nodes:
        timed = node.calls - node.untimed if node.untimed else 0
        if timed:
            node.total_ns = node.total_ns * (timed + node.untimed) // timed


def _set_self_times(nodes: Sequence[RawNode]) -> None:
    """Set each node's self time: its total less its children's, those in flight included while they last.

    A completed child of a call that is still in flight has its time in no completed total yet, so the time in flight is
    counted for the difference; the answer stays between 0 and the total of the completed calls. The time of a flat node
    is inside its callers' self time already, and so may that be of what runs beside a transaction.
    """
    own = [node.total_ns + node.in_flight_ns for node in nodes]
    for node in nodes:
        if node.parent >= 0:
            own[node.parent] -= node.total_ns + node.in_flight_ns
    folded = _outer_of_folded(nodes)
    for index, outer in folded.items():
        own[outer] += own[index]
        own[index] = 0
    flat = layout.FLAG_FLAT
    for node, own_ns in zip(nodes, own, strict=True):
        node.self_ns = 0 if node.flags & flat else max(0, min(own_ns, node.total_ns))
    _set_totals_in_recursions(nodes, folded)


def _outer_of_folded(nodes: Sequence[RawNode]) -> dict[int, int]:
    """Return {index of a node that is a call within a call of the same function: index of the outer one}."""
    found: dict[int, int] = {}
    for index, node in enumerate(nodes):
        if node.flags & layout.FLAG_FOLDED:
            outer = node.parent
            while outer >= 0 and (nodes[outer].name, nodes[outer].target) != (node.name, node.target):
                outer = nodes[outer].parent
            if outer >= 0:
                found[index] = outer
    return found


def _set_totals_in_recursions(nodes: Sequence[RawNode], folded: dict[int, int]) -> None:
    """Set the totals of calls between an outer call and one within it, which ran within each other and have been added up.

    What they call within the recursion stands below the outer call, so they have what is left: their own and what is below them.
    """
    between: set[int] = set()
    for index, outer in folded.items():
        above = nodes[index].parent
        while above != outer:
            between.add(above)
            above = nodes[above].parent
    if not between:
        return
    totals = {index: nodes[index].self_ns for index in between}
    for index in range(len(nodes) - 1, -1, -1):  # each after those below it
        if nodes[index].parent in between and index not in folded:
            totals[nodes[index].parent] += totals.get(index, nodes[index].total_ns)
    for index, total_ns in totals.items():
        nodes[index].total_ns = total_ns


def _add(node: Node, raw: RawNode) -> None:
    calls = raw.calls
    if calls > raw.untimed and raw.max_ns >= raw.min_ns:
        node.min_ns = raw.min_ns if node.calls == node.untimed else min(node.min_ns, raw.min_ns)
    if raw.max_ns > node.max_ns:
        node.max_ns = raw.max_ns
    node.calls += calls
    node.errors += raw.errors
    node.interrupted += raw.interrupted
    node.total_ns += raw.total_ns
    node.self_ns += raw.self_ns
    node.active_ns += raw.active_ns
    node.steps += raw.steps
    node.untimed += raw.untimed
    if raw.flags & layout.FLAG_GIVEN_UP:
        node.given_up = True
    if raw.per is not _NO_PER:
        transactions, most, repeated, repeated_calls, repeated_ns, most_repeated = raw.per
        node.transactions += transactions
        node.most = max(node.most, most)
        node.repeated += repeated
        node.repeated_calls += repeated_calls
        node.repeated_ns += repeated_ns
        node.most_repeated = max(node.most_repeated, most_repeated)
    if raw.computing is not _NO_COMPUTING:
        measured, stands_for, duration_ns, own_ns, beside_ns = raw.computing
        node.measured += measured
        node.measured_for += stands_for
        node.measured_ns += duration_ns
        node.computed_ns += min(own_ns, duration_ns)  # the words may have been read one transaction apart
        node.beside_ns += beside_ns
    histogram.add(node.buckets, raw.buckets)


def _add_status(row: Status, raw: RawStatus) -> None:
    if raw.calls > raw.untimed and raw.max_ns >= raw.min_ns:
        row.min_ns = raw.min_ns if row.calls == row.untimed else min(row.min_ns, raw.min_ns)
    row.max_ns = max(row.max_ns, raw.max_ns)
    row.calls += raw.calls
    row.errors += raw.errors
    row.interrupted += raw.interrupted
    row.untimed += raw.untimed
    row.total_ns += raw.total_ns
    histogram.add(row.buckets, raw.buckets)


def in_flight(data: ShardData, now_ns: int, *, killed: bool) -> list[InFlight]:
    """Return what a process was doing at `now_ns`, longest first."""
    found = []
    for lane in data.lanes:
        stack = [(data.nodes[index].name, max(0, now_ns - since_ns)) for index, since_ns in lane.stack]
        label = f"{lane.kind} {lane.ident & 0xFFFFFFFF:x}" if lane.kind != "task" else "task"
        found.append(InFlight(data.pid, label, stack, stack[-1][1], killed))
    return sorted(found, key=lambda call: -call.since_ns)


def calls_of(data: ShardData) -> tuple[int, int]:
    """Return (calls, errors) of one process."""
    if isinstance(data.nodes, NodeRows):
        return data.nodes.compiled.count()
    return sum(node.calls for node in data.nodes), sum(node.errors for node in data.nodes)
