"""Runs the measured programs under each subject, and reads what they wrote. All on this machine, servers on 127.0.0.1."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import client, limits
from benchmarks.limits import Unavailable
from benchmarks.subjects import Subject

START_S = 120
"""How long an app may take until it can be asked; ddtrace's child processes take the longest."""

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
    done = limits.run(command, limits.PROGRAM_S, cwd=folder, env=_environment(subject))
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
                subject.command(scripts, program, port, ready),
                cwd=folder,
                env=_environment(subject),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                lines = self._errors.read_text("utf-8", "replace").splitlines()
                self.stop()
                raise Unavailable(f"{program} did not start: {lines[-1] if lines else ''}")
            time.sleep(0.05)
        self._port, self._pid = map(int, ready.read_text("utf-8").split())

    def requests_per_second(self, seconds: int) -> float:
        """Ask for the page from some connections at once, as fast as it comes: with wrk, where that is installed."""
        if not shutil.which("wrk"):
            return client.requests_per_second(self._port, CLIENTS, seconds)
        command = ["wrk", "-t", "1", "-c", str(CLIENTS), "-d", str(seconds), f"http://127.0.0.1:{self._port}/"]
        output = limits.check(limits.run(command, seconds + client.ANSWER_S))
        rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
        if rate is None or "Non-2xx" in output:
            raise Unavailable("the app answered with errors")
        return float(rate[1])

    def cpu_ns(self) -> float:
        """Return the CPU time that the program has used, all threads. Raises Unavailable when it has ended."""
        times = self._process_of_app().cpu_times()
        return (times.user + times.system) * 1e9

    def memory(self) -> float:
        """Return the bytes that the program holds in memory now. Raises Unavailable when it has ended."""
        return float(self._process_of_app().memory_info().rss)

    def _process_of_app(self) -> psutil.Process:
        try:
            return psutil.Process(self._pid)
        except psutil.NoSuchProcess:
            raise Unavailable("the app has ended") from None

    def stop(self) -> None:
        """End the program, and what started it."""
        limits.stop(self._process)
