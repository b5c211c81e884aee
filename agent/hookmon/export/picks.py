"""Which of the transactions that a run keeps whole become traces: of each window the slowest of each route, and first failures.

In: snapshots, in rising time. Out: the examples of windows that have ended, each once. A process keeps the records of a window
until the next one but one begins, so they have to be looked at once in every window. Pure computation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookmon.collector.examples import LiveExample
    from hookmon.collector.feed import Snapshot

SLOWEST = "slowest"
FIRST_FAILED = "first failed"
"""Why a transaction is exported."""

MOST_TRACES = 50
"""In a minute."""

_MINUTE_NS = 60_000_000_000
_LATE_NS = 500_000_000  # a transaction that ends in a window may be written a little later

Pick = tuple["LiveExample", str]
"""An example, and why it was picked."""


class Picks:
    """The picks of one run, from windows on that end after `since_ns`, CLOCK_MONOTONIC."""

    def __init__(self, since_ns: int) -> None:
        self._closed_ns = since_ns  # windows that have ended by then are done
        self._room = float(MOST_TRACES)
        self._looked_ns = since_ns
        self.left_out = 0  # for want of room

    def take(self, snapshot: Snapshot) -> list[Pick]:
        """Return what is to be exported of the windows that have ended since the last snapshot; of the last one, all.

        Where there is more than MOST_TRACES a minute, those are left out that are less slow, or failed later.
        """
        over_ns = snapshot.at_ns if snapshot.ended else snapshot.at_ns - _LATE_NS
        self._room = min(MOST_TRACES, self._room + (snapshot.at_ns - self._looked_ns) * MOST_TRACES / _MINUTE_NS)
        self._looked_ns = snapshot.at_ns
        windows: dict[int, list[LiveExample]] = {}  # by their ends
        for example in snapshot.examples:
            row = example.row
            end_ns = (row.window + 1) * row.window_ns
            if row.window and row.span_id and end_ns > self._closed_ns and (snapshot.ended or end_ns <= over_ns):
                windows.setdefault(end_ns, []).append(example)
        self._closed_ns = max(self._closed_ns, over_ns)
        picked = [pick for end_ns in sorted(windows) for pick in _pick(windows[end_ns])]
        kept = picked[: max(0, int(self._room))]
        self.left_out += len(picked) - len(kept)
        self._room -= len(kept)
        return kept


def _pick(examples: Iterable[LiveExample]) -> Iterator[Pick]:
    """Yield the slowest of each route and the first with each failure, of one window; the most important first."""
    slowest: dict[tuple[str, str], LiveExample] = {}
    failed: dict[tuple[str, str, object], LiveExample] = {}
    for example in examples:
        row, route = example.row, (example.kind, example.name)
        if row.is_slow and (route not in slowest or row.duration_ns > slowest[route].row.duration_ns):
            slowest[route] = example
        failure = (*route, row.error or row.status)
        if row.is_first_failed and (failure not in failed or row.started_ns < failed[failure].row.started_ns):
            failed[failure] = example
    by_duration = [(example, SLOWEST) for example in sorted(slowest.values(), key=lambda example: -example.row.duration_ns)]
    by_start = [(example, FIRST_FAILED) for example in sorted(failed.values(), key=lambda example: example.row.started_ns)]
    seen = set()
    for pick in chain.from_iterable(zip_longest(by_start, by_duration)):
        if pick is not None and pick[0].row.span_id not in seen:
            seen.add(pick[0].row.span_id)
            yield pick
