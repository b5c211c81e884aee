"""Stretches of a service that really runs: what the report of the last minutes says is what was asked for, to the call."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.runs import Started, hookmon, hookmon_start, wait_until, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

APP = """
    import os, sqlite3, time

    def page(number):
        connection.execute("select ?", (number,)).fetchone()
        if number == 13:
            raise LookupError(number)

    connection = sqlite3.connect(":memory:")
    open("pid", "w").write(str(os.getpid()))
    while not os.path.exists("end"):
        if not os.path.exists("go"):
            time.sleep(0.01)
            continue
        for number in range(int(open("go").read())):
            try:
                page(number)
            except LookupError:
                pass
        os.remove("go")
"""

CONFIG = watch("__main__", "page", kind="request", entry=True) + '[budget."page"]\nsql_per_request = 1\nerrors = "10%"\n'


class Service:
    """A service whose pages are asked for by number."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.env: dict[str, str | None] = {"XDG_STATE_HOME": str(state)}
        self.run: Started | None = None

    def start(self) -> None:
        """Start it, and wait until it runs."""
        for name in ("pid", "end"):
            (self.folder / name).unlink(missing_ok=True)
        options = ["--service", "web"]
        self.run = hookmon_start([sys.executable, "app.py"], cwd=self.folder, config=CONFIG, options=options, env=self.env)
        wait_until((self.folder / "pid").exists, "the service")

    def ask(self, pages: int) -> None:
        """Ask for pages, and wait until all were answered."""
        (self.folder / "go.new").write_text(str(pages))
        (self.folder / "go.new").rename(self.folder / "go")
        wait_until(lambda: not (self.folder / "go").exists(), "the pages")

    def end(self) -> None:
        """End it, and wait for its launcher."""
        assert self.run is not None
        (self.folder / "end").touch()
        assert self.run.finish().exit_code == 0

    def verb(self, *args: str) -> Any:
        """Return what a verb says as JSON."""
        seen = hookmon([*args, "--json"], cwd=self.folder, env=self.env)
        assert seen.stdout, seen.stderr
        return json.loads(seen.stdout)

    def pages(self) -> tuple[int, int, int]:
        """Return the pages of the last ten minutes, those that failed, and the statements."""
        calls = {row["name"]: row for row in self.verb("report", "web", "--last", "10m")["calls"]}
        of = calls["page"]
        return of["calls"], of["errors"], sum(row["calls"] for name, row in calls.items() if name.startswith("select"))


@pytest.fixture
def web(tmp_path: Path) -> Service:
    """A service that has not been started."""
    folder = write(tmp_path / "web", {"app.py": APP})
    (folder / ".git").mkdir()
    return Service(folder, tmp_path / "state")


def test_the_last_minutes_are_exact_while_a_service_runs_and_through_a_restart(web: Service):
    """What no minute has yet is read from the running process; a start that has ended is there too."""
    web.start()
    web.ask(40)
    assert web.pages() == (40, 1, 40)
    web.ask(5)
    assert web.pages() == (45, 1, 45)
    web.end()
    assert web.pages() == (45, 1, 45)
    web.start()
    web.ask(20)
    assert web.pages() == (65, 2, 65)
    report = web.verb("report", "--last", "10m")
    assert report["run"]["service"] == "web"
    assert len(report["processes"]) == 2
    web.end()
    history = web.verb("history")
    assert [curve["whole"]["calls"] for curve in history["whole"]["curves"]][:2] in ([65, 0], [0, 65])
    assert sum(len(day["starts"]) for day in history["days"]) == 2


def test_budgets_are_held_against_the_last_minutes_of_a_running_service(web: Service):
    """As cron does it."""
    web.start()
    web.ask(200)
    seen = hookmon(["check", "web", "--last", "10m", "--quiet"], cwd=web.folder, env=web.env)
    assert (seen.stdout, seen.exit_code) == ("", 0)
    web.ask(14)
    web.end()
    check = web.verb("check", "--last", "10m")
    assert [(row["key"], row["verdict"]) for row in check["rows"]] == [("sql_per_request", "kept"), ("errors", "kept")]
    assert check["title"].startswith("web 2")
