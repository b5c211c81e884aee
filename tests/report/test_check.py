"""Budgets held against runs: each limit with its verdict, and each format as its reader wants it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from xml.etree import ElementTree

import pytest
import runs
from runs import MS

from hookmon.collector.store import Run
from hookmon.report.check import FORMATS, render
from hookmon.report.check.judge import Check, Row, check


@dataclass
class Limit:
    key: str
    number: float
    text: str = "the limit"
    place: str = "hookmon.toml:7"


@dataclass
class Budget:
    name: str
    limits: list[Limit]
    place: str = "hookmon.toml:6"


def judge(name: str, key: str, number: float, *, run: Run | None = None, base: Run | None = None) -> list[Row]:
    return check(run or runs.web(), [Budget(name, [Limit(key, number)])], base).rows


def row_of(name: str, key: str, number: float, **more: Run) -> Row:
    rows = judge(name, key, number, **more)
    assert len(rows) == 1
    return rows[0]


def text_of(found: Check, format: str) -> str:
    file = StringIO()
    render(found, format, file=file, width=100)
    return file.getvalue()


def broken_check() -> Check:
    """Return a check with a row of each verdict."""
    limits = [Limit("p95", 40 * MS, "40ms"), Limit("calls", 10, "10", "hookmon.toml:8")]
    nobody = Budget("GET /usrs/<id>", [Limit("p50", 1.0, "1ns", "hookmon.toml:10")])
    sql = Budget("SELECT name", [Limit("calls", 5, "5", "hookmon.toml:12")])
    run = runs.web()
    run.project = "/srv/shop"
    return check(run, [Budget("GET /users/<id>", limits), nobody, sql])


USERS = "GET /users/<id>"


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (USERS, "p95", 50 * MS),
        (USERS, "max", 50 * MS),
        (USERS, "mean", 50 * MS),
        (USERS, "total", 500 * MS),
        (USERS, "calls", 10),
        (USERS, "sql_per_request", 21),
        (USERS, "http_per_request", 2),
        (USERS, "cache_per_request", 0),
        (USERS, "max_repetition", 21),
        ("GET /boom", "errors", 1.0),
        ("GET /boom", "max_repetition", 0),
        ("SELECT name", "calls", 210),
        ("SELECT name", "calls_per_request", 21),
        ("SELECT name", "max_repetition", 21),
        ("SELECT name", "max", MS),
    ],
)
def test_a_limit_is_kept_up_to_its_number(name: str, key: str, value: float):
    """And broken just beyond it."""
    row = row_of(name, key, value)
    assert (row.verdict, row.value) == ("kept", value)
    assert row_of(name, key, value * 1.001 + 1e-6).verdict == "kept"
    if value:
        assert row_of(name, key, value * 0.999).verdict == "broken"


def test_the_mean_of_calls_is_not_rounded_before_it_is_judged():
    """2,001 calls in 10,000 requests are more than 0.2 in each."""
    run = runs.run(
        nodes=[
            runs.node(-1, "GET /", [MS] * 10_000, kind="request", entry=True),
            runs.node(0, "SELECT", [MS] * 2_001, kind="sql"),
        ]
    )
    assert row_of("SELECT", "calls_per_request", 0.2, run=run).verdict == "broken"
    assert row_of("GET /", "sql_per_request", 0.2, run=run).verdict == "broken"


def test_overhead_is_the_run_s():
    """Once for each budget that limits it, whatever is called so."""
    run = runs.web()
    run.overhead_ns = run.processes[0].cpu_ns // 50
    assert (row_of("nobody", "overhead", 0.03, run=run).verdict, row_of("*", "overhead", 0.01, run=run).verdict) == (
        "kept",
        "broken",
    )


def test_a_glob_is_judged_for_each_that_it_means():
    """A transaction is not judged a second time as a call, and (main) not at all."""
    assert [row.name for row in judge("GET /*", "calls", 100)] == [USERS, "GET /boom"]
    assert "(main)" not in {row.name for row in judge("*", "calls", 10**9)}


def test_an_exact_name_is_no_glob():
    """The question mark of a statement stands for itself."""
    run = runs.run(nodes=[runs.node(-1, name, [MS], kind="sql") for name in ("SELECT ?", "SELECT a", "a[b]")])
    assert [row.name for row in judge("SELECT ?", "calls", 5, run=run)] == ["SELECT ?"]
    assert [row.name for row in judge("a[b]", "calls", 5, run=run)] == ["a[b]"]


def test_main_is_judged_when_it_is_named():
    """Its calls are those of the whole run outside of transactions."""
    row = row_of("(main)", "sql_per_request", 1)
    assert (row.verdict, row.value) == ("broken", 2)


def test_what_matches_nothing_is_named():
    """With what was meant."""
    row = row_of("get /Users/<id>", "p95", 1)
    assert (row.verdict, row.reason) == ("not judged", f"nothing of this name was called; did you mean {USERS}?")
    assert row_of("zzz", "p95", 1).reason == "nothing of this name was called"


@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [
        ("SELECT name", "sql_per_request", "it is no transaction"),
        (USERS, "calls_per_request", "it is a transaction itself"),
        ("SELECT 1", "calls_per_request", "it was called outside of transactions only"),
        (USERS, "p95_vs_base", "there is no run to compare with: --against RUN"),
    ],
)
def test_a_limit_that_does_not_fit_is_not_judged(name: str, key: str, reason: str):
    """It says why."""
    row = row_of(name, key, 5)
    assert (row.verdict, row.reason, row.value) == ("not judged", reason, None)


def timed_run(middle_ns: int, *, host: str = "here", waits: int = 0) -> Run:
    durations = [round(middle_ns * (0.9 + 0.002 * at)) for at in range(100)] * 3
    process = runs.process(4711, ran_ns=10**9, waited_ns=waits * 10**9)
    node = runs.node(-1, "GET /", durations, kind="request", entry=True)
    return runs.run(nodes=[node], host=host, cpu="a", cores=2, processes=[process])


@pytest.mark.parametrize("key", ["p50_vs_base", "p95_vs_base", "mean_vs_base"])
def test_growth_is_broken_only_beyond_noise(key: str):
    """Twice as long is; 9 % is over the limit and may be chance; 4 % is within it."""
    base = timed_run(MS)
    assert row_of("GET /", key, 1.10, run=timed_run(MS * 2), base=base).verdict == "broken"
    row = row_of("GET /", key, 1.08, run=timed_run(MS * 109 // 100), base=base)
    assert (row.verdict, row.reason.partition(":")[0]) == ("kept", "that is noise")
    assert (row_of("GET /", key, 1.10, run=timed_run(MS * 104 // 100), base=base)).reason == ""
    assert row_of("GET /", key, 1.10, run=timed_run(MS // 2), base=base).verdict == "kept"


def test_growth_on_a_busy_machine_is_noise():
    """The same that is broken on a quiet one."""
    assert row_of("GET /", "p50_vs_base", 1.1, run=timed_run(2 * MS, waits=9), base=timed_run(MS, waits=9)).verdict == "kept"


def test_growth_over_another_machine_is_not_judged():
    """It says what differs."""
    row = row_of("GET /", "p95_vs_base", 1.1, run=timed_run(9 * MS), base=timed_run(MS, host="there"))
    assert (row.verdict, row.reason) == ("not judged", "not comparable: the machine differs")


def test_growth_of_what_was_not_there_is_not_judged():
    """A new route has no base."""
    base = timed_run(MS)
    base.nodes = []
    assert (
        row_of("GET /", "p95_vs_base", 1.1, run=timed_run(MS), base=base).reason == "it was not called in the run compared with"
    )


def test_the_exit_code_tells_broken_from_nothing_to_judge():
    """0 kept, 1 broken, 3 nothing; strict counts what is not judged as broken."""
    kept, bad, lost = (Budget(name, [Limit("calls", number)]) for name, number in ((USERS, 10), (USERS, 9), ("zzz", 1)))
    codes = [check(runs.web(), budgets).exit_code() for budgets in ([kept], [kept, bad], [lost], [], [kept, lost])]
    assert codes == [0, 1, 3, 3, 0]
    assert check(runs.web(), [kept, lost]).exit_code(strict=True) == 1
    assert check(runs.web(), [kept]).exit_code(strict=True) == 0


def test_the_screen_has_what_is_broken_first():
    """A line for each limit, and the sum."""
    text = text_of(broken_check(), "text")
    lines = [line for line in text.splitlines() if not line.startswith(" ")]  # without what is wrapped
    assert [line.split()[0] for line in lines] == ["broken", "broken", "not", "kept", "Budgets"]
    assert "GET /users/<id>: p95 is 50.0 ms, over 40ms" in lines[0]
    assert "hookmon.toml:7" in lines[0]
    assert "views.py:31" in lines[1]
    assert "did you mean GET /users/<id>?" in " ".join(text.split())


def test_junit_has_a_case_for_each_limit():
    """Failures and skips are counted, and told."""
    root = ElementTree.fromstring(text_of(broken_check(), "junit"))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("4", "2", "1", "0")
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "GET /users/<id>: p95": ["failure"],
        "GET /users/<id>: calls": [],
        "GET /usrs/<id>: p50": ["skipped"],
        "SELECT name: calls": ["failure"],
    }


def test_github_annotates_the_line_that_calls_or_the_budget():
    """A percent sign, a colon and a comma of ours cannot end a property."""
    lines = text_of(broken_check(), "github").splitlines()
    assert lines[0].startswith("::error file=hookmon.toml,line=7,title=hookmon%3A p95::GET /users/<id>: p95 is 50.0 ms")
    assert lines[1].startswith("::error file=views.py,line=31,title=")
    assert lines[2].startswith("::warning file=hookmon.toml,line=10,")
    assert not lines[3].startswith("::")


def test_gitlab_has_what_is_not_kept():
    """Each with a fingerprint of its own that stays the same."""
    rows = json.loads(text_of(broken_check(), "gitlab"))
    assert [(row["severity"], row["location"]["path"], row["location"]["lines"]["begin"]) for row in rows] == [
        ("major", "hookmon.toml", 7),
        ("info", "hookmon.toml", 10),
        ("major", "views.py", 31),
    ]
    assert len({row["fingerprint"] for row in rows}) == 3
    assert rows == json.loads(text_of(broken_check(), "gitlab"))


def test_json_and_markdown_have_all_rows():
    """With the exit code, and a line in the table."""
    document = json.loads(text_of(broken_check(), "json"))
    assert (document["schema"], document["exit_code"], len(document["rows"])) == ("hookmon-check/1", 1, 4)
    assert text_of(broken_check(), "markdown").count("\n| ") == 5


@pytest.mark.parametrize("format", FORMATS)
def test_hostile_names_are_inert_in_every_format(format: str):
    """A name may not end a line, an annotation or an element."""
    for name in runs.HOSTILE.values():
        bad = name + "\n::error::x\x00]]>"
        run = runs.run(nodes=[runs.node(-1, bad, [MS], target="a:b", call_site=bad)])
        found = check(run, [Budget("*", [Limit("calls", 0, bad, f"{bad}:3")]), Budget(bad + "z", [Limit("p50", 0)])])
        text = text_of(found, format)
        assert "\n::error::x" not in text
        assert not {"\x1b", "\u202e", "\x00"} & set(text)
        if format == "junit":
            ElementTree.fromstring(text)
        elif format in ("json", "gitlab"):
            json.loads(text)


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_to_judge_can_be_written(format: str):
    """In every format."""
    assert text_of(check(runs.run(), []), format)
