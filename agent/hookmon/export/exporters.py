"""The exporters of a run: made before the program starts, given its snapshots, asked in the end what was lost.

In: settings. Out: observers for a feed, in the launcher or in `hookmon export`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from hookmon.collector.worker import Worker
from hookmon.core.record import Record
from hookmon.export.exemplars import Exemplars
from hookmon.export.metrics import MOST_COUNTERS, MOST_HISTOGRAMS, Metrics
from hookmon.export.rows import Resource
from hookmon.export.settings import (
    OtlpSettings,
    PrometheusSettings,
    StreamSettings,
    TracesSettings,
    otlp_settings,
    prometheus_settings,
    resource_of,
    stream_settings,
    traces_settings,
    written_attributes,
)

if TYPE_CHECKING:
    from threading import Event

    from hookmon.collector.feed import Observer, Snapshot
    from hookmon.collector.store import Run
    from hookmon.export.filtering import Document
    from hookmon.export.server import Endpoint
    from hookmon.export.traces import Traces


FULL = (
    f"{MOST_HISTOGRAMS} histograms or {MOST_COUNTERS:,} counters are in use; names that came later are added up in one series of "
    'each metric, otel.metric.overflow="true"'
)


class Targets(Record, frozen=True):
    """Where to export to. An address to listen at is taken already."""

    otlp: OtlpSettings | None
    traces: TracesSettings | None
    prometheus: PrometheusSettings | None
    endpoint: Endpoint | None
    stream: StreamSettings | None
    filter: Callable[[Document], object] | None
    filter_name: str
    table: Mapping[str, Any]  # of the first exporter: the name of the service
    environ: Mapping[str, str]
    systems: Mapping[str, str]  # of names.name_call
    consumers: Collection[str]  # packages whose jobs come by a message

    @property
    def window_ns(self) -> int:
        """How long the windows are of which examples are exported as traces, 0 where none are."""
        return round(self.traces.window_s * 1e9) if self.traces is not None else 0

    def close(self) -> None:
        """Free the address."""
        if self.endpoint is not None:
            self.endpoint.close()


def targets(
    tables: Mapping[str, Mapping[str, Any]],
    environ: Mapping[str, str],
    systems: Mapping[str, str],
    consumers: Collection[str] = (),
    row_filter: tuple[str, str] = ("", ""),
) -> Targets:
    """Return where to export to; `tables` are those of the exporters that are on, by name. Raises ExportError.

    `row_filter` is "module:function", "" for none, and a folder to search for it. It sees no traces: with one they are sent only
    where that is written.
    """
    otlp = otlp_settings(tables["otlp"], environ) if "otlp" in tables else None
    has_traces = "otlp" in tables and (not row_filter[0] or tables["otlp"].get("traces"))
    traces = traces_settings(tables["otlp"], environ) if has_traces else None
    prometheus = prometheus_settings(tables["prometheus"]) if "prometheus" in tables else None
    stream = stream_settings(tables["stream"], environ) if "stream" in tables else None
    written_attributes(environ)
    function = None
    if row_filter[0]:
        from hookmon.export.filtering import load_filter

        function = load_filter(*row_filter)
    endpoint = None
    if prometheus is not None:
        from hookmon.export.server import Endpoint

        endpoint = Endpoint(prometheus)
    table = next((table for table in tables.values() if table.get("service")), {})
    return Targets(
        otlp, traces, prometheus, endpoint, stream, function, row_filter[0], table, environ, systems, consumers=consumers
    )


class Exporters:
    """The exporters of one run."""

    def __init__(self, where: Targets, run: Run, tell: Callable[[str], None], *, is_first: bool = False) -> None:
        """Prepare them; a thread starts with the first snapshot. `tell` takes a line for the user, in any thread.

        `is_first` says that nobody can have exported the run before.
        """
        resource = resource_of(run, where.table, where.environ)
        self.resource: Resource = resource
        self.observers: list[Observer] = []
        self._sending: list[_Sending] = []
        self._endpoint = where.endpoint
        exemplars = Exemplars()
        self._filter = None
        self._tell = tell
        self._is_full = False
        self._traces: Traces | None = None
        if where.filter is not None:
            from hookmon.export.filtering import RowFilter

            self._filter = RowFilter(where.filter, where.filter_name, tell)

        def metrics() -> Metrics:
            return Metrics(
                resource,
                where.systems,
                keep=self._filter or list,
                exemplars=exemplars,
                is_first=is_first,
                tell_full=self._tell_full,
            )

        if where.traces is not None:
            from hookmon.export import traces

            self._traces = traces.Traces(where.traces, run, resource, where.systems, where.consumers, exemplars, tell)
            self._sending.append(_Sending(self._traces, traces.PATIENCE_S))
        if where.otlp is not None:
            from hookmon.export.delivery import PATIENCE_S, Delivery

            self._sending.append(_Sending(Delivery(where.otlp, metrics(), tell), PATIENCE_S))
        if where.stream is not None:
            from hookmon.export.stream import TIMEOUT_S, Stream

            self._sending.append(_Sending(Stream(where.stream, metrics(), tell), 2 * TIMEOUT_S))
        self.observers += self._sending
        if where.endpoint is not None and where.prometheus is not None:
            from hookmon.export.server import Scraped

            self.observers.append(Scraped(where.endpoint, where.prometheus, metrics()))

    def loss(self) -> str:
        """Return what was not delivered, as one line, "" for nothing."""
        found = [sending.loss() for sending in self._sending] + ([self._filter.loss()] if self._filter is not None else [])
        return "; ".join(line for line in found if line)

    def shortage(self) -> str:
        """Return what there was no room for, as one line: series that were added up, and traces. "" where there was for all."""
        found = (FULL if self._is_full else "", self._traces.shortage() if self._traces is not None else "")
        return "; ".join(line for line in found if line)

    def _tell_full(self) -> None:
        if not self._is_full:
            self._is_full = True
            self._tell(f"hookmon: export: {FULL} [export-full]")

    def forget(self) -> None:
        """Show the run no more: it has ended, and other runs go on."""
        if self._endpoint is not None:
            self._endpoint.drop(self.resource)


class _Sender(Protocol):
    """What sends snapshots somewhere and may block. `hurry` is set when it is to give up what it waits for."""

    every_ns: int
    hurry: Event

    def observe(self, snapshot: Snapshot) -> None:
        """Send a snapshot."""

    def end(self, run: Run) -> str:
        """Take the whole run."""

    def loss(self) -> str:
        """Return what was not sent, as one line, "" for nothing."""


class _Sending:
    """A sender in a thread of its own, which the end of the run waits for no longer than its patience."""

    def __init__(self, sender: _Sender, patience_s: float) -> None:
        self.every_ns = sender.every_ns
        self._sender = sender
        self._worker = Worker(sender, "export", patience_s=patience_s + 0.5)
        self._line = ""

    def observe(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot."""
        if snapshot.ended:
            self._sender.hurry.set()
        self._worker.observe(snapshot)

    def end(self, run: Run) -> str:
        """Wait for the last state to be delivered. What went wrong is in `loss`."""
        self._sender.hurry.set()
        self._line = self._worker.end(run)
        return ""

    def loss(self) -> str:
        """Return what was not delivered, "" for nothing."""
        return "; ".join(line for line in (self._sender.loss(), self._line) if line)
