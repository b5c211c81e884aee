"""Requests by the status of their responses, as a backend gets them: against the client's own count."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from time import monotonic_ns

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
pytest.importorskip("flask")

from support.runs import PYTHON, hookmon_run, write
from support.sinks import attributes, points_of, serve

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import Snapshot
from hookmon.export.metrics import Metrics
from hookmon.export.rows import Resource

pytestmark = [pytest.mark.process, pytest.mark.server]

APP = """
    import json, threading, time, urllib.error, urllib.request
    from flask import Flask, abort
    from werkzeug.serving import make_server

    app = Flask(__name__)

    @app.get("/item/<int:number>")
    def item(number):
        if number % 5 == 4:
            raise ValueError("nothing there")
        if number % 5 == 3:
            abort(404)
        if number % 5 == 2:
            return "later", 503
        return "ok"

    @app.get("/codes/<int:number>")
    def codes(number):
        return "", 200 + number

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    counts = {}
    for path in [f"item/{number}" for number in range(400)] + [f"codes/{number}" for number in range(10, 50)]:
        try:
            code = urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}").status
        except urllib.error.HTTPError as error:
            code = error.code
        name = f"/{path.partition('/')[0]} {code}"
        counts[name] = counts.get(name, 0) + 1
    server.shutdown()
    print(json.dumps(counts))
"""


def test_each_status_has_a_series_and_counts_are_those_of_the_client(tmp_path: Path):
    """While it runs no count falls; in the end none is missing, and what has no place of its own stands in a class."""
    write(tmp_path, {"app.py": APP})
    with serve() as sink:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=env, options=["--export", "otlp"])
        truth = Counter(json.loads(result.stdout.splitlines()[-1]))
        points = points_of(sink.taken[-1].metrics()["http.server.request.duration"])
        history = sink.all("http.server.request.duration")
    found: Counter[str] = Counter()
    for point in points:
        named = attributes(point)
        code = named.get("http.response.status_code", "")
        found[f"/{named['http.route'].split('/')[1]} {code}"] = point.count
        assert (named.get("error.type") == str(code)) == (str(code) >= "5")
    of_item = {name: calls for name, calls in truth.items() if name.startswith("/item")}
    assert {name: calls for name, calls in found.items() if name.startswith("/item") and calls} == of_item
    assert of_item == {"/item 200": 160, "/item 503": 80, "/item 404": 80, "/item 500": 80}
    assert found["/codes 2xx"] > 0
    assert sum(calls for name, calls in found.items() if name.startswith("/codes")) == 40
    assert not [point for point in history if "http.response.status_code" not in attributes(point)], "each request had a status"


def snapshot(counted: int, by_status: dict[int, int], *, ended: bool = False) -> Snapshot:
    """Return what a look finds: requests, and how many of them have a status so far."""
    key = CallKey("GET /", "request", "app:view")
    statuses = {(key, status): Counters(calls=calls, histograms=[{1: calls}]) for status, calls in by_status.items()}
    totals = Totals(by_transaction={key: Counters(calls=counted, histograms=[{1: counted}])}, by_status=statuses)
    return Snapshot(monotonic_ns(), totals, ended=ended)


def test_a_request_whose_status_is_not_known_yet_is_not_sent_as_one_without():
    """It would stay there for ever, as counts only grow; one that has none in the end, as its client has left, is sent."""
    metrics = Metrics(Resource((), 0), {})
    looks = [snapshot(number + 1, {200: number}) for number in range(1, 7)]
    looks += [snapshot(7, {200: 7}), snapshot(9, {200: 8}, ended=True)]
    sent = [{row.attributes: row.spread.count for row in metrics.export(look).rows if row.spread} for look in looks]
    without = [counts.get((("http.request.method", "GET"), ("http.route", "/")), 0) for counts in sent]
    assert without == [0] * 7 + [1]
    assert [sum(counts.values()) for counts in sent] == [*range(7), 9]  # what is sent is what the next look confirms
