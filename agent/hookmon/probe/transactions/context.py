"""Requests, jobs and tests: which calls belong to one, and how it is called.

In: calls of entries, and routes and statuses that packs read. Out: traces on lanes, names of nodes. Runs
in the watched process, a few times for each transaction; both engines call it. The compiled one has Transaction and Member of its
own, of the same shape.

A context variable holds the transaction that the caller belongs to. A task finds there what it was started for, and so does a
thread that runs with a copy of the context. Their calls stand below a node of their own, "(concurrent)": time spent at the same
time is never taken from the transaction's.

The name of a request is known only when it has been routed: see `renaming`.
"""

from __future__ import annotations

import sys
from _contextvars import ContextVar, Token
from _thread import get_ident

from hookmon.core import layout
from hookmon.probe.base.guard import after_fork, shielded
from hookmon.probe.base.target import Span, Target
from hookmon.probe.engine import choose
from hookmon.probe.recording import recorder
from hookmon.probe.recording.control import window_of
from hookmon.probe.recording.switching import running_task
from hookmon.probe.transactions.computing import Measurable, Part
from hookmon.probe.transactions.examples import keep_example, windows
from hookmon.probe.transactions.statuses import count_status, status_node, status_of
from hookmon.probe.transactions.traces import RAISED, RETURNED, UNTIMED, Trace, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hookmon.probe.base.shapes import Closable
    from hookmon.probe.recording.tree import Lane, Node
    from hookmon.probe.transactions.traces import Event

FAILED_FROM = layout.FAILED_FROM
MOST_TRACES = layout.MOST_TRACES
_ERRORS = layout.NODE_ERRORS - layout.NODE_TOTAL_NS
_INHERITS = bool(getattr(sys.flags, "thread_inherit_context", False))  # CPython 3.14

CONCURRENT = Span(Target("", "function", "", "", False, flags=layout.FLAG_CONCURRENT), "(concurrent)")
STREAMING = Span(Target("", "function", "", "", False, flags=layout.FLAG_AFTER), "(streaming)")
AFTER = Span(Target("", "function", "", "", False, flags=layout.FLAG_AFTER), "(after)")


@choose
class Transaction(Measurable):
    """One request, job or test, from the entry's call to its return. The entry's wrapper closes it.

    `failed` says that it is an error whatever its status. `route` is the part of the route that adapters know so far: prefixes of
    mounted applications. `is_routed` says that it has its name. `nested` says that it is a request within a job or a test.
    `origin` is the `traceparent` that came with it, if one did, and later its ids (`ids`). When it has ended, `error` is the type
    of what its entry has raised, if it has, `counted_in` is the node of its status, `counted_ns` and `counted_as` are the time
    and the outcome there.
    """

    __slots__ = (
        "counted_as",
        "counted_in",
        "counted_ns",
        "ended",
        "epoch",
        "error",
        "failed",
        "is_routed",
        "lane",
        "member",
        "nested",
        "node",
        "origin",
        "route",
        "status",
        "token",
        "traces",
    )

    def __init__(self, lane: Lane, node: Node) -> None:
        super().__init__()
        self.lane = lane
        self.node = node
        self.epoch = recorder.forks
        self.status = 0
        self.failed = False
        self.route = ""
        self.is_routed = False
        self.nested = False
        self.ended = False
        self.origin: object = None
        self.error: type[BaseException] | None = None
        self.counted_in: Node | None = None
        self.counted_ns = self.counted_as = 0
        trace = Trace()
        self.traces: list[Trace] = [trace]
        self.member: Member | None = Member(self, lane, trace)
        self.token: Token[Member | None] | None = None

    def enter(self) -> None:
        """Let the caller belong to it, until it is closed."""
        self.token = members.set(self.member)

    def new_trace(self) -> Trace | None:
        """Return a trace of its own for what runs at the same time, None when there are too many."""
        if len(self.traces) >= MOST_TRACES:
            return None
        self.traces.append(Trace())
        return self.traces[-1]

    @shielded(None)
    def close(self) -> None:
        """Settle its calls. The entry's call has ended, and is the last in its trace."""
        self.end_part()
        self.ended = True
        lane, traces = self.lane, self.traces
        lane.trace = lane.moved = None
        if self.token is not None and members.get(None) is self.member:
            take_back(self.token)
        self.traces = []
        self.member = self.token = None  # or the two would be a cycle
        own = traces[0].take_last() if traces and self.epoch == recorder.forks else None
        if own is not None and own[0] is self.node:
            self.error = sys.exc_info()[0] if own[3] & RAISED else None
            self.settle(traces, own)

    def settle(self, traces: list[Trace], own: Event) -> None:
        """Write its calls into the shard. `own` is the entry's call, `traces` are the calls of all lanes without it."""
        node, started_ns, duration_ns, outcome, _ = own
        if (self.status >= FAILED_FROM or self.failed) and outcome & ~UNTIMED == RETURNED:
            self.failed = True
            recorder.words[node.total + _ERRORS] += 1
        if node.span.target.kind == "request":
            self.counted_in = status_node(node, status_of(node, self.status, outcome))
            self.counted_ns, self.counted_as = duration_ns, outcome
            if self.counted_in is not None:
                count_status(self.counted_in, duration_ns, outcome, self.failed)
        settle(traces)
        if outcome & UNTIMED:
            return
        computed_ns = self._settle_measured(node, duration_ns)
        window = window_of(started_ns + duration_ns)
        if duration_ns > node.floor_ns or window != windows.get(node, 0) or self.failed or outcome == RAISED:
            keep_example(self, node, started_ns, duration_ns, outcome, computed_ns, window, traces)


@choose
class Member:
    """One lane's part in a transaction: the value of the context variable.

    `concurrent` is how many of its futures are not done.
    """

    __slots__ = ("concurrent", "lane", "task", "trace", "transaction")

    def __init__(self, transaction: Transaction, lane: Lane, trace: Trace | None) -> None:
        self.transaction = transaction
        self.lane = lane
        self.task = lane.task
        self.trace = trace
        self.concurrent = 0


class ConcurrentCall:
    """A call that goes on while its caller does, as a future does. Its time is no part of the caller's."""

    __slots__ = ("_member", "_trace")

    def __init__(self, member: Member) -> None:
        self._member = member
        self._trace = (
            member.transaction.new_trace() if member.concurrent else member.trace
        )  # calls at the same time are no repetition
        member.concurrent += 1

    def leave(self, span: Span) -> tuple[Node | None, Trace | None]:
        """Return the node that counts the call and the trace that it belongs to, each or None. The call has ended."""
        self._member.concurrent -= 1
        transaction = self._member.transaction
        above = child(transaction.node, AFTER if transaction.ended else CONCURRENT)
        return child(above, span) if above is not None else None, None if transaction.ended else self._trace


class Visit:
    """A call at the root of one lane that belongs to a transaction of another lane, while the call lasts.

    `part` measures what it computes; None where that is not measured.
    """

    __slots__ = ("_transaction", "lane", "part")

    def __init__(self, lane: Lane, transaction: Transaction) -> None:
        self.lane = lane
        self.part = begin_beside(transaction)
        self._transaction = None if transaction.ended or transaction.is_routed else transaction
        if self._transaction is not None:
            visits.setdefault(transaction, []).append(self)

    def close(self) -> None:
        """Leave the lane as it was."""
        if self.part is not None:
            self.part.end_part()
        self.lane.node = recorder.root
        self.lane.trace = self.lane.moved = None
        if self._transaction is not None:
            others = visits.get(self._transaction, [])
            if self in others:
                others.remove(self)
            if not others:
                visits.pop(self._transaction, None)


visits: dict[Transaction, list[Visit]] = {}
"""{transaction that may still get another name: open visits of other lanes to it}."""
after_fork(visits.clear)  # of threads that are no more, to transactions that stay the parent's

members: ContextVar[Member | None] = ContextVar("hookmon")


def take_back(token: Token[Member | None]) -> None:
    """Let the caller belong to the transaction from before, or to none."""
    try:
        members.reset(token)
    except ValueError:  # in a copy of the context that it was set in
        before = token.old_value
        members.set(None if before is Token.MISSING else before)


def begin_beside(transaction: Transaction) -> Part | None:
    """Begin to measure what the caller computes for a transaction of another lane; None where it is not measured."""
    if not transaction.stands_for or transaction.ended or transaction.epoch != recorder.forks:
        return None
    part = Part(transaction)
    part.begin_part()
    return part


def part_of(opened: Closable | None) -> Transaction | Part | None:
    """Return what measures the steps of a coroutine, by what it has opened; None where they are not measured."""
    if type(opened) is Transaction:
        return opened if opened.stands_for else None
    return getattr(opened, "part", None)


@shielded(None)
def begin(lane: Lane, node: Node) -> Transaction | None:
    """Open a transaction with the entry's node, in a lane that has none open."""
    transaction = Transaction(lane, node)
    lane.trace = transaction.traces[0]
    lane.moved = None
    transaction.enter()
    recorder.join_from_now_on()
    transaction.measure(node)
    return transaction


@shielded(None)
def join(lane: Lane, span: Span) -> Visit | None:
    """Put a lane that is at its root below the transaction that its context belongs to; None where there is none.

    `span` is what is called. An entry does not join a transaction that has ended, it begins one of its own: the first request may
    have started a worker, whose jobs run with a copy of that request's context. Nor does a thread that merely inherited it.
    """
    member = members.get(None)
    if member is None:
        return None
    transaction = member.transaction
    if transaction.epoch != recorder.forks:
        return None
    if transaction.ended:
        if span.target.entry:
            return None
        if _INHERITS and not lane.task and _is_inherited(member):
            members.set(None)
            return None
        node = child(transaction.node, AFTER)
        trace = None
    else:
        if member.lane is not lane or member.task != lane.task:
            task = lane.task or running_task() or None
            if task is None or task != member.task:  # else a greenlet of the same task, as SQLAlchemy makes for each await
                member = Member(transaction, lane, transaction.new_trace())
                member.task = task
                members.set(member)
        node = child(transaction.node, CONCURRENT)
        trace = member.trace
    if node is None:
        return None
    lane.node = node
    lane.trace = trace
    return Visit(lane, transaction)


def _is_inherited(member: Member) -> bool:
    """Say whether the caller's thread has a membership from who started it, in the context that it runs in from its beginning.

    Where threads inherit contexts, a worker that was started at the first job would be that job's for ever.
    """
    threading = sys.modules.get("threading")
    thread = threading._active.get(get_ident()) if threading is not None else None
    context = getattr(thread, "_context", None)
    return context is not None and context.get(members) is member


@shielded(None)
def stream(transaction: Transaction) -> Visit | None:
    """Put the caller's lane below "(streaming)" of a transaction that has ended; None where a call is open in the lane."""
    if transaction.epoch != recorder.forks or not transaction.ended:
        return None
    try:
        lane = recorder.current.lane
    except AttributeError:
        lane = recorder.enter_thread()
    node = child(transaction.node, STREAMING) if lane.node is recorder.root else None
    if node is None:
        return None
    lane.node = node
    lane.trace = None
    return Visit(lane, transaction)


def current() -> Transaction | None:
    """Return the open transaction that the caller belongs to, None when there is none."""
    member = members.get(None)
    if member is None or member.transaction.ended or member.transaction.epoch != recorder.forks:
        return None
    return member.transaction


def is_in_request() -> bool:
    """Say whether the caller belongs to a request that is open."""
    transaction = current()
    return transaction is not None and transaction.node.span.target.kind == "request"


@shielded(None)
def begin_concurrent_call() -> ConcurrentCall | None:
    """Return the part in the caller's open transaction of a call that goes on with its caller; None without a transaction."""
    return ConcurrentCall(members.get(None)) if current() is not None else None  # type: ignore[arg-type]


def set_status(status: int) -> None:
    """Say how the open transaction's response begins: its status code."""
    transaction = current()
    if transaction is not None:
        transaction.status = status


@shielded(None)
def fail() -> None:
    """Say that the caller's transaction is an error, also when its response has ended. It is counted once."""
    member = members.get(None)
    transaction = member.transaction if member is not None else None
    if transaction is None or transaction.failed or transaction.epoch != recorder.forks:
        return
    transaction.failed = True
    if transaction.ended:
        count_late_failure(transaction)


def count_late_failure(transaction: Transaction) -> None:
    """Count that a transaction has failed which has ended, and was counted as one that has not."""
    for node in (transaction.node, transaction.counted_in):
        if node is not None:
            recorder.words[node.total + _ERRORS] += 1


def child(parent: Node, span: Span) -> Node | None:
    """Return a span's node under a parent, None where it is not recorded."""
    node = parent.children.get(span)
    return node if node is not None else recorder.new_node(parent, span)
