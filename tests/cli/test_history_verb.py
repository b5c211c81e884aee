"""`hookmon history` on the command line, on stores that the writer of real runs has filled."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.kept_services import MS, Keeper, fill, store_of, zone_of_afternoon
from support.runs import Result, hookmon

pytestmark = pytest.mark.usefixtures("warm_launcher")

DAY_S = 86_400
HOUR_S = 3600


class Shop:
    """A project whose service `web` has run since yesterday's noon; it is between 14:00 and 15:00 there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = store_of(folder)
        self.now_s = time.time() // 60 * 60
        self.zone = zone_of_afternoon(self.now_s)

    def web(self, service: str = "web") -> Keeper:
        """Count ten requests a minute over two days and a week ago, one of ten of them slow, with three queries each."""
        hour = self.now_s // HOUR_S * HOUR_S
        for begin, end in ((hour - 7 * DAY_S, hour - 7 * DAY_S + 2 * HOUR_S), (hour - 26 * HOUR_S, self.now_s)):
            keeper = Keeper(self.store, service, begin, "1.5")
            fill(keeper, begin, end, _count, every_s=600, end=end < self.now_s)
        return keeper

    def history(self, *args: str) -> Result:
        """Run the verb."""
        return hookmon(["history", *args], cwd=self.folder, env={"TZ": self.zone})


def _count(keeper: Keeper, at_s: float) -> None:
    keeper.count("GET /", 90)
    keeper.count("GET /slow", 10, 200 * MS, errors=1)
    keeper.count("SELECT", 300, MS, kind="sql", inside="GET /")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A store with one service."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.web()
    return shop


def test_without_a_name_the_only_service_is_shown(shop: Shop):
    """The day over the day before, with its starts and names; its sums are what was counted."""
    seen = shop.history()
    assert (seen.stderr, seen.exit_code) == ("", 0)
    assert seen.stdout.startswith("web · ")
    assert "All requests" in seen.stdout
    document = json.loads(shop.history("web", "--json").stdout)
    today = document["whole"]["curves"][0]["whole"]["calls"]
    yesterday = document["whole"]["curves"][1]["whole"]["calls"]
    in_all = -(-(shop.now_s - (shop.now_s // HOUR_S * HOUR_S - 26 * HOUR_S)) // 600) * 100
    assert today + yesterday == in_all
    assert f"{today:,}" in seen.stdout
    assert [row["name"] for row in document["rows"]] == ["GET /slow", "GET /"]
    assert document["days"][0]["used"]["processes"] == 2
    assert document["days"][1]["starts"][0]["version"] == "1.5"


def test_yesterday_is_compared_to_the_minute(shop: Shop):
    """Its hour is taken apart, for minutes of it are kept; of last week only the hour is, which is said."""
    document = json.loads(shop.history("--json").stdout)
    day, before, week = document["days"]
    assert before["until"] == day["until"] - DAY_S
    assert week["until"] % HOUR_S == 0


def test_a_transaction_shows_what_it_calls(shop: Shop):
    """Three queries in each of the requests."""
    document = json.loads(shop.history("--transaction", "GET /", "--json").stdout)
    assert [row["name"] for row in document["rows"]] == ["SELECT"]
    for row, whole in zip(document["rows"][0]["curves"], document["whole"]["curves"], strict=True):
        assert row["whole"]["calls"] * 90 == whole["whole"]["calls"] * 300
    assert "Inside GET /" in shop.history("--transaction", "GET /").stdout


def test_another_day_is_a_day_of_its_own(shop: Shop):
    """As a whole."""
    seen = shop.history("--day", "yesterday", "--json")
    document = json.loads(seen.stdout)
    assert [day["until_clock"] for day in document["days"]][:1] == ["24:00"]
    assert document["whole"]["curves"][0]["whole"]["calls"] > 0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["wbe"], "hookmon: there is no service wbe; did you mean web? [no-such-service]"),
        (
            ["--transaction", "GET /slo"],
            "hookmon: web has no transaction GET /slo; did you mean GET /slow? [no-such-transaction]",
        ),
        (["--day", "yesteday"], "--day yesteday: that is no time; did you mean yesterday?"),
        (["--day", "2222-01-01"], "--day 2222-01-01: that day is still to come"),
        (["--open", "--json"], "--open shows a page, and --format json is none"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(shop: Shop, args: list[str], told: str):
    """With what may have been meant, and exit code 2."""
    seen = shop.history(*args)
    assert told in seen.stderr
    assert (seen.stdout, seen.exit_code) == ("", 2)


def test_open_writes_a_page_and_prints_its_path(shop: Shop, tmp_path: Path):
    """Its curves have points of ten minutes; --output says where it lies."""
    seen = shop.history("--open")
    path = Path(seen.stdout.strip())
    assert seen.exit_code == 0
    page = path.read_text("ascii")
    path.unlink()
    assert '"minutes_apart":10' in page
    assert shop.history("--open", "--output", str(tmp_path / "web.html")).stdout == ""
    assert (tmp_path / "web.html").read_text("ascii").startswith("<!doctype html>")


def test_without_a_service_it_is_said_how_to_make_one(tmp_path: Path):
    """That is no mistake."""
    seen = Shop(tmp_path).history()
    assert "There is no service yet" in seen.stdout
    assert "hookmon run --service web" in seen.stdout
    assert seen.exit_code == 0
    assert json.loads(Shop(tmp_path).history("--json").stdout)["services"] == []


def test_fifty_services_of_one_store_have_a_line_each(tmp_path: Path):
    """With their last 24 hours; one of them has to be named for more."""
    shop = Shop(tmp_path)
    for number in range(50):
        keeper = Keeper(shop.store, f"service-{number:02}", shop.now_s - 2 * HOUR_S)
        fill(keeper, shop.now_s - 2 * HOUR_S, shop.now_s, _count, every_s=HOUR_S, end=number > 0)
    seen = shop.history()
    lines = [line.split() for line in seen.stdout.splitlines() if line.strip().startswith("service-")]
    assert [line[0] for line in lines] == [f"service-{number:02}" for number in range(50)]
    assert all("200" in line for line in lines)
    assert lines[0][-1] == "running"
    assert lines[1][-2] == "ended"
    rows = json.loads(shop.history("--json").stdout)["services"]
    assert [row["calls"] for row in rows] == [200] * 50
    assert all(row["rates"][:20] == [None] * 20 for row in rows)
    seen = shop.history("--open")
    assert "which service? There are service-00, service-01" in seen.stderr
    assert seen.exit_code == 2
    assert shop.history("service-07").stdout.startswith("service-07 · ")


def test_a_service_without_transactions_shows_its_calls(tmp_path: Path):
    """A script, or a worker whose library has no pack."""
    shop = Shop(tmp_path)
    keeper = Keeper(shop.store, "script", shop.now_s - HOUR_S)
    fill(keeper, shop.now_s - HOUR_S, shop.now_s, lambda keeper, at_s: keeper.count("resize", 5, kind="function"), every_s=600)
    seen = shop.history()
    assert "All calls" in seen.stdout
    assert "resize" in seen.stdout
    assert json.loads(shop.history("--json").stdout)["rows"][0]["curves"][0]["whole"]["calls"] == 30


def test_a_start_whose_launcher_was_killed_does_not_run(tmp_path: Path):
    """It has not written for minutes; what it may have counted since is not in the days, and that is said."""
    shop = Shop(tmp_path)
    keeper = Keeper(shop.store, "web", shop.now_s - HOUR_S)
    fill(keeper, shop.now_s - HOUR_S, shop.now_s - 1800, _count, every_s=600)
    seen = shop.history()
    assert " · not running · " in seen.stdout.splitlines()[0]
    assert "was killed, or is stopped: what came after" in " ".join(seen.stdout.split())
    keeper = Keeper(shop.store, "other", shop.now_s - HOUR_S)
    fill(keeper, shop.now_s - HOUR_S, shop.now_s, _count, every_s=600)
    assert [row["running"] for row in json.loads(shop.history("--json").stdout)["services"]] == [1, 0]


def test_a_store_that_cannot_be_read_is_one_line(tmp_path: Path):
    """Nothing is made of it, and nothing is thrown away by whoever only looks."""
    shop = Shop(tmp_path)
    shop.store.path.parent.mkdir(parents=True)
    shop.store.path.write_bytes(b"no database at all" * 100)
    seen = shop.history()
    assert seen.exit_code == 2
    assert seen.stderr.startswith(f"hookmon: {shop.store.path}: ")
    assert seen.stderr.endswith(" [store]\n")
    assert shop.store.path.exists()
