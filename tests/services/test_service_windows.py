"""A window of a service is a Run like any other: every format shows it, two of them compare, budgets judge it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from support.moved_services import Moved, MovedStart, Program, store_in, sums_of, sums_of_minutes

from hookmon.collector.store import Run
from hookmon.report import FORMATS, render
from hookmon.report.diff import render as render_diff
from hookmon.report.diff.model import build as build_diff
from hookmon.report.model import build
from hookmon.services.clock import MINUTE_S
from hookmon.services.windows import window

BEGINNING_S = 1_800_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two halves of two hours, with one start before the first and one in the second."""
    store, clock = store_in(tmp_path_factory.mktemp("store")), Moved(BEGINNING_S)
    program = Program(5, 2, 1)
    for version, minutes in (("1", 80), ("2", 40)):
        start = MovedStart(store, "web", clock, program, version=version)
        for _ in range(minutes):
            clock.pass_time(60)
            program.work(0.8)
            start.look()
        start.end()
        expected = sums_of(program.nodes)
        program = Program(5, 2, 2)
    assert expected
    middle = BEGINNING_S + 3_600
    return (
        window(store, "web", BEGINNING_S, middle, clock=clock),
        window(store, "web", middle, middle + 3_600, clock=clock),
    )


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_shows_a_window(run: tuple[Run, Run], format: str):
    """With whatever it shows of a run."""
    binary = io.BytesIO()
    file = io.TextIOWrapper(binary, "utf-8")
    render(run[1], format, file=file, everything=True)
    file.flush()
    assert binary.getvalue()
    if format in ("text", "json", "csv", "markdown", "html"):
        assert b"GET /page/1" in binary.getvalue()


def test_a_window_has_what_its_minutes_have(run: tuple[Run, Run]):
    """The starts in it, calls over time, what it used, and what it covers."""
    first, second = run
    assert (first.since_s, first.until_s, second.until_s) == (BEGINNING_S, BEGINNING_S + 3_600, BEGINNING_S + 7_200)
    assert (first.version, second.version, second.service, second.id) == ("1", "2", "web", 0)
    assert [len(first.processes), len(second.processes)] == [1, 2]
    assert first.duration_ns == second.duration_ns == 3_600 * 10**9
    for each in run:
        report = build(each)
        saved = io.StringIO()
        render(each, "json", file=saved)
        whole = json.loads(saved.getvalue())
        assert len(report.transactions) == 5
        calls = sum(row.figures.calls for row in report.transactions)
        points = [series for series in whole["series"] if series["kind"] == "request"]
        assert sum(sum(row["calls"]) for row in points) == calls
        assert len(whole["usage"]) == 60
        assert sum(row["cpu_ns"] for row in whole["usage"]) == sum(process.cpu_ns for process in each.processes) > 0


def test_two_windows_compare(run: tuple[Run, Run]):
    """As two runs do."""
    diff = build_diff(*run)
    file = io.StringIO()
    render_diff(diff, "text", file=file, everything=True)
    assert "GET /page/" in file.getvalue()
    assert "version 1" in file.getvalue()


def test_a_window_ends_now(tmp_path: Path):
    """What lies ahead is no part of it, and its beginning is that of a minute."""
    store, clock, program = store_in(tmp_path), Moved(BEGINNING_S + 17), Program(1, 1, 1)
    start = MovedStart(store, "web", clock, program)
    for _ in range(3):
        clock.pass_time(60)
        program.work(1.0)
        start.look()
    start.end()
    run = window(store, "web", clock.now_s() - 100, clock.now_s() + 10_000, clock=clock)
    assert run.since_s % MINUTE_S == 0
    assert run.until_s == clock.now_s()
    assert run.duration_ns == round((run.until_s - run.since_s) * 1e9)
    nothing = window(store, "web", BEGINNING_S - 7_200, BEGINNING_S - 3_600, clock=clock)
    assert (nothing.nodes, nothing.processes, nothing.command) == ([], [], [])
    for format in ("text", "json", "html"):
        render(nothing, format, file=io.StringIO())


def test_a_window_that_ends_with_a_minute_has_nothing_of_the_next_one(tmp_path: Path):
    """What was counted since the last minute was written lies behind it; who asks until now has it as well."""
    store, clock, program = store_in(tmp_path), Moved(BEGINNING_S), Program(1, 1, 1)
    start = MovedStart(store, "web", clock, program)
    for _ in range(3):
        clock.pass_time(60)
        program.work(1.0)
        start.look()
    minutes = sum(sums[0] for sums in sums_of_minutes(store, "web").values())
    clock.pass_time(20)
    program.work(1.0)
    start.kill()
    clock.pass_time(1)
    until_minute = window(store, "web", BEGINNING_S, BEGINNING_S + 180, clock=clock)
    until_now = window(store, "web", BEGINNING_S, clock.now_s(), clock=clock)
    assert until_minute.duration_ns == 180 * 10**9
    assert sum(node.calls for node in until_minute.nodes) == minutes
    assert sum(node.calls for node in until_now.nodes) > minutes
