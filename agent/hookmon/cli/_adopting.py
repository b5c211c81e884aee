"""A run that `_brief` has begun, in the hands of the collector: while its program runs, or when that has left more than a note.

In: the run as far as it has come. Out: its run file, as of any run. The collector is imported in steps: between two of them
signals are passed on.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from collections.abc import Callable

    from hookmon.cli._adopted import AdoptedSession
    from hookmon.cli._brief import BriefRun
    from hookmon.collector.collect import Collector
    from hookmon.collector.store import Run

_STEPS = (
    *("collector.identity", "collector.run_folder", "collector.store", "collector.watcher", "collector.shards"),
    *("collector.shard_set", "collector.collect", "cli._session", "cli._adopted"),
)
"""What is imported, in the order of what needs what, each for some milliseconds."""


class Adoption:
    """The collector as soon as it is there."""

    def __init__(self, brief: BriefRun) -> None:
        self._brief = brief
        self._steps = list(_STEPS)
        self._session: AdoptedSession | None = None

    @property
    def collector(self) -> Collector | None:
        """The collector of the running program, None before it has taken over."""
        return self._session.collector if self._session is not None else None

    def tick(self, look: Callable[[], None]) -> float:
        """Go a step on, or do what is due; return the seconds until there is something again."""
        if self._steps:
            import_module(f"hookmon.{self._steps.pop(0)}")
            return 0.0
        if self._session is None:
            self._session = self._begin()
            self._session.follow()
        return self._session.collector.tick(look)

    def finish(self, code: int) -> Run:
        """Keep the run and return it; the program has ended and was reaped."""
        if self._session is None:
            self._session = self._begin()
            self._session.follow_ended()
        return self._session.finish(code)

    def _begin(self) -> AdoptedSession:
        from hookmon.cli._adopted import AdoptedSession

        return AdoptedSession(self._brief)
