"""`report`, `diff` and `check` of parts of services, on stores that the writer of real runs has filled."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest
from support.kept_services import MS, Keeper, fill, store_of
from support.runs import Result, hookmon, hookmon_run, rows, write

from hookmon.collector.store import Run, Store
from hookmon.report import FORMATS

pytestmark = pytest.mark.usefixtures("warm_launcher")

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
UTC = {"TZ": "UTC"}

CONFIG = """\
[budget."GET /"]
sql_per_request = 3
p95 = "100ms"
p50_vs_base = "+20%"
"""


def clock(at_s: float) -> str:
    """Return a time of day in UTC."""
    return time.strftime("%H:%M", time.gmtime(at_s))


class Web:
    """A service that has run for the last two hours, the same two hours of yesterday and those of a week ago.

    Now it takes three times as long and asks four times in each request instead of three times.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = write(folder, {"hookmon.toml": CONFIG})
        self.store = store_of(folder)
        self.now_s = time.time() // MINUTE_S * MINUTE_S
        self._fill(self.now_s - 7 * DAY_S, 3, 10 * MS, "1.3", every_s=600)
        self._fill(self.now_s - DAY_S, 3, 10 * MS, "1.4")
        self._fill(self.now_s, 4, 30 * MS, "1.5")

    def _fill(self, until_s: float, queries: int, each_ns: int, version: str, every_s: int = 60) -> None:
        def count(keeper: Keeper, at_s: float) -> None:
            requests = 10 * every_s // 60 + int(at_s) // 60 % 3 + queries % 2  # as traffic goes
            for number in range(5):  # not all take the same
                keeper.count("GET /", requests, each_ns + number * MS)
            keeper.count("SELECT", queries * 5 * requests, MS, kind="sql", inside="GET /")

        keeper = Keeper(self.store, "web", until_s - 2 * HOUR_S, version)
        fill(keeper, until_s - 2 * HOUR_S, until_s, count, every_s=every_s, end=True)

    def clocks(self, ago_s: int) -> set[str]:
        """Return what the clock showed so long ago, seen from the minutes in which the tests have run."""
        return {clock(at_s - ago_s) for at_s in range(int(self.now_s), int(time.time()) + 1, MINUTE_S)}

    def run(self, *args: str) -> Result:
        """Run a verb."""
        return hookmon(list(args), cwd=self.folder, env=UTC)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    """One store for all tests that only read."""
    return Web(tmp_path_factory.mktemp("web"))


def test_the_last_minutes_are_a_report(web: Web):
    """Without a name it is the only service; the head says which time it is."""
    seen = web.run("report", "--last", "10m")
    assert seen.exit_code == 0, seen.stderr
    assert seen.stdout.startswith("web · ")
    assert "version 1.5" in seen.stdout
    report = json.loads(web.run("report", "web", "--last", "10m", "--json").stdout)
    assert report["run"]["service"] == "web"
    assert report["run"]["window"].split(" ")[1] in web.clocks(10 * MINUTE_S)
    assert sum(row["calls"] for row in rows(report, "SELECT")) == 4 * sum(row["calls"] for row in rows(report, "GET /"))


def test_a_window_may_lie_anywhere(web: Web):
    """Half an hour of yesterday, by its clock: as fast as it was then."""
    since, until = web.now_s - DAY_S - HOUR_S, web.now_s - DAY_S - HOUR_S / 2
    text = time.strftime("%Y-%m-%d %H:%M", time.gmtime(since))
    report = json.loads(web.run("report", "web", "--since", text, "--until", clock(until), "--json").stdout)
    (request,) = rows(report, "GET /")
    minutes = [int(at_s) // 60 % 3 for at_s in range(int(since), int(until), 60)]
    assert request["calls"] == sum(5 * (11 + more) for more in minutes)
    assert request["max_ns"] == 14 * MS
    assert report["run"]["version"] == "1.4"
    assert report["run"]["duration_ns"] == 30 * 60 * 10**9


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "pstats"])
def test_a_window_has_every_format(web: Web, tmp_path: Path, format: str):
    """Those of a run."""
    seen = web.run("report", "web", "--last", "1h", "--format", format, "--output", str(tmp_path / "out"))
    assert (seen.stderr, seen.exit_code) == ("", 0)
    assert "GET /" in (tmp_path / "out").read_text()
    assert "run 0" not in (tmp_path / "out").read_text()


def test_a_service_without_a_time_is_its_last_hour(web: Web):
    """The head says so."""
    assert web.run("report", "web").stdout.splitlines()[0].split(" ")[3] in web.clocks(HOUR_S)


def test_an_hour_is_compared_with_that_of_yesterday(web: Web):
    """What changed is the program: four queries and not three, and slower. That the traffic was another one is no change."""
    seen = web.run("diff", "web", "--last", "1h", "--against", "yesterday")
    assert seen.exit_code == 0, seen.stderr
    assert "1 count changed" in seen.stdout
    assert "version 1.4" in seen.stdout
    assert "version 1.5" in seen.stdout
    assert "run 0" not in seen.stdout
    document = json.loads(web.run("diff", "--last", "1h", "--against", "yesterday", "--json").stdout)
    assert [(row["name"], row["per_a"], row["per_b"]) for row in document["counts"] if row["changed"]] == [("SELECT", 3, 4)]
    assert document["a"]["duration_ns"] == document["b"]["duration_ns"] == HOUR_S * 10**9
    assert any(note.startswith("A had ") for note in document["notes"])
    assert {row["name"]: row["verdict"] for row in document["times"]}["GET /"] == "slower"


def test_ten_bad_minutes_of_an_hour_are_seen_beside_a_good_hour(tmp_path: Path):
    """A sixth of the requests took three times as long, and some of them failed: p95 says so, whatever all others did."""
    folder = write(tmp_path, {"hookmon.toml": CONFIG})
    now_s = time.time() // MINUTE_S * MINUTE_S

    for until_s in (now_s - DAY_S, now_s):

        def count(keeper: Keeper, at_s: float) -> None:
            is_bad = now_s - 1_200 <= at_s < now_s - 600
            traffic = 50 + 5 * (at_s > now_s - DAY_S / 2)
            keeper.count("GET /", traffic, 10 * MS * (3 if is_bad else 1), errors=5 * is_bad)
            keeper.count("SELECT", traffic, 5 * MS * (3 if is_bad else 1), kind="sql", inside="GET /")

        fill(Keeper(store_of(folder), "web", until_s - HOUR_S), until_s - HOUR_S, until_s, count, end=True)
    seen = hookmon(["diff", "web", "--last", "1h", "--against", "yesterday"], cwd=folder, env=UTC)
    assert "1 count changed; 2 slower." in seen.stdout
    assert re.search(r"GET / +p95 +\S+ ms +\S+ ms .* slower$", seen.stdout, re.M), seen.stdout
    # minutes may have ended meanwhile, and the hour of today or that of yesterday then has fewer
    assert re.search(r"(3,000|2,\d[05]0), 0 errors +\S+, (45|50) errors +changed$", seen.stdout, re.M), seen.stdout


def test_an_hour_is_the_same_as_the_hour_before(web: Web):
    """Whatever the traffic was."""
    seen = web.run("diff", "web", "--last", "30m", "--against", "1h")
    assert "No count changed beyond what traffic does; no time changed beyond noise." in seen.stdout


def test_against_last_week_both_are_whole_hours(web: Web):
    """Of last week there are no minutes any more, so an hour is compared with an hour."""
    document = json.loads(web.run("diff", "web", "--last", "1h", "--against", "last-week", "--json").stdout)
    a, b = (re.findall(r"\d\d:\d\d", document[side]["window"]) for side in "ab")  # before midnight there are dates as well
    assert len(a) == 2
    assert a == b
    assert a[0].endswith(":00")
    assert document["a"]["duration_ns"] == document["b"]["duration_ns"] == HOUR_S * 10**9


def test_a_diff_of_windows_is_a_page(web: Web, tmp_path: Path):
    """With their names."""
    seen = web.run("diff", "web", "--last", "1h", "--against", "yesterday", "--open", "--output", str(tmp_path / "diff.html"))
    assert seen.exit_code == 0, seen.stderr
    assert "<title>web " in (tmp_path / "diff.html").read_text("ascii")
    seen = web.run("diff", "web", "--last", "1h", "--against", "yesterday", "--open")
    Path(seen.stdout.strip()).unlink()


def test_a_window_opens_as_a_page(web: Web):
    """In a file of its own: it belongs to no run."""
    seen = web.run("open", "web", "--last", "1h", "--no-browser")
    assert seen.exit_code == 0, seen.stderr
    page = Path(seen.stdout.strip())
    assert "<title>web 2" in page.read_text("ascii")
    page.unlink()


def test_a_finding_of_a_window_is_explained(tmp_path: Path):
    """With the same times as the report that showed it."""
    now_s = time.time() // MINUTE_S * MINUTE_S
    keeper = Keeper(store_of(tmp_path), "web", now_s - 600)
    fill(keeper, now_s - 600, now_s, lambda keeper, at_s: keeper.count("GET /", 20, errors=15))
    report = json.loads(hookmon(["report", "web", "--last", "10m", "--json"], cwd=tmp_path, env=UTC).stdout)
    (finding,) = report["findings"]
    seen = hookmon(["explain", finding["id"], "web", "--last", "10m"], cwd=tmp_path, env=UTC)
    assert finding["title"] in seen.stdout
    seen = hookmon(["explain", "nothing", "web", "--last", "10m"], cwd=tmp_path, env=UTC)
    assert "hookmon: web 2" in seen.stderr
    assert "has no finding 'nothing'" in seen.stderr


def test_cron_asks_whether_budgets_were_kept(web: Web):
    """Exit code 1 and what is broken; with --quiet nothing is printed where all is kept."""
    seen = web.run("check", "web", "--last", "1h")
    assert seen.exit_code == 1
    assert "sql_per_request is 4, over 3" in seen.stdout
    assert "Budgets of web 2" in seen.stdout
    assert "p50_vs_base: there is no run to compare with" in seen.stdout
    seen = web.run("check", "web", "--last", "1h", "--against", "yesterday", "--quiet")
    assert seen.exit_code == 1
    assert "GET /: p50_vs_base is +1" in seen.stdout
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(web.now_s - DAY_S - HOUR_S))
    seen = web.run("check", "web", "--since", since, "--until", clock(web.now_s - DAY_S), "--quiet")
    assert (seen.stdout, seen.exit_code) == ("", 0)


def test_a_service_that_nobody_asks_has_nothing_to_judge(web: Web):
    """Exit code 3, which cron tells: it may be down."""
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(web.now_s - DAY_S - 6 * HOUR_S))
    seen = web.run("check", "web", "--since", since, "--until", clock(web.now_s - DAY_S - 5 * HOUR_S))
    assert seen.exit_code == 3
    assert "nothing of this name was called" in seen.stdout


def test_a_request_that_the_end_of_a_window_cuts_breaks_no_budget(tmp_path: Path):
    """Its queries are in the window and itself is not yet."""
    write(tmp_path, {"hookmon.toml": '[budget."GET /"]\nsql_per_request = 3\n'})
    now_s = time.time() // MINUTE_S * MINUTE_S
    keeper = Keeper(store_of(tmp_path), "web", now_s - 10 * MINUTE_S)
    keeper.count("GET /", 400)
    keeper.count("SELECT", 1203, kind="sql", inside="GET /")
    keeper.keep(now_s - MINUTE_S)
    seen = hookmon(["check", "--last", "10m"], cwd=tmp_path, env=UTC)
    assert "sql_per_request is 3.0075, within 3 (its ends cut requests)" in seen.stdout
    keeper.count("SELECT", 100, kind="sql", inside="GET /")
    keeper.keep(now_s)
    assert hookmon(["check", "--last", "10m"], cwd=tmp_path, env=UTC).exit_code == 1


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["diff", "web"], "hookmon: web is a service: hookmon diff web --last 1h --against yesterday [whole-service]"),
        (["diff", "web", "--last", "1h"], "of a service both are needed: --last 1h --against yesterday"),
        (["diff", "web", "--against", "yesterday"], "of a service both are needed: --last 1h --against yesterday"),
        (["diff", "1", "2", "--last", "1h"], "two runs are compared as a whole"),
        (
            ["diff", "web", "--last", "1h", "--against", "yesteday"],
            "--against yesteday: that is no earlier time; did you mean yesterday?",
        ),
        (["report", "wbe", "--last", "1h"], "hookmon: there is no service and no run wbe; did you mean web? [no-such-service]"),
        (["check", "wbe", "--last", "1h"], "hookmon: there is no service and no run wbe; did you mean web? [no-such-service]"),
        (["report", "web", "--last", "1"], "--last 1: that is no length of time; did you mean 1m?"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_line(web: Web, args: list[str], told: str):
    """With exit code 2."""
    seen = web.run(*args)
    assert told in seen.stderr
    assert (seen.stdout, seen.exit_code) == ("", 2)


def test_a_run_of_a_service_leads_to_that(web: Web):
    """By its name."""
    run_file = Store.of_project(web.folder).reserve()
    run_file.save(Run(1, "", ["app"], "2026-11-30T12:00:00+00:00", "0.1", service="web", state="finished"))
    seen = web.run("diff", "1", "--last", "1h", "--against", "yesterday")
    run_file.delete()
    told = "run 1 is kept as a whole, and its service by time: hookmon diff web --last 1h --against yesterday [whole-run]"
    assert told in seen.stderr


def test_two_stretches_in_which_nothing_ran_say_so(web: Web):
    """That nothing has changed is no news then."""
    since, until = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(web.now_s - ago * HOUR_S)) for ago in (30, 29))
    seen = web.run("diff", "web", "--since", since, "--until", until, "--against", "1h")
    assert "Nothing of web ran in A." in seen.stdout
    assert "Nothing of web ran in B." in seen.stdout


def test_a_stretch_in_which_nothing_ran_differs_in_nothing_else(web: Web):
    """It has no interpreter, no command and no version that could be another one; no line ends with what is not there."""
    since, until = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(web.now_s - ago * HOUR_S)) for ago in (1.9, 0.9))
    seen = web.run("diff", "web", "--since", since, "--until", until, "--against", "2h")
    assert "Nothing of web ran in A." in seen.stdout
    assert "differ" not in seen.stdout
    assert "were made by" not in seen.stdout
    empty = web.run("report", "web", "--since", since[:10] + " 00:00", "--until", since[:10] + " 00:01")
    for line in (seen.stdout + empty.stdout).splitlines():
        assert not line.rstrip().endswith("·"), line


def test_starts_show_what_is_known_of_them(tmp_path: Path):
    """Neither threads nor files; of calls the transactions, where there are some: a nought would say that nothing was called."""
    now_s = time.time() // MINUTE_S * MINUTE_S
    for service, kind in (("worker", "function"), ("web", "request")):
        keeper = Keeper(store_of(tmp_path), service, now_s - 600, "1")
        fill(keeper, now_s - 600, now_s, lambda keeper, at_s, kind=kind: keeper.count("work", 3, MS, kind=kind), end=True)
        seen = hookmon(["report", service, "--last", "1h"], cwd=tmp_path, env=UTC).stdout
        (heading,) = (line for line in seen[seen.index("\nStarts") :].splitlines() if line.split()[:2] == ["pid", "command"])
        assert ("calls" in heading.split()) == (service == "web"), heading
        assert not {"threads", "files", "read", "written", "switches"} & {*heading.split()}, heading


def test_a_name_of_a_service_is_quoted_in_a_command(tmp_path: Path):
    """As a shell takes it: the report of such a service names a command that can be pasted."""
    name = 'it\'s "ours"; echo'
    now_s = time.time() // MINUTE_S * MINUTE_S
    keeper = Keeper(store_of(tmp_path), name, now_s - 600, "1")
    fill(keeper, now_s - 600, now_s, lambda keeper, at_s: keeper.count("GET /", 3, MS), end=True)
    seen = hookmon(["report", name, "--last", "1h"], cwd=tmp_path, env=UTC)
    assert (seen.stderr, seen.exit_code) == ("", 0)
    assert shlex.split(next(line for line in seen.stdout.splitlines() if "hookmon history" in line))[2] == name


APP = """
    import sqlite3, time

    def work():
        connection.execute("select 1").fetchall()

    connection = sqlite3.connect(":memory:")
    for _ in range(40):
        work()
    time.sleep(1.5)
    for _ in range(5):
        work()
"""


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run that is no service: 40 calls, a pause, 5 calls."""
    config = '[[watch]]\nmodule = "__main__"\ncalls = ["work"]\nentry = true\n[budget."*"]\ncalls = 5\n'
    folder = write(tmp_path_factory.mktemp("plain"), {"app.py": APP, "hookmon.toml": config})
    assert hookmon_run([sys.executable, "app.py"], cwd=folder).exit_code == 0
    return folder


def test_a_run_tells_by_its_series_what_was_called_in_a_part_of_it(plain_run: Path):
    """Before its end, when that is over; in steps, which are told; and what a service would have."""
    whole = json.loads(hookmon(["report", "--last", "1h", "--json"], cwd=plain_run).stdout)
    assert {row["name"]: row["calls"] for row in whole["rows"]}["work"] == 45
    seen = hookmon(["report", "1", "--last", "1s"], cwd=plain_run)
    part = json.loads(hookmon(["report", "1", "--last", "1s", "--json"], cwd=plain_run).stdout)
    # a launcher that looks late finds the first calls later; tests/report/test_excerpt.py holds the sums
    assert 5 <= {row["name"]: row["calls"] for row in part["rows"]}["work"] <= 45
    assert "in steps of 250 ms" in seen.stdout
    assert "hookmon run --service NAME" in " ".join(seen.stdout.split())


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["report", "--last", "1h", "--format", "html"], "of a part of it there is text and JSON"),
        (["report", "--since", "2020-01-01", "--until", "2020-01-02"], "nothing of it is in that time [no-series]"),
        (
            ["diff", "--last", "1h", "--against", "yesterday"],
            "run 1 is kept as a whole: --last 1h --against yesterday is for a service",
        ),
        (
            ["check", "--last", "1h"],
            "whole: --last 1h is for a service, hookmon run --service NAME [whole-run]",
        ),
        (["report", "2", "--last", "1h"], "there is no run 2; run 1 is kept [no-such-run]"),
    ],
)
def test_what_a_run_cannot_tell_of_a_part_is_said(plain_run: Path, args: list[str], told: str):
    """With the way to have it: a service."""
    seen = hookmon(args, cwd=plain_run)
    assert told in seen.stderr
    assert (seen.stdout, seen.exit_code) == ("", 2)
