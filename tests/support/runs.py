"""Real runs of the command line in subprocesses, and what their reports say.

`hookmon_run` starts a program the way a user does and gives back its output and the parsed report; `bare_run` starts the
same program without us. Programs and configurations are written into the test's own folder.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil

from hookmon.collector import run_folder
from hookmon.collector.births import has_processes
from hookmon.core import layout
from support.launcher import Forked, LaunchServer

HOOKMON = os.path.join(sysconfig.get_path("scripts"), "hookmon")
PYTHON = sys.executable
TIMEOUT_S = 180.0

launch_server: LaunchServer | None = None
"""What starts `hookmon` warm; the fixture `warm_launcher` sets it for the time of a test."""

Report = dict[str, Any]

ended: deque[tuple[str, Result]] = deque(maxlen=6)
"""The commands that have ended last, with what they did: what is told of a test that fails."""
ended_in = ""
"""The module of tests that started them."""

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


@dataclass
class Result:
    """What one command did. Output is text with one character for each byte that is not UTF-8: equal text, equal bytes."""

    stdout: str
    stderr: str
    exit_code: int
    saved: Report | None = None

    @property
    def report(self) -> Report:
        """The parsed JSON report; its absence fails the test with what was printed instead."""
        assert self.saved is not None, f"no report was written, exit code {self.exit_code}:\n{self.stderr}"
        return self.saved

    @property
    def seen(self) -> tuple[str, str, int]:
        """What a user of the program sees of it, without memory addresses."""
        return _ADDRESS.sub("0x…", self.stdout), _ADDRESS.sub("0x…", self.stderr), self.exit_code


class Started:
    """A command that runs in its own session. Output goes to files: a forgotten grandchild cannot hold up the reader."""

    def __init__(
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str | None] | None = None,
        stdin: bytes = b"",
        report_path: Path | None = None,
        **popen: Any,
    ) -> None:
        self.report_path = report_path
        self._command = shlex.join(command)
        self._stdout = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish
        with tempfile.TemporaryFile() as stdin_file:
            stdin_file.write(stdin)
            stdin_file.seek(0)
            env_now = environment(cwd, env)
            self.process: subprocess.Popen[bytes] | Forked
            if launch_server and command[0] == HOOKMON and not popen and launch_server.can_serve(env_now):
                streams = (stdin_file.fileno(), self._stdout.fileno(), self._stderr.fileno())
                self.process = launch_server.start(command[1:], cwd=cwd, env=env_now, streams=streams)
            else:
                self.process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env_now,
                    stdin=stdin_file,
                    stdout=self._stdout,
                    stderr=self._stderr,
                    start_new_session=True,
                    **popen,
                )

    def finish(self, timeout: float = TIMEOUT_S) -> Result:
        """Wait for the end and return what came out. Raises AssertionError, and ends the session, when it takes too long."""
        try:
            exit_code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            shown = self._read(self._stderr)
            self.kill()
            raise AssertionError(f"not finished after {timeout} s:\n{shown}") from None
        saved = None
        if self.report_path and self.report_path.exists() and self.report_path.stat().st_size:
            saved = json.loads(self.report_path.read_text())
        result = Result(self._read(self._stdout), self._read(self._stderr), exit_code, saved)
        ended.append((self._command, result))
        return result

    @property
    def is_finished(self) -> bool:
        """Whether its output was read, or it was ended."""
        closed: bool = self._stdout.closed
        return closed

    def kill(self) -> None:
        """End the command and all that it has started, whatever state they are in."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._stdout.close()
        self._stderr.close()

    @staticmethod
    def _read(file: Any) -> str:
        file.seek(0)
        content: bytes = file.read()
        file.close()
        return content.decode("utf-8", "surrogateescape")


def environment(cwd: Path, changes: dict[str, str | None] | None = None) -> dict[str, str]:
    """Return this process's environment without what would steer Python, colours or hookmon; None takes a variable away."""
    steering = ("PYTHON", "HOOKMON", "PYTEST", "COV_", "COVERAGE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "VIRTUAL_ENV"):
        env.pop(name, None)
    env["XDG_STATE_HOME"] = str(cwd / "state-home")
    for name, value in (changes or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def hookmon_start(
    args: list[str],
    *,
    cwd: Path,
    config: str | None = None,
    env: dict[str, str | None] | None = None,
    options: list[str] | None = None,
    isolated: bool = False,
    **started: Any,
) -> Started:
    """Start `hookmon run … -- args` in `cwd`; `config` becomes its hookmon.toml.

    `isolated` keeps the launcher's own interpreter from the environment that is meant for the program (`python -I`).
    """
    path = cwd / "hookmon.toml"
    if config is not None and not (path.exists() and path.read_text() == config):  # or another run reads half of it
        path.write_text(config)
    report_path = Path(tempfile.mkdtemp(prefix="report-", dir=cwd)) / "report.json"
    head = [*([PYTHON, "-I"] if isolated else []), HOOKMON, "run", "--format", "json", "--output", str(report_path)]
    return Started([*head, *(options or []), "--", *args], cwd=cwd, env=env, report_path=report_path, **started)


def hookmon_run(
    args: list[str],
    *,
    cwd: Path,
    config: str | None = None,
    env: dict[str, str | None] | None = None,
    timeout: float = TIMEOUT_S,
    **more: Any,
) -> Result:
    """Run `hookmon run … -- args` in `cwd` to its end."""
    return hookmon_start(args, cwd=cwd, config=config, env=env, **more).finish(timeout)


def hookmon(args: list[str], *, cwd: Path, env: dict[str, str | None] | None = None, timeout: float = TIMEOUT_S) -> Result:
    """Run any other verb of the command line."""
    return Started([HOOKMON, *args], cwd=cwd, env=env).finish(timeout)


def bare_run(
    args: list[str], *, cwd: Path, env: dict[str, str | None] | None = None, timeout: float = TIMEOUT_S, **started: Any
) -> Result:
    """Run a command without hookmon. Its exit code is -N after a death by signal N, as under hookmon."""
    return Started(args, cwd=cwd, env=env, **started).finish(timeout)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files, {path: text}; the text's common indentation is taken away. Return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


def watch(module: str, *names: str, **options: Any) -> str:
    """Return one `[[watch]]` table."""
    lines = ["[[watch]]", f"module = {json.dumps(module)}", f"calls = {json.dumps(list(names))}"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n\n"


def wait_until(claim: Any, what: str, timeout: float = 60.0) -> None:
    """Wait until `claim()` is true. Raises AssertionError naming `what` when it never becomes so."""
    end = time.monotonic() + timeout
    while not claim():
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        time.sleep(0.01)


def sweep(projects: Path) -> None:
    """Delete the run folders whose run files lie below a folder, but for those whose launcher or program lives."""
    for folder in run_folder.find_left_behind(young_s=0):
        note = run_folder.note_of(folder)
        if note is not None and Path(note.run_file).is_relative_to(projects) and not has_processes(folder):
            with run_folder.claim(folder, note.key):
                run_folder.remove(folder)


def run_until_gone(folder: Path, project: Path) -> None:
    """Run something in a project until its runs have swept a run folder: a run elsewhere may hold that, to see whose it is."""

    def is_gone() -> bool:
        assert hookmon_run([PYTHON, "-c", "pass"], cwd=project).exit_code == 0
        return not folder.exists()

    wait_until(is_gone, f"{folder} to be swept")


def tell_ended() -> Iterator[tuple[str, str]]:
    """Yield a title and the end of the output of each command that has ended lately."""
    for command, result in ended:
        text = "".join(
            f"{name}:\n{said[-2_000:]}\n" for name, said in (("stdout", result.stdout), ("stderr", result.stderr)) if said
        )
        yield f"exit code {result.exit_code}: {command[:200]}", text or "(it printed nothing)"


# what a report says


def rows(report: Report, name: str) -> list[dict[str, Any]]:
    """Return the rows of the calls table with this span name or, for `module:path`, this target."""
    return [row for row in report["calls"] if name in (row["name"], row["target"])]


def row(report: Report, name: str) -> dict[str, Any]:
    """Return the one row of a name or target."""
    found = rows(report, name)
    assert len(found) == 1, f"{len(found)} rows of {name} among {sorted(row['name'] for row in report['calls'])}"
    return found[0]


def calls(report: Report, name: str) -> int:
    """Return how often a span or target was called, 0 for never."""
    return sum(row["calls"] for row in rows(report, name))


def errors(report: Report, name: str) -> int:
    """Return how many calls of a span or target ended by an error."""
    return sum(row["errors"] for row in rows(report, name))


def commands(report: Report) -> dict[str, int]:
    """Return {command: calls} of what a Redis client executed, in the server's spelling (`incr`)."""
    counts: dict[str, int] = {}
    for row in report["calls"]:
        if row["kind"] == "cache" and row["target"].endswith("execute_command"):
            command = row["name"].split()[-1].lower()
            counts[command] = counts.get(command, 0) + row["calls"]
    return counts


def parents(report: Report, target: str) -> set[str | None]:
    """Return the targets that stand directly above a target in the call tree, None for the root of a lane."""
    tree = report["tree"]
    return {tree[node["parent"]]["target"] if node["parent"] >= 0 else None for node in tree if node["target"] == target}


def blind_spots(report: Report) -> list[str]:
    """Return the blind spots as lines of text, but for interpreters that this tree has no compiled engine for."""
    return [f"{spot['kind']}: {spot['detail']}" for spot in report["blind_spots"] if spot["kind"] != layout.NOTE_NO_ENGINE]


def watch_row(report: Report, target: str) -> dict[str, Any]:
    """Return what the report says about one thing that was asked for."""
    found = [watch for watch in report["watched"] if watch["target"] == target]
    assert len(found) == 1, f"{target} is listed {len(found)} times among {[watch['target'] for watch in report['watched']]}"
    return found[0]
