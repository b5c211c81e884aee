"""Runs the measured programs under each subject, and reads what they wrote. All on this machine, servers on 127.0.0.1."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environments import Unavailable
from benchmarks.subjects import Subject

TIMEOUT_S = 120
CLIENTS = 4


def _environment(subject: Subject) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HOOKMON"))}
    return kept | subject.env


def _run(subject: Subject, scripts: Path, folder: Path, program: str, *arguments: object) -> tuple[dict[str, Any], int, int]:
    """Return what a program wrote, and when it was started and had ended; raises Unavailable."""
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    command = subject.command(scripts, program, *arguments, result)
    started_ns = time.monotonic_ns()
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(subject), capture_output=True, text=True, timeout=TIMEOUT_S, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{program} did not end in {TIMEOUT_S} s") from None
    ended_ns = time.monotonic_ns()
    if not result.exists():
        lines = done.stderr.splitlines()
        raise Unavailable(f"{program} exited with {done.returncode}: {lines[-1] if lines else ''}")
    return json.loads(result.read_text("utf-8")), started_ns, ended_ns


def calls(subject: Subject, scripts: Path, folder: Path, batches: int, port: int) -> dict[str, float]:
    """Return {scenario: added nanoseconds} of one process, with the time of a redis GET and of the exit after all that."""
    written, _, ended_ns = _run(subject, scripts, folder, "calls.py", subject.name, batches, port)
    added = {name: costs["watched"] - costs["bare"] for name, costs in written["calls"].items()}
    found = {f"call {name}": cost for name, cost in added.items()}
    found["exit"] = ended_ns - written["ended_ns"]
    if port:
        found["get"] = written["get_ns"]
    return found


def start(subject: Subject, scripts: Path, folder: Path) -> dict[str, float]:
    """Return nanoseconds until the first line of a program, and those that an empty child process of it takes."""
    written, started_ns, _ = _run(subject, scripts, folder, "start.py")
    return {"start": written["began_ns"] - started_ns, "child": written["child_ns"]}


class Server:
    """A web app under a subject. It waits while others are measured, so that all can take turns."""

    def __init__(self, subject: Subject, scripts: Path, folder: Path, program: str, port: int) -> None:
        ready = folder / f"{program}-{subject.name.replace(' ', '-')}"
        self._errors = ready.with_suffix(".log")
        with self._errors.open("w") as log:
            self._process = subprocess.Popen(
                subject.command(scripts, program, port, ready), cwd=folder, env=_environment(subject), stdout=log, stderr=log
            )
        deadline = time.monotonic() + TIMEOUT_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                lines = self._errors.read_text("utf-8", "replace").splitlines()
                self.stop()
                raise Unavailable(f"{program} did not start: {lines[-1] if lines else ''}")
            time.sleep(0.05)
        self._port, self._pid = map(int, ready.read_text("utf-8").split())

    def requests_per_second(self, seconds: int) -> float:
        """Ask for the page from some connections at once, as fast as it comes."""
        if shutil.which("wrk"):
            command = ["wrk", "-t", "1", "-c", str(CLIENTS), "-d", str(seconds), f"http://127.0.0.1:{self._port}/"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
            if rate is None or "Non-2xx" in done.stdout:
                raise Unavailable("the app answered with errors")
            return float(rate[1])
        counts = [0] * CLIENTS
        threads = [threading.Thread(target=self._ask, args=(counts, each, seconds)) for each in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / seconds

    def _ask(self, counts: list[int], number: int, seconds: int) -> None:
        end = time.monotonic() + seconds
        with socket.create_connection(("127.0.0.1", self._port)) as connection, connection.makefile("rb") as answers:
            while time.monotonic() < end:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                length = 0
                while (line := answers.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                answers.read(length)
                counts[number] += 1

    def cpu_ns(self) -> float:
        """Return the CPU time that the program has used, all threads."""
        times = psutil.Process(self._pid).cpu_times()
        return (times.user + times.system) * 1e9

    def memory(self) -> float:
        """Return the bytes that the program holds in memory now."""
        return float(psutil.Process(self._pid).memory_info().rss)

    def stop(self) -> None:
        """End the program, and what started it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            if psutil.pid_exists(self._pid):
                psutil.Process(self._pid).kill()
            self._process.kill()
            self._process.wait()
