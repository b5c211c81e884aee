"""What was counted of calls, added up by name.

In: the nodes of a call tree, of a whole run or of one shard. Out: Counters by CallKey. Pure computation on plain values: the
collector adds up what it reads, the report what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from hookmon.collector.yielding import NODES_A_LOOK, nothing
from hookmon.core import histogram
from hookmon.core.record import NamedTuple, Record, field

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import TypeVar

    from hookmon.collector.records import RawNode, RawStatus
    from hookmon.collector.store import Node, Status

    _K = TypeVar("_K")

_SUMS = ("calls", "errors", "total_ns", "self_ns", "interrupted", "untimed", "active_ns", "steps", "spent_ns", "spent_calls")
_MOST_SITES = 8

Walk = list[tuple[int, bool]]
"""The nodes of a call tree, each after the one that calls it: (index, whether no call around it has its name and target).

To add up the same nodes twice, walk once and pass the walk on.
"""


class CallKey(NamedTuple):
    """What tells the calls of one name from all others."""

    name: str
    kind: str
    target: str


class Counters(Record, slots=True, eq=False):
    """What was counted of some calls. Only who has made Counters changes them: snapshots in other threads may hold the same ones.

    `total_ns` counts a recursion once, so it can be less than `mean_ns` times `calls`. `spent_ns` is the duration of all calls,
    recursive ones included. `spent_calls` is how many those are: all calls of the places where one was timed, since sampled time
    is scaled up to them. `min_ns` and `max_ns` are 0 where no call was timed.

    Each of `histograms` is core.histogram's {bucket: calls}. `buckets` adds them up when somebody asks: most rows of a large run
    are never shown. `sites` is {call site: calls} of the first places; only `totals_of` fills it.
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
    histograms: list[dict[int, int]] = field(default_factory=list)
    sites: dict[str, int] = field(default_factory=dict)
    _percentiles: Sequence[int] = ()

    @classmethod
    def sum_of(cls, parts: Iterable[Counters]) -> Counters:
        """Return new counters of what was counted of different calls, none of them inside one another."""
        whole = cls()
        for part in parts:
            whole.add(part)
        return whole

    def add(self, other: Counters) -> None:
        """Add what was counted of other calls, none of them inside one another."""
        if other.calls > other.untimed:
            self.min_ns = min(self.min_ns, other.min_ns) if self.calls > self.untimed else other.min_ns
            self.max_ns = max(self.max_ns, other.max_ns)
        self.calls += other.calls  # one by one: a loop over their names takes twice as long, and this is often called
        self.errors += other.errors
        self.total_ns += other.total_ns
        self.self_ns += other.self_ns
        self.interrupted += other.interrupted
        self.untimed += other.untimed
        self.active_ns += other.active_ns
        self.steps += other.steps
        self.spent_ns += other.spent_ns
        self.spent_calls += other.spent_calls
        if other.histograms:
            self.histograms.append(other.buckets)
        for site, calls in other.sites.items():
            self.sites[site] = self.sites.get(site, 0) + calls
        self._percentiles = ()

    def add_node(self, node: Node | RawNode, *, is_outermost: bool = True) -> None:
        """Add the calls of one place; `is_outermost` says that no call around it is counted here."""
        calls = node.calls
        if calls - node.untimed:
            self.min_ns = min(self.min_ns, node.min_ns) if self.calls > self.untimed else node.min_ns
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
        self.histograms.append(node.buckets)
        self._percentiles = ()

    def add_status(self, row: Status | RawStatus) -> None:
        """Add the requests of one place with one status. What they did inside is not known by status."""
        calls = row.calls
        if calls - row.untimed:
            self.min_ns = min(self.min_ns, row.min_ns) if self.calls > self.untimed else row.min_ns
            self.max_ns = max(self.max_ns, row.max_ns)
            self.spent_calls += calls
        self.calls += calls
        self.errors += row.errors
        self.interrupted += row.interrupted
        self.untimed += row.untimed
        self.spent_ns += row.total_ns
        self.total_ns += row.total_ns
        self.histograms.append(row.buckets)
        self._percentiles = ()

    def add_site(self, call_site: str, calls: int) -> None:
        """Add where calls came from, unless there are enough such places."""
        if calls and (call_site in self.sites or len(self.sites) < _MOST_SITES):
            self.sites[call_site] = self.sites.get(call_site, 0) + calls

    def since(self, before: Counters) -> Counters:
        """Return how these have grown; what has shrunk, as while a transaction gets its name, has not grown.

        `min_ns` and `max_ns` stay those of all calls.
        """
        grown = self.less(before)
        for name in _SUMS:
            setattr(grown, name, max(0, getattr(grown, name)))
        grown.histograms = [_positive(grown.buckets)]
        grown.sites = _positive(grown.sites)
        return grown

    def less(self, other: Counters) -> Counters:
        """Return these without others: exact differences, below zero where the others are larger."""
        rest = Counters(min_ns=self.min_ns, max_ns=self.max_ns)
        for name in _SUMS:
            setattr(rest, name, getattr(self, name) - getattr(other, name))
        rest.histograms = [_difference(self.buckets, other.buckets)]
        rest.sites = _difference(self.sites, other.sites)
        return rest

    def __eq__(self, other: object) -> bool:
        """Say whether the same was counted."""
        if not isinstance(other, Counters):
            return NotImplemented
        names = (*_SUMS, "min_ns", "max_ns", "buckets", "sites")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def buckets(self) -> dict[int, int]:
        """The histogram of all calls. Not to be changed: it may be that of a node."""
        parts = self.histograms  # another thread may put their sum in the place of them
        if len(parts) > 1:
            added = dict(parts[0])
            for part in parts[1:]:
                histogram.add(added, part)
            self.histograms = parts = [added]
        return parts[0] if parts else {}

    @property
    def mean_ns(self) -> int:
        """The duration of a call, on average."""
        return round(self.spent_ns / self.spent_calls) if self.spent_calls else 0

    @property
    def p50_ns(self) -> int:
        """The median of every timed call, nested ones of a recursion included."""
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
            self._percentiles = histogram.quantiles_ns(self.buckets, (0.50, 0.95, 0.99), self.min_ns, self.max_ns)
        return self._percentiles[which]


def _difference(now: dict[_K, int], before: dict[_K, int]) -> dict[_K, int]:
    rest = dict(now)
    for key, calls in before.items():
        rest[key] = rest.get(key, 0) - calls
    return {key: calls for key, calls in rest.items() if calls}


def _positive(counts: dict[_K, int]) -> dict[_K, int]:
    return {key: calls for key, calls in counts.items() if calls > 0}


def walk_of(nodes: Sequence[Node | RawNode], look: Callable[[], None] = nothing) -> Walk:
    """Walk a call tree in depth, without recursion: the one place that says which calls count once.

    A call adds to the total of its name unless a call around it has the same name and target; its self time counts always.
    `look` is called now and then.
    """
    children: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        children.setdefault(node.parent if 0 <= node.parent < index else -1, []).append(index)
    above: dict[tuple[str, str], int] = {}
    walk: Walk = []
    waiting = children.get(-1, [])[::-1]
    look()
    while waiting:
        index = waiting.pop()
        if index < 0:  # ~index is left
            node = nodes[~index]
            above[node.name, node.target] -= 1
            continue
        node = nodes[index]
        key = (node.name, node.target)
        walk.append((index, not above.get(key)))
        if not len(walk) % NODES_A_LOOK:
            look()
        below = children.get(index)
        if below:
            above[key] = above.get(key, 0) + 1
            waiting.append(~index)
            waiting += below[::-1]
    return walk


def by_key(
    nodes: Sequence[Node | RawNode], walk: Walk | None = None, look: Callable[[], None] = nothing
) -> dict[CallKey, Counters]:
    """Return the counters of each name, in the order of the walk. `look` is called now and then."""
    found: dict[tuple[str, str, str], Counters] = {}
    for index, is_outermost in walk_of(nodes) if walk is None else walk:
        if not index % NODES_A_LOOK:
            look()
        node = nodes[index]
        key = (node.name, node.kind, node.target)
        counters = found.get(key)
        if counters is None:
            counters = found[CallKey(*key)] = Counters()
        counters.add_node(node, is_outermost=is_outermost)
    return found  # type: ignore[return-value]  # all keys were made above


class Totals(Record, slots=True):
    """The counters of each name that was called, those of each transaction, and those of all transactions together.

    `by_status` are those of requests by the status of their response: 1 to 9 for those of a class that are not counted one by
    one, 0 for those without one. The requests of a name are in one of them each, but for those for which there was no space.
    """

    by_key: dict[CallKey, Counters] = field(default_factory=dict)
    transactions: Counters = field(default_factory=Counters)
    by_transaction: dict[CallKey, Counters] = field(default_factory=dict)
    by_status: dict[tuple[CallKey, int], Counters] = field(default_factory=dict)

    def detach(self) -> None:
        """Have histograms of their own, whatever becomes of the nodes that these were counted by."""
        groups: list[Iterable[Counters]] = [self.by_key.values(), self.by_transaction.values(), self.by_status.values()]
        for counters in chain(*groups, (self.transactions,)):
            counters.histograms = [dict(part) for part in counters.histograms]


def sum_of(parts: Iterable[Totals], look: Callable[[], None] = nothing) -> Totals:
    """Return what was counted in several places; a name that was called in one of them only keeps its counters.

    `look` is called now and then.
    """
    by_key: dict[CallKey, list[Counters]] = {}
    by_transaction: dict[CallKey, list[Counters]] = {}
    by_status: dict[tuple[CallKey, int], list[Counters]] = {}
    transactions = Counters()
    for part in parts:
        _group(by_key, part.by_key)
        _group(by_transaction, part.by_transaction)
        _group(by_status, part.by_status)
        transactions.add(part.transactions)
        look()
    return Totals(_sums_of(by_key, look), transactions, _sums_of(by_transaction, look), _sums_of(by_status, look))


def _group(groups: dict[_K, list[Counters]], part: dict[_K, Counters]) -> None:
    for key, counters in part.items():
        groups.setdefault(key, []).append(counters)


def _sums_of(groups: dict[_K, list[Counters]], look: Callable[[], None]) -> dict[_K, Counters]:
    found = {}
    for key, own in groups.items():
        found[key] = own[0] if len(own) == 1 else Counters.sum_of(own)
        look()
    return found


def by_status(nodes: Sequence[Node | RawNode], statuses: Iterable[Status | RawStatus]) -> dict[tuple[CallKey, int], Counters]:
    """Return the counters of requests by name and status."""
    found: dict[tuple[CallKey, int], Counters] = {}
    for row in statuses:
        node = nodes[row.node]
        found.setdefault((CallKey(node.name, node.kind, node.target), row.status), Counters()).add_status(row)
    return found


def totals_of(
    nodes: Sequence[Node | RawNode], statuses: Iterable[Status | RawStatus] = (), look: Callable[[], None] = nothing
) -> Totals:
    """Return the counters of a call tree, with call sites. A transaction within another one is a part of it.

    `look` is called now and then.
    """
    counted = by_key(nodes, walk_of(nodes, look), look)
    totals = Totals(by_status=by_status(nodes, statuses))
    is_inside: list[bool] = []  # a transaction
    for node in nodes:
        if not len(is_inside) % NODES_A_LOOK:
            look()
        above = node.parent
        is_inside.append(above >= 0 and (is_inside[above] or nodes[above].entry))
        key = CallKey(node.name, node.kind, node.target)
        counters = counted[key]
        if counters.calls or counters.total_ns:
            totals.by_key[key] = counters
            counters.add_site(node.call_site, node.calls)
            if node.entry and not is_inside[-1]:
                totals.transactions.add_node(node)
                totals.by_transaction.setdefault(key, Counters()).add_node(node)
    return totals
