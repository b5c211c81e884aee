"""Moments as people read them."""

from __future__ import annotations

from datetime import date

import pytest
from days import BERLIN, at

from hookmon.report.local_time import day_name, stretch


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        ("2026-11-30 13:05", "2026-11-30 14:05", "2026-11-30 13:05 to 14:05"),
        ("2026-11-30 13:05:10", "2026-11-30 14:05", "2026-11-30 13:05:10 to 14:05"),
        ("2026-11-29 23:00", "2026-11-30 01:00", "2026-11-29 23:00 to 2026-11-30 01:00"),
        ("2026-03-29 01:00", "2026-03-29 04:00", "2026-03-29 01:00 CET to 04:00 CEST"),
    ],
)
def test_a_stretch_has_its_day_once(begin: str, end: str, told: str):
    """Where the clocks were changed within it, both times have their names."""
    assert stretch(at(begin), at(end), BERLIN) == told


@pytest.mark.parametrize(
    ("which", "told"),
    [("2026-11-30", "today"), ("2026-11-29", "yesterday"), ("2026-11-23", "Mon 23 Nov"), ("2025-12-31", "Wed 31 Dec 2025")],
)
def test_a_day_has_a_name(which: str, told: str):
    """Seen from 2026-11-30."""
    assert day_name(date.fromisoformat(which), date(2026, 11, 30)) == told
