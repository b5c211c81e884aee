"""Rows for Prometheus: as text by `prometheus_client`, of the extra `hookmon[export]`, and as protobuf with native histograms.

In: the rows of one or several runs, and what a scraper accepts. Out: a body and its type. `prometheus_client` cannot make native
histograms that a Prometheus takes, so the protobuf is made here (prometheus/client_model, metrics.proto).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar as Shown
from prometheus_client.samples import Timestamp

from hookmon.export.classic import bounds_of, cumulative
from hookmon.export.rows import SCALE, Attributes, Exemplar, Export, Instrument, Resource, Row, Spread

PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_BARE_PROTOBUF = "application/vnd.google.protobuf"
_OWN_PROTOBUF = {"encoding=delimited", "proto=io.prometheus.client.MetricFamily"}
_UNITS = {"s": "_seconds", "By": "_bytes"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_INFINITE = float("inf")
_TARGET = Instrument("target", "", "gauge", "Target metadata")
_KINDS = {"counter": 0, "gauge": 1, "histogram": 4}

Families = dict[str, tuple[Instrument, list[tuple[Row, dict[str, str], Resource]]]]
"""Rows by the name of their metric, each with its labels."""


def render(exports: Iterable[Export], accept: str) -> tuple[bytes, str]:
    """Return what a scraper gets and its content type: protobuf where it is asked for first, else text."""
    families = _families(list(exports))
    if _prefers_protobuf(accept):
        return b"".join(map(_delimit, _protobuf(families))), PROTOBUF
    encoder, content_type = choose_encoder(accept)
    return encoder(_Registry(list(_metrics(families)))), content_type


def metric_name(instrument: Instrument) -> str:
    """Return the name of a metric, without the suffix of a counter."""
    return _NOT_IN_NAMES.sub("_", instrument.name) + _UNITS.get(instrument.unit, "")


class _Registry:
    """What the encoders of prometheus_client take."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        """Return all metrics."""
        return self._metrics


def _families(exports: list[Export]) -> Families:
    """Return all rows by metric. Where there are several runs, labels tell them apart."""
    found: Families = {}
    for export in exports:
        resource = _labels(export.resource.attributes)
        run = {"service_name": resource["service_name"], "service_instance_id": resource["service_instance_id"]}
        own = run if len(exports) > 1 else {}
        for row in export.rows:
            if not row.is_over:
                family = found.setdefault(metric_name(row.instrument), (row.instrument, []))
                family[1].append((row, {**own, **_labels(row.attributes)}, export.resource))
        found.setdefault("target_info", (_TARGET, []))[1].append((Row(_TARGET, (), 1), resource, export.resource))
    return dict(sorted(found.items()))


def _labels(attributes: Attributes) -> dict[str, str]:
    return {
        _NOT_IN_NAMES.sub("_", name): str(value).lower() if isinstance(value, bool) else str(value) for name, value in attributes
    }


def _metrics(families: Families) -> Iterator[Metric]:
    for name, (instrument, rows) in families.items():
        metric = Metric(name, instrument.help, instrument.kind)
        for row, labels, _ in rows:
            if instrument.kind == "histogram" and row.spread is not None:
                bounds = bounds_of(instrument)
                for bound, count, exemplar in _buckets(row, row.spread, bounds):
                    shown = None
                    if exemplar is not None:  # of OpenMetrics: the plain text has none
                        at = Timestamp(exemplar.at_ns // 1_000_000_000, exemplar.at_ns % 1_000_000_000)
                        shown = Shown(_labels_of(exemplar), exemplar.value, at)
                    text = repr(bound) if bound < _INFINITE else "+Inf"
                    metric.add_sample(f"{name}_bucket", {**labels, "le": text}, count, exemplar=shown)
                metric.add_sample(f"{name}_count", labels, row.spread.count)
                metric.add_sample(f"{name}_sum", labels, row.spread.sum)
            else:
                metric.add_sample(name + ("_total" if instrument.kind == "counter" else ""), labels, row.value)
        yield metric


def _buckets(row: Row, spread: Spread, bounds: tuple[float, ...]) -> Iterator[tuple[float, int, Exemplar | None]]:
    """Yield (upper bound, values below it, the exemplar that lies in the bucket), the infinite bucket last."""
    left = list(row.exemplars)
    for bound, count in zip((*bounds, _INFINITE), (*cumulative(spread, bounds), spread.count), strict=True):
        found = next((exemplar for exemplar in left if exemplar.value <= bound), None)
        left = [exemplar for exemplar in left if exemplar.value > bound]
        yield bound, count, found


def _labels_of(exemplar: Exemplar) -> dict[str, str]:
    return {"trace_id": exemplar.trace_id.hex(), "span_id": exemplar.span_id.hex()}


def _prefers_protobuf(accept: str) -> bool:
    """Say whether protobuf is asked for, and nothing rather than that."""
    wanted: dict[str, float] = {}
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        if kind == _BARE_PROTOBUF and not set(parameters) >= _OWN_PROTOBUF:
            continue
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            wanted[kind] = max(float(quality), wanted.get(kind, 0.0))
        except ValueError:
            continue
    own = wanted.pop(_BARE_PROTOBUF, 0.0)
    return own > 0 and own >= max(wanted.values(), default=0.0)


def _protobuf(families: Families) -> Iterator[bytes]:
    """Yield a MetricFamily for each metric."""
    for name, (instrument, rows) in families.items():
        full = name + ("_total" if instrument.kind == "counter" else "")
        body = _text(1, full) + _text(2, instrument.help) + _number(3, _KINDS[instrument.kind])
        for row, labels, resource in rows:
            metric = b"".join(_field(1, _text(1, key) + _text(2, value)) for key, value in sorted(labels.items()))
            created = _field(15 if row.spread else 3, _timestamp(resource.started_ns))
            if row.spread is not None:
                metric += _field(7, _histogram(row, row.spread, bounds_of(instrument)) + created)
            elif instrument.kind == "counter":
                metric += _field(3, _double(1, row.value) + created)
            else:
                metric += _field(2, _double(1, row.value))
            body += _field(4, metric)
        yield body


def _histogram(row: Row, spread: Spread, bounds: tuple[float, ...]) -> bytes:
    """Return a histogram, classic and native, without what is created. Its index is one more than OpenTelemetry's."""
    body = _number(1, spread.count) + _double(2, spread.sum)
    for bound, count, exemplar in _buckets(row, spread, bounds):
        shown = _field(3, _exemplar(exemplar)) if exemplar is not None else b""
        body += _field(3, _number(1, count) + _double(2, bound) + shown)
    body += _number(5, _zigzag(SCALE)) + _double(6, 0.0) + _number(7, 0)
    spans = b""
    deltas = b""
    next_index = before = length = 0
    offset = 0
    for index, count in sorted(spread.buckets.items()):
        if length and index + 1 == next_index:
            length += 1
        else:
            spans += _field(12, _number(1, _zigzag(offset)) + _number(2, length)) if length else b""
            offset, length = index + 1 - next_index, 1
        next_index = index + 2
        deltas += _number(13, _zigzag(count - before))
        before = count
    spans += _field(12, _number(1, _zigzag(offset)) + _number(2, length))  # an empty one says that it is a native histogram
    return body + spans + deltas + b"".join(_field(16, _exemplar(exemplar)) for exemplar in row.exemplars)


def _exemplar(exemplar: Exemplar) -> bytes:
    labels = b"".join(_field(1, _text(1, key) + _text(2, value)) for key, value in _labels_of(exemplar).items())
    return labels + _double(2, exemplar.value) + _field(3, _timestamp(exemplar.at_ns))


def _timestamp(at_ns: int) -> bytes:
    return _number(1, at_ns // 1_000_000_000) + _number(2, at_ns % 1_000_000_000)


def _delimit(message: bytes) -> bytes:
    return _varint(len(message)) + message


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _field(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _delimit(body)


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode("utf-8", "replace"))
