"""Servers of the benchmarks: a program that says when it is ready, and an OTLP endpoint that takes everything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import limits

START_S = 60
_PROCESSORS = sorted(os.sched_getaffinity(0))
_RUN_ON = {_PROCESSORS[0]}
OTHERS_RUN_ON = set(_PROCESSORS[1:] or _PROCESSORS)
"""Processors that are not the server's, where there is more than one."""

_ENDPOINT = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def run_server(command: Sequence[str], env: dict[str, str], folder: str, name: str) -> Iterator[tuple[int, int, int]]:
    """Run a server that writes its port and process into the file "ready" of a folder; give the command's process and both.

    The server has a processor, the first one. Raises Unavailable where it does not start.
    """
    ready, log = Path(folder) / "ready", Path(folder) / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # no session of its own: Linux shares a processor out among sessions (autogroup)
        )
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text("utf-8", "replace").splitlines()
                raise limits.Unavailable(f"{name} did not start: {lines[-1] if lines else ''}")
            time.sleep(0.05)
        port, pid = map(int, ready.read_text("utf-8").split())
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), _RUN_ON)
        yield process.pid, port, pid
    finally:
        limits.stop(process)


@contextlib.contextmanager
def run_endpoint() -> Iterator[str]:
    """Run an OTLP endpoint that takes everything, and give its URL."""
    process = subprocess.Popen([sys.executable, "-c", _ENDPOINT], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
