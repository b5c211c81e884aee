"""Two runs side by side: counts exactly, times beyond noise, and nothing where nothing can be said."""

from __future__ import annotations

import json
from io import StringIO

import pytest
import runs
from runs import MS, S

from hookmon.collector.store import Node, Run
from hookmon.report.diff import FORMATS, render
from hookmon.report.diff.model import CountRow, Diff, TimeRow, build

HERE = {"host": "1234", "cpu": "a cpu", "cores": 8}


def web(**more: object) -> Run:
    """Return a run of two routes on a quiet machine."""
    plan = [{"id": 1, "module": "app", "calls": ["view"], "source": "hookmon.toml:3", "kind": "function"}]
    run = runs.web()
    for key, value in {**HERE, "plan": plan, **more}.items():
        setattr(run, key, value)
    for process in run.processes:
        process.ran_ns = 10**9
    return run


def scale(run: Run, factor: float) -> Run:
    """Return the run with all its calls `factor` times as long."""
    fresh = [runs.node(-1, "x", [round(5 * MS * factor)] * 300, kind="request", entry=True, target="app:x")]
    run.nodes = [*run.nodes, *fresh]
    return run


def times(diff: Diff) -> dict[str, TimeRow]:
    return {row.name: row for row in diff.times}


def counts(diff: Diff) -> dict[tuple[str, str, str], CountRow]:
    return {(row.transaction, row.name, row.place): row for row in diff.counts}


def text_of(diff: Diff, format: str, *, everything: bool = False) -> str:
    file = StringIO()
    render(diff, format, file=file, width=120, everything=everything)
    return file.getvalue()


def test_a_run_and_itself_are_the_same():
    """No count, no time, no finding."""
    diff = build(web(), web())
    assert (diff.apart, diff.changed_counts, diff.changed_times, diff.new_findings, diff.gone_findings) == ([], [], [], [], [])
    assert {row.verdict for row in diff.times} == {"within noise", "too few calls"}
    assert "all counts are the same; no time changed beyond noise" in text_of(diff, "text").lower()


def test_counts_are_compared_in_each_transaction():
    """Twice as many requests with the same queries in each are no change of the queries."""
    a, b = web(), web()
    for node in b.nodes:
        node.calls *= 2
        node.errors *= 2
        node.buckets = {bucket: calls * 2 for bucket, calls in node.buckets.items()}
    changed = {key[:2] for key, row in counts(build(a, b)).items() if row.changed and key[0] != "(main)"}
    assert changed == {("GET /users/<id>", ""), ("GET /boom", "")}


def test_one_query_more_is_a_change():
    """21 instead of 21.1 in each would be: counts are exact."""
    a, b = web(), web()
    b.nodes[2].calls += 1
    ((row),) = build(a, b).changed_counts
    assert (row.transaction, row.name, row.calls_a, row.calls_b) == ("GET /users/<id>", "SELECT name", 210, 211)
    assert (row.per_a, row.per_b) == (21.0, 21.1)


def test_lines_that_moved_are_no_change():
    """Calls of one name from several lines are added up."""
    a, b = web(), web()
    for node in b.nodes:
        node.call_site = node.call_site.replace(":", ":1")
    assert build(a, b).changed_counts == []


def test_a_transaction_that_is_new_stands_for_its_calls():
    """One row, not one for each call in it."""
    a, b = web(), web()
    a.nodes = [node for node in a.nodes if node.name not in ("GET /boom",)]
    rows = [row for row in build(a, b).changed_counts if row.transaction == "GET /boom"]
    assert [(row.name, row.calls_a, row.calls_b) for row in rows] == [("", 0, 8)]


def test_errors_are_counts():
    """Fewer of them are a change, too."""
    a, b = web(), web()
    boom = next(node for node in b.nodes if node.name == "GET /boom")
    boom.errors -= 2
    ((row),) = build(a, b).changed_counts
    assert (row.errors_a, row.errors_b) == (8, 6)
    assert "8 errors" in text_of(build(a, b), "text")


def test_a_time_that_doubled_is_slower_and_stands_first():
    """With the interval that rules out that nothing changed."""
    diff = build(scale(web(), 1), scale(web(), 2))
    row = diff.times[0]
    assert (row.name, row.verdict, row.is_transaction) == ("x", "slower", True)
    assert row.typical is not None
    assert row.typical.low > 1.5 < 2.2 < row.typical.high + 0.1
    assert [row.name for row in diff.changed_times] == ["x"]
    assert times(build(scale(web(), 2), scale(web(), 1)))["x"].verdict == "faster"


def test_what_two_runs_may_differ_by_as_a_whole_can_be_said():
    """8 % are nothing with 10 % of noise, and something with none."""
    a, b = scale(web(), 1), scale(web(), 1.15)
    assert times(build(a, b, noise=0.20))["x"].verdict == "within noise"
    assert times(build(a, b, noise=0.0))["x"].verdict == "slower"


def test_a_busy_machine_tells_nothing_apart():
    """A process that waited nine seconds for each that it computed."""
    a, b = scale(web(), 1), scale(web(), 2)
    for run in (a, b):
        run.processes[0].waited_ns = 9 * 10**9
    diff = build(a, b)
    assert times(diff)["x"].verdict == "within noise"
    assert "waited 9.0 s for a processor" in " ".join(text_of(diff, "text").split())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"host": "other"}, "the machine differs"),
        ({"cpu": "another"}, "the processor differs: a cpu and another"),
        ({"cores": 4}, "the number of cores differs: 8 and 4"),
        ({"python": "3.13.0"}, "the interpreter differs: 3.12.4 and 3.13.0"),
        ({"engine": "compiled"}, "the engine differs: pure and compiled"),
        ({"plan": []}, "the configuration differs: only A watches app:view"),
        ({"host": ""}, "it is not known on which machines the runs were made"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_times_of_what_differs_are_not_compared(change: dict[str, object], reason: str):
    """Counts stay judged."""
    a, b = scale(web(), 1), scale(web(**change), 4)
    b.nodes[2].calls += 1
    diff = build(a, b)
    assert diff.apart == [reason]
    assert {row.verdict for row in diff.times} == {"not comparable"}
    assert diff.changed_times == []
    assert [row.name for row in diff.changed_counts] == ["SELECT name"]


def test_where_a_watch_was_written_is_no_difference():
    """A line moved in hookmon.toml is the same configuration."""
    plan = [{"id": 7, "module": "app", "calls": ["view"], "source": "hookmon.toml:30", "kind": "function"}]
    assert build(web(), web(plan=plan)).apart == []


def watch(call: str, **more: object) -> dict[str, object]:
    return {"module": "shop", "calls": [call], "source": "hookmon.toml:1", "kind": "function"} | more


def repo_runs() -> tuple[Run, Run]:
    """Return the same program twice: without, and with its request and its audit watched."""
    repo = {"target": "shop:Repo.product", "kind": "function"}
    plain = web(
        plan=[watch("Repo.*")],
        nodes=[runs.node(-1, "product", [MS] * 744, **repo), runs.node(-1, "stock", [MS] * 5, target="shop:Repo.stock")],
    )
    watched = web(
        plan=[watch("Repo.*"), watch("handle", kind="request", entry=True), watch("audit")],
        nodes=[
            runs.node(-1, "handle", [8 * MS] * 100, children_ns=624 * MS, target="shop:handle", kind="request", entry=True),
            runs.node(0, "product", [MS] * 624, **repo),
            runs.node(-1, "product", [MS] * 120, **repo),
            runs.node(-1, "stock", [MS] * 4, target="shop:Repo.stock"),
            runs.node(0, "audit", [MS] * 100, target="shop:audit"),
        ],
    )
    return plain, watched


def test_calls_that_only_moved_into_transactions_have_not_changed():
    """One run watched requests, the other not: what both watched is compared in the whole run, what one did not is not judged."""
    a, b = repo_runs()
    diff = build(a, b)
    assert diff.apart == ["the configuration differs: only B watches shop:handle, shop:audit"]
    assert [(row.transaction, row.name, row.calls_a, row.calls_b) for row in diff.changed_counts] == [
        ("(whole run)", "stock", 5, 4)
    ]
    assert {row.name: (row.calls_a, row.calls_b) for row in diff.counts}["product"] == (744, 744)
    assert {row.verdict for row in diff.times} == {"not comparable"}
    screen = text_of(diff, "text")
    assert "1 count changed" in screen
    assert "only in B" not in screen
    assert [row.name for row in build(b, a).changed_counts] == ["stock"]


def test_a_watch_in_another_form_and_a_pack_are_named():
    """With more than some names the rest is counted; where no watch of transactions differs, counts stay those of each."""
    a = web(plan=[watch("view", nested=False), watch("get", pack="redis"), watch("set", pack="redis")])
    b = web(plan=[watch("view", nested=True)])
    diff = build(a, b)
    assert diff.apart == ["the configuration differs: only A watches pack redis; B watches shop:view in another way"]
    assert {row.transaction for row in diff.counts} == {row.transaction for row in build(web(), web()).counts}


def test_findings_of_what_only_one_run_watched_are_neither_new_nor_gone():
    """A request that was not watched before is no news of the program."""
    a, b = web(), web()
    b.plan = [*b.plan, watch("other", entry=True)]
    b.nodes = [*b.nodes, runs.node(-1, "other", [MS] * 20, kind="request", entry=True, target="shop:other", errors=20)]
    assert build(a, b).new_findings == []
    b.plan = a.plan
    assert [finding.title for finding in build(a, b).new_findings] == ["other fails 100 % of the time"]


def test_findings_are_new_and_gone():
    """By their ids, which no line number moves."""
    a, b = web(), web()
    for node in b.nodes:
        node.repeated = node.repeated_calls = node.repeated_ns = 0
    diff = build(a, b)
    assert [finding.kind for finding in diff.gone_findings] == ["repetition"]
    assert diff.new_findings == []
    back = build(b, a)
    assert [finding.id for finding in back.new_findings] == [finding.id for finding in diff.gone_findings]
    assert diff.gone_findings[0].id in text_of(diff, "markdown")


def test_a_name_on_one_side_only_is_told():
    """Not as a time that changed."""
    diff = build(web(), scale(web(), 1))
    assert times(diff)["x"].verdict == "only in B"
    assert diff.changed_times == []
    assert "only in B" in text_of(diff, "text")
    assert times(build(scale(web(), 1), web()))["x"].verdict == "only in A"


def test_many_rows_share_the_certainty():
    """What is a change alone is none among a thousand."""
    few, many = (scale(web(), 1), scale(web(), 1.18)), (scale(web(), 1), scale(web(), 1.18))
    for run in many:
        run.nodes += [runs.node(-1, f"n{at}", [MS, 3 * MS] * 60) for at in range(1_000)]
    alone, among = times(build(*few))["x"].typical, times(build(*many))["x"].typical
    assert alone is not None
    assert among is not None
    assert among.low < alone.low < alone.high < among.high


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("everything", [False, True])
def test_hostile_names_are_inert_in_every_format(format: str, everything: bool):
    """Neither escapes nor markup of theirs."""
    a, b = runs.hostile(), runs.hostile()
    for node in b.nodes:
        node.calls = 7
    text = text_of(build(a, b), format, everything=everything)
    assert "\x1b" not in text
    assert "\u202e" not in text
    if format == "markdown":
        assert "| `a\\|b" in text or "``a\\|b" in text
    if format == "json":
        assert json.loads(text)["schema"] == "hookmon-diff/2"


def test_json_has_every_row():
    """Also those that did not change."""
    diff = build(scale(web(), 1), scale(web(), 2))
    document = json.loads(text_of(diff, "json"))
    assert len(document["times"]) == len(diff.times)
    assert document["times"][0]["typical"]["low"] > 1
    assert document["a"]["host"] == "1234"


def test_an_empty_run_can_be_compared():
    """With another one, or with one that has something."""
    empty = web(nodes=[])
    assert build(empty, web(nodes=[])).times == []
    assert all(row.verdict == "only in B" for row in build(empty, web()).times)
    for format in FORMATS:
        assert text_of(build(empty, web(nodes=[])), format)


def test_time_that_was_never_taken_is_not_compared():
    """Calls that were only counted have no histogram."""
    a, b = (web(nodes=[Node(-1, "n", "sql", "m:n", calls=50, untimed=50)]) for _ in range(2))
    ((row),) = build(a, b).times
    assert (row.verdict, row.calls_a) == ("too few calls", 50)


def test_a_diff_has_the_account_of_each_run():
    """In JSON and on the screen: the one may have waited, the other computed."""
    a, b = (runs.run(nodes=[runs.node(-1, "f", [MS])], duration_ns=duration_ns) for duration_ns in (3 * S, 10 * S))
    diff = build(a, b)
    said = " ".join(text_of(diff, "text").split())
    for side in (diff.a, diff.b):
        assert side.account.endswith(" waiting for others; watched calls explain <1 %")
        assert side.account in said
        assert side.account.replace("<", "\\<") in text_of(diff, "markdown")
