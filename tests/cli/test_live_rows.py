"""The cells of the live view."""

from __future__ import annotations

import pytest

from hookmon.cli._live_rows import histogram, matches, rate, signal_cells, site, spark
from hookmon.collector.metrics import Signal
from hookmon.collector.windows import SignalLive
from hookmon.core.histogram import LAST_BUCKET, bucket_of

KEY = ("SELECT shop", "sql", "psycopg:Cursor.execute")


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [("", True), ("shop", True), ("SQL", True), ("psycopg:*", True), ("select ????", True), ("order", False), ("sho", True)],
)
def test_a_filter_is_a_part_or_a_glob(wanted: str, is_shown: bool):
    """Of name, kind or target, whatever its case."""
    assert matches(KEY, wanted) is is_shown


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "–"), (0.25, "0.25"), (9.999, "10.0"), (99.94, "99.9"), (99.96, "100"), (12345.6, "12,346")]
)
def test_a_rate_has_three_digits(value: float, text: str):
    """Or more where it is large."""
    assert rate(value) == text


def test_a_spark_line_is_relative_to_its_highest():
    """Blank where nobody looked, the lowest bar for nothing."""
    assert spark([-1.0, 0.0, 1.0, 50.0, 100.0]) == " ▁▁▄█"
    assert spark([-1.0, 0.0]) == "  "


@pytest.mark.parametrize(
    "durations", [[1], [10**6] * 3, [1, 10**15], [2**n for n in range(48)]], ids=["one", "equal", "far", "all"]
)
def test_a_histogram_shows_every_call(durations: list[int]):
    """In at most 25 lines, of which none is long."""
    buckets: dict[int, int] = {}
    for duration_ns in durations:
        buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
    lines = histogram(buckets)
    assert sum(int(line.split()[-1]) for line in lines) == len(durations)
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 60
    assert max(buckets) <= LAST_BUCKET


def test_a_histogram_of_nothing_says_so():
    """In words."""
    assert histogram({}) == ["no call ended"]


def test_call_sites_are_told_from_the_project():
    """Others whole; all of them inert."""
    assert site("/srv/me/shop/app.py:7", "/srv/me/shop") == "app.py:7"
    assert site("/usr/lib/x.py:7", "/srv/me/shop") == "/usr/lib/x.py:7"
    assert site("/usr/lib/\x1bx.py:7", "") == r"/usr/lib/\x1bx.py:7"
    assert site("", "/srv/me/shop") == ""


@pytest.mark.parametrize(
    ("signal", "shown"),
    [
        (Signal("sent", "By", "counter", 3_000, 30, 0, 0), ["sent", "counter", "3.00", "1.00 kB", "3.00 kB", "–"]),
        (Signal("open", "1", "gauge", 3, 7, 1, 9), ["open", "gauge", "3.00", "–", "3", "9"]),
        (
            Signal("lag at /p/a.py:7", "s", "histogram", 3.0, 9, 0, 0.5),
            ["lag at a.py:7", "histogram", "3.00", "1.00 s", "3.00 s", "500 ms"],
        ),
    ],
    ids=["counter", "gauge", "histogram"],
)
def test_a_signal_stands_in_its_unit(signal: Signal, shown: list[str]):
    """With what came to it in the window, where it is a sum."""
    growth = {"By": 1_000.0, "1": 1.0, "s": 1.0}[signal.unit]
    assert signal_cells(SignalLive(signal, 3.0, growth), "/p") == shown
