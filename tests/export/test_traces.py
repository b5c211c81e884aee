"""Traces of a real server under a real `hookmon run --export otlp`, as an endpoint gets them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")

from support import sinks
from support.backends import free_port
from support.runs import HOOKMON, PYTHON, Result, Started, hookmon_run, hookmon_start, wait_until, write
from support.sinks import Sink, attributes, serve
from support.web import GUNICORN_CONF

pytestmark = pytest.mark.process

WINDOW_S = 2.0
SERVER, CLIENT, CONSUMER = 2, 3, 5
REMOTE, KNOWN = 0x200, 0x100

APP = """
import sqlite3, time
from flask import Flask, request

app = Flask(__name__)

def query(number):
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE cards (number TEXT)")
    db.execute("SELECT * FROM cards WHERE number = 'sesame-77' AND number = ?", ("sesame-77",)).fetchall()
    db.close()

@app.get("/sleep/<int:number>")
def work(number):
    query(number)
    time.sleep(number / 1000)
    return "done"

@app.get("/fail")
def fail():
    raise ValueError("sesame-77")

@app.get("/busy")
def busy():
    query(1)
    return "sesame-77", 503

@app.get("/alone")
def alone():
    return "here"
"""
FILES = {"shop.py": APP, "gunicorn.conf.py": GUNICORN_CONF}
CONFIG = f"[export.otlp]\nwindow = {WINDOW_S}\n"
SECRET = "sesame-77"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An endpoint that takes everything."""
    with serve() as found:
        yield found


@dataclass
class Sent:
    """A request, as its client knows it. Times are of CLOCK_MONOTONIC."""

    trace_id: str
    span_id: str
    flags: str
    path: str
    slept_ns: int
    began_ns: int
    ended_ns: int


class Client:
    """Sends requests that it can tell apart by their `traceparent`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent: dict[str, Sent] = {}

    def get(self, path: str, *, slept_ms: int = 0, flags: str = "01") -> Sent:
        """Send one, and wait for the answer."""
        trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
        headers = {"traceparent": f"00-{trace_id}-{span_id}-{flags}", "X-Key": SECRET, "Cookie": f"key={SECRET}"}
        began_ns = time.monotonic_ns()
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request("GET", f"{path}?key={SECRET}", headers=headers)
            connection.getresponse().read()
        found = Sent(trace_id, span_id, flags, path, slept_ms * 1_000_000, began_ns, time.monotonic_ns())
        self.sent[trace_id] = found
        return found


@pytest.fixture
def begun() -> Iterator[list[Started]]:
    """What a test has started: what still runs when it ends is ended."""
    found: list[Started] = []
    yield found
    for started in found:
        if not started.is_finished:
            started.kill()


def serve_shop(begun: list[Started], folder: Path, port: int, sink: Sink, *, workers: int = 2) -> Started:
    """Serve the application."""
    write(folder, FILES)
    command = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--threads", "4", "shop:app"]
    env: dict[str, str | None] = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "300"}
    started = hookmon_start(command, cwd=folder, config=CONFIG, env=env, options=["--export", "otlp"])
    begun.append(started)
    wait_until(lambda: answers(port), "the server")
    return started


def answers(port: int) -> bool:
    """Say whether the server is there."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            connection.request("GET", "/alone")
            return connection.getresponse().read() == b"here"
        except OSError:
            return False


def stop(started: Started) -> Result:
    """End the server as an operator does."""
    os.kill(started.process.pid, signal.SIGTERM)
    return started.finish()


def roots(spans: list[Any]) -> list[Any]:
    """Return the spans that are those of transactions."""
    return [span for span in spans if "hookmon.trace.reason" in attributes(span)]


def window_of(sent: Sent) -> int:
    """Return the window in which a request lies as a whole, 0 for none: it ends while its client still waits."""
    first, last = (int(at // (WINDOW_S * 1e9)) for at in (sent.began_ns, sent.ended_ns))
    return first if first == last else 0


def test_each_window_has_the_slowest_and_the_first_failed_of_each_route(tmp_path: Path, sink: Sink, begun: list[Started]):
    """Of several processes the slowest that the client has measured; whole, with the client's ids, and nothing secret."""
    port = free_port()
    started = serve_shop(begun, tmp_path, port, sink)
    client = Client(port)
    end = time.monotonic() + 3.2 * WINDOW_S
    number = 0
    while time.monotonic() < end:
        number += 1
        slept_ms = 10 + (number * 37) % 90
        client.get(f"/sleep/{slept_ms}", slept_ms=slept_ms)
        if number % 5 == 0:
            client.get("/fail")
            client.get("/busy")
    result = stop(started)
    spans = sink.spans()
    found = roots(spans)
    assert len({span.span_id for span in spans}) == len(spans), "one was sent twice"

    by_window: dict[int, list[Any]] = {}
    for root in found:
        assert root.trace_id.hex() in client.sent or attributes(root)["http.route"] == "/alone"
        sent = client.sent.get(root.trace_id.hex())
        if sent is None:
            continue
        assert (root.parent_span_id.hex(), root.flags) == (sent.span_id, 1 | KNOWN | REMOTE)
        assert root.end_time_unix_nano - root.start_time_unix_nano <= sent.ended_ns - sent.began_ns
        assert root.kind == SERVER
        if window_of(sent):
            by_window.setdefault(window_of(sent), []).append(root)
    assert len(by_window) >= 2, result.stderr
    for window, kept in by_window.items():
        slow = [root for root in kept if attributes(root)["hookmon.trace.reason"] == "slowest"]
        inside = [sent for sent in client.sent.values() if window_of(sent) == window and sent.path.startswith("/sleep/")]
        for root in slow:
            if attributes(root)["http.route"] == "/sleep/<int:number>":
                assert root.name == "GET /sleep/<int:number>"
                assert root.end_time_unix_nano - root.start_time_unix_nano >= max(sent.slept_ns for sent in inside)
        each = Counter((attributes(root)["http.route"], attributes(root)["hookmon.trace.reason"]) for root in kept)
        assert set(each.values()) == {1}, each
        for root in kept:
            if attributes(root)["hookmon.trace.reason"] == "first failed":
                sent = client.sent[root.trace_id.hex()]
                same = [other for other in client.sent.values() if window_of(other) == window and other.path == sent.path]
                assert sent.began_ns == min(other.began_ns for other in same)

    failed = {attributes(root)["http.route"]: root for root in found if root.status.code == 2}
    assert set(failed) == {"/fail", "/busy"}
    assert attributes(failed["/busy"])["http.response.status_code"] == 503
    assert attributes(failed["/busy"])["error.type"] == "503"
    assert attributes(failed["/fail"])["http.response.status_code"] == 500
    assert_trees(spans)
    assert {request.path for request in sink.taken_traces} == {"/v1/traces"}
    resources = [request.resource() for request in sink.taken_traces + sink.taken]
    assert all(resource == resources[0] for resource in resources), "metrics and traces are of one instance"
    for request in sink.taken_traces + sink.taken:
        assert b"sesame" not in request.raw
        assert b"sesame" not in str(request.headers).encode()
    assert "export" not in result.stderr


def assert_trees(spans: list[Any]) -> None:
    """Assert that the spans of each trace hang together, and have the names and attributes of the conventions."""
    traces: dict[bytes, list[Any]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    for own in traces.values():
        (root,) = roots(own)
        by_id = {span.span_id: span for span in own}
        for span in own:
            if span is root:
                continue
            above = by_id[span.parent_span_id]
            assert above.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= above.end_time_unix_nano
            assert span.flags == root.flags & ~REMOTE
        if attributes(root).get("http.route") == "/sleep/<int:number>":
            (select,) = [span for span in own if span.name == "SELECT cards"]
            assert select.kind == CLIENT
            known = {"db.system.name": "sqlite", "db.operation.name": "SELECT", "db.collection.name": "cards"}
            assert attributes(select).items() >= {**known, "db.query.summary": "SELECT cards"}.items()


def test_a_decision_of_the_caller_not_to_keep_a_trace_is_honoured(tmp_path: Path, sink: Sink, begun: list[Started]):
    """What is sent then is a trace of its own, with a link to the caller's span."""
    port = free_port()
    started = serve_shop(begun, tmp_path, port, sink, workers=1)
    client = Client(port)
    sent = client.get("/sleep/80", slept_ms=80, flags="00")
    result = stop(started)
    (root,) = [root for root in roots(sink.spans()) if attributes(root)["http.route"] == "/sleep/<int:number>"]
    assert root.trace_id.hex() != sent.trace_id, result.stderr
    assert (root.parent_span_id, root.flags) == (b"", 3 | KNOWN)
    (link,) = root.links
    assert (link.trace_id.hex(), link.span_id.hex(), link.flags) == (sent.trace_id, sent.span_id, KNOWN | REMOTE)


def test_histograms_have_exemplars_of_traces_that_were_taken(tmp_path: Path, sink: Sink, begun: list[Started]):
    """Of the same route and status; in rising time."""
    port = free_port()
    started = serve_shop(begun, tmp_path, port, sink, workers=1)
    client = Client(port)

    def exemplars() -> list[tuple[Any, Any]]:
        points = sink.all("http.server.request.duration")
        return [(point, exemplar) for point in points for exemplar in point.exemplars]

    def both() -> bool:
        client.get("/sleep/20", slept_ms=20)
        client.get("/busy")
        return {attributes(point)["http.response.status_code"] for point, _ in exemplars()} >= {200, 503}

    wait_until(both, "exemplars", 60)
    stop(started)
    taken = {root.span_id: root for root in roots(sink.spans())}
    rising: dict[str, int] = {}
    for point, exemplar in exemplars():
        root = taken[exemplar.span_id]
        assert exemplar.trace_id == root.trace_id
        assert exemplar.as_double == pytest.approx((root.end_time_unix_nano - root.start_time_unix_nano) / 1e9)
        assert exemplar.time_unix_nano == root.end_time_unix_nano <= point.time_unix_nano
        own = attributes(root)
        assert attributes(point).items() <= own.items()
        series = str(attributes(point))
        assert exemplar.time_unix_nano >= rising.get(series, 0)
        rising[series] = exemplar.time_unix_nano


SHORT = """
import sys, time
def handle(number, status):
    time.sleep(number / 1000)
    if status == 1: raise KeyError("sesame-77")
    return status
for number in range(1, 6): handle(number * 10, 200)
handle(1, 503)
try: handle(1, 1)
except KeyError: pass
"""
WATCH = '[[watch]]\nmodule = "__main__"\ncalls = ["handle"]\nspan = "job"\nkind = "task"\nentry = true\n'


def run(folder: Path, env: dict[str, str | None], config: str = "", app: str = SHORT) -> Result:
    """Run a short program that has a job which fails once."""
    write(folder, {"app.py": app})
    return hookmon_run([PYTHON, "app.py"], cwd=folder, config=WATCH + config, env=env, options=["--export", "otlp"])


def test_what_a_short_run_has_kept_is_sent_at_its_end(tmp_path: Path, sink: Sink):
    """Long before a window ends. The failed one has the type of what it raised, and no word of it."""
    result = run(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url})
    slow, failed = sorted(roots(sink.spans()), key=lambda root: root.status.code)
    assert (slow.name, slow.kind, slow.status.code) == ("job", 1, 0), result.stderr
    assert slow.end_time_unix_nano - slow.start_time_unix_nano >= 50_000_000
    assert attributes(failed)["error.type"] == "KeyError"
    assert slow.flags == failed.flags == 3 | KNOWN
    (row,) = result.report["transactions"]
    assert {root.trace_id.hex() for root in (slow, failed)} <= {example["trace_id"] for example in row["examples"]}


VARIABLES: dict[str, tuple[dict[str, str], str, str]] = {
    "none": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_TRACES_EXPORTER": "none"}, "", ""),
    "off": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{}"}, "traces = false", ""),
    "on": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_TRACES_EXPORTER": "none"}, "traces = true", "/v1/traces"),
    "for metrics alone": ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "{}/v1/metrics"}, "", ""),
    "a variable": (
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "{}/v1/metrics", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/own/traces"},
        "",
        "/own/traces",
    ),
    "in the table": ({}, 'endpoint = "{}"', "/v1/traces"),
    "a path of metrics": ({}, 'endpoint = "{}/v1/metrics"', "/v1/traces"),
    "a path of its own": ({}, 'endpoint = "{}/opentelemetry/v1/metrics"', ""),
    "its own endpoint": ({}, 'endpoint = "{}/own"\ntraces_endpoint = "{}/own/traces"', "/own/traces"),
}


@pytest.mark.parametrize("written", [False, True])
def test_with_a_filter_traces_are_sent_only_where_that_is_written(tmp_path: Path, sink: Sink, written: bool):
    """It sees rows, and no traces: what it is there to keep back would be in them."""
    write(tmp_path, {"policy.py": "def decide(row): return row\n"})
    config = '[export]\nfilter = "policy:decide"\n' + ("[export.otlp]\ntraces = true\n" if written else "")
    result = run(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}, config)
    assert sink.taken, result.stderr
    assert bool(sink.requests_with_traces) == written


@pytest.mark.parametrize("case", VARIABLES)
def test_table_and_variables_say_whether_and_where_to(tmp_path: Path, sink: Sink, case: str):
    """What stands in the table goes before a variable; an endpoint of metrics alone gets no traces."""
    env, table, path = VARIABLES[case]
    result = run(
        tmp_path,
        {name: value.replace("{}", sink.url) for name, value in env.items()},
        f"[export.otlp]\n{table}\n".replace("{}", sink.url),
    )
    assert sink.taken, result.stderr
    assert {request.path for request in sink.requests_with_traces} == ({path} if path else set()), result.stderr
    assert "hookmon: export" not in result.stderr


def test_a_key_in_the_table_goes_to_its_own_endpoint_alone(tmp_path: Path, sink: Sink):
    """Another endpoint of traces gets the headers of the variables."""
    with serve() as other:
        table = f'[export.otlp]\nendpoint = "{sink.url}"\nheaders = ["x-key=sesame-77"]\ntraces_endpoint = "{other.url}"\n'
        run(tmp_path, {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-other=1"}, table)
        (request,) = other.taken_traces
        assert (request.path, request.headers["x-other"]) == ("/v1/traces", "1")
        assert "x-key" not in request.headers
    assert sink.taken[-1].headers["x-key"] == "sesame-77"


def test_traces_that_were_not_taken_come_again_with_the_same_ids(tmp_path: Path, sink: Sink, begun: list[Started]):
    """Until they are taken, and then no more."""
    port = free_port()
    sink.answer_traces = sinks.status(503)
    started = serve_shop(begun, tmp_path, port, sink, workers=1)
    client = Client(port)
    sent = client.get("/sleep/30", slept_ms=30)

    def tries() -> list[Any]:
        requests = list(sink.requests_with_traces)
        return [root for request in requests for root in roots(request.spans()) if root.trace_id.hex() == sent.trace_id]

    wait_until(lambda: len(tries()) >= 3, "three attempts", 60)
    sink.answer_traces = sinks.ok
    wait_until(lambda: [root for root in roots(sink.spans()) if root.trace_id.hex() == sent.trace_id], "the trace", 60)
    count = len(tries())
    client.get("/alone")
    result = stop(started)
    assert len(tries()) == count
    assert len({root.SerializeToString() for root in tries()}) == 1
    assert re.search(r"\d+ traces could not be delivered .*503.*kept for the next attempt", result.stderr)


LOOKS = """
import os
from pathlib import Path
print(memoryview(Path(os.environ["HOOKMON_RUN"], "control").read_bytes()).cast("Q")[1])
"""


@pytest.mark.parametrize(("config", "window_ns"), [("", 60_000_000_000), ("[export.otlp]\nwindow = 300\n", 300_000_000_000)])
def test_the_processes_of_a_run_are_told_its_windows(tmp_path: Path, sink: Sink, config: str, window_ns: int):
    """Before the program begins: a short one may have ended before the launcher looks at it."""
    result = run(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}, config, LOOKS)
    assert result.stdout == f"{window_ns}\n", result.stderr


ANSWERS = {
    "takes none": (sinks.status(404), r"it takes no traces \(it answered 404.*traces = false"),
    "refuses all": (sinks.status(400), r"a trace of job is refused \(it answered 400"),
    "takes a part": (sinks.partial, r"3 spans were refused \(too many series\)"),
    "lies": (sinks.garbage, "no answer of OTLP"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_an_endpoint_did_not_take_is_told(tmp_path: Path, sink: Sink, case: str):
    """On stderr and in the report; the metrics go on, and the exit code is the program's."""
    sink.answer_traces, said = ANSWERS[case]
    result = run(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}, app=SHORT + "sys.exit(7)\n")
    assert result.exit_code == 7
    assert sink.last("hookmon.transaction.count").as_int == 7
    assert re.search(said, result.stderr), result.stderr
    (lost,) = [spot for spot in result.report["blind_spots"] if spot["kind"] == "export lost"]
    assert ("traces" if case != "takes a part" else "spans") in lost["detail"]
    assert len(sink.requests_with_traces) < 20


def test_one_trace_that_is_refused_takes_no_other_with_it(tmp_path: Path, sink: Sink):
    """An endpoint refuses a whole request for one of its traces."""

    def refuse_the_failed(request: sinks.Request) -> tuple[int, dict[str, str], bytes]:
        has_failed = any(root.status.code for root in roots(request.spans()))
        return (400, {}, b"no") if has_failed else sinks.ok(request)

    sink.answer_traces = refuse_the_failed
    result = run(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url})
    assert [root.status.code for root in roots(sink.spans())] == [0], result.stderr
    assert "1 traces were not taken" in json.dumps(result.report["blind_spots"])


def test_an_exporter_from_outside_that_is_killed_and_starts_again_sends_no_other_ids(
    tmp_path: Path, sink: Sink, begun: list[Started]
):
    """It may send one twice. The last window is sent when the run has ended."""
    app = "import os, time\n" + SHORT + "while not os.path.exists('done'): handle(5, 200)\nhandle(400, 200)\n"
    write(tmp_path, {"app.py": app})
    started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, config=WATCH + CONFIG)
    begun.append(started)
    path = tmp_path / ".hookmon" / "run-0001.sqlite"
    wait_until(lambda: path.exists() and path.stat().st_size, "the run")
    command = [HOOKMON, "export", "--otlp", sink.url, "--interval", "0.3"]
    first = Started(command, cwd=tmp_path)
    begun.append(first)
    wait_until(lambda: len(sink.spans()) >= 2, "two traces", 60)
    os.kill(first.process.pid, signal.SIGKILL)
    first.finish()
    count = len(sink.taken_traces)
    second = Started(command, cwd=tmp_path)
    begun.append(second)
    wait_until(lambda: len(sink.taken_traces) > count + 1, "more traces", 60)
    (tmp_path / "done").touch()
    result = started.finish()
    exported = second.finish()
    assert exported.exit_code == 0, exported.stderr
    found = roots(sink.spans())
    ids = {(root.start_time_unix_nano, root.trace_id, root.span_id) for root in found}
    assert len(ids) == len({start for start, *_ in ids}), result.stderr
    assert max(root.end_time_unix_nano - root.start_time_unix_nano for root in found) >= 400_000_000
