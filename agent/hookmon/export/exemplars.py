"""The newest trace of each row of a histogram that an endpoint has taken: a link from a figure to a request.

In: traces that were taken, in the thread that sends them. Out: exemplars, for the threads that make metrics. Whoever looks one up
finds the trace, for none is named that was not taken.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from hookmon.export.rows import Exemplar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookmon.collector.counters import CallKey
    from hookmon.export.rows import Trace

_MOST = 1_000
_CLASSES = 10  # statuses below it stand for a class: 5 for "5xx"

Place = tuple["CallKey", int]
"""What a transaction is counted under, and its status."""


class Exemplars:
    """Those of one run. Used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._newest: dict[Place, Exemplar] = {}

    def add(self, traces: Iterable[Trace]) -> None:
        """Take over traces that an endpoint has: of those of one row the slowest."""
        slowest: dict[Place, Exemplar] = {}
        for trace in traces:
            root = trace.spans[0]
            found = Exemplar((root.end_ns - root.start_ns) / 1e9, root.end_ns, trace.trace_id, root.span_id)
            place = (trace.subject, trace.status)
            if place not in slowest or found.value > slowest[place].value:
                slowest[place] = found
        with self._lock:
            for place, found in slowest.items():
                known = self._newest.pop(place, None)  # backends take them in rising time only
                self._newest[place] = found if known is None or found.at_ns > known.at_ns else known
            while len(self._newest) > _MOST:
                del self._newest[next(iter(self._newest))]

    def of(self, key: CallKey, status: int) -> Exemplar | None:
        """Return that of a transaction with a status, which may be a class, 5; None where there is none."""
        with self._lock:
            if 0 < status < _CLASSES:
                found = [
                    exemplar
                    for (subject, its_status), exemplar in self._newest.items()
                    if subject == key and its_status // 100 == status
                ]
                return max(found, key=lambda exemplar: exemplar.at_ns, default=None)
            return self._newest.get((key, status))
