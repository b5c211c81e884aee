"""A virtual environment for each subject, made once and kept: installed by name, with pip's own settings."""

from __future__ import annotations

import json
import os
from pathlib import Path

from benchmarks import limits
from benchmarks.subjects import BASE, Subject

ROOT = Path(__file__).resolve().parents[1]
_INSTALLATION_S = 600


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
        self.versions[name] = {row["name"]: row["version"] for row in json.loads(text)}
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
    """Return what a command prints. Raises Unavailable, also when there is no such command."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    try:
        return limits.check(limits.run(command, _INSTALLATION_S, env=environment))
    except OSError as error:
        raise limits.Unavailable(f"{command[0]}: {error.strerror}") from error
