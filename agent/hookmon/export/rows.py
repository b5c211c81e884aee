"""One row for each series that is exported: what OTLP and Prometheus are made of. Plain data, and nobody changes a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hookmon.core.record import Record, field

if TYPE_CHECKING:
    from hookmon.collector.counters import CallKey

Attributes = tuple[tuple[str, str | int | bool], ...]
"""Names and values, by name. A status, once it is counted, is one of them."""

SCALE = 4
"""Of all histograms, OpenTelemetry's: 2**4 buckets in an octave."""

OVERFLOW: Attributes = (("otel.metric.overflow", True),)
"""What a row has that stands for all beyond the budget."""


class Instrument(NamedTuple):
    """What is measured. `kind` is histogram, counter (it only grows) or gauge; `unit` is UCUM's, as OpenTelemetry has it."""

    name: str
    unit: str
    kind: str
    help: str


class Spread(Record, frozen=True, slots=True):
    """A histogram of scale 4: `buckets` is {index in OpenTelemetry's numbering: count}, in the unit of the instrument.

    Bucket `i` holds the values in `(2**(i/16), 2**((i+1)/16)]`. `count` is the sum of the buckets: backends refuse others.
    """

    buckets: dict[int, int]
    count: int
    sum: float
    min: float
    max: float


class Exemplar(NamedTuple):
    """One measurement of a row that a trace tells more of."""

    value: float  # in the unit of the instrument
    at_ns: int  # since 1970
    trace_id: bytes
    span_id: bytes


class Row(Record, frozen=True, slots=True):
    """One series at one moment; all of them cumulative since the run began, but gauges. `spread` is that of a histogram.

    `is_over` says that the series has ended, as that of a process that is gone: it is exported once more and never again.
    """

    instrument: Instrument
    attributes: Attributes
    value: float = 0
    spread: Spread | None = None
    exemplars: tuple[Exemplar, ...] = field(default=())
    is_over: bool = False

    @property
    def key(self) -> tuple[str, Attributes]:
        """What tells the series from all others of the run."""
        return self.instrument.name, self.attributes


class Resource(Record, frozen=True, slots=True):
    """The run, as a backend knows it. `attributes` have service.name and service.instance.id, which is one for each run."""

    attributes: Attributes
    started_ns: int  # since 1970


class Export(Record, frozen=True, slots=True):
    """The rows of a run at one moment, `at_ns` since 1970."""

    resource: Resource
    at_ns: int
    rows: list[Row]
    ended: bool = False


class Span(Record, frozen=True, slots=True):
    """One call of a trace. `kind` is OpenTelemetry's: server, client, producer, consumer or internal. Times are since 1970."""

    name: str
    kind: str
    span_id: bytes
    parent_id: bytes  # b"" for none
    start_ns: int
    end_ns: int
    attributes: Attributes
    has_failed: bool


class Link(NamedTuple):
    """A span of another trace, and the flags that it came with."""

    trace_id: bytes
    span_id: bytes
    flags: int


class Trace(Record, frozen=True, slots=True):
    """A transaction that is exported whole. Its own span is the first one; the others are below it.

    `flags` are those of W3C trace context. `is_remote` says that the span above the first one is another program's. `subject` is
    what the transaction is counted under.
    """

    trace_id: bytes
    flags: int
    is_remote: bool
    spans: tuple[Span, ...]
    link: Link | None
    subject: CallKey
    status: int  # of the response, 0 for none
