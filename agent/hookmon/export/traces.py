"""The slow and the failed transactions of each window, delivered to an OTLP endpoint as traces once the window has ended.

In: snapshots, in a thread that may block. Out: requests; the wish for windows, on the control page of the run; exemplars. What
was not taken is tried again at the next tick, with the same ids, as long as there is room for it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Event
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING

from hookmon.collector.control import Control
from hookmon.export.otlp_traces import encode_traces
from hookmon.export.picks import MOST_TRACES, Picks
from hookmon.export.post import Failure, Poster
from hookmon.export.rows import Resource, Trace
from hookmon.export.spans import trace_of

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.store import Run
    from hookmon.export.exemplars import Exemplars
    from hookmon.export.settings import TracesSettings

PATIENCE_S = 3.0
"""How long the last traces of a run are tried: the end of the program waits for it."""

MOST_WAITING = 500
"""Traces that were not taken yet: those of ten minutes at least."""

_MOST_SPANS = 1_000  # of one request
_LOOKS = 6  # in a window
_LONGEST_TICK_S = 10.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_TOLD_EVERY_S = 60.0
_MOST_REFUSED = 3  # one after the other in a tick: then it is the endpoint, not the trace
_ABOUT_A_TRACE = frozenset((400, 413, 422))
_TAKES_NONE = frozenset((404, 405, 501))


class Traces:
    """An observer of one run, for a thread of its own. `hurry` ends its waits; `tell` takes a line for the user."""

    def __init__(
        self,
        settings: TracesSettings,
        run: Run,
        resource: Resource,
        systems: Mapping[str, str],
        consumers: Collection[str],
        exemplars: Exemplars,
        tell: Callable[[str], None],
    ) -> None:
        """Ask for windows from now on. Where others look on at the run, theirs may be shorter."""
        now_ns = monotonic_ns()
        self._window_ns = round(settings.window_s * 1e9)
        self._tick_s = min(_LONGEST_TICK_S, settings.window_s / _LOOKS)
        self.every_ns = round(self._tick_s * 1e9)
        self.hurry = Event()
        self._settings = settings
        self._resource = resource
        self._systems = systems
        self._consumers = consumers
        self._exemplars = exemplars
        self._tell = tell
        self._control = Control(Path(run.run_folder))
        self._picks = Picks(now_ns - 2 * self._window_ns)
        self._poster = Poster(settings.otlp)
        self._waiting: deque[Trace] = deque()
        self._lost = 0  # there was no room for them any more, or they were refused
        self._reason = ""
        self._rest_until = 0.0
        self._told_at = float("-inf")
        self._is_short_told = False
        self._takes_none = False
        self._control.ask_for_windows(now_ns, self._window_ns)

    @property
    def waiting(self) -> int:
        """How many traces were not taken yet."""
        return len(self._waiting)

    def observe(self, snapshot: Snapshot) -> None:
        """Take what is to be exported, and deliver it; while that fails, try again until the next tick is near."""
        if not snapshot.ended:
            self._control.ask_for_windows(monotonic_ns(), self._window_ns)
        for example, reason in self._picks.take(snapshot):
            self._waiting.append(trace_of(example, reason, self._systems, self._consumers))
        self._tell_short()
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        end = monotonic() + (PATIENCE_S if snapshot.ended else self._tick_s * 0.8)
        pause_s = _FIRST_PAUSE_S
        while self._waiting:
            wait_s = self._rest_until - monotonic()
            if wait_s > 0 and (monotonic() + wait_s > end or (self.hurry.wait(wait_s) and not snapshot.ended)):
                return
            failure = self._send(end if snapshot.ended else float("inf"))
            if failure is None:
                return
            self._note(failure)
            self._rest_until = monotonic() + max(
                failure.wait_s, pause_s * random.uniform(0.5, 1.0) if failure.is_passing else 0.0
            )
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            if not failure.is_passing:
                return

    def end(self, _run: Run) -> str:
        """Say nothing: `loss` has what went wrong."""
        return ""

    def loss(self) -> str:
        """Return what the endpoint did not take, as one line, "" for nothing."""
        found = []
        if self._lost or self._waiting:
            found.append(f"{self._lost + len(self._waiting)} traces were not taken ({self._reason})")
        if self._poster.refused:
            found.append(f"{self._poster.refused} spans were refused ({self._poster.said})")
        return f"{self._settings.otlp.shown}: {'; '.join(found)}" if found else ""

    def shortage(self) -> str:
        """Return how many traces there were too many, as one line, "" for none."""
        left_out = self._picks.left_out
        traces = "1 trace was" if left_out == 1 else f"{left_out} traces were"
        return f"{traces} left out: there were more than {MOST_TRACES} a minute" if left_out else ""

    def _tell_short(self) -> None:
        """Tell the user, once, that traces are left out; how many, `shortage` says in the end."""
        if self._picks.left_out and not self._is_short_told:
            self._is_short_told = True
            shown = self._settings.otlp.shown
            self._tell(f"hookmon: export to {shown}: of more than {MOST_TRACES} traces a minute some are left out [export-full]")

    def _send(self, end: float) -> Failure | None:
        """Send what waits, by requests of a bounded size; a trace for which a request is refused is found and left out.

        Returns what went wrong with what still waits.
        """
        most = MOST_WAITING
        refused = 0
        while self._waiting:
            batch = self._batch(most)
            failure = self._poster.post(encode_traces(self._resource, batch), end - monotonic())
            if failure is None:
                self._exemplars.add(batch)
                refused = 0
            elif failure.status not in _ABOUT_A_TRACE or refused >= _MOST_REFUSED:
                return failure
            elif len(batch) > 1:
                most = len(batch) // 2
                continue
            else:
                refused += 1
                self._lost += 1
                self._reason = failure.line
                self._say(f"a trace of {batch[0].spans[0].name} is refused ({failure.line})")
            for _ in batch:
                self._waiting.popleft()
        self._takes_none = False
        if self._poster.refused and self._poster.said:
            self._say(f"{self._poster.refused} spans were refused ({self._poster.said})")
        return None

    def _batch(self, most: int) -> list[Trace]:
        batch: list[Trace] = []
        spans = 0
        for trace in self._waiting:
            spans += len(trace.spans)
            if batch and (spans > _MOST_SPANS or len(batch) >= most):
                break
            batch.append(trace)
        return batch

    def _note(self, failure: Failure) -> None:
        self._reason = failure.line
        if failure.status in _TAKES_NONE:
            if not self._takes_none:
                self._say(f"it takes no traces ({failure.line}); traces = false in [export.otlp] leaves them out")
            self._takes_none = True
        elif failure.has_answered or not self._settings.is_beside_metrics:
            self._say(f"{len(self._waiting)} traces could not be delivered ({failure.line}); they are kept for the next attempt")

    def _say(self, line: str) -> None:
        """Tell the user, once a minute."""
        if monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = monotonic()
            self._tell(f"hookmon: export to {self._settings.otlp.shown}: {line} [export]")
