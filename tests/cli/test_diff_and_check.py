"""`hookmon diff`, `check` and `explain` on the command line, with runs that were really made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.runs import Result, hookmon, write

from hookmon.collector.store import Example, Node, Run, Store
from hookmon.report.diff import FORMATS

pytestmark = pytest.mark.usefixtures("warm_launcher")

APP = """
    import sqlite3, sys, time

    def handle(loops):
        rows = connection.execute("select a from t")
        for (a,) in rows.fetchall()[:loops]:
            connection.execute("select a from t where a = ?", (a,)).fetchone()

    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a)")
    connection.executemany("insert into t values (?)", [(a,) for a in range(20)])
    for _ in range(30):
        handle(int(sys.argv[1]))
    sys.exit(int(sys.argv[2]))
"""

CONFIG = """\
# what is watched
[[watch]]
module = "__main__"
calls = ["handle"]
entry = true
kind = "request"

# what may happen
[budget."handle"]
sql_per_request = 8 # one for the list, seven for its rows
p95 = "30s"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with three runs: 7 queries in a loop, again 7, then 12; and its configuration."""
    folder = write(tmp_path_factory.mktemp("made"), {"app.py": APP, "hookmon.toml": CONFIG})
    for loops in ("7", "7", "12"):
        assert hookmon(["run", "--quiet", sys.executable, "app.py", loops, "0"], cwd=folder).exit_code == 0
    return folder


@pytest.fixture
def project(made: Path) -> Path:
    """The same, with its configuration as it was."""
    (made / "hookmon.toml").write_text(CONFIG)
    return made


def run(project: Path, *options: str, loops: int = 7, code: int = 0) -> Result:
    return hookmon(["run", "--quiet", *options, sys.executable, "app.py", str(loops), str(code)], cwd=project)


def test_a_diff_of_two_equal_runs_says_so(project: Path):
    """No time may be called changed, however busy this machine is."""
    done = hookmon(["diff", "1", "2"], cwd=project)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "All counts are the same; no time changed beyond noise." in done.stdout


def test_a_diff_names_the_queries_that_came(project: Path):
    """B is the newest run when it is not named."""
    document = json.loads(hookmon(["diff", "1", "--json"], cwd=project).stdout)
    assert (document["a"]["id"], document["b"]["id"], document["apart"]) == (1, 3, [])
    changed = [(row["transaction"], row["name"], row["per_a"], row["per_b"]) for row in document["counts"] if row["changed"]]
    assert changed == [("handle", "select a from t where a = ?", 7.0, 12.0)]


@pytest.mark.parametrize("named", [[], ["last"], ["3"]], ids=" ".join)
def test_the_newest_run_alone_is_compared_with_the_one_before(project: Path, named: list[str]):
    """Itself would tell nothing; it is, where it is named twice."""
    document = json.loads(hookmon(["diff", *named, "--json"], cwd=project).stdout)
    assert (document["a"]["id"], document["b"]["id"]) == (2, 3)
    document = json.loads(hookmon(["diff", "3", "last", "--json"], cwd=project).stdout)
    assert (document["a"]["id"], document["b"]["id"]) == (3, 3)


def test_the_only_run_has_nothing_to_be_compared_with(tmp_path: Path):
    """One line."""
    assert hookmon(["run", "--quiet", sys.executable, "-c", "pass"], cwd=tmp_path).exit_code == 0
    done = hookmon(["diff", "last"], cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "hookmon: run 1 is the only one: there is none to compare it with [no-such-run]\n"


def test_a_script_gets_a_budget_for_the_whole_run(tmp_path: Path):
    """How many statements it makes; a run that has nothing to count is told what there is."""
    write(tmp_path, {"app.py": "import sqlite3\ndb = sqlite3.connect(':memory:')\nfor _ in range(6): db.execute('select 1')\n"})
    assert hookmon(["run", "--quiet", sys.executable, "app.py"], cwd=tmp_path).exit_code == 0
    assert hookmon(["check", "--update"], cwd=tmp_path).exit_code == 0
    assert (tmp_path / "hookmon.toml").read_text() == '[budget."(main)"]\nsql_per_request = 6\n'
    done = hookmon(["check", "-o", "check.txt"], cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "sql_per_request is 6, within 6" in (tmp_path / "check.txt").read_text()
    (tmp_path / "hookmon.toml").unlink()
    assert hookmon(["run", "--quiet", sys.executable, "-c", "pass"], cwd=tmp_path).exit_code == 0
    done = hookmon(["check", "--update"], cwd=tmp_path)
    assert done.exit_code == 3
    assert '[budget."NAME"] with calls, total or p95' in done.stderr


def test_a_diff_goes_to_a_file(project: Path, tmp_path: Path):
    """In every format."""
    for format in FORMATS:
        path = tmp_path / format
        done = hookmon(["diff", "1", "3", "--format", format, "-o", str(path)], cwd=project)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
        assert "select a from t where a = ?" in path.read_text("utf-8")


def test_a_diff_needs_runs_that_are_there(project: Path):
    """And says which there are."""
    done = hookmon(["diff", "1", "9"], cwd=project)
    assert (done.exit_code, done.stderr) == (2, "hookmon: there is no run 9; runs 1 to 3 are kept [no-such-run]\n")


def test_a_budget_that_is_kept_ends_with_0(project: Path):
    """With a line for each limit."""
    done = hookmon(["check", "2"], cwd=project)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.count("kept") == 3
    assert done.stdout.endswith("Budgets of run 2: 2 kept.\n")


def test_a_budget_that_is_broken_ends_with_1(project: Path):
    """By the newest run: 13 queries in each."""
    done = hookmon(["check"], cwd=project)
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.stdout.startswith("broken      handle: sql_per_request is 13, over 8  hookmon.toml:10\n")


def test_mistakes_end_with_2_and_nothing_to_judge_with_3(project: Path, tmp_path: Path):
    """All mistakes in one pass; no budget, no run, no match."""
    (project / "hookmon.toml").write_text('[budget.a]\np95 = "6"\ncals = 3\n')
    done = hookmon(["check"], cwd=project)
    assert done.exit_code == 2
    assert [line.rpartition("[")[2] for line in done.stderr.splitlines()] == ["not-a-duration]", "unknown-key]"]
    (project / "hookmon.toml").write_text("")
    assert hookmon(["check"], cwd=project).exit_code == 3
    (project / "hookmon.toml").write_text('[budget."handel"]\ncalls = 3\n')
    done = hookmon(["check"], cwd=project)
    assert done.exit_code == 3
    assert "did you mean handle?" in done.stdout
    (tmp_path / "hookmon.toml").write_text("[budget.a]\ncalls = 3\n")
    done = hookmon(["check"], cwd=tmp_path)
    assert (done.exit_code, done.stderr.rpartition("[")[2]) == (3, "no-such-run]\n")


def test_a_check_against_a_run_or_a_file(project: Path):
    """Growth is judged; a base that is not there is a mistake."""
    (project / "hookmon.toml").write_text(CONFIG + 'p50_vs_base = "+100000%"\n')
    base = project / ".hookmon" / "run-0001.sqlite"
    for against in ("1", str(base)):
        done = hookmon(["check", "2", "--against", against], cwd=project)
        assert (done.exit_code, "handle: p50_vs_base is " in done.stdout) == (0, True)
    assert hookmon(["check", "--against", "77"], cwd=project).exit_code == 2


def test_github_gets_annotations_and_a_summary(project: Path, tmp_path: Path):
    """The summary is added to what is there."""
    summary = tmp_path / "summary.md"
    summary.write_text("# before\n")
    done = hookmon(["check", "--format", "github"], cwd=project, env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert done.exit_code == 1
    assert done.stdout.startswith("::error file=hookmon.toml,line=10,title=hookmon%3A sql_per_request::")
    assert summary.read_text("utf-8").startswith("# before\n**Budgets of run 3: 1 broken, 1 kept.**\n")


def test_update_writes_the_figures_and_keeps_the_comments(project: Path):
    """After which the same run keeps its budgets; a count in one request gets no headroom."""
    done = hookmon(["check", "--update"], cwd=project)
    assert (done.exit_code, done.stderr) == (0, "")
    text = (project / "hookmon.toml").read_text()
    assert "sql_per_request = 13 # one for the list, seven for its rows\n" in text
    assert text.startswith(CONFIG.partition("sql_per_request")[0])
    assert 'p95 = "30s"' not in text
    assert hookmon(["check"], cwd=project).exit_code == 0


def test_update_without_budgets_begins_with_some(project: Path):
    """For each transaction, in a pyproject.toml as well; what else stands there stays."""
    (project / "hookmon.toml").unlink()
    path = project / "pyproject.toml"
    path.write_text('[project]\nname = "x" # a name\n\n[tool.hookmon]\nmax_overhead = "5%"\n')
    try:
        assert hookmon(["check", "--update", "--headroom", "50"], cwd=project).exit_code == 0
        text = path.read_text()
        assert text.startswith('[project]\nname = "x" # a name\n\n[tool.hookmon]\nmax_overhead = "5%"\n')
        assert "[tool.hookmon.budget.handle]" in text
        assert 'errors = "0%"\nsql_per_request = 13\n' in text
        assert hookmon(["check"], cwd=project).exit_code == 0
    finally:
        path.unlink()


def test_run_and_check_in_one_go(project: Path):
    """The program's own failure wins; the output of both is whole."""
    assert run(project, "--check").exit_code == 0
    done = run(project, "--check", loops=12)
    assert done.exit_code == 1
    assert "broken      handle: sql_per_request is 13, over 8" in done.stderr
    assert run(project, "--check", loops=12, code=7).exit_code == 7


def test_run_check_needs_something_to_check_before_it_starts(project: Path):
    """The program is not started for a check that cannot be."""
    (project / "hookmon.toml").write_text("")
    done = run(project, "--check", code=7)
    assert (done.exit_code, done.stderr.rpartition("[")[2]) == (3, "no-budget]\n")
    assert run(project, "--against", "1").exit_code == 2
    (project / "hookmon.toml").write_text(CONFIG)
    assert run(project, "--check", "--against", "none", code=7).exit_code == 2


def test_a_finding_is_explained(project: Path):
    """With its evidence, the slowest example, and what to change."""
    (finding, *_) = json.loads(hookmon(["report", "3", "--json"], cwd=project).stdout)["findings"]
    assert finding["kind"] == "repetition"
    text = hookmon(["explain", finding["id"], "3"], cwd=project).stdout
    assert text.startswith("handle calls select a from t where a = ? 12 times in a row\n")
    assert "select a from t where a = ? ×12" in text
    assert "WHERE id IN" in text
    document = json.loads(hookmon(["explain", finding["id"], "3", "--json"], cwd=project).stdout)
    steps = {step["name"]: (step["times"], step["is_meant"]) for step in document["steps"]}
    assert steps["select a from t where a = ?"] == (12, True)
    assert steps["sqlite3 fetch"] == (12, False)  # in between, and a part of each
    assert len(document["steps"]) == 4  # two statements, and the rows of each


def test_an_example_without_watched_calls_has_no_table(tmp_path: Path):
    """Not the titles of one, either."""
    failed = {"calls": 20, "errors": 20, "total_ns": 20, "self_ns": 20, "buckets": {38: 20}}
    nodes = [Node(-1, "GET /boom", "request", "app:view", "", entry=True, **failed)]
    run_file = Store.of_project(tmp_path).reserve()
    examples = [Example(0, 0, 2_000_000, 500, 0, 4711, [])]
    run_file.save(Run(1, "", ["python", "app.py"], "", "0.1.0", state="finished", nodes=nodes, examples=examples))
    done = hookmon(["explain", "1"], cwd=tmp_path)
    assert "The slowest example" in done.stdout, done
    assert "took" not in done.stdout


def test_an_unknown_finding_has_a_near_one(project: Path):
    """Or is told that there is none."""
    (finding, *_) = json.loads(hookmon(["report", "3", "--json"], cwd=project).stdout)["findings"]
    done = hookmon(["explain", finding["id"][:-1] + "x", "3"], cwd=project)
    assert (done.exit_code, done.stderr.rpartition("; ")[2]) == (2, f"did you mean {finding['id']}? [no-such-finding]\n")
