"""What hookmon and OpenTelemetry's instrumentation take of a Flask app, with export: `python -m benchmarks.beside --help`.

HOOKMON_OPENTELEMETRY is a virtual environment with what `tests/export/opentelemetry.txt` names; all subjects run in it. Servers
of one app (`programs/flask_plain.py` with gunicorn) run side by side, one of each subject, and send to one endpoint each second.
A client asks them in blocks of 20 requests, in an order drawn by lot; each block is compared with that of the bare server in the
same lap, and of the laps the middle half is averaged. Servers are started anew for each round; the median of the rounds counts,
and their range is told. All servers run on one processor; client, endpoint and hookmon's launcher on the others. CPU time is
that of the program's own process; what it takes between its blocks, as a thread that exports does, is told for itself, as is the
launcher's. With `--instructions N` also the instructions of a request without a server, by cachegrind: what 2 N take more than N.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import limits
from benchmarks.client import Client
from benchmarks.servers import OTHERS_RUN_ON, run_endpoint, run_server

PROGRAM = Path(__file__).resolve().parent / "programs" / "flask_plain.py"
BLOCK = 20
WARM_UP = 200

_HOOKMON = (str(Path(sysconfig.get_path("scripts")) / "hookmon"), "run", "--quiet", "--no-config")
_PEER = ("opentelemetry-instrument",)
SUBJECTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "bare": ((), {}),
    "bare again": ((), {}),
    "hookmon": ((*_HOOKMON, "--"), {}),
    "hookmon, export": ((*_HOOKMON, "--export", "otlp", "--"), {}),
    "hookmon, no executors": ((*_HOOKMON, "--no-pack", "executors", "--"), {}),
    "OpenTelemetry, no spans": (_PEER, {"OTEL_TRACES_SAMPLER": "always_off"}),
    "OpenTelemetry": (_PEER, {}),
}
"""By name: what stands before the command, and variables."""

PAIRS = {name: (name, "bare") for name in SUBJECTS} | {"export, beside hookmon": ("hookmon, export", "hookmon")}
"""What is printed: a subject, and what it is held against."""

_VARIABLES = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_SERVICE_NAME": "plain",
}


@dataclass
class Server:
    """One that runs: the process that answers, that of the launcher (the same where there is none), and a connection to it."""

    pid: int
    launcher_pid: int
    client: Client

    def ask(self) -> tuple[int, int]:
        """Return the nanoseconds that a block of requests took, and those of the server's CPU time."""
        before_ns, started_ns = cpu_ns(self.pid), time.perf_counter_ns()
        for _ in range(BLOCK):
            self.client.ask()
        return time.perf_counter_ns() - started_ns, cpu_ns(self.pid) - before_ns


@dataclass
class Found:
    """One subject in one round: ns of a request, what it adds to bare in shares, CPU time between blocks in shares of a core."""

    time_ns: float
    cpu_ns: float
    time_added: float
    cpu_added: float
    beside: float
    launcher: float


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process with all the threads that it has had. Source: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def main() -> None:
    """Measure and print a line for each subject."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description="hookmon and OpenTelemetry, with export.")
    parser.add_argument("--rounds", type=int, default=12, help="how often the servers are started (12)")
    parser.add_argument("--laps", type=int, default=100, help="blocks of requests to each server in a round (100)")
    parser.add_argument("--instructions", type=int, default=0, metavar="N", help="count instructions of N requests, too (0: no)")
    options = parser.parse_args()
    folder = os.environ.get("HOOKMON_OPENTELEMETRY")
    if not folder:
        raise limits.Unavailable("HOOKMON_OPENTELEMETRY is not set: .ci/backends makes the environment")
    scripts = Path(folder).absolute() / "bin"
    os.sched_setaffinity(0, OTHERS_RUN_ON)
    with run_endpoint() as url:
        for name, count in _count(scripts, url, options.instructions).items() if options.instructions else ():
            print(f"{name:24} {count:10,.0f} instructions", flush=True)
        rounds = [_measure(scripts, url, options.laps) for _ in range(options.rounds)]
    for name in PAIRS:
        _print(name, [measured[name] for measured in rounds])


def _print(name: str, found: list[Found]) -> None:
    """Print the medians of a subject, and between which the rounds lie."""
    middle = {key: statistics.median(getattr(one, key) for one in found) for key in vars(found[0])}
    added = []
    for what, key in (("time", "time_added"), ("CPU", "cpu_added")):
        every = [getattr(one, key) for one in found]
        added.append(f"{what} {middle[key]:+.1%} ({min(every):+.1%} to {max(every):+.1%})")
    print(
        f"{name:24} {1e9 / middle['time_ns']:6.0f} requests/s, {middle['cpu_ns'] / 1e3:4.0f} µs CPU, {', '.join(added)}, "
        f"between blocks {middle['beside']:.2%} of a core, launcher {middle['launcher']:.2%}"
    )


def _measure(scripts: Path, url: str, laps: int) -> dict[str, Found]:
    """Start a server for each subject, ask them in turn, and return what is found of each of PAIRS."""
    with contextlib.ExitStack() as stack:
        names = random.sample(list(SUBJECTS), len(SUBJECTS))
        servers = {name: stack.enter_context(_serve(scripts, url, name)) for name in names}
        for server in servers.values():
            for _ in range(WARM_UP // BLOCK):
                server.ask()
        started_ns = time.perf_counter_ns()
        before = {name: (cpu_ns(server.pid), cpu_ns(server.launcher_pid)) for name, server in servers.items()}
        blocks: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
        for _ in range(laps):
            for name in random.sample(names, len(names)):
                blocks[name].append(servers[name].ask())
        passed_ns = time.perf_counter_ns() - started_ns
        after = {name: (cpu_ns(server.pid), cpu_ns(server.launcher_pid)) for name, server in servers.items()}
    found = {}
    for label, (name, base) in PAIRS.items():
        own, pairs = blocks[name], list(zip(blocks[name], blocks[base], strict=True))
        added = [
            _middle_half([one[clock] - other[clock] for one, other in pairs])
            / statistics.median(block[clock] for block in blocks[base])
            for clock in (0, 1)
        ]
        whole, launcher = (later - earlier for later, earlier in zip(after[name], before[name], strict=True))
        has_launcher = servers[name].launcher_pid != servers[name].pid
        found[label] = Found(
            statistics.median(block[0] for block in own) / BLOCK,
            statistics.median(block[1] for block in own) / BLOCK,
            added[0],
            added[1],
            (whole - sum(block[1] for block in own)) / passed_ns,
            launcher / passed_ns if has_launcher else 0.0,
        )
    return found


def _middle_half(values: list[int]) -> float:
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return statistics.fmean(ordered[quarter : len(ordered) - quarter])


def _parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _environment(url: str, name: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HOOKMON", "OTEL"))}
    return kept | _VARIABLES | {"OTEL_EXPORTER_OTLP_ENDPOINT": url} | SUBJECTS[name][1]


def _launcher(scripts: Path, name: str) -> list[str]:
    words = SUBJECTS[name][0]
    return [str(scripts / words[0]), *words[1:]] if words == _PEER else list(words)


@contextlib.contextmanager
def _serve(scripts: Path, url: str, name: str) -> Iterator[Server]:
    """Run the server of a subject."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = [*_launcher(scripts, name), str(scripts / "python"), str(PROGRAM), "serve", str(Path(folder) / "ready")]
        with run_server(command, _environment(url, name), folder, name) as (launched, port, pid):
            is_launched = _parent(pid) != launched  # gunicorn's master stands between them
            with contextlib.closing(Client(port)) as client:
                yield Server(pid, launched if is_launched else pid, client)


def _count(scripts: Path, url: str, requests: int) -> dict[str, float]:
    """Return by subject the instructions of a request in the program's process: the difference of N and 2 N of them."""
    if shutil.which("valgrind") is None:
        raise limits.Unavailable("valgrind is not installed")
    found = {}
    for name in SUBJECTS:
        counts = []
        for number in (requests, 2 * requests):
            with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
                log = Path(folder) / "counts"
                tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", f"--log-file={log}"]
                command = [*_launcher(scripts, name), *tool, str(scripts / "python"), str(PROGRAM), str(number)]
                environment = _environment(url, name) | {"PYTHONHASHSEED": "0", "OTEL_METRIC_EXPORT_INTERVAL": "3600000"}
                limits.check(limits.run(command, limits.PROGRAM_S, cwd=folder, env=environment))
                counted = re.search(r"I +refs: +([\d,]+)", log.read_text())
                if counted is None:
                    raise limits.Unavailable(f"cachegrind counted nothing: {log.read_text()[-300:]}")
                counts.append(int(counted[1].replace(",", "")))
        found[name] = (counts[1] - counts[0]) / requests
    return found


if __name__ == "__main__":
    main()
