"""Figures as people read them."""

from __future__ import annotations

import pytest

from hookmon.report import texts


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (9_996, "10.0 µs"),
        (99_960, "100 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (31_000_000_000, "31.0 s"),
        (119_400_000_000, "119 s"),
        (119_600_000_000, "2 min 00 s"),
        (3_725_000_000_000, "62 min 05 s"),
        (7_260_000_000_000, "2 h 01 min"),
        (400_000_000_000_000, "4 d 15 h"),
        (-1_500, "-1.50 µs"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(duration_ns: int, text: str):
    """A figure that rounds up to 1,000 takes the next unit."""
    assert texts.duration(duration_ns) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1.00 kB"), (48_234_496, "48.2 MB"), (10**13, "10.0 TB")]
)
def test_a_size_has_three_digits_and_a_unit(size_bytes: int, text: str):
    """Decimal units, as disks and networks have them."""
    assert texts.size(size_bytes) == text


@pytest.mark.parametrize(
    ("exit_code", "text"),
    [(0, "exit 0"), (1, "exit 1"), (137, "exit 137 (SIGKILL)"), (200, "exit 200"), (-15, "killed by SIGTERM")],
)
def test_an_ending_names_the_signal(exit_code: int, text: str):
    """Both as the kernel says it and as shells do."""
    assert texts.ending(exit_code, "exited") == text


def test_shares_are_never_rounded_to_nothing():
    """What is there is not zero."""
    assert [texts.percent(share) for share in (0, 0.001, 0.5, 1)] == ["0 %", "<1 %", "50 %", "100 %"]
    assert [texts.fine_percent(share) for share in (0, 1e-9, 0.00034, 0.12)] == ["0 %", "<0.001 %", "0.034 %", "12 %"]


@pytest.mark.parametrize(
    ("place", "short"),
    [
        ("/srv/venv/lib/python3.11/site-packages/flask/app.py:9", "site-packages/flask/app.py:9"),
        ("/usr/lib/python3/dist-packages/flask/app.py:9", "dist-packages/flask/app.py:9"),
        ("/usr/lib/python3.11/asyncio/base_events.py:949", "python3.11/asyncio/base_events.py:949"),
        ("/opt/python/lib64/python3.13t/json/decoder.py:3", "python3.13t/json/decoder.py:3"),
        ("/srv/me/lib/python3.x/a.py:1", "/srv/me/lib/python3.x/a.py:1"),
        ("lib/python3.11/own.py:1", "lib/python3.11/own.py:1"),
        ("/srv/shop/app.py:1", "/srv/shop/app.py:1"),
    ],
)
def test_a_place_is_told_from_the_folder_that_people_know(place: str, short: str):
    """The way to the libraries of this machine says nothing, and would take the column."""
    assert texts.short_place(place) == short
