"""Where to export to: from the table of the configuration, and from the variables that OpenTelemetry's SDKs read.

In: values of `[export.otlp]` and `[export.prometheus]`, and an environment. Out: settings that can be used, or an error that is
told before the program starts. What stands in the configuration goes before a variable. As in the SDK of Python, timeouts are
seconds.
"""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from hookmon.core.endpoints import BROKERS, WEB, fault_of_url, split_address
from hookmon.core.errors import HookmonError
from hookmon.core.record import Record, field
from hookmon.export.names import clean
from hookmon.export.rows import Resource

if TYPE_CHECKING:
    from hookmon.collector.store import Run

PATH = "/v1/metrics"
TRACES_PATH = "/v1/traces"
_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_ENDPOINT = "http://localhost:4318"
_DEFAULT_LISTEN = "127.0.0.1:9464"
_DEFAULT_INTERVAL_S = 15.0
_FRESH_S = 5.0  # what is scraped is no older: a scraper that sees one state twice draws steps
_DEFAULT_TIMEOUT_S = 10.0
_SHORTEST_S = 0.05
_LONGEST_S = 3600.0
_PROTOCOL = "http/protobuf"
_DEFAULT_WINDOW_S = 60.0
_COMPRESSIONS = ("gzip", "deflate", "none")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_NAMESPACE = uuid.UUID("6f1c9c58-0d4e-5b6a-9a53-2f4f5b0a7c11")
_MOST_ATTRIBUTES = 14  # of a resource: VictoriaMetrics makes a label of each, and drops points with more than 40


class OtlpSettings(Record, frozen=True):
    """How to send to an OTLP endpoint. `shown` is its URL without user, password and query."""

    url: str
    shown: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = _DEFAULT_TIMEOUT_S
    interval_s: float = _DEFAULT_INTERVAL_S
    compression: str = "gzip"


class TracesSettings(Record, frozen=True):
    """How to send traces. `window_s` is how long windows are, of which each has its own slowest and first failed requests.

    `is_beside_metrics` says that metrics go to the same host: who tells that it does not answer has told it for both.
    """

    otlp: OtlpSettings
    window_s: float = _DEFAULT_WINDOW_S
    is_beside_metrics: bool = False


class PrometheusSettings(Record, frozen=True):
    """Where to listen, and how old what is shown may be."""

    host: str
    port: int
    interval_s: float = _FRESH_S

    @property
    def shown(self) -> str:
        """The address, as it is typed."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class StreamSettings(Record, frozen=True):
    """Which stream of which Redis to add to. `shown` is its URL without user, password and query."""

    url: str = field(repr=False)
    shown: str
    key: str = "hookmon"
    most: int = 10_000
    interval_s: float = _DEFAULT_INTERVAL_S


class ExportError(HookmonError):
    """A setting of an exporter cannot be used, a library is missing, or the address is taken."""

    code = "export"


def otlp_settings(table: Mapping[str, Any], environ: Mapping[str, str]) -> OtlpSettings:
    """Return how to send metrics, from the values of `[export.otlp]` that are written and the variables. Raises ExportError."""
    _require("otlp", "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2", "opentelemetry-proto")
    return _settings_of("METRICS", _endpoint(table, environ), table, environ)


def traces_settings(table: Mapping[str, Any], environ: Mapping[str, str]) -> TracesSettings | None:
    """Return how to send traces, None where they are off: by the table, by the variables, or because nobody says where to.

    An endpoint that is one for metrics alone says nothing of traces. Raises ExportError.
    """
    if not table.get("traces", environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() != "none"):
        return None
    url, is_own = _traces_endpoint(table, environ)
    if not url:
        if table.get("traces"):
            raise ExportError("traces in [export.otlp]: where to? endpoint is one for metrics alone; traces_endpoint says it")
        return None
    found = _settings_of("TRACES", url, {**table, "headers": []} if is_own else table, environ)
    is_beside_metrics = urlsplit(_endpoint(table, environ)).netloc == urlsplit(url).netloc
    return TracesSettings(found, float(table.get("window") or _DEFAULT_WINDOW_S), is_beside_metrics)


def _settings_of(signal: str, url: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> OtlpSettings:
    headers = _headers_of(table["headers"]) if table.get("headers") else _pairs(environ, signal, "HEADERS")
    name, compression = _variable(environ, signal, "COMPRESSION")
    compression = (compression or "gzip").lower()
    if compression not in _COMPRESSIONS:
        raise ExportError(f"{name}: {compression!r} is none of {', '.join(_COMPRESSIONS)}")
    name, protocol = _variable(environ, signal, "PROTOCOL")
    if protocol and protocol != _PROTOCOL and not table.get("endpoint"):
        raise ExportError(
            f"{name} is {protocol!r}, and hookmon sends {_PROTOCOL}: set {_PREFIX}{signal}_PROTOCOL={_PROTOCOL}, "
            "with an endpoint that takes it, or endpoint in [export.otlp]"
        )
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if at:  # as curl and the SDK of Python do
        headers.setdefault("authorization", "Basic " + b64encode(unquote(user).encode()).decode())
    return OtlpSettings(
        url=urlunsplit((parts.scheme, place, parts.path, parts.query, "")),
        shown=urlunsplit((parts.scheme, place, parts.path, "", "")),
        headers=headers,
        timeout_s=_seconds(*_variable(environ, signal, "TIMEOUT"), _DEFAULT_TIMEOUT_S),
        interval_s=_interval_s(table, environ),
        compression=compression,
    )


def prometheus_settings(table: Mapping[str, Any]) -> PrometheusSettings:
    """Return where to listen: loopback, unless another host is named. Raises ExportError."""
    _require("prometheus", "prometheus_client", "prometheus-client")
    try:
        host, port = split_address(str(table.get("listen") or _DEFAULT_LISTEN))
    except ValueError as error:
        raise ExportError(f"export prometheus: {error}") from None
    return PrometheusSettings(host, port, _interval_s(table, {}, _FRESH_S))


def stream_settings(table: Mapping[str, Any], environ: Mapping[str, str]) -> StreamSettings:
    """Return which stream to add to. Raises ExportError."""
    _require("stream", "redis", "redis", "stream")
    url = str(table.get("url") or "")
    source = str(table.get("source") or "url in [export.stream]")
    if not url:
        raise ExportError("export stream: where to: url in [export.stream], redis://HOST:PORT")
    parts = urlsplit(_checked(url, source, BROKERS))
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    key, most = str(table.get("key") or "hookmon"), int(table.get("most") or 10_000)
    return StreamSettings(url.strip(), shown, key, most, _interval_s(table, environ))


def resource_of(run: Run, table: Mapping[str, Any], environ: Mapping[str, str]) -> Resource:
    """Return the run as backends are to know it: one instance, whoever exports it and however often. Raises ExportError."""
    written = written_attributes(environ)
    found = dict(list(written.items())[:_MOST_ATTRIBUTES])
    service = environ.get("OTEL_SERVICE_NAME") or str(table.get("service") or "") or found.get("service.name")
    found["service.name"] = service or run.name or Path(run.project).name or "unknown_service"
    found["service.instance.id"] = str(uuid.uuid5(_NAMESPACE, run.run_key or f"{run.boot}/{run.launcher_pid}/{run.started_ns}"))
    started_ns = round(datetime.fromisoformat(run.started_at).timestamp() * 1000) * 1_000_000
    return Resource(tuple(sorted((name, clean(value)) for name, value in found.items())), started_ns)


def written_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what OTEL_RESOURCE_ATTRIBUTES says. Raises ExportError."""
    return _parse_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), "OTEL_RESOURCE_ATTRIBUTES")


def _endpoint(table: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the URL of metrics. That for metrics is used as it is, a general one, or an address without a path, gets a path."""
    if table.get("endpoint"):
        url = _checked(str(table["endpoint"]), str(table.get("source") or "endpoint in [export.otlp]"))
        return url.rstrip("/") + PATH if _is_bare(url) else url
    name = f"{_PREFIX}METRICS_ENDPOINT"
    if environ.get(name):
        return _checked(environ[name], name)
    name = f"{_PREFIX}ENDPOINT"
    return _checked(environ.get(name) or _DEFAULT_ENDPOINT, name).rstrip("/") + PATH


def _traces_endpoint(table: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the URL of traces, "" for none, and whether it is another place than the table's, whose headers are not for it."""
    if table.get("traces_endpoint"):
        url = _checked(str(table["traces_endpoint"]), "traces_endpoint in [export.otlp]")
        url = url.rstrip("/") + TRACES_PATH if _is_bare(url) else url
        return url, urlsplit(url).netloc != urlsplit(str(table.get("endpoint") or "")).netloc
    if table.get("endpoint"):
        url = str(table["endpoint"]).strip()
        if _is_bare(url):
            return url.rstrip("/") + TRACES_PATH, False
        return (url[: -len(PATH)] + TRACES_PATH if urlsplit(url).path == PATH and url.endswith(PATH) else ""), False
    name = f"{_PREFIX}TRACES_ENDPOINT"
    if environ.get(name):
        return _checked(environ[name], name), False
    name = f"{_PREFIX}ENDPOINT"
    if not environ.get(name) and environ.get(f"{_PREFIX}METRICS_ENDPOINT"):
        return "", False
    return _checked(environ.get(name) or _DEFAULT_ENDPOINT, name).rstrip("/") + TRACES_PATH, False


def _is_bare(url: str) -> bool:
    """Say whether a URL names a host and no more."""
    return urlsplit(url).path in ("", "/") and not urlsplit(url).query


def _checked(url: str, source: str, schemes: tuple[str, ...] = WEB) -> str:
    fault = fault_of_url(url, schemes)
    if fault:
        raise ExportError(f"{source}: {fault}")
    return url.strip()


def _variable(environ: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """Return the name and value of a variable, that for METRICS or TRACES before the general one."""
    for full in (f"{_PREFIX}{signal}_{name}", f"{_PREFIX}{name}"):
        if environ.get(full, "").strip():
            return full, environ[full].strip()
    return f"{_PREFIX}{name}", ""


def _pairs(environ: Mapping[str, str], signal: str, name: str) -> dict[str, str]:
    source, text = _variable(environ, signal, name)
    return _check_headers({key.lower(): value for key, value in _parse_pairs(text, source).items()}, source)


def _headers_of(texts: list[str]) -> dict[str, str]:
    source = "headers in [export.otlp]"
    return _check_headers(
        {key.lower(): value for text in texts for key, value in _parse_pairs(text, source, several=False).items()}, source
    )


def _check_headers(headers: dict[str, str], source: str) -> dict[str, str]:
    for key, value in headers.items():
        if not key or not set(key) <= _TOKEN:
            raise ExportError(f"{source}: {clean(key)[:40]!r} is no name of a header")
        if any((char != "\t" and not " " <= char <= "\xff") or char == "\x7f" for char in value):
            raise ExportError(f"{source}: the value of {key} has a character that no header can have")
    return headers


def _parse_pairs(text: str, source: str, *, several: bool = True) -> dict[str, str]:
    """Return what "key=value,key=value" says, as W3C Baggage has it: percent-encoded. Values are secrets: no message has one."""
    found = {}
    for item in text.split(",") if several else [text]:
        if not item.strip():
            continue
        key, sign, value = item.partition("=")
        if not sign:
            raise ExportError(f"{source}: an item without '=': key=value,key=value")
        found[unquote(key.strip())] = unquote(value.strip())
    return found


def _interval_s(table: Mapping[str, Any], environ: Mapping[str, str], default_s: float = _DEFAULT_INTERVAL_S) -> float:
    if table.get("interval"):
        return min(max(float(table["interval"]), _SHORTEST_S), _LONGEST_S)
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    return _seconds(name, environ.get(name, "").strip(), default_s, 1000)


def _seconds(name: str, text: str, default: float, parts: int = 1) -> float:
    """Return a duration that is written in parts of a second."""
    if not text:
        return default
    try:
        found = float(text) / parts
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ExportError(f"{name}: {clean(text)[:40]!r} is no number above 0")
    return min(max(found, _SHORTEST_S), _LONGEST_S)


def _require(exporter: str, module: str, package: str, extra: str = "export") -> None:
    """Raise ExportError where a library is not installed."""
    try:
        import_module(module)
    except ImportError as error:
        line = f"export {exporter} needs {package}: pip install 'hookmon[{extra}]' ({error})"
        raise ExportError(line, code="no-export-library") from error
