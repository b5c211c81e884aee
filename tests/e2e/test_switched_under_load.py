"""Off and on a thousand times while real servers answer: the counts are the clients' for the stretches that were on."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.engines import ENGINES
from support.runs import Result, Started, hookmon, hookmon_start, wait_until, watch, write

from hookmon.collector.live import LiveRun
from hookmon.collector.store import Store
from hookmon.collector.switches import Switch

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("warm_launcher")]

FLIPS = 1_000 if "HOOKMON_BOTH" in os.environ else 200
"""How often is switched. `.ci/interpreters` has the thousand."""

RELOADS = 9
CONFIG = watch("shop", "helper", "numbers")
CLIENTS = 4
PATHS = ("/page", "/page", "/fail", "/page")  # what a client asks for in one stretch, one after the other

WSGI = """
import os, threading

def helper(): return numbers(3)
def numbers(count): return sum(number for number in range(count))

def app(environ, start_response):
    helper()
    status = "503 Later" if environ["PATH_INFO"] == "/fail" else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "2"), ("X-Process", str(os.getpid()))])
    return [b"ok"]
"""

ASGI = """
import asyncio

async def helper():
    await asyncio.sleep(0)
    return numbers(3)
def numbers(count): return sum(number for number in range(count))

async def app(scope, receive, send):
    if scope["type"] != "http": return
    await asyncio.gather(helper(), asyncio.create_task(asyncio.sleep(0)))
    status = 503 if scope["path"] == "/fail" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

_QUIET = ("--log-level", "warning")
SERVERS = {
    "gunicorn": (
        WSGI,
        ["-m", "gunicorn", "-w", "2", "-k", "gthread", "--threads", "4", "--keep-alive", "600", *_QUIET],
        "-b",
        "127.0.0.1:{}",
    ),
    "uvicorn": (ASGI, ["-m", "uvicorn", "--timeout-keep-alive", "600", *_QUIET], "--port", "{}"),
}


class Server:
    """A server under `hookmon run`, its clients, and its switch."""

    def __init__(self, folder: Path, run: Started, port: int) -> None:
        self.run = run
        run_file = Store.of_project(folder).run_file(1)
        self.live = LiveRun(run_file, run_file.head())
        self.switch = Switch(self.live.folder)
        self.connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(CLIENTS)]
        self.statuses: Counter[int] = Counter()
        self.workers: set[str] = set()
        """Those that have answered and say so."""
        self._lock = threading.Lock()

    def ask(self, client: int, rounds: int = 1) -> None:
        """Send what one client sends, and count what was answered."""
        connection = self.connections[client]
        answered: list[int] = []
        for _ in range(rounds):
            for path in PATHS:
                connection.request("GET", path)
                response = connection.getresponse()
                assert response.read() == b"ok"
                answered.append(response.status)
                self.workers.add(response.headers.get("X-Process", ""))
        connection.close()  # a server may close one that is idle, and how long a stretch lasts nobody knows
        with self._lock:
            self.statuses.update(answered)

    def together(self, work: Callable[[int], None], beside: Callable[[], None] | None = None) -> None:
        """Have all clients work at a time; what fails in one of them fails here."""
        failures: list[BaseException] = []

        def run(client: int) -> None:
            try:
                work(client)
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=run, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        if beside is not None:
            beside()
        for thread in threads:
            thread.join()
        assert failures == []

    def wait_for(self, workers: int) -> None:
        """Ask until so many workers have answered: the first one serves before the next is there."""

        def have_answered() -> bool:
            self.ask(0)
            return len(self.workers) == workers

        wait_until(have_answered, f"{workers} workers")

    def at_rest(self) -> None:
        """Wait until nothing is in flight: no lane says that a call is open which has ended."""
        wait_until(lambda: self.live.look(time.monotonic_ns()).in_flight == [], "an end of all calls")

    def end(self) -> Result:
        """End the server and return what its run has recorded."""
        self.live.close()
        for connection in self.connections:
            connection.close()
        self.run.process.terminate()
        return self.run.finish()


@contextmanager
def serve(kind: str, folder: Path, config: str = CONFIG, **env: str) -> Iterator[Server]:
    source, command, option, address = SERVERS[kind]
    write(folder, {"shop.py": source})
    (folder / ".git").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, *command, option, address.format(port), "shop:app"]
    run = hookmon_start(words, cwd=folder, config=config, env=dict(env))
    try:

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                return False
            return True

        wait_until(answers, "the server")
        yield Server(folder, run, port)
    finally:
        if run.process.poll() is None:
            run.kill()


def counted(report: dict[str, Any]) -> tuple[int, dict[int, int], int, int]:
    """Return the requests, those with each status, and the calls of `helper` and of `numbers`."""
    calls = {row["name"]: row["calls"] for row in report["calls"]}
    rows = [row for row in report["transactions"] if row["kind"] == "request"]
    statuses: Counter[int] = Counter()
    for row in rows:
        for status in row["statuses"]:
            statuses[int(status["status"])] += status["calls"]
    return sum(row["calls"] for row in rows), dict(statuses), calls.get("helper", 0), calls.get("numbers", 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", SERVERS)
def test_counts_are_the_clients_for_the_stretches_that_were_on(kind: str, engine: str, tmp_path: Path):
    """The client is at rest whenever it switches: everything off, everything on, one function off, everything on …"""
    if find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    flips = FLIPS if engine == "compiled" else 100
    with serve(kind, tmp_path, HOOKMON_ENGINE=engine) as server:
        truth: Counter[str] = Counter()
        asked = Counter(PATHS)
        for number in range(flips):
            stretch = ("off", "on", "part", "on")[number % 4]
            if stretch == "on":
                server.switch.on()
            else:
                server.switch.off([] if stretch == "off" else ["shop:helper"])
            for client in range(CLIENTS):  # one after the other in most stretches: what counts is the switch
                if number % 10 or client == 0:
                    server.ask(client)
            clients = CLIENTS if number % 10 else 1
            if number % 50 == 0:
                server.together(server.ask)
                clients += CLIENTS
            for path, times in asked.items():
                truth[path] += clients * times * (stretch != "off")
            truth["helper"] += clients * len(PATHS) * (stretch == "on")
        server.switch.on()
        server.at_rest()
        done = server.end()
    requests = truth["/page"] + truth["/fail"]
    expected = requests, {200: truth["/page"], 503: truth["/fail"]}, truth["helper"], requests
    assert counted(done.report) == expected
    assert done.report["in_flight"] == []
    off = [spot["detail"] for spot in done.report["blind_spots"] if spot["kind"] == "off"]
    assert [detail.partition(" times")[0] for detail in sorted(off)] == [
        f"everything was off {flips // 4}",
        f"shop:helper was off {flips // 4}",
    ]


@pytest.mark.parametrize("kind", SERVERS)
def test_no_request_fails_whenever_it_is_switched(kind: str, tmp_path: Path):
    """While clients go on asking: no more is counted than they asked for, nothing stays open, and afterwards all is counted."""
    if find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    with serve(kind, tmp_path) as server:
        is_done = threading.Event()

        def ask_on(client: int) -> None:
            while not is_done.is_set():
                server.ask(client)

        def switch_all_the_time() -> None:
            for number in range(FLIPS):
                if number % 2:
                    server.switch.on()
                else:
                    server.switch.off([[], ["shop:helper"], ["wsgi", "asgi"]][number % 3])
                if number % 20 == 0:
                    time.sleep(0.01)
            server.switch.on()
            is_done.set()

        server.together(ask_on, switch_all_the_time)
        server.at_rest()
        before, statuses = sum(server.statuses.values()), Counter(server.statuses)
        server.together(lambda client: server.ask(client, 10))
        server.at_rest()
        done = server.end()
    after = sum(server.statuses.values()) - before
    requests, by_status, helpers, numbers = counted(done.report)
    assert after == CLIENTS * 10 * len(PATHS)
    for counts in (requests, helpers, numbers):
        assert after <= counts <= before + after
    assert sum(by_status.values()) == requests
    for status, times in by_status.items():
        assert times <= server.statuses[status]
        assert times >= server.statuses[status] - statuses[status]
    assert done.report["in_flight"] == []


@pytest.mark.parametrize("kind", SERVERS)
def test_no_request_fails_while_watches_come_and_go(kind: str, tmp_path: Path):
    """By `hookmon reload`, in all processes of the server; what was watched all the time has every call."""
    if find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    processes = 2 if kind == "gunicorn" else 1
    with serve(kind, tmp_path, watch("shop", "numbers")) as server:
        server.wait_for(processes)
        is_done = threading.Event()
        told: list[str] = []

        def ask_on(client: int) -> None:
            while not is_done.is_set():
                server.ask(client)

        def reload_all_the_time() -> None:
            try:
                for number in range(RELOADS):
                    (tmp_path / "hookmon.toml").write_text(watch("shop", "numbers", *(["helper"] if number % 2 == 0 else [])))
                    done = hookmon(["reload", "--wait", "60"], cwd=tmp_path)
                    assert done.exit_code == 0, done.stderr
                    told.append(done.stderr.partition("run 1: ")[2].strip())
            finally:
                is_done.set()

        server.together(ask_on, reload_all_the_time)
        asked = sum(server.statuses.values())
        (tmp_path / "hookmon.toml").write_text(watch("shop", "numbers", "helper"))
        assert hookmon(["reload"], cwd=tmp_path).exit_code == 0
        server.together(lambda client: server.ask(client, 5))
        server.at_rest()
        done = server.end()
    after = CLIENTS * 5 * len(PATHS)
    assert told[0].startswith(f"shop:helper: put in in {processes} process")
    assert set(told[1:]) == {"taken out: shop:helper", "back again: shop:helper"}
    requests, by_status, helpers, numbers = counted(done.report)
    assert requests == numbers == sum(by_status.values()) == asked + after
    assert after < helpers < asked + after
