"""The exporters of a run: made before the program starts, given its snapshots, asked in the end what was lost.

In: settings. Out: observers for a feed, in the launcher or in `hookmon export`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hookmon.collector.worker import Worker
from hookmon.export.metrics import Metrics
from hookmon.export.rows import Resource
from hookmon.export.settings import (
    OtlpSettings,
    PrometheusSettings,
    otlp_settings,
    prometheus_settings,
    resource_of,
    written_attributes,
)

if TYPE_CHECKING:
    from hookmon.collector.feed import Observer, Snapshot
    from hookmon.collector.store import Run
    from hookmon.export.delivery import Delivery
    from hookmon.export.server import Endpoint


@dataclass(frozen=True)
class Targets:
    """Where to export to. An address to listen at is taken already."""

    otlp: OtlpSettings | None
    prometheus: PrometheusSettings | None
    endpoint: Endpoint | None
    table: Mapping[str, Any]  # [export.otlp]: the name of the service
    environ: Mapping[str, str]
    systems: Mapping[str, str]  # of names.name_call

    def close(self) -> None:
        """Free the address."""
        if self.endpoint is not None:
            self.endpoint.close()


def targets(tables: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], systems: Mapping[str, str]) -> Targets:
    """Return where to export to; `tables` are those of the exporters that are on, by name. Raises ExportError."""
    otlp = otlp_settings(tables["otlp"], environ) if "otlp" in tables else None
    prometheus = prometheus_settings(tables["prometheus"]) if "prometheus" in tables else None
    written_attributes(environ)
    endpoint = None
    if prometheus is not None:
        from hookmon.export.server import Endpoint

        endpoint = Endpoint(prometheus)
    return Targets(otlp, prometheus, endpoint, tables.get("otlp") or tables.get("prometheus") or {}, environ, systems)


class Exporters:
    """The exporters of one run."""

    def __init__(self, where: Targets, run: Run, tell: Callable[[str], None]) -> None:
        """Prepare them; a thread starts with the first snapshot. `tell` takes a line for the user, in any thread."""
        resource = resource_of(run, where.table, where.environ)
        self.resource: Resource = resource
        self.observers: list[Observer] = []
        self._sending: _Sending | None = None
        self._endpoint = where.endpoint
        if where.otlp is not None:
            from hookmon.export.delivery import PATIENCE_S, Delivery

            self._sending = _Sending(Delivery(where.otlp, Metrics(resource, where.systems), tell), PATIENCE_S)
            self.observers.append(self._sending)
        if where.endpoint is not None and where.prometheus is not None:
            from hookmon.export.server import Scraped

            self.observers.append(Scraped(where.endpoint, where.prometheus, Metrics(resource, where.systems)))

    def loss(self) -> str:
        """Return what was not delivered, as one line, "" for nothing."""
        return self._sending.loss() if self._sending is not None else ""

    def forget(self) -> None:
        """Show the run no more: it has ended, and other runs go on."""
        if self._endpoint is not None:
            self._endpoint.drop(self.resource)


class _Sending:
    """A delivery in a thread of its own, which the end of the run waits for no longer than its patience."""

    def __init__(self, delivery: Delivery, patience_s: float) -> None:
        self.every_ns = delivery.every_ns
        self._delivery = delivery
        self._worker = Worker(delivery, "export", patience_s=patience_s + 0.5)
        self._line = ""

    def observe(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot."""
        if snapshot.ended:
            self._delivery.hurry.set()
        self._worker.observe(snapshot)

    def end(self, run: Run) -> str:
        """Wait for the last state to be delivered. What went wrong is in `loss`."""
        self._delivery.hurry.set()
        self._line = self._worker.end(run)
        return ""

    def loss(self) -> str:
        """Return what was not delivered, "" for nothing."""
        return "; ".join(line for line in (self._delivery.loss(), self._line) if line)
