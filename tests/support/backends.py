"""Real backends on loopback, where their programs are: `.ci/backends` downloads them and says where in variables."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

PROMETHEUS = os.environ.get("HOOKMON_PROMETHEUS", "")
VICTORIA_METRICS = os.environ.get("HOOKMON_VICTORIA_METRICS", "")
COLLECTOR = os.environ.get("HOOKMON_OTELCOL", "")
REASON = "{} is not set: .ci/backends downloads the program"

needs_prometheus = pytest.mark.skipif(not PROMETHEUS, reason=REASON.format("HOOKMON_PROMETHEUS"))
needs_victoria_metrics = pytest.mark.skipif(not VICTORIA_METRICS, reason=REASON.format("HOOKMON_VICTORIA_METRICS"))

needs_collector = pytest.mark.skipif(not COLLECTOR, reason="HOOKMON_OTELCOL is not set to an OpenTelemetry Collector")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Ask for a path."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Content-Type", ""), answer.read()
    connection.close()
    return found


def answers(port: int) -> bool:
    """Say whether somebody answers."""
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


class Backend:
    """A program that answers PromQL."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the answer to an instant query: a list of series."""
        more = {} if at is None else {"time": str(at)}
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': query, **more})}", timeout=20) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return list(found["data"]["result"])

    def value(self, query: str, at: float | None = None) -> float:
        """Return the only value of a query; NaN for no series."""
        found = self.ask(query, at)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else float("nan")

    def wait_for(self, query: str, value: float, timeout: float = 60.0) -> None:
        """Wait until a query has a value. Raises AssertionError with what it has instead."""
        end = time.monotonic() + timeout
        while (found := self.value(query)) != value:
            assert time.monotonic() < end, f"{query} is {found}, not {value}"
            time.sleep(0.2)

    def flush(self) -> None:
        """Make what was taken visible."""


class VictoriaMetrics(Backend):
    """It takes OTLP."""

    @property
    def otlp(self) -> str:
        """The URL to send to."""
        return f"{self.url}/opentelemetry/v1/metrics"

    def flush(self) -> None:
        """Make what was taken visible."""
        urlopen(f"{self.url}/internal/force_flush", timeout=20).close()

    def value(self, query: str, at: float | None = None) -> float:
        """Return the only value of a query, also of what has just come."""
        self.flush()
        return super().value(query, at)


@contextmanager
def prometheus(folder: Path, target_port: int, *, native: bool) -> Iterator[Backend]:
    """Run a Prometheus that scrapes a port of this machine each half second."""
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: hookmon, static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]}}]\n"
    )
    port = free_port()
    command = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", *(["--enable-feature=native-histograms"] if native else [])]
    with _run(command, folder / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"):
        yield Backend(port)


@contextmanager
def victoria_metrics(folder: Path, port: int = 0) -> Iterator[VictoriaMetrics]:
    """Run a VictoriaMetrics with its defaults."""
    port = port or free_port()
    command = [VICTORIA_METRICS, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder / 'vm'}"]
    with _run([*command, "-search.latencyOffset=0s"], folder / "vm.log", f"http://127.0.0.1:{port}/health"):
        yield VictoriaMetrics(port)


@contextmanager
def collector(folder: Path, config: str, port: int) -> Iterator[str]:
    """Run a Collector with a configuration whose receiver listens at a port; give the URL to send to."""
    path = folder / "collector.yaml"
    path.write_text(config)
    with _run([COLLECTOR, f"--config={path}"], folder / "collector.log", f"http://127.0.0.1:{port}/", statuses=(404,)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _run(command: list[str], log: Path, ready: str, statuses: tuple[int, ...] = (200,)) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=log.parent)
    try:
        end = time.monotonic() + 60
        while not _answers(ready, statuses):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str, statuses: tuple[int, ...]) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status in statuses
    except HTTPError as error:
        with error:
            return error.code in statuses
    except (URLError, OSError):
        return False
