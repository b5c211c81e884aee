"""The endpoint that Prometheus scrapes: both formats of one snapshot, hostile names, bad clients, mistakes."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookmon.core.record import replace

pytest.importorskip("prometheus_client", reason="hookmon[export] is not installed")
pytest.importorskip("google.protobuf", reason="hookmon[export] is not installed")

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from support import known
from support.backends import answers, free_port, get
from support.runs import PYTHON, hookmon_run, hookmon_start, wait_until, write

from hookmon.collector.counters import CallKey
from hookmon.export import names
from hookmon.export.prometheus import PROTOBUF, render
from hookmon.export.rows import OVERFLOW, Exemplar, Export, Instrument, Resource, Row, Spread
from hookmon.export.server import Endpoint
from hookmon.export.settings import ExportError, PrometheusSettings

RESOURCE = Resource((("service.instance.id", "abc"), ("service.name", "shop")), 1_700_000_000_500_000_000)
DURATION = "http_server_request_duration_seconds"
HOSTILE = 'evil"\n\\ } 1\n# TYPE x counter\nx{a="b"} 7\x00\x1b[31m ' + "é" * 300
ACCEPTS_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
ACCEPTS_OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.2"


def export_of(*rows: Row, resource: Resource = RESOURCE) -> Export:
    """Return rows of now."""
    return Export(resource, time.time_ns(), list(rows))


def rows() -> list[Row]:
    """Return rows of each kind, with a hostile name."""
    instrument, attributes = names.name_transaction(CallKey(f"GET {HOSTILE}", "request", "m:f"))
    spread = Spread({-320: 3, -319: 1, -100: 5, 0: 2}, 11, 2.5, 0.000001, 1.01)
    return [
        Row(instrument, attributes, spread=spread),
        Row(instrument, OVERFLOW, spread=Spread({}, 0, 0.0, 0.0, 0.0)),
        Row(names.CALLS, attributes, 11),
        Row(Instrument("process.memory.usage", "By", "gauge", "a\nb"), (("process.pid", 7),), 5.0),
        Row(Instrument("process.memory.usage", "By", "gauge", "a\nb"), (("process.pid", 8),), is_over=True),
    ]


def test_text_is_what_a_parser_reads_and_no_name_breaks_a_line():
    """Label values are escaped; there is no series that a name has made up."""
    body, content_type = render([export_of(*rows())], "")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert content_type.startswith("text/plain; version=0.0.4")
    assert set(families) == {DURATION, "hookmon_call_count", "process_memory_usage_bytes", "target_info"}
    buckets = {
        sample.labels["le"]: sample.value
        for sample in families["http_server_request_duration_seconds"].samples
        if sample.name.endswith("_bucket") and "http_route" in sample.labels
    }
    assert (buckets["0.005"], buckets["0.025"], buckets["1.0"], buckets["2.5"], buckets["+Inf"]) == (4, 9, 9, 11, 11)
    route = families["hookmon_call_count"].samples[0].labels["http_route"]
    assert route.startswith('evil"\N{REPLACEMENT CHARACTER}\\ }')
    assert b"\n# TYPE x counter" not in body
    assert [sample.labels for sample in families["process_memory_usage_bytes"].samples] == [{"process_pid": "7"}]
    assert families["target_info"].samples[0].labels == {"service_name": "shop", "service_instance_id": "abc"}


def test_openmetrics_is_what_its_parser_reads():
    """It is strict."""
    body, content_type = render([export_of(*rows())], ACCEPTS_OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in read_openmetrics(body.decode())}
    assert "http_server_request_duration_seconds" in names


def message_of_a_family() -> Any:
    """Return the class of MetricFamily, as prometheus/client_model has it."""
    kinds = {"double": 1, "uint64": 4, "int64": 3, "int32": 5, "uint32": 13, "string": 9, "enum": 5, "sint32": 17, "sint64": 18}
    messages = {
        "LabelPair": ["name 1 string", "value 2 string"],
        "Value": ["value 1 double"],
        "Stamp": ["seconds 1 int64", "nanos 2 int32"],
        "Counter": ["value 1 double", "created 3 Stamp"],
        "Exemplar": ["label* 1 LabelPair", "value 2 double", "timestamp 3 Stamp"],
        "Bucket": ["cumulative_count 1 uint64", "upper_bound 2 double", "exemplar 3 Exemplar"],
        "Span": ["offset 1 sint32", "length 2 uint32"],
        "Histogram": [
            *("sample_count 1 uint64", "sample_sum 2 double", "bucket* 3 Bucket", "schema 5 sint32", "zero_threshold 6 double"),
            *("zero_count 7 uint64", "positive_span* 12 Span", "positive_delta* 13 sint64", "created 15 Stamp"),
            "exemplars* 16 Exemplar",
        ],
        "Metric": ["label* 1 LabelPair", "gauge 2 Value", "counter 3 Counter", "histogram 7 Histogram"],
        "MetricFamily": ["name 1 string", "help 2 string", "type 3 enum", "metric* 4 Metric"],
    }
    file = descriptor_pb2.FileDescriptorProto(name="family.proto", package="p", syntax="proto2")
    for name, lines in messages.items():
        message = file.message_type.add(name=name)
        for line in lines:
            field, number, kind = line.split()
            added = message.field.add(name=field.rstrip("*"), number=int(number), label=3 if field.endswith("*") else 1)
            added.type = kinds.get(kind, 11)
            if kind not in kinds:
                added.type_name = f".p.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.MetricFamily"))


def read_protobuf(body: bytes) -> dict[str, Any]:
    """Return the families of a delimited body, by name. Raises DecodeError."""
    family, found = message_of_a_family(), {}
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            size, shift, at = size | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                break
        message = family.FromString(body[at : at + size])
        found[message.name] = message
        at += size
    return found


def test_protobuf_has_native_histograms_and_the_same_classic_ones():
    """Scale 4, spans over gaps, created with the run; the hostile name is a value like any other."""
    exports = [export_of(*rows())]
    body, content_type = render(exports, ACCEPTS_PROTOBUF)
    assert content_type == PROTOBUF
    families = read_protobuf(body)
    first, empty = families["http_server_request_duration_seconds"].metric
    native = first.histogram
    assert (native.schema, native.sample_count, native.sample_sum, native.zero_count) == (4, 11, 2.5, 0)
    index, counts, count, deltas = 0, {}, 0, list(native.positive_delta)
    for span in native.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += deltas.pop(0)
            counts[index] = count
            index += 1
    assert counts == {-319: 3, -318: 1, -99: 5, 1: 2}  # one more than OpenTelemetry's
    assert (native.created.seconds, native.created.nanos) == (1_700_000_000, 500_000_000)
    text = render(exports, "")[0].decode()
    for bucket in native.bucket[:-1]:
        assert f'le="{bucket.upper_bound!r}"}} {float(bucket.cumulative_count)}' in text
    assert [(span.offset, span.length) for span in empty.histogram.positive_span] == [(0, 0)]
    assert families["hookmon_call_count_total"].type == 0
    assert families["process_memory_usage_bytes"].metric[0].gauge.value == 5.0


def test_exemplars_stand_in_the_buckets_of_their_values():
    """In OpenMetrics, and in protobuf for classic and native histograms; the plain text has none."""
    exemplar = Exemplar(0.07, 1_700_000_123_250_000_000, bytes(range(16)), bytes(range(8)))
    row = replace(rows()[0], exemplars=(exemplar,))
    ids = {"trace_id": exemplar.trace_id.hex(), "span_id": exemplar.span_id.hex()}
    text = render([export_of(row)], ACCEPTS_OPENMETRICS)[0].decode()
    family = next(family for family in read_openmetrics(text) if family.name == DURATION)
    (sample,) = [sample for sample in family.samples if sample.exemplar]
    assert (sample.labels["le"], sample.exemplar.labels, sample.exemplar.value) == ("0.075", ids, 0.07)
    assert float(sample.exemplar.timestamp) == 1_700_000_123.25
    native = read_protobuf(render([export_of(row)], ACCEPTS_PROTOBUF)[0])[DURATION].metric[0].histogram
    (bucket,) = [bucket for bucket in native.bucket if bucket.exemplar.label]
    assert bucket.upper_bound == 0.075
    for found in (bucket.exemplar, native.exemplars[0]):
        assert {label.name: label.value for label in found.label} == ids
        assert (found.value, found.timestamp.seconds, found.timestamp.nanos) == (0.07, 1_700_000_123, 250_000_000)
    assert b"trace_id" not in render([export_of(row)], "")[0]


@pytest.mark.parametrize(
    ("accept", "is_protobuf"),
    [
        (ACCEPTS_PROTOBUF, True),
        (ACCEPTS_OPENMETRICS, False),
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4;q=0.9," + PROTOBUF + ";q=0.5", False),
        (PROTOBUF + ";q=0", False),
        ("application/vnd.google.protobuf;proto=other;encoding=delimited", False),
        (PROTOBUF + ";q=nonsense", False),
    ],
    ids=range(8),
)
def test_protobuf_is_given_where_it_is_asked_for_first(accept: str, is_protobuf: bool):
    """A default Prometheus 3.5, VictoriaMetrics and people get text."""
    assert (render([export_of(*rows())], accept)[1] == PROTOBUF) is is_protobuf


def test_two_runs_are_told_apart_by_labels():
    """One alone has none of these: Prometheus gives a job and an instance."""
    other = Resource((("service.instance.id", "def"), ("service.name", "shop")), 1)
    body, _ = render([export_of(*rows()), export_of(*rows(), resource=other)], "")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    ids = [sample.labels["service_instance_id"] for sample in families["hookmon_call_count"].samples]
    assert ids == ["abc", "def"]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint with rows."""
    found = Endpoint(PrometheusSettings("127.0.0.1", 0))
    found.lay(export_of(*rows()))
    found.start()
    yield found
    found.close()


def test_paths(endpoint: Endpoint):
    """Metrics, health, and nothing else."""
    assert get(endpoint.port, "/metrics")[0] == 200
    assert get(endpoint.port, "/metrics?a=b", Accept=ACCEPTS_PROTOBUF)[1] == PROTOBUF
    assert get(endpoint.port, "/healthz") == (200, "text/plain; charset=utf-8", b"ok\n")
    assert get(endpoint.port, "/metrics", "HEAD")[2] == b""
    assert get(endpoint.port, "/")[0] == 404
    assert get(endpoint.port, "/../etc/passwd")[0] == 404
    assert get(endpoint.port, "/metrics", "POST")[0] == 501


def test_clients_that_hold_on_keep_nobody_out_for_long(endpoint: Endpoint):
    """Eight connections at once; a ninth is closed, and the endpoint lives on."""
    held = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(40)]
    for connection in held:
        connection.close()
    wait_until(lambda: answers(endpoint.port), "an answer")


def test_garbage_on_the_wire_is_no_end(endpoint: Endpoint):
    """Of a client that speaks something else, or goes away at once."""
    for content in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"GET /metrics\r\n\r\n", b"G" * 70_000, b""):
        with socket.create_connection(("127.0.0.1", endpoint.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(content)
    wait_until(lambda: answers(endpoint.port), "an answer")


def test_an_address_that_is_taken_is_told(endpoint: Endpoint):
    """With its port, before anything begins."""
    with pytest.raises(ExportError, match=f"cannot listen at 127.0.0.1:{endpoint.port}"):
        Endpoint(PrometheusSettings("127.0.0.1", endpoint.port))


@pytest.mark.process
def test_a_run_is_scraped_while_it_lasts(tmp_path: Path):
    """At the address that was asked for, on loopback only; afterwards it is free again."""
    write(
        tmp_path,
        {
            "known.py": known.MODULE,
            "app.py": known.PROGRAM + "record(7, 500)\nwhile not os.path.exists('done'): time.sleep(0.05)",
        },
    )
    port = free_port()
    config = f'{known.CONFIG}[export.prometheus]\nlisten = ":{port}"\ninterval = 0.2\n'
    started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=config)
    wait_until(
        lambda: answers(port) and b'code="200",http_route="/known",le="+Inf"} 500.0' in get(port, "/metrics")[2], "the counts"
    )
    local = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()]
    assert {address for address in local if address.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}
    (tmp_path / "done").touch()
    result = started.finish()
    assert result.exit_code == 0, result.stderr
    assert not answers(port)


@pytest.mark.process
def test_an_address_that_is_taken_is_told_before_the_start(tmp_path: Path, endpoint: Endpoint):
    """And nothing runs."""
    write(tmp_path, {"app.py": "open('ran', 'w')"})
    config = f"[export.prometheus]\nlisten = {json.dumps(f'127.0.0.1:{endpoint.port}')}\n"
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert (result.exit_code, (tmp_path / "ran").exists()) == (2, False)
    assert "[export-address]" in result.stderr
    assert len(result.stderr.splitlines()) == 1
