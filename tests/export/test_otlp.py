"""A real `hookmon run --export otlp` against an endpoint that decodes what it gets."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")

from support import known, sinks
from support.backends import answers, free_port, get
from support.runs import PYTHON, bare_run, blind_spots, hookmon, hookmon_run, hookmon_start, wait_until, write
from support.sinks import Sink, attributes, points_of, serve

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import Snapshot
from hookmon.export.delivery import Delivery
from hookmon.export.metrics import Metrics
from hookmon.export.rows import Resource
from hookmon.export.settings import OtlpSettings

pytestmark = pytest.mark.process

APP = known.PROGRAM + "record(7, 20_000, 31)\n"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An endpoint that takes everything."""
    with serve() as found:
        yield found


def buckets_of(point: object) -> dict[int, int]:
    """Return {index: count}."""
    positive = point.positive  # type: ignore[attr-defined]
    return {positive.offset + at: count for at, count in enumerate(positive.bucket_counts) if count}


def variables(sink: Sink, **more: str | None) -> dict[str, str | None]:
    """Return the environment of a run that exports quickly."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "200", **more}


def test_counts_and_sums_are_exact_and_percentiles_within_1_5_percent(tmp_path: Path, sink: Sink):
    """Of 20,000 known durations, as buckets in seconds that nothing was lost in."""
    write(tmp_path, {"known.py": known.MODULE, "app.py": APP})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=known.CONFIG, env=variables(sink), options=["--export", "otlp"])
    assert result.exit_code == 0, result.stderr
    point = sink.last("http.server.request.duration", **known.OK)
    truth = known.durations_ns(7, errors=31)
    assert (point.count, point.scale, point.zero_count) == (len(truth), 4, 0) == (19_969, 4, 0)
    assert sum(point.positive.bucket_counts) == point.count
    assert (round(point.sum * 1e9), round(point.min * 1e9), round(point.max * 1e9)) == (sum(truth), truth[0], truth[-1])
    assert attributes(point) == {"http.request.method": "GET", "http.route": "/known", "http.response.status_code": 200}
    for share in (0.5, 0.95, 0.99):
        assert known.quantile_of(buckets_of(point), share) == pytest.approx(known.quantile_s(truth, share), rel=0.015)
    failed = sink.last("http.server.request.duration", http_response_status_code=503)
    assert (failed.count, attributes(failed)["error.type"]) == (31, "503")
    assert sink.last("http.server.request.duration", http_response_status_code=204).count == 1
    assert sink.last("hookmon.transaction.errors", http_route="/known").as_int == 31
    (row,) = result.report["transactions"]
    assert (row["calls"], row["errors"]) == (20_001, 31)


def test_all_points_are_cumulative_and_of_one_instance(tmp_path: Path, sink: Sink):
    """Start and identity are those of the run; times rise; a new series begins with a point of zero; no count falls."""
    write(tmp_path, {"known.py": known.MODULE, "app.py": known.PROGRAM + "for _ in range(4): record(1, 500); time.sleep(0.5)\n"})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=known.CONFIG, env=variables(sink), options=["--export", "otlp"])
    points = sink.all("http.server.request.duration", **known.OK)
    assert points[-1].count == 2_000, result.stderr
    assert len({request.resource()["service.instance.id"] for request in sink.taken}) == 1
    assert len({point.start_time_unix_nano for point in points}) == 1
    times = [point.time_unix_nano for point in points]
    assert times == sorted(set(times))
    counts = [point.count for point in points]
    assert (counts[0], counts) == (0, sorted(counts))
    assert points[0].start_time_unix_nano <= times[0]
    metric = sink.taken[-1].metrics()
    assert metric["http.server.request.duration"].exponential_histogram.aggregation_temporality == 2
    assert metric["hookmon.transaction.count"].sum.aggregation_temporality == 2
    assert metric["hookmon.transaction.count"].sum.is_monotonic
    assert {attributes(point)["process.pid"] for point in points_of(metric["process.cpu.time"])}


def test_workers_that_come_and_go_lose_no_count(tmp_path: Path, sink: Sink):
    """Ten workers one after the other, some killed: one series, and no reset."""
    code = """
    for seed in range(10):
        child = os.fork()
        if not child:
            record(seed, 300)
            os._exit(0) if seed % 2 else os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        time.sleep(0.1)
    """
    write(tmp_path, {"known.py": known.MODULE})
    write(tmp_path, {"app.py": known.PROGRAM + "".join(line[4:] + "\n" for line in code.splitlines())})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=known.CONFIG, env=variables(sink), options=["--export", "otlp"])
    assert sink.last("http.server.request.duration", **known.OK).count == 3_000, result.stderr
    counts = [point.count for point in sink.all("http.server.request.duration", **known.OK)]
    assert counts == sorted(counts)
    ends = [point for point in sink.all("process.memory.usage") if point.flags & 1]
    assert ends, "processes that are gone are told once more"


def test_the_variables_are_read_as_the_sdks_read_them(tmp_path: Path, sink: Sink):
    """Endpoint as it is, headers decoded, no compression, the resource; OTEL_SERVICE_NAME goes before the attributes."""
    write(tmp_path, {"app.py": "print(1)"})
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.url}/own/path",
        "OTEL_EXPORTER_OTLP_HEADERS": "X-General=1",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "Authorization=Bearer%20x%3Dy, x-b=2",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,deployment.environment.name=a%2Cb",
    }
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=env, options=["--export", "otlp"])
    request = sink.taken[-1]
    assert request.path == "/own/path", result.stderr
    assert (request.headers["authorization"], request.headers["x-b"]) == ("Bearer x=y", "2")
    assert "x-general" not in request.headers
    assert "content-encoding" not in request.headers
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.resource()["service.name"] == "shop"
    assert request.resource()["deployment.environment.name"] == "a,b"


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_bodies_are_compressed(tmp_path: Path, sink: Sink, compression: str):
    """Gzip by itself."""
    write(tmp_path, {"app.py": "print(1)"})
    env = variables(sink, OTEL_EXPORTER_OTLP_COMPRESSION=compression if compression != "gzip" else None)
    hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=env, options=["--export", "otlp"])
    assert sink.taken[-1].headers["content-encoding"] == compression
    assert sink.taken[-1].path == "/v1/metrics"


def test_the_configuration_says_where_to_and_no_export_says_no(tmp_path: Path, sink: Sink):
    """The table switches it on; the option off. A key in it is kept nowhere."""
    write(tmp_path, {"app.py": "print(1)"})
    config = f'[export.otlp]\nendpoint = "{sink.url}"\nheaders = ["x-key=sesame-77"]\nservice = "toml"\n'
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config)
    assert sink.taken[-1].headers["x-key"] == "sesame-77", result.stderr
    assert sink.taken[-1].resource()["service.name"] == "toml"
    assert "sesame-77" not in str(result.report)
    assert "sesame-77" not in hookmon(["config", "--json"], cwd=tmp_path).stdout
    assert all(b"sesame-77" not in path.read_bytes() for path in (tmp_path / ".hookmon").iterdir())
    count = len(sink.requests)
    hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=config, options=["--no-export"])
    assert len(sink.requests) == count


MISTAKES = {
    "no scheme": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "is no URL"),
    "wrong scheme": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "htp://localhost:4318"}, "is no URL"),
    "no port": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:port"}, "is no URL"),
    "a secret": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://user:sesame-77@localhost/?key=sesame-77"}, "is no URL"),
    "another protocol": ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    "no compression": ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}, "gzip"),
    "no number": ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "no number"),
    "a broken header": ({"OTEL_EXPORTER_OTLP_HEADERS": "sesame-77"}, "without '='"),
    "a split header": ({"OTEL_EXPORTER_OTLP_HEADERS": "x-a=sesame-77%0d%0aHost:%20evil"}, "no header can have"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_the_start(tmp_path: Path, mistake: str):
    """In one line, without a secret, and nothing runs."""
    variables, said = MISTAKES[mistake]
    write(tmp_path, {"app.py": "open('ran', 'w')"})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=dict(variables), options=["--export", "otlp"])
    assert (result.exit_code, (tmp_path / "ran").exists()) == (2, False)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "sesame-77" not in result.stderr


def test_mistakes_in_the_configuration_are_told_with_their_lines(tmp_path: Path):
    """All in one pass, without a secret."""
    config = '[export.otlp]\nendpoint = "htp://u:sesame-77@h"\nheaders = ["sesame-77"]\n'
    config += '[export.prometheus]\nlisten = "9464:x"\n[export.oltp]\n'
    result = hookmon(["config"], cwd=write(tmp_path, {"hookmon.toml": config}))
    assert result.exit_code == 2
    assert re.findall(r"hookmon.toml:(\d+)", result.stderr) == ["2", "3", "5", "6"]
    assert "sesame-77" not in result.stderr


def test_a_missing_library_is_one_error_before_the_start(tmp_path: Path):
    """It names what to install."""
    write(tmp_path, {"app.py": "open('ran', 'w')"})
    code = "import sys; sys.modules |= dict.fromkeys(['opentelemetry.proto', 'prometheus_client'])\n"
    code += "from hookmon.cli.main import main\nmain()"
    for exporter in ("otlp", "prometheus"):
        args = [PYTHON, "-c", code, "run", "--export", exporter, PYTHON, "app.py"]
        result = bare_run(args, cwd=tmp_path)
        assert (result.exit_code, (tmp_path / "ran").exists()) == (2, False)
        assert "pip install 'hookmon[export]'" in result.stderr


PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
SECRETS = """
import sqlite3, sys, urllib.request
def pay(card): raise ValueError(card)
try: pay("sesame-77")
except ValueError: pass
db = sqlite3.connect(":memory:")
db.execute("CREATE TABLE cards (number TEXT)")
db.execute("INSERT INTO cards VALUES ('sesame-77')")
db.execute("SELECT * FROM cards WHERE number = 'sesame-77' AND number = ?", ("sesame-77",)).fetchall()
request = urllib.request.Request(sys.argv[1] + "/sesame-77?key=sesame-77", b"sesame-77", {"X-Key": "sesame-77"})
try: urllib.request.urlopen(request)
except OSError: pass
"""


def test_no_secret_is_in_an_exported_byte(tmp_path: Path, sink: Sink):
    """Planted in arguments, headers, URLs, statements, errors and the command line; sent or scraped."""
    pytest.importorskip("prometheus_client")
    write(tmp_path, {"app.py": SECRETS + "import os, time\nwhile not os.path.exists('done'): time.sleep(0.05)\n"})
    port = free_port()
    config = f'[[watch]]\nmodule = "__main__"\ncalls = ["pay"]\n[export.prometheus]\nlisten = ":{port}"\ninterval = 0.2\n'
    with serve() as other:
        other.answer = sinks.status(404)
        args = [PYTHON, "app.py", other.url.replace("http://", "http://user:sesame-77@"), "--token=sesame-77"]
        started = hookmon_start(args, cwd=tmp_path, config=config, env=variables(sink), options=["--export", "otlp"])
        wait_until(lambda: answers(port) and b'collection_name="cards"' in get(port, "/metrics")[2], "the calls")
        scraped = [get(port, "/metrics", Accept=accept)[2] for accept in ("", PROTOBUF)]
        (tmp_path / "done").touch()
        assert started.finish().exit_code == 0
    names = {name for request in sink.taken for name in request.metrics()}
    assert {"db.client.operation.duration", "hookmon.call.count"} <= names
    assert sink.last("db.client.operation.duration", db_operation_name="SELECT", db_collection_name="cards").count == 1
    assert not [body for body in scraped if b"sesame" in body]
    for request in sink.taken:
        assert b"sesame" not in request.raw
        assert b"sesame" not in str(request.headers).encode() + request.path.encode()


SEEN = """
import os, sys, threading, known
known.handle()
links = [os.readlink(f"/proc/self/fd/{number}") for number in range(64) if os.path.lexists(f"/proc/self/fd/{number}")]
print(len(threading.enumerate()), len(os.listdir("/proc/self/task")), len(links))
print([link for link in links if link.startswith("socket")])
print(sorted(sys.modules))
print(sorted(name for name in os.environ if not name.startswith("HOOKMON")))
"""


def test_the_program_has_no_thread_socket_or_import_more(tmp_path: Path, sink: Sink):
    """What a program sees of itself is the same with and without export, but for hookmon's own variables."""
    write(tmp_path, {"known.py": known.MODULE, "app.py": SEEN})
    env = variables(sink)
    plain = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=known.CONFIG, env=env)
    exported = hookmon_run(
        [PYTHON, "app.py"], cwd=tmp_path, config=known.CONFIG, env=env, options=["--export", "otlp", "--export", "prometheus"]
    )
    assert exported.stdout == plain.stdout, exported.stderr
    assert "opentelemetry" not in exported.stdout
    assert exported.stdout.splitlines()[1] == "[]"
    assert sink.taken


def test_exit_code_and_signals_are_the_programs(tmp_path: Path, sink: Sink):
    """With an endpoint, and without one."""
    write(tmp_path, {"app.py": "import sys; sys.exit(7)"})
    for url in (sink.url, "http://127.0.0.1:1"):
        env: dict[str, str | None] = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        started = hookmon_start([PYTHON, "app.py"], cwd=tmp_path, env=env, options=["--export", "otlp"])
        assert started.finish().exit_code == 7


def test_memory_is_bounded_while_nobody_takes_anything():
    """Three hundred states that were not taken leave nothing behind."""
    resource = Resource((("service.instance.id", "i"), ("service.name", "s")), 1)
    settings = OtlpSettings("http://127.0.0.1:1/v1/metrics", "http://127.0.0.1:1", interval_s=0.05)
    told: list[str] = []
    delivery = Delivery(settings, Metrics(resource, {}), told.append)
    delivery.hurry.set()
    job = Counters(1, 0, 1_000, 1_000, 1_000, 1_000, histograms=[{100: 1}])
    keys = [CallKey(f"job {number}", "task", "m:f") for number in range(10)]

    def fail(times: int) -> int:
        for _ in range(times):
            delivery.observe(Snapshot(monotonic_ns(), Totals({}, Counters(), dict.fromkeys(keys, job))))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = fail(50)
        assert fail(250) - first < 50_000
    finally:
        tracemalloc.stop()
    assert (delivery.ticks, delivery.lost, len(told)) == (300, 300, 1)


FLASK = """
import sys
from flask import Flask
app = Flask(__name__)

@app.get("/good/<int:n>")
def good(n):
    return "yes"

@app.get("/bad/<int:n>")
def bad(n):
    return "no", 503 if n % 2 else 404

if __name__ == "__main__":
    client = app.test_client()
    for n in range(60):
        client.get(f"/good/{n}?token=sesame-77")
        client.get(f"/bad/{n}")
    client.get("/nowhere/sesame-77")
"""


def test_requests_of_a_framework_are_counted_by_route_and_status(tmp_path: Path, sink: Sink):
    """What stock dashboards ask for: routes, never paths, and errors by status."""
    pytest.importorskip("flask")
    write(tmp_path, {"app.py": FLASK})
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=variables(sink), options=["--export", "otlp"])
    assert result.exit_code == 0, result.stderr
    last = sink.taken[-1].metrics()["http.server.request.duration"]
    found = {
        (attributes(point).get("http.route"), attributes(point)["http.response.status_code"]): point.count
        for point in points_of(last)
    }
    expected = {("/good/<int:n>", 200): 60, ("/bad/<int:n>", 404): 30, ("/bad/<int:n>", 503): 30, (None, 404): 1}
    assert found == expected
    assert {attributes(point).get("error.type") for point in points_of(last)} == {None, "503"}
    assert all(b"sesame" not in request.raw for request in sink.taken)


ROUTES = """
[[watch]]
module = "routes"
calls = ["view"]
span = "GET /{number}"
kind = "request"
entry = true
"""


def test_names_without_a_series_are_told_once(tmp_path: Path, sink: Sink):
    """On stderr and in the report; all of them together are exact."""
    write(
        tmp_path,
        {"routes.py": "def view(number): pass\n", "app.py": "import routes\nfor number in range(500): routes.view(number)\n"},
    )
    result = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, config=ROUTES, env=variables(sink), options=["--export", "otlp"])
    points = points_of(sink.taken[-1].metrics()["http.server.request.duration"])
    assert sum(point.count for point in points) == 500
    assert sink.last("http.server.request.duration", otel_metric_overflow=True).count == 300
    lines = [line for line in result.stderr.splitlines() if line.endswith(" [export-full]")]
    assert len([line for line in lines if "200 histograms or 2,000 counters are in use" in line]) == 1
    assert len([line for line in lines if "of more than 50 traces a minute some are left out" in line]) == 1
    (told,) = [text for text in blind_spots(result.report) if text.startswith("export full: ")]
    assert told.startswith("export full: 200 histograms or 2,000 counters are in use")
    assert re.search(r"; [1-9]\d* traces were left out: there were more than 50 a minute$", told)  # of those that are kept whole
