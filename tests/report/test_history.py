"""A service's days over each other: what lies over what, up to when, and how it is said."""

from __future__ import annotations

import io
import json
import re
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from days import GET, MS, SQL, THREE_DAYS, at, counters, days_of, hours

from hookmon.collector.counters import CallKey
from hookmon.report.history import render
from hookmon.report.history.model import Days
from hookmon.report.history.reading import Start, Step
from hookmon.report.history.wording import change, verdict
from hookmon.report.sparkline import spark


def text_of(days: Days, width: int = 80, *, everything: bool = False) -> str:
    file = io.StringIO()
    render(days, "text", file=file, width=width, everything=everything)
    return file.getvalue()


def test_a_day_is_compared_with_others_up_to_the_same_time():
    """At 03:00 three hours of today lie over three of yesterday and of the same day last week; their whole days are there too."""
    days = days_of(THREE_DAYS, "2026-11-30 03:00")
    assert [day.name for day in days.days] == ["today", "yesterday", "Mon 23 Nov"]
    assert [curve.figures.calls for curve in days.whole.curves] == [18, 30, 60]
    assert [curve.whole.calls for curve in days.whole.curves] == [18, 240, 480]
    assert [day.until_clock for day in days.days] == ["03:00", "03:00", "03:00"]


def test_where_only_hours_are_kept_it_is_the_nearest_one():
    """At 02:40 last week is taken to 03:00, and that is said; minutes of yesterday make it exact."""
    yesterday = hours("2026-11-29", [10, 10])
    minutes = [Step(at("2026-11-29 02:00") + 60 * m, at("2026-11-29 02:00") + 60 * (m + 1), GET, counters(1)) for m in range(60)]
    running = Step(at("2026-11-30 02:00"), at("2026-11-30 02:40"), GET, counters(7))
    steps = [*hours("2026-11-30", [5, 6]), running, *yesterday, *minutes, *hours("2026-11-23", [20] * 24)]
    days = days_of(steps, "2026-11-30 02:40")
    assert [curve.figures.calls for curve in days.whole.curves] == [18, 60, 60]
    assert [day.until_clock for day in days.days] == ["02:40", "02:40", "03:00"]
    assert "Of Mon 23 Nov only hours are kept: its figures are to 03:00." in text_of(days)


def test_in_the_first_minutes_of_a_day_the_first_hour_of_others_is_taken():
    """Nothing is compared with nothing."""
    running = Step(at("2026-11-30 00:00"), at("2026-11-30 00:10"), GET, counters(2))
    days = days_of([running, *hours("2026-11-29", [10] * 24)], "2026-11-30 00:10")
    assert days.days[1].until_clock == "01:00"
    assert [curve.figures.calls for curve in days.whole.curves] == [2, 10, 0]


def test_a_day_that_is_over_is_compared_as_a_whole():
    """With --day."""
    days = days_of(THREE_DAYS, "2026-11-30 03:00", day="2026-11-29")
    assert days.days[0].name == "yesterday"
    assert days.whole.curves[0].figures.calls == 240
    assert "to 03:00" not in text_of(days)
    assert "2026-11-29 · " in text_of(days), "the time of now says nothing of that day"


def test_points_add_up_to_the_day_exactly():
    """Whatever the steps are, and whatever the names."""
    steps = [*THREE_DAYS, *hours("2026-11-30", [1, 2, 3], SQL)]
    days = days_of(steps, "2026-11-30 03:00")
    for row in (days.whole, *days.rows):
        for curve in row.curves:
            assert sum(point.figures.calls for point in curve.points) == curve.whole.calls
            assert sum(point.figures.total_ns for point in curve.points) == curve.whole.total_ns
    assert days.whole.curves[0].whole.calls == sum(row.curves[0].whole.calls for row in days.rows) == 24


def test_the_two_hours_of_a_clock_that_was_put_back_lie_over_one():
    """02:00 to 03:00 has two hours of time on that day, so its rate is not doubled."""
    steps = [*hours("2026-10-25", [60] * 25), *hours("2026-10-24", [60] * 24)]
    days = days_of(steps, "2026-10-25 23:59")
    assert [(point.minute, point.seconds) for point in days.whole.curves[0].points[1:4]] == [(60, 3600), (120, 7200), (180, 3600)]
    assert {round(point.rate, 6) for point in days.whole.curves[0].points[:-1]} == {round(60 / 3600, 6)}
    assert [curve.whole.calls for curve in days.whole.curves[:2]] == [1500, 1440]
    assert "on 2026-10-25 the clocks were put back: that day has 25 hours." in text_of(days, 120)


def test_an_hour_that_a_clock_skipped_is_no_gap():
    """02:00 to 03:00 does not exist on that day: it is blank, and nothing is missing."""
    days = days_of(hours("2026-03-29", [10] * 9), "2026-03-29 10:00")
    assert days.days[0].skipped == (120, 180)
    assert days.days[0].gaps == []
    assert "today  ██ ███████" in text_of(days)


def test_nothing_ran_is_not_the_same_as_no_call():
    """A dot and a sentence for the one, the lowest bar for the other."""
    days = days_of(hours("2026-11-30", [5, 0, None, 5]), "2026-11-30 04:00")
    assert "today  █▁·█" in text_of(days)
    assert "Nothing ran today from 02:00 to 03:00." in text_of(days)
    assert [point.minute for point in days.whole.curves[0].points] == [0, 60, 180]


def test_the_hour_that_goes_on_has_the_rate_of_its_part():
    """Ten calls in ten minutes are as many a second as sixty in an hour."""
    running = Step(at("2026-11-30 01:00"), at("2026-11-30 01:10"), GET, counters(10))
    days = days_of([*hours("2026-11-30", [60]), running], "2026-11-30 01:10")
    assert [point.rate for point in days.whole.curves[0].points] == [60 / 3600, 10 / 600]


def test_names_that_readers_cannot_tell_apart_are_one_row():
    """The same request by way of two functions."""
    other = GET._replace(target="wsgi:application")
    days = days_of(
        [*hours("2026-11-30", [5]), *hours("2026-11-30", [6], other), *hours("2026-11-30", [1], SQL)], "2026-11-30 01:00"
    )
    assert [(row.name, row.curves[0].whole.calls) for row in days.rows] == [("GET /", 11), ("SELECT", 1)]


def test_hours_of_utc_count_where_they_begin_and_that_is_said():
    """In India an hour of UTC begins at half past."""
    kolkata = ZoneInfo("Asia/Kolkata")
    begins = at("2026-11-30 00:30", kolkata)
    steps = [Step(begins + 3600 * n, begins + 3600 * (n + 1), GET, counters(n + 2)) for n in (-1, 0, 1)]
    days = days_of(steps, "2026-11-30 02:30", zone=kolkata)
    assert [(point.minute, point.figures.calls) for point in days.whole.curves[0].points] == [(0, 2), (60, 3)]
    assert days.whole.curves[1].whole.calls == 1
    assert any("here they begin at 30 past" in note for note in days.notes)


@pytest.mark.parametrize(
    ("now", "then", "told"),
    [
        (100, 100, "today to 03:00 300 requests, as many as yesterday; p95 10.0 ms, as yesterday; no error"),
        (50, 100, "today to 03:00 150 requests, 50 % fewer than yesterday; p95 10.0 ms, as yesterday; no error"),
        (350, 100, "today to 03:00 1,050 requests, 3.5 times as many as yesterday; p95 10.0 ms, as yesterday; no error"),
        (0, 100, "today to 03:00 0 requests, 100 % fewer than yesterday; no error"),
        (4, 0, "today to 03:00 12 requests, none yesterday; p95 10.0 ms; no error"),
    ],
)
def test_one_sentence_says_how_the_day_compares(now: int, then: int, told: str):
    """More or fewer, slower or faster, and errors."""
    steps = [*hours("2026-11-30", [now] * 3), *hours("2026-11-29", [then] * 24)]
    assert verdict(days_of(steps, "2026-11-30 03:00")) == told


def test_the_sentence_says_how_much_slower():
    """Of enough calls."""
    steps = [*hours("2026-11-30", [50], each_ns=35 * MS), *hours("2026-11-29", [50])]
    steps[0].counters.errors = 2
    assert verdict(days_of(steps, "2026-11-30 01:00")).endswith(
        "p95 35.0 ms, 3.5 times that of yesterday; 2 errors, yesterday none"
    )
    few = [*hours("2026-11-30", [5], each_ns=35 * MS), *hours("2026-11-29", [50])]
    assert "p95 35.0 ms, yesterday 10.0 ms" in verdict(days_of(few, "2026-11-30 01:00"))


def test_without_a_day_before_the_sentence_says_so():
    """A service that was started today, and one that has not run today."""
    assert "yesterday nothing ran, or nothing is kept of it" in verdict(days_of(hours("2026-11-30", [5]), "2026-11-30 01:00"))
    nothing = days_of(hours("2026-11-29", [5]), "2026-11-30 01:00")
    assert verdict(nothing) == "today to 01:00 nothing ran, or nothing is kept of it"
    begun = days_of([], "2026-11-30 01:00", starts=[Start(at("2026-11-30 00:59"), None, "", ["python"])])
    assert verdict(begun) == "today it runs, but its first minute is not over: hookmon report web --last 10m shows it"
    over = days_of([], "2026-11-30 01:00", starts=[Start(at("2026-11-30 00:59"), at("2026-11-30 00:59"), "", ["python"])])
    assert verdict(over) == "today it ran, but that minute is not over: hookmon report web --last 10m shows it"
    assert "Nothing ran" not in text_of(nothing)


def test_bars_of_times_are_there_with_their_heading_or_not_at_all():
    """Where the screen is narrow, and where there is no time to show."""
    busy, quiet = hours("2026-11-30", [5, 7]), hours("2026-11-30", [0, 0])
    for steps, width, is_there in [(busy, 120, True), (busy, 100, False), (quiet, 120, False), (quiet, 100, False)]:
        told = text_of(days_of(steps, "2026-11-30 02:00"), width)
        assert ("p95 by the hour" in told) == is_there
        (today,) = (line for line in told.splitlines() if line.startswith("  today  "))
        assert len(re.findall(r"[▁▂▃▄▅▆▇█]+", today)) == 1 + is_there


@pytest.mark.parametrize(
    ("now", "then", "told"),
    [(0, 0, "–"), (5, 0, "new"), (5, 5, "="), (11, 10, "+10 %"), (9, 10, "-10 %"), (34, 10, "×3.4"), (1_200, 10, "×120")],
)
def test_a_change_is_short(now: int, then: int, told: str):
    """In a table."""
    assert change(now, then) == told


def test_starts_are_marks_with_their_versions():
    """Under the day's bars, and one line each; what was started again unchanged says so."""
    command = ["gunicorn", "app:app"]
    starts = [
        Start(at("2026-11-30 00:10"), at("2026-11-30 01:00"), "1.4", command),
        Start(at("2026-11-30 02:20"), None, "1.5", command),
        Start(at("2026-11-30 02:50"), None, "1.5", command),
        Start(at("2026-11-29 10:00"), at("2026-11-30 00:10"), "1.4", command),
    ]
    told = text_of(days_of(THREE_DAYS, "2026-11-30 03:00", starts=starts))
    assert "  started     ▲ ▲\n" in told
    assert "Starts  3 today; 1 yesterday, 0 Mon 23 Nov" in told
    assert (
        "  00:10  version 1.4  gunicorn app:app\n  02:20  version 1.5  gunicorn app:app\n  02:50  same version  gunicorn app:app"
        in told
    )
    assert told.startswith("web · 2026-11-30 03:00 CET · 2 starts are running\nlast start 02:50, version 1.5\n")


def test_a_note_that_begins_with_a_name_leaves_it_as_it_is():
    """Nobody watches Pricing:quote."""
    told = text_of(days_of(THREE_DAYS, "2026-11-30 03:00", notes=["pricing:quote was off for 10 s"]))
    assert "  pricing:quote was off for 10 s.\n" in told


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int):
    """Whatever is in it."""
    key = CallKey("GET /" + "x" * 200 + "\x1b[31m", "request", "t")
    steps = [*THREE_DAYS, *hours("2026-11-30", [3], key)]
    told = text_of(days_of(steps, "2026-11-30 03:00", notes=["nothing was dropped " * 20]), width)
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) <= width


def test_many_names_are_folded():
    """--all shows them."""
    steps = [step for n in range(30) for step in hours("2026-11-30", [30 - n], GET._replace(name=f"GET /{n}"))]
    days = days_of(steps, "2026-11-30 01:00")
    assert "18 more with --all" in text_of(days)
    assert "GET /29" not in text_of(days)
    assert "GET /29" in text_of(days, everything=True)


def test_the_document_is_for_programs():
    """Its schema stands first, and its points have figures."""
    file = io.StringIO()
    render(days_of(THREE_DAYS, "2026-11-30 03:00"), "json", file=file)
    document = json.loads(file.getvalue())
    assert document["schema"] == "hookmon-history/1"
    assert [day["date"] for day in document["days"]] == ["2026-11-30", "2026-11-29", "2026-11-23"]
    assert [point["figures"]["calls"] for point in document["rows"][0]["curves"][0]["points"]] == [5, 6, 7]


def test_every_key_of_the_document_is_described():
    """docs/json.md names them, in the part that is about it."""
    file = io.StringIO()
    starts = [Start(at("2026-11-30 02:20"), None, "1.5", ["app"])]
    render(days_of(THREE_DAYS, "2026-11-30 03:00", starts=starts), "json", file=file)

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8").partition("## Days of a service")[2]
    assert keys(json.loads(file.getvalue())) - set(re.findall(r"`(\w+)`", text)) == set()


def test_bars_are_as_high_as_their_values():
    """Zero is lowest, anything else higher, nothing measured a dot, no such time a blank."""
    assert spark([0, 0.01, 5, 10, None, -1]) == "▁▂▅█· "
    assert spark([5], top=10) == "▅"
    assert spark([0, 0]) == "▁▁"


def test_a_day_has_its_midnight_by_the_clock():
    """Also where another day has 23 hours."""
    days = days_of(hours("2026-03-30", [1]), "2026-03-30 01:00")
    assert [day.ends - day.begins for day in days.days] == [24 * 3600, 23 * 3600, 24 * 3600]
    assert date.fromisoformat(days.days[0].date) - date.fromisoformat(days.days[2].date) == timedelta(days=7)
