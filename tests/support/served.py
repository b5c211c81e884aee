"""Programs that are watched without `hookmon run`: a project, an environment with the door, and a collector of their own."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from hookmon.collector import door
from hookmon.collector.store import Store
from support.interpreters import need, new_virtualenv, site_packages
from support.runs import Started, hookmon, wait_until, watch, write

WORK = "def step(number=0):\n    return number\n"
CONFIG = '[packs]\ndisable = ["*"]\n' + watch("work", "step")
PROGRAM = "import sys\nsys.path.insert(0, '.')\nimport work\nfor number in range(7): work.step(number)\n"


class Place:
    """A project, an environment with a door, and a folder for all files of hookmon, with a collector of its own."""

    def __init__(self, folder: Path, version: str = "") -> None:
        self.folder = folder / "project"
        self.files = folder / "files"
        self.python = new_virtualenv(folder / "venv", os.path.realpath(need(version)) if version else None)
        door.write(door.find_environment(folder / "venv"))
        write(self.folder, {"work.py": WORK, "app.py": PROGRAM, "hookmon.toml": CONFIG})
        self.env: dict[str, str | None] = {"HOOKMON_FOLDER": str(self.files), "HOOKMON": "1", "HOOKMON_WAIT": "30"}
        self.env["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())  # prices of calls

    @property
    def spool(self) -> Path:
        (found,) = self.files.glob("hookmon.serve.*")
        return found

    def start(self, *args: str, env: dict[str, str | None] | None = None, **more: Any) -> Started:
        """Start the Python of the environment."""
        return Started([str(self.python), *args], cwd=self.folder, env={**self.env, **(env or {})}, **more)

    def share_packages(self) -> None:
        """Give the environment the packages of the tests' own, hookmon not among them where that is not installed as one."""
        paths = [path for path in sys.path if path.endswith("site-packages")]
        (site_packages(self.python) / "shared.pth").write_text("\n".join(paths) + "\n")

    def run(self, *args: str, env: dict[str, str | None] | None = None) -> Any:
        return self.start(*args, env=env).finish()

    def verb(self, *args: str) -> Any:
        """Run hookmon in the project."""
        return hookmon(list(args), cwd=self.folder, env={"HOOKMON_FOLDER": str(self.files)})

    def status(self) -> dict[str, Any] | None:
        """Return what the collector says, None where none runs."""
        found: dict[str, Any] | None = json.loads(self.verb("serve", "--status", "--json").stdout)
        return found

    def collector(self) -> psutil.Process:
        """Return the collector, which runs."""
        found = self.status()
        assert found is not None
        return psutil.Process(found["pid"])

    def report(self, which: str = "last") -> dict[str, Any]:
        done = self.verb("report", which, "--json")
        assert done.exit_code == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def wait_for_end(self, number: int = 1) -> dict[str, Any]:
        """Wait until a run is saved and its folder cleared; return its report."""
        store = Store(self.folder / "state-home" / "hookmon" / "runs")
        wait_until(
            lambda: number in store.numbers() and store.run_file(number).head().state != "running", "the end of the run", 20
        )
        folder = Path(store.run_file(number).head().run_folder)
        wait_until(lambda: not folder.exists(), "the run folder to be cleared")
        return self.report(str(number))

    def stop(self) -> None:
        """End the collector."""
        with suppress(OSError, ValueError, KeyError, psutil.NoSuchProcess):
            process = psutil.Process(json.loads((self.spool / "status").read_text())["pid"])
            if any("serve" in word for word in process.cmdline()):
                process.terminate()
                process.wait(30)
