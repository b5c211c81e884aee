"""A virtual environment for each subject, made once and kept: installed by name, with pip's own settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from benchmarks.subjects import BASE, Subject

ROOT = Path(__file__).resolve().parents[1]
_TIMEOUT_S = 600


class Unavailable(Exception):  # noqa: N818 - it is no error: it becomes a line of the report
    """A subject cannot be measured; the text says why."""


class Environments:
    """The virtual environments in a folder."""

    def __init__(self, folder: Path, python: str) -> None:
        self._folder = folder
        self._python = python
        self.python = _run([python, "-c", "import platform; print(platform.python_version())"]).strip()
        self.versions: dict[str, dict[str, str]] = {}

    def scripts(self, subject: Subject) -> Path:
        """Return the folder of a subject's interpreter; raises Unavailable when it cannot be installed."""
        name = subject.name if subject.packages else "hookmon"
        folder = self._folder / name
        scripts = folder / "bin"
        if name in self.versions:
            return scripts
        wanted = "\n".join((self.python, *BASE, *subject.packages))
        installed = folder / "installed.txt"
        if not installed.exists() or installed.read_text("utf-8") != wanted:
            _run([self._python, "-m", "venv", "--clear", str(folder)])
            self._install(scripts, *BASE, *(subject.packages or ("wrapt",)))
            installed.write_text(wanted, "utf-8")
        if not subject.packages:
            self._install(scripts, "--force-reinstall", "--no-deps", str(ROOT))
            self._install(scripts, str(ROOT))
        text = _run([str(scripts / "python"), "-m", "pip", "list", "--format", "json"])
        self.versions[name] = {each["name"]: each["version"] for each in json.loads(text)}
        if not subject.packages:
            lines = [f"{name}=={version}" for name, version in self.versions[name].items() if _is_shared(name)]
            (self._folder / "constraints.txt").write_text("\n".join(lines), "utf-8")
        return scripts

    def _install(self, scripts: Path, *what: str) -> None:
        command = [str(scripts / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
        constraints = self._folder / "constraints.txt"
        if constraints.exists():
            command += ["--constraint", str(constraints)]
        _run(command)


def _is_shared(name: str) -> bool:
    return name.lower() in (*BASE, "werkzeug", "starlette")


def _run(command: list[str]) -> str:
    """Run a command; raises Unavailable with the last line that it wrote about an error."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()
        raise Unavailable(lines[-1].removeprefix("ERROR: ") if lines else f"exit code {done.returncode}")
    return done.stdout
