"""`hookmon top --plain` and `--json` beside real runs: which run is meant, what a line says; the program is left alone."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.runs import HOOKMON, Started, environment, hookmon, hookmon_start, wait_until, watch, write

from hookmon.collector.store import Store

pytestmark = pytest.mark.usefixtures("warm_launcher")

SERVER = """
import http.client, http.server, os, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        served.append(1)
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
served = []
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
def hang(): time.sleep(3600)
threading.Thread(target=hang, daemon=True).start()
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", "/"); connection.getresponse().read(); connection.close()
open("pid", "w").write(str(os.getpid()))
log = open("log", "w")
while not os.path.exists("end"):
    ask(); time.sleep(0.005)
    if len(served) % 10 == 0: print(time.monotonic_ns(), len(served), file=log, flush=True)
print(len(served))
"""
CONFIG = watch("__main__", "Handler.do_GET", "hang", "ask")


@contextmanager
def serve(folder: Path, program: str = SERVER, config: str = CONFIG, **more: Any) -> Iterator[Started]:
    """Start a server that is asked all the time until the file `end` is there."""
    write(folder, {"app.py": program})
    (folder / ".git").mkdir(exist_ok=True)
    run = hookmon_start([sys.executable, "app.py"], cwd=folder, config=config, **more)
    try:
        wait_until((folder / "pid").exists, "the server")
        wait_until(lambda: (folder / "pid").read_text(), "its pid")
        time.sleep(0.5)
        yield run
    finally:
        if run.process.poll() is None:
            run.kill()


@contextmanager
def top(folder: Path, *options: str, env: dict[str, str | None] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start `hookmon top`, whose lines are read one by one."""
    process = subprocess.Popen(
        [HOOKMON, "top", *options],
        cwd=folder,
        env=environment(folder, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    assert process.stdout is not None
    found = []
    for _ in range(number):
        assert select.select([process.stdout], [], [], 20)[0], "no line came"
        found.append(process.stdout.readline())
    return found


def count_served(folder: Path, at_ns: int) -> float:
    """Return how many requests the server had answered at a moment, by its own log."""
    before = (0, 0)
    for line in (folder / "log").read_text().splitlines():
        moment_ns, count = map(int, line.split())
        if moment_ns >= at_ns:
            return before[1] + (count - before[1]) * (at_ns - before[0]) / (moment_ns - before[0])
        before = (moment_ns, count)
    return before[1]


def test_counts_and_rates_are_those_of_the_program(tmp_path: Path):
    """At each moment, by the server's own log; all of them once it has ended."""
    with serve(tmp_path) as run, top(tmp_path, "--json", "--interval", "0.5") as process:
        documents = [json.loads(line) for line in lines(process, 12)]
        (tmp_path / "end").touch()
        result = run.finish()
        assert process.stdout is not None
        assert process.stderr is not None
        documents += [json.loads(line) for line in process.stdout]
        assert process.wait(20) == 0
        assert process.stderr.read() == "hookmon: run 1 has ended; hookmon report 1 shows it\n"
    started_ns = Store.of_project(tmp_path).run_file(1).head().started_ns
    rows = [next(row for row in document["calls"] if row["name"].endswith("do_GET")) for document in documents]
    moments = [started_ns + document["elapsed_ns"] for document in documents]
    read_after = [started_ns, *moments]  # a busy machine may come between a moment and what is read, but not as late as the next
    for document, row, after_ns, before_ns in list(zip(documents, rows, read_after, moments[1:], strict=False))[:11]:
        assert count_served(tmp_path, after_ns) - 15 <= row["all"]["calls"] <= count_served(tmp_path, before_ns) + 15
        window = row["10 s"]
        length_ns, slack_ns = round(window["seconds"] * 1e9), before_ns - after_ns
        least = count_served(tmp_path, after_ns) - count_served(tmp_path, before_ns - length_ns + slack_ns)
        most = count_served(tmp_path, before_ns) - count_served(tmp_path, after_ns - length_ns - slack_ns)
        assert least - 30 <= window["calls"] <= most + 30
        assert window["rate"] == pytest.approx(window["calls"] / window["seconds"])
        assert document["in_flight"][0]["name"] == "hang"
        assert [process["pid"] for process in document["processes"]] == [int((tmp_path / "pid").read_text())]
    assert [row["all"]["calls"] for row in rows] == sorted(row["all"]["calls"] for row in rows)
    assert [document["ended"] for document in documents][-1:] == [True]
    assert rows[-1]["all"]["calls"] == int(result.stdout)
    assert {document["schema"] for document in documents} == {"hookmon-top/1"}


def test_a_line_says_it_in_sixty_columns(tmp_path: Path):
    """What matters most first; without colours, also in a locale without Unicode."""
    posix: dict[str, str | None] = {"LC_ALL": "POSIX", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with serve(tmp_path):
        with top(tmp_path, "--plain", env={"COLUMNS": "60"} | posix) as process:
            narrow = lines(process, 2)
        with top(tmp_path, "--plain", "--filter", "*GET", env={"COLUMNS": "160", "FORCE_COLOR": "1", "NO_COLOR": "1"}) as process:
            wide = lines(process, 1)[0]
        with top(tmp_path, "--plain", env={"COLUMNS": "160", "FORCE_COLOR": "1"}) as process:
            coloured = lines(process, 1)[0]
    for line in narrow:
        assert line.isascii()
        assert len(line.rstrip("\n")) <= 60
        assert re.match(r"\d\d:\d\d:\d\d +[\d.,]+ calls/s +p50 +\S+ [mun]?s +p95 ", line), line
    assert re.search(r" 0 errors  [\d,]+ calls  \d in flight.*  1 process, CPU \d+ %\n", wide), wide
    assert "hang for" in coloured
    assert "\x1b[" in coloured
    assert "\x1b" not in wide


def test_a_closed_pipe_ends_it_at_once(tmp_path: Path):
    """`| head -1`: without waiting for the next line, and without a word."""
    with serve(tmp_path):
        env = environment(tmp_path)
        script = f"( {HOOKMON} top --plain --interval 0.5; echo ended >&2 ) | head -1"
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
        assert done.stdout.count("\n") == 1
        assert done.stderr == "ended\n"
        read_end, write_end = os.pipe()
        os.close(read_end)
        command = [HOOKMON, "top", "--plain", "--interval", "600"]
        done = subprocess.run(command, cwd=tmp_path, env=env, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=60)
        os.close(write_end)
        assert done.stderr == ""


def test_a_run_is_found_by_number_name_file_and_pid(tmp_path: Path):
    """The pid also from another folder."""
    other = tmp_path / "other"
    project = tmp_path / "project"
    for folder in (other, project):
        folder.mkdir()
        (folder / ".git").mkdir()
    with serve(project, options=["--name", "nightly"]) as run:
        pid = (project / "pid").read_text()
        for which in ("1", "nightly", "last", ".hookmon/run-0001.sqlite", pid, str(run.process.pid)):
            with top(project, which, "--plain", "--interval", "0.1") as process:
                assert "calls/s" in lines(process, 1)[0], which
        with top(other, pid, "--plain", "--interval", "0.1") as process:
            assert "calls/s" in lines(process, 1)[0]
        nothing = hookmon(["top", "--plain"], cwd=other)
        assert (nothing.exit_code, nothing.stdout) == (1, "")
        (project / "end").touch()
        run.finish()
    for which in ("1", "nightly", pid):
        done = hookmon(["top", which], cwd=project)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.endswith("[not-running]\n")
    assert hookmon(["top", "nightlu"], cwd=project).stderr.startswith(
        "hookmon: there is no run named nightlu; did you mean nightly?"
    )


def test_nothing_that_runs_is_told_in_one_line(tmp_path: Path):
    """With what to do, and exit code 1."""
    (tmp_path / ".git").mkdir()
    for options in ([], ["--plain"], ["--json"]):
        done = hookmon(["top", *options], cwd=tmp_path)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == f"hookmon: nothing runs in {tmp_path}; hookmon run COMMAND starts a run [not-running]\n"


def test_a_number_of_nothing_is_told_in_one_line(tmp_path: Path):
    """What it is not, of a number that may be a run's or a process's."""
    (tmp_path / ".git").mkdir()
    done = hookmon(["top", "99999999"], cwd=tmp_path)
    told = "hookmon: 99999999 is neither a run of this project nor a process of one that is running [not-running]\n"
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", told)


def test_hostile_names_are_inert(tmp_path: Path):
    """In a line and in JSON."""
    program = SERVER.replace("def hang()", "def hang(name)").replace(
        "target=hang,", r"target=hang, args=('\x1b[31mred\u202e\r\x07',),"
    )
    config = watch("__main__", "hang", span="{arg0}\x1b[2J\u202e", kind="function")
    with serve(tmp_path, program, config):
        for option in ("--plain", "--json"):
            with top(tmp_path, option, "--interval", "0.2", env={"COLUMNS": "200"}) as process:
                line = lines(process, 1)[0]
            assert not set(line) & set("\x1b\u202e\r\x07"), repr(line)
            assert "red" in line


def test_textual_that_is_missing_is_told_in_one_line(tmp_path: Path):
    """With how to get it; --plain works without."""
    pty = pytest.importorskip("pty")
    starter = tmp_path / "start.py"
    starter.write_text(
        "import importlib.util as util, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'textual': raise ModuleNotFoundError(name)\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'textual' else real(name, *rest)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from hookmon.cli.main import main\n"
        "main()\n"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, str(starter), "top"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'hookmon[top]'" in done.stderr
    with serve(tmp_path):
        command = [sys.executable, str(starter), "top", "--plain", "--interval", "0.1"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
            assert "calls/s" in lines(process, 1)[0]
            process.terminate()


WORK = """
import os, sys, time
def work(): return sum(range(50))
open("pid", "w").write(str(os.getpid()))
while not os.path.exists("go"): time.sleep(0.01)
rounds = []
for _ in range(20):
    began = time.process_time()
    for _ in range(20000): work()
    rounds.append(time.process_time() - began)
files = sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
print(sorted(rounds)[5], len(files), len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_program_does_not_feel_it(tmp_path: Path):
    """The same CPU time for the same work, the same open files, no thread more; the same counts.

    CPU time is compared once both have had a quiet moment: what else runs on the machine only ever adds to it.
    """
    told: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    fastest = {True: float("inf"), False: float("inf")}
    for number in range(20):
        is_looked_at = bool(number % 2)
        folder = tmp_path / str(number)
        folder.mkdir()
        with serve(folder, WORK, watch("__main__", "work")) as run:
            if is_looked_at:
                with top(folder, "--plain", "--interval", "0.1") as process:
                    lines(process, 1)
                    (folder / "go").touch()
                    lines(process, 3)
                    result = run.finish()
            else:
                (folder / "go").touch()
                result = run.finish()
        cpu_s, files, threads = result.stdout.split()
        told[is_looked_at].add((int(files), int(threads)))
        fastest[is_looked_at] = min(fastest[is_looked_at], float(cpu_s))
        assert [row["calls"] for row in result.report["calls"]] == [400_000]
        if number >= 3 and is_looked_at and fastest[True] <= fastest[False] * 1.3:
            break
    assert told[True] == told[False]
    assert fastest[True] <= fastest[False] * 1.3


def test_a_service_is_all_its_launchers_together(tmp_path: Path):
    """Two at once; one of them ends and a third one comes: counts never shrink, and are those of all in the end."""
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    env: dict[str, str | None] = {"XDG_STATE_HOME": str(tmp_path / "state")}
    options = ["--service", "web"]
    with serve(folders[0], options=options, env=env) as first, serve(folders[1], options=options, env=env) as second:
        wait_until(lambda: _running(tmp_path, env) == 2, "both to be in the store")
        with top(tmp_path, "web", "--json", "--interval", "0.5", env=env) as shown:
            lines = iter(lambda: json.loads(shown.stdout.readline()), None)  # type: ignore[union-attr]
            line = next(lines)
            assert (line["run"], line["name"], len(line["processes"])) == (0, "web", 2)
            (folders[1] / "end").touch()
            served = [int(second.finish().stdout)]
            with serve(folders[2], options=options, env=env) as third:
                asked = [_asked(line)]
                while len(asked) < 12:
                    asked.append(_asked(next(lines)))
                assert asked == sorted(asked)
                for folder in folders[::2]:
                    (folder / "end").touch()
                served += [int(run.finish().stdout) for run in (first, third)]
                for _ in range(20):
                    if _asked(line := next(lines)) == sum(served):
                        break
                assert _asked(line) == sum(served)
                assert not line["ended"]


def _running(folder: Path, env: dict[str, str | None]) -> int:
    document = json.loads(hookmon(["history", "--json"], cwd=folder, env=env).stdout)
    return int(document.get("running", 0))


def _asked(line: dict[str, Any]) -> int:
    return sum(row["all"]["calls"] for row in line["calls"] if row["name"] == "ask")
