"""A real Prometheus and a real VictoriaMetrics say what was recorded: counts and sums exactly, percentiles within 1.5 %."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
pytest.importorskip("prometheus_client", reason="hookmon[export] is not installed")

from support import known
from support.backends import (
    collector,
    free_port,
    needs_collector,
    needs_prometheus,
    needs_victoria_metrics,
    prometheus,
    victoria_metrics,
)
from support.runs import HOOKMON, PYTHON, Started, hookmon_start, wait_until, write
from support.sinks import serve

pytestmark = pytest.mark.process

SHARES = (0.5, 0.95, 0.99)
NAME = "http_server_request_duration_seconds"
OK = 'http_response_status_code="200"'
OTLP_NAME = "http.server.request.duration"
VM_OK = '"http.response.status_code"="200"'
WAIT = "while not os.path.exists('done'): time.sleep(0.05)\n"
KNOWN = known.PROGRAM + "record(7, 20_000, 31)\n" + WAIT
WORKERS = (
    known.PROGRAM
    + """
for seed in range(8):
    child = os.fork()
    if not child:
        record(seed, 500)
        os._exit(0) if seed % 2 else os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    time.sleep(0.4)
"""
    + WAIT
)
WORKERS_THAT_FAIL = WORKERS.replace("record(seed, 500)", "record(seed, 500, 10)")
HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto-export.md"
TRUTH = known.durations_ns(7, errors=31)


def start(folder: Path, code: str, options: list[str], env: dict[str, str | None] | None = None, config: str = "") -> Started:
    """Start a program under hookmon; it ends when there is a file `done`."""
    write(folder, {"known.py": known.MODULE, "app.py": code})
    env = {"OTEL_METRIC_EXPORT_INTERVAL": "300", **(env or {})}
    return hookmon_start([PYTHON, "app.py"], cwd=folder, config=known.CONFIG + config, env=env, options=options)


def finish(started: Started, folder: Path) -> None:
    """Let the program end."""
    (folder / "done").touch()
    result = started.finish()
    assert result.exit_code == 0, result.stderr


def listening(port: int) -> str:
    """Return the configuration of an endpoint."""
    return f'[export.prometheus]\nlisten = "127.0.0.1:{port}"\ninterval = 0.3\n'


@needs_prometheus
def test_prometheus_scrapes_native_histograms(tmp_path: Path):
    """Asked for in protobuf: exact counts and sums, percentiles as close as the buckets."""
    port = free_port()
    started = start(tmp_path, KNOWN, [], config=listening(port))
    with prometheus(tmp_path, port, native=True) as backend:
        backend.wait_for(f"histogram_count({NAME}{{{OK}}})", 19_969)
        assert backend.value(f"histogram_sum({NAME}{{{OK}}})") == pytest.approx(sum(TRUTH) / 1e9, rel=1e-12)
        for share in SHARES:
            found = backend.value(f"histogram_quantile({share}, {NAME}{{{OK}}})")
            assert found == pytest.approx(known.quantile_s(TRUTH, share), rel=0.015)
        assert backend.value("hookmon_transaction_errors_total") == 31
        assert backend.value(f'histogram_count({NAME}{{http_response_status_code=~"5.."}})') == 31
        below = sum(duration <= 100_000_000 for duration in TRUTH) / len(TRUTH)
        assert backend.value(f"histogram_fraction(0, 0.1, {NAME}{{{OK}}})") == pytest.approx(below, abs=0.003)
        assert backend.ask("target_info")[0]["metric"]["service_name"]
    finish(started, tmp_path)


@needs_prometheus
def test_prometheus_scrapes_classic_histograms(tmp_path: Path):
    """As text, which is what it asks for by itself: exact counts and sums; buckets at the conventions' bounds."""
    port = free_port()
    started = start(tmp_path, KNOWN, [], config=listening(port))
    with prometheus(tmp_path, port, native=False) as backend:
        backend.wait_for(f"{NAME}_count{{{OK}}}", 19_969)
        assert backend.value(f"{NAME}_sum{{{OK}}}") == pytest.approx(sum(TRUTH) / 1e9, rel=1e-12)
        assert backend.value(f'{NAME}_bucket{{le="+Inf",{OK}}}') == 19_969
        for bound in (0.005, 0.025, 0.1, 1.0):
            below = sum(duration <= bound * 1e9 for duration in TRUTH)
            assert backend.value(f'{NAME}_bucket{{le="{bound}",{OK}}}') == pytest.approx(below, abs=0.005 * len(TRUTH))
        assert backend.value('up{job="hookmon"}') == 1
    finish(started, tmp_path)


@needs_prometheus
def test_workers_that_come_and_go_are_no_reset_for_prometheus(tmp_path: Path):
    """Killed ones, too: one series that only grows."""
    port = free_port()
    started = start(tmp_path, WORKERS, [], config=listening(port))
    with prometheus(tmp_path, port, native=False) as backend:
        backend.wait_for(f"{NAME}_count{{{OK}}}", 4_000)
        assert backend.value(f"resets({NAME}_count{{{OK}}}[10m])") == 0
        assert len(backend.ask(f"count_over_time({NAME}_count{{{OK}}}[10m])")) == 1
    finish(started, tmp_path)


@needs_victoria_metrics
def test_victoria_metrics_has_what_was_recorded(tmp_path: Path):
    """By OTLP: counts, sums, errors, percentiles."""
    with victoria_metrics(tmp_path) as backend:
        env: dict[str, str | None] = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": backend.otlp, "OTEL_SERVICE_NAME": "shop"}
        finish(start(tmp_path, KNOWN, ["--export", "otlp"], env), tmp_path)
        backend.wait_for(f'{{__name__="{OTLP_NAME}_count",{VM_OK},"service.name"="shop"}}', 19_969)
        assert backend.value(f'{{__name__="{OTLP_NAME}_sum",{VM_OK}}}') == pytest.approx(sum(TRUTH) / 1e9, rel=1e-12)
        assert backend.value('{__name__="hookmon.transaction.errors"}') == 31
        assert backend.value(f'{{__name__="{OTLP_NAME}_count","http.response.status_code"=~"5.."}}') == 31
        for share in SHARES:
            found = backend.value(f'histogram_quantile({share}, sum({{__name__="{OTLP_NAME}_bucket",{VM_OK}}}) by (vmrange))')
            assert found == pytest.approx(known.quantile_s(TRUTH, share), rel=0.015)


def queries(section: str) -> list[str]:
    """Return the queries that the how-to calls right, of the table of a backend."""
    text = HOWTO.read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|`]+ \| (.*) \|$", text, re.MULTILINE)
    found = [query for row in rows for query in re.findall(r"`([^`]+)`", row) if query != "increase_pure()" and "…" not in query]
    assert len(found) >= 4
    return found


@needs_victoria_metrics
def test_the_queries_of_the_how_to_have_answers_in_victoria_metrics(tmp_path: Path):
    """Each has a series."""
    with victoria_metrics(tmp_path) as backend:
        env: dict[str, str | None] = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": backend.otlp}
        started = start(tmp_path, WORKERS_THAT_FAIL, ["--export", "otlp"], env)
        backend.wait_for(f'{{__name__="{OTLP_NAME}_count",{VM_OK}}}', 3_920)
        for query in queries("VictoriaMetrics"):
            wait_until(lambda query=query: backend.ask(query), query, 30)
    finish(started, tmp_path)


@needs_prometheus
@pytest.mark.parametrize("native", [True, False], ids=["native", "classic"])
def test_the_queries_of_the_how_to_have_answers_in_prometheus(tmp_path: Path, native: bool):
    """Those of native histograms where they are, the others elsewhere."""
    port = free_port()
    started = start(tmp_path, WORKERS_THAT_FAIL, [], config=listening(port))
    with prometheus(tmp_path, port, native=native) as backend:
        count = f"histogram_count({NAME}{{{OK}}})" if native else f"{NAME}_count{{{OK}}}"
        backend.wait_for(count, 3_920)
        for query in queries("Prometheus"):
            is_native = f"{NAME}[" in query or query == NAME
            if is_native == native or NAME not in query:
                wait_until(lambda query=query: backend.ask(query), query, 30)
    finish(started, tmp_path)


@needs_victoria_metrics
def test_a_backend_that_is_down_for_a_while_has_everything_later(tmp_path: Path):
    """It is not there when the run begins, comes, goes and comes again."""
    port = free_port()
    env: dict[str, str | None] = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://127.0.0.1:{port}/opentelemetry/v1/metrics"}
    started = start(tmp_path, WORKERS, ["--export", "otlp"], env)
    time.sleep(1)
    count = f'{{__name__="{OTLP_NAME}_count",{VM_OK}}}'
    with victoria_metrics(tmp_path, port) as backend:
        wait_until(lambda: backend.value(count) > 0, "the first counts")
    time.sleep(1)
    with victoria_metrics(tmp_path, port) as backend:
        backend.wait_for(count, 4_000)
        finish(started, tmp_path)
        assert backend.value(count) == 4_000
        assert backend.value(f'resets({{__name__="{OTLP_NAME}_count",{VM_OK}}}[10m])') == 0


@needs_victoria_metrics
def test_an_exporter_that_is_killed_and_starts_again_counts_nothing_twice(tmp_path: Path):
    """From outside, while workers come and go; the run is one instance to the backend."""
    count = f'{{__name__="{OTLP_NAME}_count",{VM_OK}}}'
    with victoria_metrics(tmp_path) as backend:
        started = start(tmp_path, WORKERS, [])
        command = [HOOKMON, "export", "--otlp", backend.otlp, "--interval", "0.2"]
        wait_until(lambda: list((tmp_path / ".hookmon").glob("run-*.sqlite")), "the run file")
        wait_until(lambda: (tmp_path / ".hookmon" / "run-0001.sqlite").stat().st_size, "the run")
        first = Started(command, cwd=tmp_path)
        wait_until(lambda: backend.value(count) > 500, "the first counts")
        os.kill(first.process.pid, signal.SIGKILL)
        first.finish()
        second = Started(command, cwd=tmp_path)
        backend.wait_for(count, 4_000)
        finish(started, tmp_path)
        result = second.finish()
        assert result.exit_code == 0, result.stderr
        assert backend.value(count) == 4_000
        assert backend.value(f'resets({{__name__="{OTLP_NAME}_count",{VM_OK}}}[10m])') == 0
        assert len(backend.ask(f'count_over_time({{__name__="{OTLP_NAME}_count",{VM_OK}}}[10m])')) == 1


@needs_collector
@needs_victoria_metrics
def test_a_collector_passes_on_what_was_recorded(tmp_path: Path):
    """With the configuration of the how-to: exact counts and sums behind it, and errors by status."""
    config = HOWTO.read_text("utf-8").partition("```yaml\nreceivers:")[2].partition("```")[0]
    port = free_port()
    with victoria_metrics(tmp_path) as backend:
        config = "receivers:" + config.replace("127.0.0.1:4318", f"127.0.0.1:{port}")
        config = config.replace("http://127.0.0.1:8428", backend.url)
        config = config.replace("service:\n", "service:\n  telemetry: {metrics: {level: none}}\n")
        with collector(tmp_path, config, port) as url:
            finish(start(tmp_path, KNOWN, ["--export", "otlp"], {"OTEL_EXPORTER_OTLP_ENDPOINT": url}), tmp_path)
            backend.wait_for(f'{{__name__="{OTLP_NAME}_count",{VM_OK}}}', 19_969)
            assert backend.value(f'{{__name__="{OTLP_NAME}_sum",{VM_OK}}}') == pytest.approx(sum(TRUTH) / 1e9, rel=1e-12)
            assert backend.value(f'{{__name__="{OTLP_NAME}_count","http.response.status_code"=~"5.."}}') == 31
            for share in SHARES:
                buckets = f'sum({{__name__="{OTLP_NAME}_bucket",{VM_OK}}}) by (vmrange)'
                found = backend.value(f"histogram_quantile({share}, {buckets})")
                assert found == pytest.approx(known.quantile_s(TRUTH, share), rel=0.015)


@needs_collector
def test_a_collector_passes_on_traces(tmp_path: Path):
    """With the configuration of the how-to: each span as it was sent, ids, parents, kinds and flags."""
    config = HOWTO.read_text("utf-8").partition("```yaml\nreceivers:")[2].partition("```")[0]
    port = free_port()
    app = known.PROGRAM + "for _ in range(50): known.handle()\n"
    write(tmp_path, {"known.py": known.MODULE, "app.py": app})
    with serve() as behind:
        config = "receivers:" + config.replace("127.0.0.1:4318", f"127.0.0.1:{port}").replace("http://127.0.0.1:4328", behind.url)
        config = config.replace("http://127.0.0.1:8428/opentelemetry", behind.url)
        config = config.replace("service:\n", "service:\n  telemetry: {metrics: {level: none}}\n")
        with collector(tmp_path, config, port) as url:
            started = hookmon_start(
                [PYTHON, "app.py"],
                cwd=tmp_path,
                config=known.CONFIG,
                env={"OTEL_EXPORTER_OTLP_ENDPOINT": url},
                options=["--export", "otlp"],
            )
            result = started.finish()
            assert "hookmon: export" not in result.stderr
            behind.wait_for(behind.spans, "a trace behind the Collector")
    (span,) = behind.spans()
    (row,) = result.report["transactions"]
    assert span.trace_id.hex() in {example["trace_id"] for example in row["examples"]}
    assert (span.name, span.kind, span.flags) == ("GET /known", 2, 0x103)
