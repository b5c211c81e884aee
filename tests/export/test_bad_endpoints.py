"""Endpoints that refuse, lie, say nothing or are not there: no count is lost in the end, and the program does not notice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")

from support import known, sinks
from support.runs import PYTHON, Result, hookmon_run, hookmon_start, write
from support.sinks import Request, Sink, serve

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import Snapshot
from hookmon.export.delivery import Delivery
from hookmon.export.metrics import Metrics
from hookmon.export.rows import Resource
from hookmon.export.settings import OtlpSettings

pytestmark = pytest.mark.process

STEPS = known.PROGRAM + "for seed in range(int(sys.argv[1])): record(seed, 100); time.sleep(0.25)\n"
TOLD = "could not be delivered"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An endpoint."""
    with serve() as found:
        yield found


def run(folder: Path, sink: Sink, steps: int = 8, **more: str) -> Result:
    """Run a program that records 101 requests every quarter of a second."""
    write(folder, {"known.py": known.MODULE, "app.py": STEPS})
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "200", **more}
    args = [PYTHON, "app.py", str(steps)]
    return hookmon_run(args, cwd=folder, config=known.CONFIG, env=dict(env), options=["--export", "otlp"])


def is_told_rarely(result: Result, what: str, began: float) -> bool:
    """Say whether something was told, and once a minute at most."""
    return 1 <= result.stderr.count(what) <= 1 + (time.monotonic() - began) // 60


def lost(result: Result) -> list[str]:
    """Return what the report says of states that were lost."""
    return [spot["detail"] for spot in result.report["blind_spots"] if spot["kind"] == "export lost"]


def fails_first(times: int, answer: sinks.Answer) -> sinks.Answer:
    """Answer badly so often, and then well."""
    left = [times]

    def choose(request: Request) -> tuple[int, dict[str, str], bytes]:
        left[0] -= 1
        return answer(request) if left[0] >= 0 else sinks.ok(request)

    return choose


BAD = {
    "429": sinks.status(429, Retry_After="1"),
    "503": sinks.status(503),
    "503 with a date": sinks.status(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"),
    "503 with nonsense": sinks.status(503, Retry_After="soon"),
    "500": sinks.status(500),
    "401": sinks.status(401),
    "garbage": sinks.garbage,
    "a redirect": sinks.status(302, Location="http://127.0.0.1:1/elsewhere"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_an_endpoint_refuses_for_a_while_arrives_later(tmp_path: Path, sink: Sink, kind: str):
    """Once, with all counts; the loss is told once on stderr and once in the report."""
    sink.answer = fails_first(3, BAD[kind])
    began = time.monotonic()
    result = run(tmp_path, sink)
    assert result.exit_code == 0
    assert sink.last("http.server.request.duration", **known.OK).count == 800, result.stderr
    counts = [point.count for point in sink.all("http.server.request.duration", **known.OK)]
    assert counts == sorted(counts)
    assert is_told_rarely(result, TOLD, began)
    (line,) = lost(result)
    assert "were not taken" in line
    assert "nor the last one" not in line


def test_the_last_state_is_tried_for_a_while(sink: Sink):
    """A short run has no other one: it waits a little between two attempts."""
    answers = [sinks.status(503), sinks.status(503)]
    sink.answer = lambda request: (answers.pop(0) if answers else sinks.ok)(request)
    settings = OtlpSettings(f"{sink.url}/v1/metrics", sink.url)
    resource = Resource((("service.instance.id", "i"), ("service.name", "s")), 1)
    delivery = Delivery(settings, Metrics(resource, {}), print, patience_s=120)
    delivery.hurry.set()
    job = Counters(1, 0, 1_000, 1_000, 1_000, 1_000, histograms=[{100: 1}])
    delivery.observe(Snapshot(monotonic_ns(), Totals({CallKey("job", "task", "m:f"): job}), ended=True))
    assert sink.last("hookmon.call.count").as_int == 1
    assert (len(sink.requests), delivery.loss()) == (3, "")
    first, second, third = (request.at for request in sink.requests)
    assert min(second - first, third - second) > 0.1


def test_an_endpoint_that_never_takes_anything_is_told_once_and_delays_nothing_but_the_end(tmp_path: Path, sink: Sink):
    """By a few seconds; the exit code is the program's."""
    sink.answer = sinks.status(503)
    began = time.monotonic()
    result = run(tmp_path, sink, steps=2)
    assert result.exit_code == 0
    assert is_told_rarely(result, "[export]", began)
    (line,) = lost(result)
    assert "nor the last one" in line


def test_an_endpoint_that_is_not_there_is_told_once(tmp_path: Path, sink: Sink):
    """And the run is reported."""
    began = time.monotonic()
    result = run(tmp_path, sink, steps=2, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert (result.exit_code, len(lost(result))) == (0, 1)
    assert is_told_rarely(result, "[export]", began)


def test_an_endpoint_that_says_nothing_holds_up_nobody(tmp_path: Path, sink: Sink):
    """It takes the connection and does not answer: after a timeout the newest state is tried."""
    sink.is_silent = True
    began = time.monotonic()
    result = run(tmp_path, sink, steps=3, OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
    assert (result.exit_code, len(lost(result))) == (0, 1)
    assert is_told_rarely(result, TOLD, began)


def test_silence_for_a_while_costs_no_count(tmp_path: Path, sink: Sink):
    """When it speaks again it gets everything."""
    sink.is_silent = True
    write(tmp_path, {"known.py": known.MODULE, "app.py": STEPS})
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}
    args = [PYTHON, "app.py", "10"]
    started = hookmon_start(args, cwd=tmp_path, config=known.CONFIG, env=dict(env), options=["--export", "otlp"])
    time.sleep(1.5)
    sink.is_silent = False
    assert started.finish().exit_code == 0
    assert sink.last("http.server.request.duration", **known.OK).count == 1_000


def test_a_partial_success_is_told(tmp_path: Path, sink: Sink):
    """With the endpoint's reason, once a minute; what was taken is taken."""
    sink.answer = sinks.partial
    began = time.monotonic()
    result = run(tmp_path, sink, steps=3)
    assert is_told_rarely(result, "[export]", began)
    assert "too many series" in result.stderr
    (line,) = lost(result)
    assert "points were refused (too many series)" in line


def test_one_series_that_is_refused_costs_no_other(tmp_path: Path, sink: Sink):
    """Prometheus refuses a whole request for one series in it: the guilty one is found and left out."""

    def refuse(request: Request) -> tuple[int, dict[str, str], bytes]:
        return (400, {}, b"out of order") if "hookmon.call.self_time" in request.metrics() else sinks.ok(request)

    sink.answer = refuse
    result = run(tmp_path, sink)
    assert sink.last("http.server.request.duration", **known.OK).count == 800, result.stderr
    assert "series are refused, as hookmon.call.self_time" in result.stderr
    assert sink.last("hookmon.export.rejected").as_int > 0
    assert sum("hookmon.call.self_time" in request.metrics() for request in sink.requests) < 20


def test_two_exporters_of_one_run_are_one_instance(tmp_path: Path, sink: Sink):
    """Counts are cumulative, so whoever sends is right."""
    write(tmp_path, {"known.py": known.MODULE, "app.py": STEPS})
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    args = [PYTHON, "app.py", "16"]
    started = hookmon_start(args, cwd=tmp_path, config=known.CONFIG, env=dict(env), options=["--export", "otlp"])
    from support.runs import HOOKMON, Started

    sink.wait_for(lambda: sink.taken, "the first state")
    with serve() as other:
        beside = Started([HOOKMON, "export", "--otlp", other.url, "--interval", "0.2"], cwd=tmp_path)
        assert started.finish().exit_code == 0
        assert beside.finish().exit_code == 0
        for found in (sink, other):
            assert found.last("http.server.request.duration", **known.OK).count == 1_600
        assert sink.taken[-1].resource()["service.instance.id"] == other.taken[-1].resource()["service.instance.id"]
        starts = {
            request.metrics()["http.server.request.duration"].exponential_histogram.data_points[0].start_time_unix_nano
            for request in (sink.taken[-1], other.taken[-1])
        }
        assert len(starts) == 1
