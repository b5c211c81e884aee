"""The state of a run, delivered to an OTLP endpoint at each tick, whatever the endpoint does.

In: snapshots, in a thread that may block. Out: requests. All counters are cumulative: what an endpoint did not take is in
the next state that it takes, so nothing is queued and nothing is lost but moments. What was not taken is told once a minute.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event
from time import monotonic, sleep
from typing import TYPE_CHECKING

from hookmon.export.metrics import Metrics
from hookmon.export.otlp import batches, encode
from hookmon.export.post import Failure, Poster
from hookmon.export.rows import Attributes, Export, Instrument, Row

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.store import Run
    from hookmon.export.settings import OtlpSettings

PATIENCE_S = 3.0
"""How long the last state of a run is tried: the end of the program waits for it."""

_FIRST_PAUSE_S = 1.0
_LAST_PAUSE_S = 0.3  # after the last state has failed
_LONGEST_PAUSE_S = 60.0
_TOLD_EVERY_S = 60.0
_HELD_S = 600.0  # how long a series that was refused is left out
_MOST_HELD = 500
_REJECTED = Instrument("hookmon.export.rejected", "{series}", "counter", "Series that the endpoint did not take.")


class Delivery:
    """An observer of one run, for a thread of its own. `hurry` ends its waits; `tell` takes a line for the user."""

    def __init__(
        self, settings: OtlpSettings, metrics: Metrics, tell: Callable[[str], None], patience_s: float = PATIENCE_S
    ) -> None:
        self.every_ns = round(settings.interval_s * 1e9)
        self.hurry = Event()
        self.ticks = 0
        self.lost = 0
        self.is_taken = True  # the last state
        self.reason = ""
        self._settings = settings
        self._patience_s = patience_s
        self._metrics = metrics
        self._tell = tell
        self._poster = Poster(settings)
        self._known: set[tuple[str, Attributes]] = set()
        self._held: dict[tuple[str, Attributes], float] = {}
        self._rejected = 0
        self._before_ns = 0
        self._rest_until = 0.0
        self._told_at = float("-inf")
        self._lost_since = 0

    def observe(self, snapshot: Snapshot) -> None:
        """Deliver a snapshot; while that fails, try again until the next one is near."""
        export = self._metrics.export(snapshot)
        self.ticks += 1
        end = monotonic() + (self._patience_s if export.ended else self._settings.interval_s * 0.8)
        pause_s = _LAST_PAUSE_S if export.ended else _FIRST_PAUSE_S
        if export.ended and self._rest_until > end:
            self._lose(export, Failure("it wants to be left alone for longer"))
            return
        wait_s = self._rest_until - monotonic()
        while True:
            if wait_s > 0 and (monotonic() + wait_s > end or not self._wait(wait_s, export)):
                self._lose(export, Failure(self.reason or "it wants to be left alone"))
                return
            failure = self._send(export, end)
            if failure is None:
                self._succeed(export)
                return
            self.reason = failure.line
            wait_s = max(failure.wait_s, pause_s * random.uniform(0.5, 1.0))  # spreads many clients
            self._rest_until = monotonic() + failure.wait_s
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            if not failure.is_passing or (self.hurry.is_set() and not export.ended):
                self._lose(export, failure)
                return

    def _wait(self, wait_s: float, export: Export) -> bool:
        """Wait; say whether it is still worth to try this state: not when the last one is there."""
        if export.ended:
            sleep(wait_s)
            return True
        return not self.hurry.wait(wait_s)

    def end(self, _run: Run) -> str:
        """Say nothing: `loss` has what went wrong."""
        return ""

    def loss(self) -> str:
        """Return what of the run the endpoint did not take, as one line, "" for nothing."""
        found = []
        if self.lost:
            last = "" if self.is_taken else ", nor the last one: what was counted since the one before is missing there"
            found.append(f"{self.lost} of {self.ticks} states were not taken{last} ({self.reason})")
        if self._poster.refused or self._rejected:
            said = f" ({self._poster.said or self.reason})" if self._poster.said or self.reason else ""
            found.append(f"{self._poster.refused + self._rejected} points were refused{said}")
        return f"{self._settings.shown}: {'; '.join(found)}" if found else ""

    def _send(self, export: Export, end: float) -> Failure | None:
        now = monotonic()
        self._held = {key: until for key, until in self._held.items() if until > now}
        rows = [row for row in export.rows if row.key not in self._held]
        if self._rejected:
            rows.append(Row(_REJECTED, (), self._rejected))
        for batch in batches(rows):
            failure = self._post(export, batch, end)
            if failure is not None and failure.is_of_a_row and len(batch) > 1:
                failure = self._split(export, batch, failure, end, 3 if failure.status != 500 else 1)
            if failure is not None:
                return failure
        return None

    def _post(self, export: Export, rows: list[Row], end: float) -> Failure | None:
        longest_s = end - monotonic() if export.ended else self._settings.timeout_s
        known = self._known | self._metrics.found
        failure = self._poster.post(encode(export, rows, known, self._before_ns), longest_s)
        if failure is None:
            self._known.update(row.key for row in rows if not row.is_over)
            self._known.difference_update([row.key for row in rows if row.is_over])
        return failure

    def _split(self, export: Export, rows: list[Row], failure: Failure, end: float, hope: int) -> Failure | None:
        """Find the rows for which a request was refused and leave them out; return the failure where all of it is.

        `hope` is how often both halves may fail before that is put down to the endpoint.
        """
        middle = len(rows) // 2
        halves = [(half, self._post(export, half, end)) for half in (rows[:middle], rows[middle:])]
        failed = [(half, found) for half, found in halves if found is not None]
        if len(failed) == len(halves):
            hope -= 1
            if not hope:
                return failure
        for half, found in failed:
            if not found.is_of_a_row:
                return found
            left = self._split(export, half, found, end, hope) if len(half) > 1 else found
            if left is not None and len(failed) == len(halves) and len(half) > 1:
                return left
            if left is not None:
                self._hold(half, left)
        return None

    def _hold(self, rows: list[Row], failure: Failure) -> None:
        self._rejected += len(rows)
        self.reason = failure.line
        self._say(f"{len(rows)} series are refused, as {rows[0].instrument.name} ({failure.line})")
        for row in rows[: max(0, _MOST_HELD - len(self._held))]:
            self._held[row.key] = monotonic() + _HELD_S

    def _succeed(self, export: Export) -> None:
        self._before_ns = export.at_ns
        self._rest_until = 0.0
        self.is_taken = True
        self._lost_since = 0
        if self._poster.refused and self._poster.said:
            self._say(f"{self._poster.refused} points were refused ({self._poster.said})")

    def _lose(self, export: Export, failure: Failure) -> None:
        self.lost += 1
        self._lost_since += 1
        self.is_taken = False
        self.reason = failure.line
        states = "a state" if self._lost_since == 1 else f"{self._lost_since} states in a row"
        ahead = "it was the last one" if export.ended else "the next one has all counts"
        self._say(f"{states} could not be delivered ({failure.line}); {ahead}")

    def _say(self, line: str) -> None:
        """Tell the user, once a minute."""
        if monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = monotonic()
            self._tell(f"hookmon: export to {self._settings.shown}: {line} [export]")
