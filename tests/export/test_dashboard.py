"""The Grafana dashboard of the examples: it is one, and each metric and label of its queries is one that a program sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
pytest.importorskip("prometheus_client", reason="hookmon[export] is not installed")
pytest.importorskip("flask")
pytest.importorskip("redis")

from prometheus_client.parser import text_string_to_metric_families
from support.backends import answers, free_port, get, needs_prometheus, prometheus
from support.runs import PYTHON, Started, hookmon_start, wait_until, write
from support.servers import Valkey

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "examples" / "grafana-dashboard.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = {f"{panel['title']} {target['refId']}": target for panel in PANELS for target in panel.get("targets", ())}

APP = """
    import gc, os, sqlite3, threading, time, urllib.error, urllib.request
    import redis
    from flask import Flask, abort
    from werkzeug.serving import make_server

    app = Flask(__name__)
    cache = redis.Redis.from_url(os.environ["REDIS_URL"])

    @app.get("/user/<int:number>")
    def user(number):
        connection = sqlite3.connect("shop.db")
        connection.execute("CREATE TABLE IF NOT EXISTS person (number)")
        connection.execute("SELECT number FROM person").fetchall()
        connection.close()
        cache.get("user")
        try:
            cache.execute_command("NONSENSE")
        except redis.ResponseError:
            pass
        gc.collect()
        return "ok"

    @app.get("/fails/<int:status>")
    def fails(status):
        abort(status)

    @app.get("/moved")
    def moved():
        return "", 304

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while not os.path.exists("done"):
        for path in ("user/1", "user/2", "fails/404", "fails/500", "fails/503", "moved", "unknown"):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}").close()
            except urllib.error.HTTPError as error:
                error.close()
        time.sleep(0.1)
    server.shutdown()
"""
OF_PROMETHEUS = {"job", "instance", "le"}
FUNCTIONS = {"sum", "rate", "increase", "topk", "histogram_quantile", "histogram_count", "histogram_sum", "by", "or"}


def boxes() -> dict[str, tuple[int, ...]]:
    """Return the places of the panels by title: x, y, width, height."""
    return {panel["title"]: tuple(panel["gridPos"][key] for key in "xywh") for panel in PANELS}


def test_panels_have_ids_and_places_of_their_own():
    """24 columns; none lies on another."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) == len(boxes())
    for x, y, width, height in boxes().values():
        assert min(x, y) >= 0 < min(width, height)
        assert x + width <= 24
    for (first, a), (second, b) in combinations(boxes().items(), 2):
        apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        assert apart, (first, second)


def test_it_is_a_dashboard():
    """What Grafana asks of one; no data source of anybody; the variables that are used are those that are there."""
    assert DASHBOARD.keys() >= {"title", "uid", "schemaVersion", "templating", "time", "panels"}
    assert "id" not in DASHBOARD
    for panel in PANELS:
        assert panel["type"] in {"row", "stat", "timeseries", "table"}
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        ids = [target["refId"] for target in panel["targets"]]
        assert len(set(ids)) == len(ids) > 0
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(PANELS)))
    assert used == declared == {"datasource", "job"}


@pytest.mark.parametrize("name", TARGETS)
def test_each_query_is_of_the_chosen_services(name: str):
    """Each selector; what its legend shows is what it groups by."""
    query, legend = TARGETS[name]["expr"], TARGETS[name]["legendFormat"]
    assert query.count("{") == query.count('{job=~"$job"') > 0
    assert set(re.findall(r"{{(\w+)}}", legend)) <= grouped_by(query)


def grouped_by(query: str) -> set[str]:
    """Return the labels that a query groups by."""
    return {label for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in re.findall(r"\w+", labels)}


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Return the metrics of a query, each with the labels that it is selected by."""
    found = re.findall(r"\b([a-z_]\w*)\{([^}]*)\}", query)
    words = set(re.findall(r"[a-z_]\w+", re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", " ", query)))
    assert words == {name for name, _ in found} | words & FUNCTIONS, query
    return [(name, set(re.findall(r"(\w+)\s*[=!]", labels))) for name, labels in found]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a program that does all of it; give the port where it is scraped."""
    folder = write(tmp_path_factory.mktemp("dashboard"), {"app.py": APP})
    port = free_port()
    config = f'signals = ["gc"]\n[export.prometheus]\nlisten = "127.0.0.1:{port}"\ninterval = 0.3\n'
    valkey = Valkey()
    started: Started | None = None
    try:
        started = hookmon_start([PYTHON, "app.py"], cwd=folder, config=config, env={"REDIS_URL": valkey.url})
        wait_until(lambda: answers(port) and b"http_server_request_duration_seconds_count" in get(port, "/metrics")[2], "counts")
        wait_until(lambda: b"hookmon_call_errors_total" in get(port, "/metrics")[2], "an error")
        yield port
        (folder / "done").touch()
        result = started.finish()
        assert result.exit_code == 0, result.stderr
    finally:
        if started is not None and not started.is_finished:
            started.kill()
        valkey.stop()


@pytest.fixture(scope="module")
def sent(run: int) -> dict[str, set[str]]:
    """Return the labels of each metric that is scraped; a native histogram has the name of its family."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(get(run, "/metrics")[2].decode()):
        for sample in family.samples:
            for name in (sample.name, *([family.name] if family.type == "histogram" else ())):
                found.setdefault(name, set(OF_PROMETHEUS)).update(sample.labels)
    return found


@pytest.mark.process
@pytest.mark.server
def test_metrics_and_labels_are_those_that_are_sent(sent: dict[str, set[str]]):
    """All of them: of requests, databases, clients, self time, processes and signals."""
    missing = []
    for name, target in TARGETS.items():
        labels = set()
        for metric, selected in selectors(target["expr"]):
            if metric not in sent:
                missing.append((name, metric))
            labels |= sent.get(metric, set())
            missing += [(name, metric, label) for label in selected - sent.get(metric, set())]
        missing += [(name, label) for label in grouped_by(target["expr"]) - labels]
    assert not missing


@needs_prometheus
@pytest.mark.process
@pytest.mark.server
@pytest.mark.parametrize("native", [True, False], ids=["native", "classic"])
def test_each_query_has_an_answer_in_prometheus(native: bool, run: int, tmp_path: Path):
    """With native histograms and with classic ones: no error, no warning, and a value."""
    with prometheus(tmp_path, run, native=native) as backend:
        for name, target in TARGETS.items():
            query = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1m").replace("$job", ".*")

            def answer(query: str = query) -> list[Any]:
                with urlopen(f"{backend.url}/api/v1/query?{urlencode({'query': query})}", timeout=20) as got:
                    found = json.load(got)
                assert found["status"] == "success"
                assert not found.get("warnings"), (query, found["warnings"])
                return [series for series in found["data"]["result"] if series["value"][1] != "NaN"]

            wait_until(answer, f"{name}: {query}", 30)
        services = backend.ask("target_info")
        assert [series["metric"]["job"] for series in services] == ["hookmon"]
