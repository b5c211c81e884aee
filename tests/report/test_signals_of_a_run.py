"""What was measured besides calls, in the formats of a report."""

from __future__ import annotations

import csv
import io
import json

import pytest
from runs import MS, node, run

from hookmon.collector.store import Signal
from hookmon.core.histogram import bucket_of
from hookmon.report.formats import csv as csv_format
from hookmon.report.formats import json as json_format
from hookmon.report.formats import markdown, text
from hookmon.report.model import build
from hookmon.report.signals import quantity

PAUSES = (0.001, 0.002, 0.004, 0.1)
SIGNALS = [
    Signal("sent", "By", "counter", 48_200_000, 12, 0, 0),
    Signal("open", "1", "gauge", 3, 7, 1, 9, at_ns=5),
    Signal("lag", "s", "histogram", sum(PAUSES), 4, 0.001, 0.1, buckets={bucket_of(round(value * 1e9)): 1 for value in PAUSES}),
]


def test_the_text_report_has_a_line_for_each():
    """By name, each value in its unit; what a kind has not is a dash."""
    file = io.StringIO()
    text.write(build(run(signals=SIGNALS)), file, width=120, everything=False)
    lines = file.getvalue().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Signals"))
    rows = [line.split() for line in lines[at + 2 : at + 5]]
    assert [row[:2] for row in rows] == [["lag", "histogram"], ["open", "gauge"], ["sent", "counter"]]
    assert rows[0][2:7] == ["4", "107", "ms", "26.8", "ms"]
    assert rows[0][-2:] == ["100", "ms"]
    assert rows[1][2:] == ["7", "3", "–", "–", "–", "9"]
    assert rows[2][2:] == ["12", "48.2", "MB", "–", "–", "–", "–"]


def test_a_run_without_signals_says_nothing_of_them():
    """As all were until now."""
    file = io.StringIO()
    text.write(build(run()), file, width=120, everything=True)
    assert "Signals" not in file.getvalue()


def test_json_has_percentiles_in_the_unit():
    """At most 2.2 % off, and 0 for what is no histogram."""
    file = io.StringIO()
    json_format.write(build(run(signals=SIGNALS)), file, width=None, everything=False)
    lag, opened, sent = json.loads(file.getvalue())["signals"]
    assert lag["p50"] == pytest.approx(0.002, rel=0.022)
    assert (lag["p99"], lag["max"], lag["mean"]) == (0.1, 0.1, pytest.approx(0.02675))
    assert opened == {
        "name": "open",
        "kind": "gauge",
        "unit": "1",
        "count": 7,
        "value": 3,
        "min": 1,
        "max": 9,
        **dict.fromkeys(("mean", "p50", "p95", "p99"), 0),
    }
    assert (sent["value"], sent["unit"]) == (48_200_000, "By")


def test_markdown_has_a_row_for_each():
    """As on the screen."""
    file = io.StringIO()
    markdown.write(build(run(signals=SIGNALS)), file, width=None, everything=False)
    rows = [line for line in file.getvalue().splitlines() if line.startswith("| `")]
    assert rows == [
        "| `lag` | histogram | 4 | 107 ms | 26.8 ms | 2.00 ms | 100 ms | 100 ms |",
        "| `open` | gauge | 7 | 3 | – | – | – | 9 |",
        "| `sent` | counter | 12 | 48.2 MB | – | – | – | – |",
    ]


def test_csv_has_signals_behind_the_calls():
    """In columns of their own; those of calls are empty for them, and the other way round."""
    file = io.StringIO()
    csv_format.write(build(run(signals=SIGNALS, nodes=[node(-1, "quote", [MS])])), file, width=None, everything=False)
    call, lag, opened, sent = csv.DictReader(io.StringIO(file.getvalue()))
    assert (call["name"], call["calls"], call["value"], call["unit"]) == ("quote", "1", "", "")
    assert (lag["name"], lag["kind"], lag["unit"], lag["count"], lag["calls"]) == ("lag", "histogram", "s", "4", "")
    assert float(lag["value"]) == pytest.approx(sum(PAUSES))
    assert (opened["value"], opened["max"], sent["value"], sent["unit"]) == ("3", "9", "48200000", "By")


def test_a_place_in_a_name_is_told_from_the_project():
    """As call sites are; other names that have the word in them stay."""
    installed = "/usr/lib/python3.12/site-packages/x/y.py:1"
    names = ["step at /srv/shop/app.py:7", f"step at {installed}", "at last", "a at b"]
    signals = [Signal(name, "s", "histogram", 0.1, 1, 0.1, 0.1, buckets={bucket_of(10**8): 1}) for name in names]
    rows = build(run(signals=signals, project="/srv/shop")).signals
    assert [row.name for row in rows] == ["a at b", "at last", "step at app.py:7", "step at site-packages/x/y.py:1"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0015, "s", "1.50 ms"),
        (-0.0015, "s", "-1.50 ms"),
        (1e300, "s", "1e+300 s"),
        (1_500, "By", "1.50 kB"),
        (2.5, "1", "2.5"),
        (12_000, "{request}", "12,000 {request}"),
        (7, "", "7"),
    ],
)
def test_a_value_stands_in_its_unit(value: float, unit: str, shown: str):
    """Durations and sizes as everywhere in a report."""
    assert quantity(value, unit) == shown
