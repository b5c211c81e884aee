"""A service under load for an hour: `python -m benchmarks.soak --help`.

gunicorn with four workers serves a Flask app as the service `soak` of one launcher; each minute all workers are replaced. Clients
ask all the time and count the answers; the application adds a byte to a file for each request. Out: whether each request was
counted once, by the report of the run and by the minutes and the hours of the service, and how the memory of the launcher and of
the program grew, as a straight line through what was read every ten seconds. On a busy machine an answer may not come in time:
--bare tells how often without hookmon.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks import limits
from benchmarks.client import Client
from benchmarks.servers import run_server
from hookmon.services import reading
from hookmon.services.store import FILE_NAME, ServiceStore

_APP = """
import os, sqlite3
from flask import Flask
app = Flask(__name__)
database = sqlite3.connect(":memory:", check_same_thread=False)
handled = os.open("handled", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
@app.get("/")
def index():
    os.write(handled, b".")
    return str(database.execute("SELECT 1").fetchone()[0] + add(1))
def add(number):
    return number + 1
"""
_CONFIGURATION = """
import os
workers = {workers}
bind = "127.0.0.1:0"
graceful_timeout = 60
def when_ready(server):
    with open("ready.part", "w") as file:
        file.write(f"{{server.LISTENERS[0].getsockname()[1]}} {{os.getpid()}}")
    os.rename("ready.part", "ready")
"""
_EVERY_S = 10.0
_RESTART_S = 60.0
_SETTLED = 0.2  # of the time: until then caches fill
_SERVICE = "soak"


def main() -> None:
    """Run the service and print what was counted; the exit code is 1 where that is not what the clients count."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="A service under load, for an hour.")
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--workers", type=int, default=4, help="of gunicorn (4)")
    parser.add_argument("--clients", type=int, default=2, help="that ask one after the other (2)")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between two questions of a client (0.005)")
    parser.add_argument("--bare", action="store_true", help="without hookmon: what the server and the clients do by themselves")
    options = parser.parse_args()
    limits.need("flask", "gunicorn")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        raise SystemExit(_soak(Path(folder), options))


def _soak(folder: Path, options: argparse.Namespace) -> int:
    (folder / "soaked.py").write_text(_APP, "utf-8")
    (folder / "gunicorn.conf.py").write_text(_CONFIGURATION.format(workers=options.workers), "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOOKMON", "XDG"))}
    environment = kept | {"XDG_STATE_HOME": str(folder / "state")}
    hookmon = Path(sysconfig.get_path("scripts")) / "hookmon"
    run = [str(hookmon), "run", "--quiet", "--no-config", "--service", _SERVICE, "--watch", "soaked:add"]
    command = [*([] if options.bare else run), sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "soaked:app"]
    answers, failures, stop = [0] * options.clients, [0] * options.clients, threading.Event()
    memory: dict[str, list[tuple[float, int]]] = {"program": []} if options.bare else {"launcher": [], "program": []}
    restarts = 0
    with run_server(command, environment, str(folder), "gunicorn") as (launcher, port, master):
        for task in os.listdir(f"/proc/{master}/task"):
            os.sched_setaffinity(int(task), os.sched_getaffinity(0))
        clients = [
            threading.Thread(target=_ask, args=(port, number, answers, failures, stop, options.pause))
            for number in range(options.clients)
        ]
        for client in clients:
            client.start()
        began = time.monotonic()
        next_restart = began + _RESTART_S
        while (now := time.monotonic()) < began + options.minutes * 60:
            if now >= next_restart:
                os.kill(master, signal.SIGHUP)
                restarts += 1
                next_restart += _RESTART_S
            with contextlib.suppress(psutil.Error):
                if not options.bare:
                    memory["launcher"].append((now - began, psutil.Process(launcher).memory_info().rss))
                memory["program"].append((now - began, psutil.Process(master).memory_info().rss))
            time.sleep(_EVERY_S)
        stop.set()
        for client in clients:
            client.join()
        os.kill(master, signal.SIGTERM)
        psutil.Process(launcher).wait(60)
    handled = (folder / "handled").stat().st_size
    print(
        f"{handled} requests handled, {sum(answers)} answers and {sum(failures)} without one; {restarts} restarts of all workers"
    )
    counted = {} if options.bare else _counted(hookmon, folder, environment)
    for name, counts in counted.items():
        print(f"{name}: {counts} counted")
    for name, points in memory.items():
        print(f"memory of the {name}: {_line(points)}")
    return 0 if all(counts == handled for counts in counted.values()) and handled >= sum(answers) else 1


def _ask(port: int, number: int, answers: list[int], failures: list[int], stop: threading.Event, pause_s: float) -> None:
    """Ask until it is time to stop, on a connection of its own for each question."""
    while not stop.is_set():
        client = Client(port)
        try:
            client.ask()
            answers[number] += 1
        except limits.Unavailable:
            failures[number] += 1
        finally:
            client.close()
        time.sleep(pause_s)


def _counted(hookmon: Path, folder: Path, environment: dict[str, str]) -> dict[str, int]:
    """Return how many requests were counted, by who says so."""
    found = {}
    output = subprocess.run([hookmon, "report", "--json"], cwd=folder, env=environment, capture_output=True, check=True).stdout
    report = json.loads(output)
    found["the report"] = sum(row["calls"] for row in report["transactions"])
    found["the watched function"] = sum(row["calls"] for row in report["calls"] if row["name"] == "add")
    store = ServiceStore(folder / "state" / "hookmon" / FILE_NAME)
    for name, by_hour in (("the minutes of the service", False), ("the hours of the service", True)):
        points = reading.curve(store, _SERVICE, 0, time.time() + 3600, by_hour=by_hour)
        found[name] = sum(point.counters.calls for point in points)
    return found


def _line(points: list[tuple[float, int]]) -> str:
    """Describe the straight line through what was read after the caches had filled."""
    settled = points[int(len(points) * _SETTLED) :]
    if len(settled) < 3:
        return "too few readings"
    slope, _ = statistics.linear_regression([at for at, _ in settled], [size for _, size in settled])
    sizes = [size / 1e6 for _, size in settled]
    return f"{sizes[0]:.1f} MB, then {sizes[-1]:.1f} MB (at most {max(sizes):.1f}): {slope * 3600 / 1e3:+.0f} kB an hour"


if __name__ == "__main__":
    main()
