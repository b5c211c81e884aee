"""The page of a service's days: what a real Chromium makes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Visit
from days import GET, MS, SQL, THREE_DAYS, at, days_of, hours

from hookmon.collector.counters import CallKey
from hookmon.report.history.model import Days
from hookmon.report.history.reading import Start
from hookmon.report.history.wording import change, headline
from hookmon.report.texts import duration

COMMAND = ["gunicorn", "app:app"]
HOSTILE = CallKey("GET /</script><script>alert(1)</script>\x1b[31m\u202e", "request", "t")


def full() -> Days:
    """Three days, three names, a start today and one yesterday, a gap and a note."""
    steps = [
        *THREE_DAYS,
        *hours("2026-11-30", [50, None, 40], SQL, each_ns=90 * MS),
        *hours("2026-11-29", [50] * 24, SQL),
        *hours("2026-11-30", [1], HOSTILE),
    ]
    starts = [
        Start(at("2026-11-30 02:20"), None, "1.5", COMMAND),
        Start(at("2026-11-29 10:00"), at("2026-11-30 01:00"), "1.4", COMMAND),
    ]
    return days_of(steps, "2026-11-30 03:00", starts=starts, notes=["names beyond 2 are counted as (other)"])


def hover(seen: Visit, chart: int) -> None:
    """Point at half past midnight in a chart, once it stands still."""
    over = seen.page.locator("#curves .u-over").nth(chart)
    over.hover(position={"x": over.bounding_box()["width"] * 0.5 / 24, "y": 20})


PAGES: dict[str, tuple[Callable[[], Days], set[str]]] = {
    "full": (full, {"curves", "names", "starts", "used", "known"}),
    "one day": (lambda: days_of(hours("2026-11-30", [1, 2]), "2026-11-30 02:00"), {"curves", "names", "used"}),
    "one hour": (lambda: days_of(hours("2026-11-30", [1]), "2026-11-30 00:10"), {"curves", "names", "used"}),
    "no call": (lambda: days_of(hours("2026-11-30", [0, 0]), "2026-11-30 02:00"), {"curves", "names", "used"}),
    "gap": (lambda: days_of(hours("2026-11-30", [1, None, 1]), "2026-11-30 03:00"), {"curves", "names", "starts", "used"}),
    "nothing": (lambda: days_of([], "2026-11-30 02:00"), set()),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_there_is(look: Callable[..., Visit], name: str):
    """A section without content is not there, and the verdict always is."""
    days, sections = PAGES[name]
    seen = look(days())
    shown = seen.page.evaluate("[...document.querySelectorAll('main section[data-title]')].filter(s => !s.hidden).map(s => s.id)")
    assert set(shown) == sections
    assert seen.texts("#verdict h1") == [headline(days())]
    body = seen.page.inner_text("body")
    assert not any(word in body for word in ("[object", "undefined", "NaN", "Infinity"))


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_a_page_fits_its_window(look: Callable[..., Visit], width: int):
    """Only tables may be moved sideways."""
    seen = look(full(), viewport={"width": width, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_name_that_is_pressed_is_drawn(look: Callable[..., Visit]):
    """The charts say at which time of day each day had how much of it."""
    seen = look(full())
    assert seen.texts("#what option")[:2] == ["all transactions", "SELECT"]
    assert seen.page.locator("#curves .chart").count() == 4
    seen.page.click("#names td button:text-is('SELECT')")
    assert seen.page.evaluate("document.getElementById('what').selectedOptions[0].text") == "SELECT"
    hover(seen, 1)
    told = seen.texts("#curves .chart h3")[1]
    curves = next(row for row in full().rows if row.name == "SELECT").curves
    first, second = (curves[day].points[0].figures.p95_ns for day in (0, 1))
    assert "00:30: " in told
    assert f"today {duration(first)}, yesterday {duration(second)}" in told.replace("\n", " ")


def test_days_can_be_left_out(look: Callable[..., Visit]):
    """Each has a box."""
    seen = look(full())
    boxes = seen.page.locator("#curves .days input")
    assert seen.texts("#curves .days label") == ["today, 1 start", "yesterday, 1 start", "Mon 23 Nov"]
    boxes.nth(1).uncheck()
    hover(seen, 0)
    assert "yesterday" not in seen.texts("#curves .chart h3")[0]
    assert "today" in seen.texts("#curves .chart h3")[0]


def test_figures_are_those_of_the_terminal(look: Callable[..., Visit]):
    """To the letter."""
    days = full()
    seen = look(days)
    shown = {row.split("\t")[0]: row.split("\t") for row in seen.texts("#names tbody tr")}
    row = next(row for row in days.rows if row.name == GET.name)
    now, then = row.curves[0].figures, row.curves[1].figures
    cells = shown[GET.name]
    assert str(now.calls) in cells
    assert change(now.calls, then.calls) in cells
    assert duration(now.p95_ns) in cells
    assert duration(then.p95_ns) in cells


def test_starts_and_gaps_are_told(look: Callable[..., Visit]):
    """The newest first, with the version."""
    seen = look(full())
    assert [row.split("\t")[:2] for row in seen.texts("#starts tbody tr")] == [
        ["today 02:20", "version 1.5"],
        ["yesterday 10:00", "version 1.4"],
    ]
    assert seen.texts("#known li") == ["names beyond 2 are counted as (other)."]
    assert look(PAGES["gap"][0]()).texts("#starts li") == ["Nothing ran today from 01:00 to 02:00"]


def test_a_name_is_never_markup(look: Callable[..., Visit]):
    """Nor a direction mark, nor an escape."""
    seen = look(full())
    name = next(text for text in seen.texts("#names td button") if "script" in text)
    assert "</script><script>alert(1)</script>" in name
    assert "\u202e" not in name
    assert "\x1b" not in name


def test_dark_and_light_are_those_of_every_page(look: Callable[..., Visit]):
    """A key turns it round, and the charts are drawn anew."""
    seen = look(full(), color_scheme="dark")
    before = seen.background()
    seen.page.keyboard.press("t")
    assert seen.background() != before
    assert seen.page.locator("#curves .chart canvas").count() == 4
