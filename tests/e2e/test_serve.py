"""Programs that nobody starts by `hookmon run`: HOOKMON and the door begin a run, and `hookmon serve` collects."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.interpreters import need, new_virtualenv
from support.runs import (
    Started,
    blind_spots,
    calls,
    hookmon,
    wait_until,
    watch,
    write,
)

from hookmon.collector import door
from hookmon.collector.store import Store

WORK = "def step(number=0):\n    return number\n"
CONFIG = '[packs]\ndisable = ["*"]\n' + watch("work", "step")
PROGRAM = "import sys\nsys.path.insert(0, '.')\nimport work\nfor number in range(7): work.step(number)\n"
WAITS = "import os, time\nfor _ in range(3_000): os.path.exists('end') or time.sleep(0.02)\n"
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]


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
        return self.files / f"hookmon.serve.{os.geteuid()}"

    def start(self, *args: str, env: dict[str, str | None] | None = None, **more: Any) -> Started:
        """Start the Python of the environment."""
        return Started([str(self.python), *args], cwd=self.folder, env={**self.env, **(env or {})}, **more)

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


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_program_without_a_launcher_is_counted(version: str, tmp_path: Path) -> None:
    """Whatever options its Python has; its configuration is that of its working folder, and it prints what it prints."""
    place = Place(tmp_path, version)
    try:
        for number, options in enumerate((["-I"], ["-E"], []), 1):
            done = place.run(*options, "app.py")
            assert done.seen == ("", "", 0)
            found = place.wait_for_end(number)
            assert (calls(found, "work:step"), blind_spots(found), len(found["processes"])) == (7, [], 1)
            assert (found["run"]["state"], found["run"]["exit_code"]) == ("finished", None)
            assert found["run"]["command"] == [str(place.python), *options, "app.py"]
        assert [run["run"] for run in json.loads(place.verb("runs", "--json").stdout)] == [3, 2, 1]
    finally:
        place.stop()
