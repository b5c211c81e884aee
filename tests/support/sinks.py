"""An OTLP endpoint of the tests: takes what is sent and decodes it, or behaves as badly as it is told to."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Point = Any
Answer = Callable[["Request"], tuple[int, dict[str, str], bytes]]

REFUSED = ExportMetricsServiceResponse(partial_success={"rejected_data_points": 3, "error_message": "too many series"})  # type: ignore[arg-type]


@dataclass
class Request:
    """One request: as it came over the wire, and what it says."""

    path: str
    headers: dict[str, str]
    wire: bytes
    raw: bytes
    message: Any  # an ExportMetricsServiceRequest, or an ExportTraceServiceRequest
    at: float = field(default_factory=time.monotonic)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics by name."""
        return {
            metric.name: metric
            for resource in self.message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def spans(self) -> list[Any]:
        """Return the spans, of a request with traces."""
        return [span for resource in self.message.resource_spans for scope in resource.scope_spans for span in scope.spans]

    def resource(self) -> dict[str, Any]:
        """Return the attributes of the resource."""
        return attributes((self.message.resource_spans if self.is_of_traces else self.message.resource_metrics)[0].resource)

    @property
    def is_of_traces(self) -> bool:
        """Whether it was sent to where traces are sent to."""
        return self.path.endswith("/traces")


def attributes(point: Point) -> dict[str, Any]:
    """Return the attributes of a point."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in point.attributes}


def points_of(metric: Any) -> list[Point]:
    """Return the points of a metric."""
    return list(getattr(metric, metric.WhichOneof("data")).data_points)


def ok(_request: Request) -> tuple[int, dict[str, str], bytes]:
    """Take it, as a Collector does: with a partial success that refuses nothing."""
    return 200, {}, b"\n\0"


def status(code: int, **headers: str) -> Answer:
    """Refuse it."""
    return lambda _request: (code, {name.replace("_", "-"): value for name, value in headers.items()}, b"no")


def partial(_request: Request) -> tuple[int, dict[str, str], bytes]:
    """Take most of it."""
    return 200, {}, REFUSED.SerializeToString()


def garbage(_request: Request) -> tuple[int, dict[str, str], bytes]:
    """Answer as a proxy with a page for people does."""
    return 200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>"


class Sink:
    """The endpoint. `answer` and `answer_traces` may be changed while it runs; the requests are those with metrics.

    `taken` are those of them that it has taken. `requests_with_traces` and `taken_traces` are the same for traces.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.answer: Answer = ok
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.answer_traces: Answer = ok
        self.requests_with_traces: list[Request] = []
        self.taken_traces: list[Request] = []
        self.is_silent = False

    def last(self, name: str, **wanted: Any) -> Point:
        """Return the newest point of a series that was taken; dots of attributes are underscores. Fails for none."""
        found = self.all(name, **wanted)
        assert found, f"no {name} {wanted} among {sorted({key for request in self.taken for key in request.metrics()})}"
        return max(found, key=lambda point: point.time_unix_nano)

    def all(self, name: str, **wanted: Any) -> list[Point]:
        """Return all points of a series that were taken."""
        return [
            point
            for request in list(self.taken)
            if name in request.metrics()
            for point in points_of(request.metrics()[name])
            if wanted.items() <= {name.replace(".", "_"): value for name, value in attributes(point).items()}.items()
        ]

    def spans(self) -> list[Any]:
        """Return all spans that were taken, as they came."""
        return [span for request in list(self.taken_traces) for span in request.spans()]

    def wait_for(self, claim: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        """Wait until something is so. Raises AssertionError naming `what`."""
        end = time.monotonic() + timeout
        while not claim():
            assert time.monotonic() < end, f"waited {timeout} s for {what}"
            time.sleep(0.02)


@contextmanager
def serve() -> Iterator[Sink]:
    """Run an endpoint on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            wire = self.rfile.read(int(self.headers["Content-Length"]))
            if sink.is_silent:
                released.wait(120)
                return
            coding = self.headers.get("Content-Encoding", "")
            raw = gzip.decompress(wire) if coding == "gzip" else zlib.decompress(wire) if coding == "deflate" else wire
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, wire, raw, None)
            is_of_traces = request.is_of_traces
            request.message = (ExportTraceServiceRequest if is_of_traces else ExportMetricsServiceRequest).FromString(raw)
            code, headers, body = (sink.answer_traces if is_of_traces else sink.answer)(request)
            (sink.requests_with_traces if is_of_traces else sink.requests).append(request)
            if code == 200 and not body.startswith(b"<"):
                (sink.taken_traces if is_of_traces else sink.taken).append(request)
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    released = threading.Event()
    sink = Sink(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        released.set()
        server.shutdown()
        server.server_close()
