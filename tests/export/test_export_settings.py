"""Where to export to: the configuration before the variables, which are read as the SDKs read them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
pytest.importorskip("prometheus_client", reason="hookmon[export] is not installed")

from hookmon.collector.store import Run
from hookmon.core.endpoints import fault_of_url, split_address
from hookmon.export.server import Endpoint
from hookmon.export.settings import ExportError, otlp_settings, prometheus_settings, resource_of

ENDPOINTS: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "nothing": ({}, {}, "http://localhost:4318/v1/metrics"),
    "general": ({}, {"ENDPOINT": "http://a:1"}, "http://a:1/v1/metrics"),
    "general with a slash": ({}, {"ENDPOINT": "http://a:1/"}, "http://a:1/v1/metrics"),
    "general with a path": ({}, {"ENDPOINT": "https://a/otlp/"}, "https://a/otlp/v1/metrics"),
    "of metrics": ({}, {"ENDPOINT": "http://a:1", "METRICS_ENDPOINT": "http://b:2/own"}, "http://b:2/own"),
    "of metrics without a path": ({}, {"METRICS_ENDPOINT": "http://b:2"}, "http://b:2"),
    "configured": ({"endpoint": "http://c:3"}, {"METRICS_ENDPOINT": "http://b:2"}, "http://c:3/v1/metrics"),
    "configured with a path": ({"endpoint": "http://c:3/api/v1/otlp/v1/metrics"}, {}, "http://c:3/api/v1/otlp/v1/metrics"),
    "configured with a query": ({"endpoint": "http://c:3/?k=1"}, {}, "http://c:3/?k=1"),
    "IPv6": ({}, {"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/metrics"),
}


def variables(**values: str) -> dict[str, str]:
    """Return variables of the exporter."""
    return {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in values.items()}


@pytest.mark.parametrize("case", ENDPOINTS)
def test_the_url_of_metrics(case: str):
    """That for metrics is used as it is, a general one gets the path."""
    table, environ, url = ENDPOINTS[case]
    assert otlp_settings(table, variables(**environ)).url == url


def test_user_and_password_of_a_url_are_a_header_and_are_shown_nowhere():
    """Nor is its query, which may have a key."""
    found = otlp_settings({"endpoint": "https://me:p%40ss@a:1/x?key=sesame"}, {})
    assert found.url == "https://a:1/x?key=sesame"
    assert found.headers["authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"
    assert found.shown == "https://a:1/x"
    assert "ss" not in repr(found).replace("sesame", "").replace("compression", "")


def test_numbers_are_those_of_the_sdks():
    """The interval in milliseconds, the timeout in seconds, each within bounds; the configuration goes first."""
    environ = variables(TIMEOUT="2.5") | {"OTEL_METRIC_EXPORT_INTERVAL": "30000"}
    found = otlp_settings({}, environ)
    assert (found.timeout_s, found.interval_s, found.compression) == (2.5, 30.0, "gzip")
    assert otlp_settings({"interval": 7}, environ).interval_s == 7
    assert otlp_settings({}, environ | variables(METRICS_TIMEOUT="1")).timeout_s == 1
    assert otlp_settings({}, {}).interval_s == 15
    assert prometheus_settings({}).interval_s == 5
    for wrong in ("-1", "nan", "0", "1e999", "a"):
        with pytest.raises(ExportError, match="no number above 0"):
            otlp_settings({}, {"OTEL_METRIC_EXPORT_INTERVAL": wrong})


def test_a_protocol_of_the_programs_own_exporter_is_no_hindrance_where_an_endpoint_is_configured():
    """The variable is for the program's SDK then."""
    environ = variables(PROTOCOL="grpc")
    with pytest.raises(ExportError, match="http/protobuf"):
        otlp_settings({}, environ)
    assert otlp_settings({"endpoint": "http://a:1"}, environ).url
    assert otlp_settings({}, environ | variables(METRICS_PROTOCOL="http/protobuf")).url


def test_a_run_is_one_instance_whoever_exports_it():
    """Its identity comes from its key, its name from whoever says one."""
    run = Run(7, "", ["python", "--token=sesame"], "2026-11-30T18:00:00.123+01:00", "0.1.0", "/srv/app/shop", run_key="k")
    found = resource_of(run, {}, {})
    assert found == resource_of(run, {}, {})
    assert dict(found.attributes)["service.name"] == "shop"
    assert found.started_ns == 1_796_058_000_123_000_000
    assert "sesame" not in str(found)
    assert "/home" not in str(found)
    other = Run(8, "", ["python"], run.started_at, "0.1.0", run.project, run_key="l")
    assert resource_of(other, {}, {}).attributes != found.attributes
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.instance.id=mine," + ",".join(f"k{n}=v" for n in range(99))}
    assert dict(resource_of(run, {}, attributes).attributes)["service.name"] == "a"
    assert dict(resource_of(run, {"service": "b"}, attributes).attributes)["service.name"] == "b"
    assert dict(resource_of(run, {"service": "b"}, attributes | {"OTEL_SERVICE_NAME": "c"}).attributes)["service.name"] == "c"
    assert dict(resource_of(run, {}, attributes).attributes)["service.instance.id"] != "mine"
    assert len(resource_of(run, {}, attributes).attributes) <= 16
    with pytest.raises(ExportError, match="OTEL_RESOURCE_ATTRIBUTES: an item without"):
        resource_of(run, {}, {"OTEL_RESOURCE_ATTRIBUTES": "sesame"})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
        ("9464", ("127.0.0.1", 9464)),
        ("[::1]:9464", ("::1", 9464)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]):
    """Loopback where no host is named."""
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "a:", "a:b", "a:99999", "::1:9464", "[::1:9464", "a:-1", "a:１"])
def test_what_is_no_address(text: str):
    """Is told."""
    with pytest.raises(ValueError, match="no address"):
        split_address(text)


def test_an_endpoint_listens_at_ipv6():
    """Where there is any."""
    try:
        endpoint = Endpoint(prometheus_settings({"listen": "[::1]:0"}))
    except ExportError:
        pytest.skip("this machine has no IPv6")
    assert endpoint.port
    endpoint.close()


@pytest.mark.parametrize(
    "text", ["", "localhost:4318", "htp://x", "http://", "http://x:99999", "http://x:0", "http://a b", "//x", "http://x\n"]
)
def test_what_is_no_url(text: str):
    """Is told; a line end at its end is forgiven."""
    assert bool(fault_of_url(text)) is (text != "http://x\n")
