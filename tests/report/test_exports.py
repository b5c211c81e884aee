"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import runs
from runs import MS, node

from hookmon.collector.store import Run
from hookmon.report import FORMATS, render
from hookmon.report.texts import inert

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"
FIGURES = ["calls", "errors", "total_ns", "self_ns", "min_ns", "max_ns", "mean_ns", "p50_ns", "p95_ns", "p99_ns"]


def text_of(run: Run, format: str) -> str:
    file = io.StringIO()
    render(run, format, file=file)
    return file.getvalue()


def bytes_of(run: Run, format: str) -> bytes:
    content = io.BytesIO()
    file = io.TextIOWrapper(content, encoding="utf-8")
    render(run, format, file=file)
    return content.getvalue()


def document(run: Run) -> Any:
    return json.loads(text_of(run, "json"))


KEYS = {
    "run": {"id", "name", "command", "started_at", "duration_ns", "exit_code", "python", "hookmon", "engine", "overhead_ns"},
    "processes": {"pid", "parent_pid", "command", "python", "engine", "state", "duration_ns", "cpu_ns"}
    | {"rss_max_bytes", "threads_max"},
    "calls": {"name", "kind", "target", *FIGURES},
    "tree": {"parent", "name", "call_site", "kind", "target", *FIGURES},
    "watched": {"target", "status", "detail"},
    "blind_spots": {"kind", "detail"},
    "in_flight": {"pid", "lane", "stack", "since_ns"},
    "kinds": {"kind", "self_ns", "share"},
}


@pytest.mark.parametrize("table", KEYS)
def test_json_has_the_promised_keys(table: str):
    """Those of the format's description, in every row."""
    run = runs.shop()
    run.in_flight = runs.killed().in_flight
    found = document(run)
    assert found["schema"] == "hookmon/1"
    rows = found[table] if table != "run" else [found[table]]
    assert rows
    for row in rows:
        assert set(row) >= KEYS[table]


def test_every_key_of_the_json_is_described():
    """docs/json.md and the document name the same keys."""
    run = runs.shop()
    run.in_flight = runs.killed().in_flight
    described = set(re.findall(r"`(\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    found = document(run)
    keys = set(found) | {
        key
        for value in found.values()
        for row in (value if isinstance(value, list) else [value])
        if isinstance(row, dict)
        for key in row
    }
    assert keys - described == set()


def test_times_in_json_are_whole_nanoseconds():
    """Nobody has to guess a unit or a rounding."""
    for row in document(runs.shop())["calls"]:
        assert all(type(row[name]) is int for name in FIGURES)


def test_a_stack_in_flight_is_outermost_first():
    """Each call with how long it had been running."""
    call = document(runs.killed())["in_flight"][0]
    assert [frame["name"] for frame in call["stack"]] == ["GET /orders", "psycopg execute"]
    assert call["stack"][1]["since_ns"] == call["since_ns"] == 31_000 * MS


def test_hostile_names_come_back_from_json_as_they_were():
    """Exports are for programs: nothing is escaped but what the format asks for."""
    text = text_of(runs.hostile(), "json")
    assert text.isascii()
    assert {row["name"] for row in json.loads(text)["calls"]} == set(runs.HOSTILE.values())


def test_csv_has_the_json_names_as_header():
    """One line for each name, in the order of the screen."""
    rows = list(csv.DictReader(io.StringIO(text_of(runs.shop(), "csv"))))
    assert set(rows[0]) >= KEYS["calls"]
    calls = document(runs.shop())["calls"]
    assert [(row["name"], int(row["self_ns"])) for row in rows] == [(row["name"], row["self_ns"]) for row in calls]


def test_csv_survives_hostile_names():
    """Control characters and lone surrogates are spelt out: a CSV file is looked at on terminals too."""
    names = [row["name"] for row in csv.DictReader(io.StringIO(text_of(runs.hostile(), "csv"), newline=""))]
    assert set(names) == {inert(text) for text in runs.HOSTILE.values()}
    assert all(name.isprintable() for name in names)


def test_csv_has_no_formulas():
    """What a spreadsheet would take for one begins with an apostrophe."""
    formulas = ("=1+1", "+1", "-1", "@SUM(A1)")
    run = runs.run(nodes=[node(-1, name, [MS], target=name) for name in (*formulas, "a=1")])
    rows = list(csv.DictReader(io.StringIO(text_of(run, "csv"))))
    assert {row["name"] for row in rows} == {row["target"] for row in rows} == {f"'{name}" for name in formulas} | {"a=1"}


COMMANDS = ("::error::x", "  ::stop-commands::x", "a ::add-mask::b", "a ##[error]b", "##[warning]")
IN_A_WORKFLOW = """
import sys, runs
from runs import MS, node
from hookmon.collector.store import BlindSpot
from hookmon.report import FORMATS, is_binary, render
names = sys.argv[1:]
run = runs.run(
    name=names[0],
    command=names,
    nodes=[node(-1, name, [MS], target=name, call_site=name, errors=1) for name in names],
    blind_spots=[BlindSpot(name, name) for name in names],
    still_running=list(names),
)
for format in FORMATS:
    if not is_binary(format):
        sys.stdout.write(f"== {format}\\n")
        render(run, format, file=sys.stdout, width=60, everything=True)
"""


@pytest.mark.process
def test_a_log_of_a_workflow_has_no_commands():
    """GitHub's runner obeys lines that begin with `::`, and `##[` anywhere: no format has one, and JSON means the same."""
    env = {**os.environ, "GITHUB_ACTIONS": "true", "PYTHONPATH": str(Path(runs.__file__).parent)}
    command = [sys.executable, "-c", IN_A_WORKFLOW, *COMMANDS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.lstrip().startswith("::") or "##[" in line] == []
    assert lines.count("== text") == lines.count("== csv") == 1
    document = "\n".join(lines[lines.index("== json") + 1 : lines.index("== markdown")])
    assert {row["name"] for row in json.loads(document)["calls"]} == set(COMMANDS)


@pytest.mark.parametrize("name", ["shop", "killed", "hostile"])
def test_markdown_is_the_one_that_was_looked_at(name: str, snapshot: Any):
    """Foreign text stands in code spans."""
    snapshot(f"{name}-markdown", text_of(getattr(runs, name)(), "markdown"))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_shows_a_run_without_anything(format: str):
    """A run that broke off at once is still a run."""
    empty = Run(1, "", [], "", "0.1.0")
    assert bytes_of(empty, format) or format == "collapsed"


def test_a_large_run_is_shown_quickly():
    """5,000 places and names: a generous bound of processor time, of which a tenth is measured on a quiet machine."""
    run = runs.run(nodes=[node(at // 2 - 1, f"name {at}", [MS, 2 * MS, 3 * MS]) for at in range(5_000)])
    times = []
    for _ in range(10):
        started = time.process_time()
        text_of(run, "text")
        times.append(time.process_time() - started)
        if times[-1] < 1.5:
            break
    assert min(times) < 1.5


def test_functions_of_one_name_have_their_places_in_markdown():
    """Relative to the project; without any there is no column."""
    nodes = [node(-1, "run", [at * MS], target=f"m{at}:run") for at in (2, 1)]
    places = {"m2:run": "/srv/a|b.py:7", "m1:run": "/srv/b.py:9"}
    lines = text_of(runs.run(nodes=nodes, project="/srv", places=places), "markdown").splitlines()
    assert sum(line.startswith("| Name | Where | Calls |") for line in lines) == 1
    assert [line.split(" | ")[1] for line in lines if line.startswith("| `run`")] == ["`a\\|b.py:7`", "`b.py:9`"]
    assert "Where" not in text_of(runs.run(nodes=nodes), "markdown")


def test_the_account_is_in_markdown_with_its_warning():
    """Above all figures."""
    process = runs.process(4711, cpu_ns=500 * MS, ran_ns=500 * MS, waited_ns=2_000 * MS)
    lines = text_of(runs.run(processes=[process]), "markdown").splitlines()
    assert lines[2].startswith("3.42 s = 0.50 s computing + 2.00 s waiting for a processor + 0.92 s waiting for others; ")
    assert "To see the rest: `hookmon run --own python app.py`" in lines
    assert sum(line.startswith("**The machine was busy: 80 %") for line in lines) == 1
