"""CPU time of transactions: which of them are measured, how, and what the shard gets of it.

In: a transaction that begins or ends, and parts of it that run in other threads and tasks. Out: sums of CPU time in a record
beside its node (`core.layout.COMPUTING`). Runs in the watched process. `_engine` has a Part of its own of the same shape; its
Transaction has what Measurable has.

CPU time is that of the running thread: CLOCK_THREAD_CPUTIME_ID, which is a call of the system, 0.2 µs on bare metal and 3 µs on
some virtual machines. So only a share of the transactions is measured, at most as many as keep the readings within one 500th of
their time, and the first ones in any case. Which one is next is drawn by lot when the last one is chosen: it depends neither on
what the transactions are nor on how long they take, and a pattern in their order cannot meet a pattern of ours. A transaction
that was drawn as one of N counts N times, so a share that changes leaves the sums unbiased.

A part is what one thread runs for the transaction without a break: an entry's call, a step of its coroutine, a job of an
executor, a step of a task. Within a part of the same transaction nothing is measured once more.
"""

from __future__ import annotations

import sys
from _thread import _local, get_ident

from hookmon.core import layout
from hookmon.probe.base.guard import after_fork, serialise, shielded
from hookmon.probe.base.private import monotonic_ns, thread_time_ns
from hookmon.probe.engine import choose
from hookmon.probe.recording import notes, recorder
from hookmon.probe.recording.overhead import charge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hookmon.probe.recording.tree import Node

FIRST_MEASURED = layout.FIRST_MEASURED
MOST_STANDS_FOR = layout.MOST_STANDS_FOR
_MEMORY = 32  # transactions by whose mean the share is chosen
_PAIRS = 9

_reading_ns = 0  # what one reading of the clock takes; 0 before the first one, -1 where there is no such clock
_empty_part_ns = 0  # CPU time between two readings with nothing in between
_state = 0x9E3779B97F4A7C15  # of the generator of random numbers

_noted_for = -1  # recorder.forks, when it was said that greenlets take turns

measuring: Any = _local()
"""Its `transaction` is what a part of this thread is measured for."""


class Share:
    """How many transactions of an entry are measured.

    The next one is chosen when `until` comes to 0, and stands for `stands_for`; `wanted` is for how many the one after that shall
    stand. `readings_ns` and `duration_ns` are what measuring has taken of late, and the transactions that were measured.
    """

    __slots__ = ("duration_ns", "first", "readings_ns", "stands_for", "until", "wanted")

    def __init__(self) -> None:
        self.until = self.first = 0
        self.stands_for = self.wanted = 1
        self.readings_ns = self.duration_ns = 0


_shares: dict[Node, Share] = {}
after_fork(_shares.clear)


class Measurable:
    """A transaction, as far as its CPU time goes. It stands for so many; 0 says that it is not measured.

    `computed_ns` is the CPU time of its own lane, `beside_ns` that of its other threads and tasks. `readings` is how often the
    clock has been read for it.
    """

    __slots__ = ("_around", "_began_ns", "_entry", "_thread", "beside_ns", "computed_ns", "readings", "stands_for")

    ended: bool

    def __init__(self) -> None:
        self.stands_for = 0
        self.computed_ns = self.beside_ns = self.readings = 0
        self._began_ns = self._thread = 0
        self._around: object = None
        self._entry: Node | None = None

    def measure(self, entry: Node) -> None:
        """Begin its first part, if it is chosen to be measured. `entry` is the node that it begins with."""
        self.stands_for = _choose(entry)
        if self.stands_for:
            self._entry = entry
            self.begin_part()

    def begin_part(self) -> None:
        """Begin a part of its own lane, in the running thread."""
        if not self.stands_for:
            return
        self._around, measuring.transaction = getattr(measuring, "transaction", None), self
        self._thread = get_ident()
        self.readings += 1
        self._began_ns = thread_time_ns()

    def end_part(self) -> None:
        """End it. Where it ends in another thread the transaction cannot be measured."""
        began_ns, self._began_ns = self._began_ns, 0
        if not began_ns:
            return
        if self._thread != get_ident():
            self.stands_for = 0
            return
        self.computed_ns += _since(began_ns)
        self.readings += 1
        measuring.transaction, self._around = self._around, None

    def _settle_measured(self, node: Node, duration_ns: int) -> int:
        """Add it to the sums of its node. Return the CPU time of all its lanes, -1 where it was not measured.

        It is measured no more: what a coroutine does later is no part of it.
        """
        stands_for, self.stands_for = self.stands_for, 0
        if not stands_for or self._entry is None:
            return -1
        own_ns = min(self.computed_ns, duration_ns)
        _write(node, stands_for, duration_ns, own_ns, self.beside_ns)
        recorder.words[layout.HEADER_OWN_NS] += self.readings * _reading_ns
        _adapt(self._entry, self.readings, duration_ns)
        self._entry = None
        return own_ns + self.beside_ns


@serialise
def _choose(entry: Node) -> int:
    """Return for how many transactions of an entry this one stands, which begins now; 0 where it is not measured."""
    share = _shares.get(entry)
    if share is None:
        share = _shares[entry] = Share()
    share.until -= 1
    if share.until > 0:
        return 0
    if not _reading_ns:
        _calibrate()
    if _reading_ns < 0 or ("greenlet" in sys.modules and not runs_alone()):
        share.until = MOST_STANDS_FOR
        return 0
    stands_for, share.stands_for = share.stands_for, share.wanted
    share.until = 1 + _random() % (2 * share.wanted - 1)
    return stands_for


def _adapt(entry: Node, readings: int, duration_ns: int) -> None:
    """Choose how many are to be measured, after one that took so many readings of the clock."""
    share = _shares.get(entry)
    if share is None:  # of the parent process
        return
    share.readings_ns += readings * _reading_ns - share.readings_ns // _MEMORY
    share.duration_ns += duration_ns - share.duration_ns // _MEMORY
    if share.first < FIRST_MEASURED:
        share.first += 1
        return
    wanted = -(-share.readings_ns * layout.MOST_COMPUTING_SHARE // max(1, share.duration_ns))
    share.wanted = max(1, min(wanted, MOST_STANDS_FOR))


def _random() -> int:
    """Return 64 random bits: Marsaglia's xorshift. The program's own generator is not touched."""
    global _state
    state = _state
    state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
    state ^= state >> 7
    _state = state = state ^ (state << 17 & 0xFFFFFFFFFFFFFFFF)
    return state


@charge
def _calibrate() -> None:
    """Measure what a reading of the clock takes: the middle of nine."""
    global _reading_ns, _empty_part_ns
    readings, parts = [], []
    try:
        for _ in range(_PAIRS):
            begun_ns = monotonic_ns()
            first_ns = thread_time_ns()
            parts.append(thread_time_ns() - first_ns)
            readings.append(monotonic_ns() - begun_ns)
    except OSError:
        _reading_ns = -1
        return
    _empty_part_ns = sorted(parts)[_PAIRS // 2]
    _reading_ns = max(1, sorted(readings)[_PAIRS // 2] // 2)


@shielded(False)
def runs_alone() -> bool:
    """Say whether CPU time of this thread is its caller's alone. It is not where greenlets take turns.

    Under gevent and eventlet they do. Other programs switch to a greenlet of their own and wait for it, as SQLAlchemy does for
    each await: so the first greenlet of a thread is where a measured part may begin.
    """
    global _noted_for
    greenlet: Any = sys.modules.get("greenlet")
    if greenlet is None or not hasattr(greenlet, "getcurrent"):
        return True
    if "gevent.hub" not in sys.modules and "eventlet.hubs" not in sys.modules and greenlet.getcurrent().parent is None:
        return True
    if _noted_for != recorder.forks:
        _noted_for = recorder.forks
        notes.note(
            "CPU time",
            "not measured of transactions where greenlets take turns: their thread has one clock for all of them",
        )
    return False


@charge
def new_computing(node: Node) -> int:
    """Return the index of the record of a node's CPU time, 0 where there is no space."""
    arena = recorder.arena()
    if arena is not None and node.number and not node.computing:
        node.computing = arena.record(layout.COMPUTING, node.number, [0] * (layout.COMPUTING_WORDS - 1))
    at: int = node.computing
    return at


@serialise
def _write(node: Node, stands_for: int, duration_ns: int, own_ns: int, beside_ns: int) -> None:
    """Add a measured transaction to the sums of its node."""
    at = node.computing or new_computing(node)
    if at:
        words = recorder.words
        words[at + layout.COMPUTING_MEASURED] += 1
        words[at + layout.COMPUTING_STANDS_FOR] += stands_for
        words[at + layout.COMPUTING_DURATION_NS] += stands_for * duration_ns
        words[at + layout.COMPUTING_OWN_NS] += stands_for * own_ns
        words[at + layout.COMPUTING_BESIDE_NS] += stands_for * beside_ns


def _since(began_ns: int) -> int:
    """Return the CPU time since a part of this thread began, less what reading the clock takes."""
    used_ns: int = thread_time_ns() - began_ns - _empty_part_ns
    return max(0, used_ns)


@choose
class Part:
    """What another thread or task than a transaction's own computes for it, part by part."""

    __slots__ = ("_around", "_began_ns", "_transaction")

    def __init__(self, transaction: Measurable) -> None:
        self._transaction = transaction
        self._began_ns = 0
        self._around: object = None

    def begin_part(self) -> None:
        """Begin a part in the running thread. Within another one of the same transaction nothing is measured."""
        transaction = self._transaction
        around = getattr(measuring, "transaction", None)
        if around is transaction or transaction.ended or not transaction.stands_for:
            return
        self._around, measuring.transaction = around, transaction
        transaction.readings += 1
        self._began_ns = thread_time_ns()

    def end_part(self) -> None:
        """End it, in the same thread. What comes after the transaction's end is none of its time."""
        began_ns, self._began_ns = self._began_ns, 0
        if began_ns:
            used_ns = _since(began_ns)
            transaction = self._transaction
            measuring.transaction, self._around = self._around, None
            if transaction.stands_for and not transaction.ended:
                transaction.readings += 1
                _add_beside(transaction, used_ns)


@serialise
def _add_beside(transaction: Measurable, used_ns: int) -> None:
    transaction.beside_ns += used_ns
