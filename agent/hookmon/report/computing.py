"""Computing or waiting: what the CPU time of transactions says, of those in which it was measured.

In: sums of the nodes of one name. Out: a Computing, plain data, and its sentence. A transaction computes while one of its threads
or tasks has a processor, and else it waits: for others, for a processor, or for the interpreter's lock.
"""

from __future__ import annotations

from hookmon.collector.counters import Counters
from hookmon.collector.store import Node
from hookmon.core.plan import CLIENT_KINDS
from hookmon.core.record import Record
from hookmon.report.texts import count, duration

_COMPUTE = frozenset(("template",))  # clients whose work is done in the thread that calls
_MUCH = 0.05  # of the waiting: less of a kind is not named
_MOST_KINDS = 2


class MeasuredSums(Record, slots=True):
    """CPU time of the transactions of one name: `measured` of them, each counted as often as it stands for others."""

    measured: int = 0
    duration_ns: int = 0
    own_ns: int = 0
    beside_ns: int = 0

    def add(self, node: Node) -> None:
        """Add what was measured at one place."""
        self.measured += node.measured
        self.duration_ns += node.measured_ns
        self.own_ns += node.computed_ns
        self.beside_ns += node.beside_ns


class Computing(Record, slots=True):
    """How long a transaction of one name computes and waits, on average.

    `measured` is in how many it was measured. `computing_ns` is CPU time in all its threads and tasks, of it `beside_ns` in
    others than its own; `share` is that of its own, of its duration, 0.0 to 1.0. `waiting_ns` is the rest of the duration, never
    less than 0: threads may compute at the same time. `waiting_on` says in which clients' calls it was at most, by kind, most
    first.
    """

    measured: int
    computing_ns: int
    beside_ns: int
    waiting_ns: int
    waiting_on: dict[str, int]
    share: float

    def scale(self, calls: int) -> str:
        """Return of how many of the calls this is known: "on all", "on 1 of 8"."""
        often = calls / self.measured
        if self.measured >= calls:
            return "on all"
        return f"on 1 of {count(round(often))}" if often >= 1.5 else f"on {count(self.measured)} of {count(calls)}"


def computing_of(sums: MeasuredSums, figures: Counters, by_kind: dict[str, int]) -> Computing | None:
    """Return what was measured of the transactions of one name, None where nothing was.

    `by_kind` splits the time of all of them. What was measured is a share of the measured ones' time, and is told of all.
    """
    if not sums.measured or not sums.duration_ns or not figures.calls:
        return None
    mean_ns = figures.mean_ns
    beside_ns = round(mean_ns * sums.beside_ns / sums.duration_ns)
    computing_ns = round(mean_ns * (sums.own_ns + sums.beside_ns) / sums.duration_ns)
    waiting_ns = max(0, mean_ns - computing_ns)
    clients = {
        kind: min(waiting_ns, own_ns // figures.calls) for kind, own_ns in by_kind.items() if kind in CLIENT_KINDS - _COMPUTE
    }
    waiting_on = dict(sorted(((kind, own_ns) for kind, own_ns in clients.items() if own_ns > 0), key=lambda item: -item[1]))
    return Computing(sums.measured, computing_ns, beside_ns, waiting_ns, waiting_on, sums.own_ns / sums.duration_ns)


def sentence(computing: Computing, calls: int) -> str:
    """Return it in words: `computing 20.0 ms, waiting 130 ms, of which sql 95.0 ms; CPU time was measured on 1 of 8`.

    A client's calls may have computed, too, as SQLite does: where that can be most of them, it is "at most" that they waited.
    """
    beside = f" ({duration(computing.beside_ns)} of it in other threads and tasks)" if computing.beside_ns else ""
    text = f"computing {duration(computing.computing_ns)}{beside}, waiting {duration(computing.waiting_ns)}"
    told = [
        f"{'at most ' if ns - computing.computing_ns < ns / 2 else ''}{kind} {duration(ns)}"
        for kind, ns in list(computing.waiting_on.items())[:_MOST_KINDS]
        if ns >= _MUCH * computing.waiting_ns
    ]
    of_which = f", of which {', '.join(told)}" if told else ""
    return f"{text}{of_which}; CPU time was measured {computing.scale(calls)}"
