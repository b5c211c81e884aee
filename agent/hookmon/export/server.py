"""The endpoint that Prometheus scrapes: `/metrics` and `/healthz`, on loopback unless told otherwise.

In: the newest rows of each run. Out: what a scraper asks for. Threads of its own; it only reads what was laid ready.
"""

from __future__ import annotations

import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import TYPE_CHECKING, Any

from hookmon.export.metrics import Metrics
from hookmon.export.prometheus import render
from hookmon.export.rows import Export, Resource
from hookmon.export.settings import ExportError, PrometheusSettings

if TYPE_CHECKING:
    from hookmon.collector.feed import Snapshot
    from hookmon.collector.store import Run

_MOST_CONNECTIONS = 8
_TIMEOUT_S = 10.0
_STALE = 4  # intervals without a snapshot, after which the endpoint is not healthy


class Endpoint:
    """Serves the rows of any number of runs at one address."""

    def __init__(self, settings: PrometheusSettings) -> None:
        """Take the address; nobody is answered yet. Raises ExportError where it cannot be had."""
        self._settings = settings
        self._exports: dict[str, Export] = {}
        self._at = monotonic()
        try:
            self._server = _Server(settings, self)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ExportError(f"export prometheus: cannot listen at {settings.shown}: {reason}", code="export-address") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="hookmon prometheus", daemon=True)

    @property
    def port(self) -> int:
        """The port, also where 0 asked for any."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer, in a thread that takes no signals."""
        if self._thread.ident is None:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                self._thread.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def close(self) -> None:
        """Stop answering and free the address."""
        if self._thread.ident is not None:
            self._server.shutdown()
        self._server.server_close()

    def lay(self, export: Export) -> None:
        """Lay the newest rows of a run ready."""
        self._exports = {**self._exports, str(export.resource.attributes): export}
        self._at = monotonic()

    def drop(self, resource: Resource) -> None:
        """Forget a run that has ended."""
        self._exports = {key: export for key, export in self._exports.items() if key != str(resource.attributes)}

    def body(self, accept: str) -> tuple[bytes, str]:
        """Return what a scraper gets, and its type."""
        return render(self._exports.values(), accept)

    def is_healthy(self) -> bool:
        """Say whether what is shown is new enough."""
        return monotonic() - self._at < max(30.0, _STALE * self._settings.interval_s)


class Scraped:
    """An observer of one run: lays its rows ready at an endpoint. It never blocks."""

    def __init__(self, endpoint: Endpoint, settings: PrometheusSettings, metrics: Metrics) -> None:
        self.every_ns = round(settings.interval_s * 1e9)
        self._endpoint = endpoint
        self._metrics = metrics

    def observe(self, snapshot: Snapshot) -> None:
        """Take the newest snapshot."""
        self._endpoint.lay(self._metrics.export(snapshot))
        self._endpoint.start()

    def end(self, _run: Run) -> str:
        """Do nothing: whoever made the endpoint closes it."""
        return ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, settings: PrometheusSettings, endpoint: Endpoint) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self.endpoint = endpoint
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__((settings.host, settings.port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server for the host's name."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless there are too many."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a scraper has gone away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT_S
    protocol_version = "HTTP/1.1"

    def version_string(self) -> str:
        """Return what the header Server says."""
        return "hookmon"

    def do_GET(self) -> None:
        """Answer the two paths that there are."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, *self.server.endpoint.body(self.headers.get("Accept", "")))
        elif path == "/healthz":
            is_healthy = self.server.endpoint.is_healthy()
            self._answer(200 if is_healthy else 503, b"ok\n" if is_healthy else b"nothing new\n")
        else:
            self._answer(404, b"/metrics, /healthz\n")

    do_HEAD = do_GET  # noqa: N815  # the name is http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing: stderr is the program's."""

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
