"""Rows as OTLP: requests of a bounded size, in protobuf. Imports opentelemetry-proto, of the extra `hookmon[export]`.

In: the rows of a moment. Out: the bytes of ExportMetricsServiceRequest messages. Cumulative, exponential histograms of scale 4,
seconds. A series that is new also has a point of zero at the moment before, without which backends lose its first value. One that
was there before its exporter has none: behind the points of an exporter that was killed, zero would be a new start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from hookmon import __version__
from hookmon.export.rows import SCALE, Attributes, Export, Resource, Row, Spread

MOST_ROWS = 1_000
"""Of one request: 2,000 points, where each is new."""

_NO_VALUE = pb.DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_CUMULATIVE = pb.AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_MOST_BUCKETS = 768
_OF_REALS = ("s", "1")
"""Units of numbers that are not whole."""


def batches(rows: list[Row]) -> list[list[Row]]:
    """Return the rows in requests' worth, those of one instrument together as far as they fit."""
    ordered = sorted(rows, key=lambda row: row.instrument.name)
    return [ordered[at : at + MOST_ROWS] for at in range(0, len(ordered), MOST_ROWS)]


def encode(export: Export, rows: list[Row], known: Collection[tuple[str, Attributes]], before_ns: int) -> bytes:
    """Return a request with these rows; those whose key is not `known` get a point of zero at `before_ns` as well."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    add_attributes(resource.resource.attributes, export.resource.attributes)
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "hookmon", __version__
    zero_ns = before_ns if export.resource.started_ns <= before_ns < export.at_ns else export.resource.started_ns
    for instrument, group in groupby(rows, key=lambda row: row.instrument):
        metric = scope.metrics.add()
        metric.name, metric.unit, metric.description = instrument.name, instrument.unit, instrument.help
        for row in group:
            is_new = row.key not in known and not row.is_over
            if instrument.kind == "histogram":
                metric.exponential_histogram.aggregation_temporality = _CUMULATIVE
                if is_new:
                    _add_spread(metric.exponential_histogram.data_points.add(), row, export.resource, zero_ns, _NOTHING)
                _add_spread(metric.exponential_histogram.data_points.add(), row, export.resource, export.at_ns, row.spread)
            elif instrument.kind == "counter":
                metric.sum.aggregation_temporality, metric.sum.is_monotonic = _CUMULATIVE, True
                if is_new:
                    _add_number(metric.sum.data_points.add(), row, export.resource, zero_ns, 0)
                _add_number(metric.sum.data_points.add(), row, export.resource, export.at_ns, row.value)
            else:
                _add_number(metric.gauge.data_points.add(), row, export.resource, export.at_ns, row.value)
    return bytes(request.SerializeToString())


def read_answer(body: bytes) -> tuple[int, str] | None:
    """Return how many points an endpoint has refused and what it said; None for what is no answer of OTLP.

    An answer with a partial success in it that refuses nothing is a success: a Collector sends that each time.
    """
    answer = ExportMetricsServiceResponse()
    try:
        answer.ParseFromString(body)
    except DecodeError:
        return None
    if body and not answer.HasField("partial_success"):
        return None
    refused = answer.partial_success
    return max(0, refused.rejected_data_points), refused.error_message[:200]


_NOTHING = Spread({}, 0, 0.0, 0.0, 0.0)


def _add_number(point: pb.NumberDataPoint, row: Row, resource: Resource, at_ns: int, value: float) -> None:
    add_attributes(point.attributes, row.attributes)
    point.time_unix_nano = at_ns
    if row.instrument.kind != "gauge":
        point.start_time_unix_nano = resource.started_ns
    if row.is_over:
        point.flags = _NO_VALUE
    elif row.instrument.unit not in _OF_REALS:
        point.as_int = int(value)
    else:
        point.as_double = value


def _add_spread(point: pb.ExponentialHistogramDataPoint, row: Row, resource: Resource, at_ns: int, spread: Spread | None) -> None:
    add_attributes(point.attributes, row.attributes)
    point.start_time_unix_nano, point.time_unix_nano = resource.started_ns, at_ns
    point.scale = SCALE
    found = spread or _NOTHING
    point.count, point.sum = found.count, found.sum
    if found.count:
        point.min, point.max = found.min, found.max
        low, high = min(found.buckets), max(found.buckets)
        point.positive.offset = low
        point.positive.bucket_counts.extend(
            found.buckets.get(index, 0) for index in range(low, min(high, low + _MOST_BUCKETS) + 1)
        )
    for exemplar in row.exemplars if found is row.spread else ():
        added = point.exemplars.add()
        added.as_double, added.time_unix_nano = exemplar.value, exemplar.at_ns
        added.trace_id, added.span_id = exemplar.trace_id, exemplar.span_id


def add_attributes(target: Iterator[KeyValue], attributes: Attributes) -> None:
    """Add names and values to a repeated field of them."""
    for name, value in attributes:
        item = target.add()  # type: ignore[attr-defined]
        item.key = name
        if isinstance(value, bool):
            item.value.bool_value = value
        elif isinstance(value, int):
            item.value.int_value = value
        else:
            item.value.string_value = value
