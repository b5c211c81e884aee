"""A program watched by hookmon and by OpenTelemetry's own instrumentation, into one backend: the same routes, the same counts.

OpenTelemetry has a virtual environment of its own, with what `opentelemetry.txt` names. What differs is said here, row by row.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")

from support.runs import HOOKMON, Started, wait_until, write
from support.sinks import Sink, attributes, points_of, serve

FOLDER = Path(os.environ.get("HOOKMON_OPENTELEMETRY", ""), "bin")
"""The scripts of the environment."""

pytestmark = [
    pytest.mark.process,
    pytest.mark.server,
    pytest.mark.skipif(
        not os.environ.get("HOOKMON_OPENTELEMETRY"), reason="HOOKMON_OPENTELEMETRY is not set: .ci/backends makes the environment"
    ),
]

METRIC = "http.server.request.duration"
TOOLS = ("hookmon", "opentelemetry")
APP = """
    import os, time
    from flask import Blueprint, Flask, Response, abort, redirect

    app = Flask(__name__)
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @app.get("/items/<int:number>")
    def item(number):
        if number % 10 == 9:
            raise ValueError("nothing there")
        if number % 10 == 8:
            abort(404)
        if number % 10 == 7:
            return "later", 503
        return "ok"

    @app.post("/items")
    def add():
        return "made", 201

    @app.get("/feed")
    def feed():
        return Response(f"{number}\\n" for number in range(3))

    @shop.route("/<path:where>", methods=["GET", "PUT", "DELETE"])
    def anywhere(where):
        return redirect("/items/1")

    app.register_blueprint(shop)
"""
TRAFFIC = [
    *[("GET", f"/items/{number}?secret={number}") for number in range(100)],
    *[("HEAD", f"/items/{number}") for number in range(10)],
    *[("POST", "/items")] * 12,
    *[("GET", "/feed")] * 8,
    *[(method, f"/shop/{number}/of/it") for number in range(5) for method in ("GET", "PUT", "DELETE")],
    *[("GET", f"/unknown/{number}") for number in range(7)],
    *[("DELETE", "/items")] * 3,
    *[("OPTIONS", "/items")] * 2,
    *[("BREW", "/items")] * 4,
]

Counts = Counter[tuple[str, str | None, int]]
"""Requests by method, route (None for none) and status."""

EXPECTED: Counts = Counter(
    {
        ("GET", "/items/<int:number>", 200): 70,
        ("GET", "/items/<int:number>", 404): 10,
        ("GET", "/items/<int:number>", 500): 10,
        ("GET", "/items/<int:number>", 503): 10,
        ("HEAD", "/items/<int:number>", 200): 7,
        ("HEAD", "/items/<int:number>", 404): 1,
        ("HEAD", "/items/<int:number>", 500): 1,
        ("HEAD", "/items/<int:number>", 503): 1,
        ("POST", "/items", 201): 12,
        ("OPTIONS", "/items", 200): 2,
        ("GET", "/feed", 200): 8,
        ("GET", "/shop/<path:where>", 302): 5,
        ("PUT", "/shop/<path:where>", 302): 5,
        ("DELETE", "/shop/<path:where>", 302): 5,
        ("GET", None, 404): 7,
        ("DELETE", None, 405): 3,
        ("_OTHER", None, 405): 4,
    }
)


@dataclass
class Sent:
    """What one of the two has sent: how often which request, the attributes, the types of errors by status, and the instances."""

    counts: Counts
    names: set[str]
    errors: dict[int, str]
    instances: set[str]


def sent_by(sink: Sink, tool: str) -> Sent:
    """Return the newest state of each series that a tool has sent."""
    is_sdk = tool == "opentelemetry"
    requests = [request for request in sink.taken if ("telemetry.sdk.name" in request.resource()) == is_sdk]
    newest = {}
    for request in requests:
        for point in points_of(request.metrics()[METRIC]) if METRIC in request.metrics() else ():
            newest[request.resource()["service.instance.id"], tuple(sorted(attributes(point).items()))] = point.count
    found = Sent(Counter(), set(), {}, {instance for instance, _ in newest})
    for (_, series), count in newest.items():
        named = dict(series)
        status = named["http.response.status_code"]
        found.names.update(named)
        found.counts[named["http.request.method"], named.get("http.route"), status] += count
        if "error.type" in named:
            found.errors[status] = named["error.type"]
    return found


def command(workers: int) -> list[str]:
    """Return the command that serves the application, four threads to a worker, and writes a log and the server's pid."""
    served = [str(FOLDER / "gunicorn"), "--bind", "127.0.0.1:0", "--workers", str(workers), "--threads", "4"]
    return [*served, "--error-logfile", "server.log", "--pid", "server.pid", "app:app"]


def settings(sink: Sink) -> dict[str, str | None]:
    """Return the variables, which both read: one endpoint, one service, the stable names of the conventions, metrics only."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
        "OTEL_SERVICE_NAME": "shop",
    }


def serve_under(tools: tuple[str, ...], folder: Path, workers: int = 1) -> tuple[Counter[int], dict[str, Sent]]:
    """Serve the application under the tools that are named; return the statuses that the client got, and what each tool has sent.

    OpenTelemetry's launcher is the first: its `sitecustomize` passes on to no other, as `hookmon doctor` says. It takes a
    `--export` of the command for one of its own options, so the configuration says that.
    """
    write(folder, {"app.py": APP, "hookmon.toml": "[export.otlp]\n"})
    words = {"opentelemetry": [str(FOLDER / "opentelemetry-instrument")], "hookmon": [HOOKMON, "run", "--"]}
    launchers = [word for tool, launcher in words.items() if tool in tools for word in launcher]
    with serve() as sink:
        started = Started([*launchers, *command(workers)], cwd=folder, env=settings(sink))
        return serve_traffic(started, folder), {tool: sent_by(sink, tool) for tool in TOOLS}


def serve_traffic(started: Started, folder: Path) -> Counter[int]:
    """Send the traffic to a server that was started, end it, and return the statuses that came."""
    log = folder / "server.log"

    def port() -> int:
        assert started.process.poll() is None, started.finish().stderr
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()) if log.exists() else None
        return int(found[1]) if found else 0

    wait_until(port, "the server")
    statuses: Counter[int] = Counter()
    for method, path in TRAFFIC:
        client = HTTPConnection("127.0.0.1", port(), timeout=60)
        client.request(method, path)
        answer = client.getresponse()
        answer.read()
        client.close()
        statuses[answer.status] += 1
    os.kill(int((folder / "server.pid").read_text()), signal.SIGTERM)
    result = started.finish()
    assert result.exit_code == 0, result.stderr + log.read_text()
    return statuses


@pytest.mark.parametrize("tools", [("hookmon",), ("opentelemetry",), TOOLS], ids=" and ".join)
def test_routes_and_counts(tools: tuple[str, ...], tmp_path: Path):
    """Of each alone, and of both at once: what the client has sent, under the same methods, routes and statuses."""
    statuses, sent = serve_under(tools, tmp_path)
    assert statuses == {status: sum(count for (*_, of), count in EXPECTED.items() if of == status) for status in statuses}
    for tool in TOOLS:
        assert sent[tool].counts == (EXPECTED if tool in tools else Counter()), tool


def test_attributes(tmp_path: Path):
    """OpenTelemetry also says which scheme and protocol it was; in both only a failure of the server has a type of error."""
    _, sent = serve_under(TOOLS, tmp_path)
    ours, theirs = sent["hookmon"], sent["opentelemetry"]
    assert ours.names == {"http.request.method", "http.route", "http.response.status_code", "error.type"}
    assert theirs.names == ours.names | {"url.scheme", "network.protocol.version"}
    assert ours.errors == theirs.errors == {500: "500", 503: "503"}


def test_workers(tmp_path: Path):
    """All workers are one instance here, and each is its own there: the sum over instances is the same."""
    _, sent = serve_under(TOOLS, tmp_path, workers=3)
    assert sent["hookmon"].counts == sent["opentelemetry"].counts == EXPECTED
    assert len(sent["hookmon"].instances) == 1
    assert 1 <= len(sent["opentelemetry"].instances) <= 3
