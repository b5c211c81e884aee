"""`hookmon export`: a run that goes on, exported by a process of its own."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="hookmon[export] is not installed")
pytest.importorskip("prometheus_client", reason="hookmon[export] is not installed")

from support import known
from support.backends import answers, free_port, get
from support.runs import HOOKMON, PYTHON, Started, bare_run, hookmon, hookmon_start, wait_until, write
from support.sinks import Sink, attributes, points_of, serve

from hookmon.collector.store import RunFile

pytestmark = pytest.mark.process

WAIT = "while not os.path.exists(sys.argv[1]): time.sleep(0.05)\n"
APP = known.PROGRAM + "record(7, 1_000)\n" + WAIT + "record(8, 1_000)\n"
SERIES = "http.server.request.duration"


@pytest.fixture
def sink() -> Iterator[Sink]:
    """An endpoint."""
    with serve() as found:
        yield found


def start(folder: Path, done: str = "done") -> Started:
    """Start a program that waits for a file after half of its calls."""
    write(folder, {"known.py": known.MODULE, "app.py": APP})
    return hookmon_start([PYTHON, "app.py", done], cwd=folder, config=known.CONFIG)


def follow(folder: Path, *args: str) -> Started:
    """Export from outside."""
    return Started([HOOKMON, "export", *args, "--interval", "0.2"], cwd=folder)


def wait_for_run(folder: Path, number: int = 1) -> None:
    """Wait until a run is saved for the first time."""
    path = folder / ".hookmon" / f"run-{number:04d}.sqlite"
    wait_until(lambda: path.exists() and path.stat().st_size, "the run")


def test_a_run_is_exported_to_its_end(tmp_path: Path, sink: Sink):
    """Begun late, it has what was counted before; what was counted last is in it, too."""
    started = start(tmp_path)
    wait_for_run(tmp_path)
    time.sleep(0.5)
    exporter = follow(tmp_path, "--otlp", sink.url)
    sink.wait_for(
        lambda: sink.taken and sink.all(SERIES, **known.OK) and sink.last(SERIES, **known.OK).count == 1_000, "the first counts"
    )
    (tmp_path / "done").touch()
    assert started.finish().exit_code == 0
    result = exporter.finish()
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert sink.last(SERIES, **known.OK).count == 2_000
    assert {request.resource()["service.name"] for request in sink.taken} == {tmp_path.name}


def test_one_that_begins_late_says_no_zero(tmp_path: Path, sink: Sink):
    """Another one may have sent these series: zero would look like a new start of the service. New ones begin with it."""
    started = start(tmp_path)
    wait_for_run(tmp_path)
    wait_until(lambda: b"GET /known" in b"".join(path.read_bytes() for path in shards(tmp_path)), "the calls")
    time.sleep(1)
    exporter = follow(tmp_path, "--otlp", sink.url)
    sink.wait_for(lambda: sink.all(SERIES, **known.OK), "the counts")
    (tmp_path / "done").touch()
    assert started.finish().exit_code == exporter.finish().exit_code == 0
    assert min(point.count for point in sink.all(SERIES, **known.OK)) > 0


def shards(folder: Path) -> list[Path]:
    """Return the shards of the run of a project."""
    return list(Path(RunFile(folder / ".hookmon" / "run-0001.sqlite").head().run_folder).glob("*.shard"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_may_end_early_and_the_run_goes_on(tmp_path: Path, sink: Sink, number: signal.Signals):
    """However it ends; it is done at once."""
    started = start(tmp_path)
    wait_for_run(tmp_path)
    exporter = follow(tmp_path, "1", "--otlp", sink.url)
    sink.wait_for(lambda: sink.taken, "a state")
    os.kill(exporter.process.pid, number)
    assert exporter.finish(30).exit_code == (-9 if number == signal.SIGKILL else 0)
    (tmp_path / "done").touch()
    assert started.finish().exit_code == 0


def test_all_runs_are_exported_also_those_that_begin_later(tmp_path: Path, sink: Sink):
    """Each as an instance of its own, to both kinds of backends."""
    port = free_port()
    exporter = follow(tmp_path, "--all", "--otlp", sink.url, "--prometheus", f"127.0.0.1:{port}")
    first = start(tmp_path, "first")
    wait_for_run(tmp_path)
    second = start(tmp_path, "second")
    wait_until(lambda: answers(port) and len(re.findall(rb'le="\+Inf".* 1000.0', get(port, "/metrics")[2])) == 2, "both runs")
    assert b'service_instance_id="' in get(port, "/metrics")[2]
    for name, started in (("first", first), ("second", second)):
        (tmp_path / name).touch()
        assert started.finish().exit_code == 0

    def ends() -> dict[str, int]:
        return {
            request.resource()["service.instance.id"]: point.count
            for request in list(sink.taken)
            if SERIES in request.metrics()
            for point in points_of(request.metrics()[SERIES])
            if attributes(point).get("http.response.status_code") == 200
        }

    sink.wait_for(lambda: sorted(ends().values()) == [2_000, 2_000], "all counts")
    os.kill(exporter.process.pid, signal.SIGTERM)
    assert exporter.finish(30).exit_code == 0


def test_an_endpoint_that_is_down_is_told_and_does_not_end_it(tmp_path: Path):
    """What was lost is told in the end."""
    started = start(tmp_path)
    wait_for_run(tmp_path)
    exporter = follow(tmp_path, "--otlp", "http://127.0.0.1:1")
    time.sleep(1.5)
    (tmp_path / "done").touch()
    assert started.finish().exit_code == 0
    result = exporter.finish()
    assert result.exit_code == 0
    assert "[export]" in result.stderr
    assert "[export-lost]" in result.stderr


MISTAKES = {
    "nothing runs": (["--otlp", "http://127.0.0.1:1"], "nothing runs"),
    "where to": ([], "where to"),
    "a misspelt URL": (["--otlp", "htp://x"], "--otlp: 'htp://x' is no URL"),
    "no address": (["--prometheus", "all"], "no address"),
    "one and all": (["3", "--all", "--otlp", "http://x"], "--all is for all"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(tmp_path: Path, mistake: str):
    """With an exit code that is not 0."""
    args, said = MISTAKES[mistake]
    result = hookmon(["export", *args], cwd=tmp_path)
    assert result.exit_code != 0
    assert said in result.stderr


def test_help_needs_no_library(tmp_path: Path):
    """Nothing of the extra is imported to say what the verb does."""
    code = "import sys; sys.modules |= dict.fromkeys(['opentelemetry', 'google', 'prometheus_client'])\n"
    code += "from hookmon.cli.main import main\nmain()"
    result = bare_run([PYTHON, "-c", code, "export", "--help"], cwd=tmp_path)
    assert (result.exit_code, "--prometheus" in result.stdout) == (0, True)
