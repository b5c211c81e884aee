"""Starts `hookmon run` for a test, the way a user does, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

from hookmon.collector.discard import KEEP_VARIABLE
from hookmon.collector.store import Store
from hookmon.config.packs import is_path
from hookmon.core.errors import HookmonError
from hookmon.testing.recorded import Recorded

_STEERING = ("PYTHON", "HOOKMON", "COV_", "COVERAGE", "PYTEST")
_PATIENCE_S = 3.0


def run(
    program: str,
    *,
    packs: Sequence[str | Path] | None = None,
    config: str = "",
    python: str | Path | None = None,
    env: Mapping[str, str | None] | None = None,
    args: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    options: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> Recorded:
    """Run a program under hookmon and return what was recorded.

    `program` becomes `app.py` in a new folder, which is also where it runs; indentation that all its lines have is taken
    away. `packs` are the packs to be on, by name or by the path of a file that need not be installed; None leaves those on
    that are on by default. `config` is the text of hookmon.toml. `python` is the interpreter, by default the caller's. `env`
    is added to the environment, from which everything that steers Python or hookmon is taken away first; None takes a
    variable away. `args` follow `app.py`. `files`, {path: text}, are written beside it. `command` is started instead of
    `[python, "app.py", *args]`. `options` go to `hookmon run`.

    Raises HookmonError when hookmon refuses to start the program: for a mistake in a pack, say, with each mistake in the text.
    Raises subprocess.TimeoutExpired after `timeout_s`; the program is ended then.
    """
    recorded = Recorded(Path(tempfile.mkdtemp(prefix="hookmon-test-")))
    work, kept = recorded.folder / "work", recorded.folder / "shards"
    kept.mkdir()
    for name, text in {"hookmon.toml": config, "app.py": program, **(files or {})}.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    report_path = recorded.folder / "report.json"
    line = [sys.executable, "-P", "-m", "hookmon", "run", "--format", "json", "--output", str(report_path)]
    line += [*_pack_options(packs), *options, "--", *(command or [str(python or sys.executable), "app.py", *args])]
    environment = _environment(env or {}) | {KEEP_VARIABLE: str(kept), "XDG_STATE_HOME": str(recorded.folder / "state")}
    recorded.exit_code, recorded.stdout, recorded.stderr = _run(line, work, environment, recorded.folder, timeout_s)
    if not report_path.is_file():
        raise HookmonError(recorded.stderr.strip() or f"hookmon ended with {recorded.exit_code} and wrote no report")
    recorded.report = json.loads(report_path.read_text(encoding="utf-8"))
    recorded.run_file = Store(work / ".hookmon").run_file(recorded.report["run"]["id"]).path
    return recorded


def _pack_options(packs: Sequence[str | Path] | None) -> list[str]:
    if packs is None:
        return []
    named = [str(Path(pack).resolve()) if isinstance(pack, Path) or is_path(pack) else pack for pack in packs]
    return ["--no-pack", "*", *(text for pack in named for text in ("--pack", pack))]


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}
    changed: dict[str, str | None] = {**base, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def _run(line: list[str], cwd: Path, env: dict[str, str], folder: Path, timeout_s: float) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr. They go through files: a child that outlives the program holds up nobody."""
    with (folder / "stdout").open("w+b") as stdout, (folder / "stderr").open("w+b") as stderr:
        process = subprocess.Popen(
            line, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
        )
        try:
            process.wait(timeout_s)
        finally:
            if process.poll() is None:
                _end(process)
    texts = [(folder / name).read_bytes().decode("utf-8", "surrogateescape") for name in ("stdout", "stderr")]
    return process.returncode, texts[0], texts[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the launcher, which passes it on and clears up; by force, with all that it started, when that takes too long."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
