"""Rows for a Redis stream: each interval adds those that have changed, as JSON. Needs `redis`, of the extra `hookmon[stream]`.

In: snapshots, in a thread that may block. Out: entries {"run", "service", "at_ns", "name", "row"}, all of an interval or none.
Rows are cumulative: what could not be added is in those of the next interval, so nothing is queued.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import RedisError

from hookmon.export.documents import document_of
from hookmon.export.metrics import Metrics
from hookmon.export.names import clean
from hookmon.export.rows import Attributes, Export, Row, Spread

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.store import Run
    from hookmon.export.settings import StreamSettings

TIMEOUT_S = 1.5
"""Of connecting and of each answer: the end of the program waits for the last entries."""

_TOLD_EVERY_S = 60.0


class Stream:
    """An observer of one run, for a thread of its own. `tell` takes a line for the user."""

    def __init__(self, settings: StreamSettings, metrics: Metrics, tell: Callable[[str], None]) -> None:
        self.every_ns = round(settings.interval_s * 1e9)
        self.hurry = Event()
        self._settings = settings
        self._metrics = metrics
        self._tell = tell
        self._client = _connect(settings)
        self._added: dict[tuple[str, Attributes], tuple[float, Spread | None, bool]] = {}
        self._ticks = 0
        self._lost = 0
        self._is_taken = True
        self._reason = ""
        self._told_at = float("-inf")

    def observe(self, snapshot: Snapshot) -> None:
        """Add what has changed."""
        export = self._metrics.export(snapshot)
        changed = [row for row in export.rows if self._added.get(row.key) != _figures(row)]
        self._ticks += 1
        try:
            self._add(export, changed)
        except (RedisError, OSError) as error:
            self._lose(error)
            return
        self._is_taken = True
        self._added.update((row.key, _figures(row)) for row in changed if not row.is_over)
        for row in changed:
            if row.is_over:
                self._added.pop(row.key, None)

    def end(self, _run: Run) -> str:
        """Close the connection. What went wrong is in `loss`."""
        self._client.close()
        return ""

    def loss(self) -> str:
        """Return what was not added, as one line, "" for nothing."""
        if not self._lost:
            return ""
        last = "" if self._is_taken else ", nor the last one: what was counted since the one before is missing there"
        return f"{self._settings.shown}: {self._lost} of {self._ticks} states were not added{last} ({self._reason})"

    def _add(self, export: Export, rows: list[Row]) -> None:
        """Add entries in one transaction. Raises RedisError or OSError."""
        resource = dict(export.resource.attributes)
        head = {"run": resource["service.instance.id"], "service": resource["service.name"], "at_ns": export.at_ns}
        pipeline = self._client.pipeline(transaction=True)
        for row in rows:
            document = document_of(row) | {"started_ns": export.resource.started_ns, "is_over": row.is_over}
            fields: Any = {**head, "name": row.instrument.name, "row": json.dumps(document, ensure_ascii=False)}
            pipeline.xadd(self._settings.key, fields, maxlen=self._settings.most, approximate=True)
        pipeline.execute()

    def _lose(self, error: Exception) -> None:
        self._lost += 1
        self._is_taken = False
        self._reason = f"{type(error).__name__}: {clean(' '.join(str(error).split()))[:120]}"
        if monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = monotonic()
            self._tell(
                f"hookmon: export to {self._settings.shown}: a state could not be added ({self._reason}); "
                "the next one has all counts [export]"
            )


def _figures(row: Row) -> tuple[float, Spread | None, bool]:
    return row.value, row.spread, row.is_over


def _connect(settings: StreamSettings) -> Redis:
    """Return a client, which connects with the first entry."""
    return Redis.from_url(settings.url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
