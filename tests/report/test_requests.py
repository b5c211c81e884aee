"""The call tree is cut into transactions, and what stands out is said in sentences."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runs
from runs import MS, S, node

from hookmon.collector.store import CallSeries, Example, Node
from hookmon.report.findings import findings
from hookmon.report.requests import spent_on
from hookmon.report.texts import location
from hookmon.report.transactions import TransactionRow, transactions


def rows_of(nodes: list[Node], examples: list[Example] | None = None) -> dict[str, TransactionRow]:
    return {row.name: row for row in transactions(nodes, examples or [], 1)}


@pytest.fixture
def web() -> dict[str, TransactionRow]:
    """The rows of a run of a web application."""
    run = runs.web()
    return rows_of(run.nodes, run.examples)


def test_transactions_come_by_their_time_and_the_rest_last(web):
    """What belongs to none is (main), with the processes as its calls."""
    assert list(web) == ["GET /users/<id>", "GET /boom", "(main)"]
    assert (web["(main)"].figures.calls, web["(main)"].figures.total_ns) == (1, 2 * MS)
    assert [child.name for child in web["(main)"].children] == ["SELECT 1"]


def test_children_of_a_client_are_told_apart_by_their_line(web):
    """Two lines that run the same statement are two rows; what runs beside and after has its place."""
    found = {(child.name, child.call_site.rpartition("/")[2], child.place) for child in web["GET /users/<id>"].children}
    assert found == {
        ("view", "", ""),
        ("SELECT name", "views.py:31", ""),
        ("SELECT name", "views.py:40", ""),
        ("pool wait", "", ""),
        ("GET mail", "mail.py:7", "concurrent"),
        ("GET mail", "mail.py:9", "after"),
    }


def test_calls_per_transaction_are_their_mean_and_their_most(web):
    """200 calls in 10 transactions, 21 in one of them."""
    child = next(row for row in web["GET /users/<id>"].children if row.call_site.endswith(":31"))
    assert (child.per_call_mean, child.per_call_max, child.transactions, child.most_repeated) == (20.0, 21, 10, 21)


def test_time_beside_takes_from_the_time_that_is_nobody_elses(web):
    """500 ms: 210 in queries; of the 290 of code, 300 ms of HTTP in threads account for all. After the end is apart."""
    row = web["GET /users/<id>"]
    assert row.by_kind == {"http": 290 * MS, "sql": 210 * MS}
    assert row.after_ns == 90 * MS


def test_the_split_adds_up_to_the_time_of_the_transaction():
    """Also where what ran beside it took less than it waited."""
    nodes = [
        node(-1, "job", [100 * MS], children_ns=20 * MS, kind="task", entry=True),
        node(0, "SELECT", [20 * MS], kind="sql"),
        node(0, "(concurrent)", [], detached="concurrent"),
        node(2, "GET", [30 * MS], kind="http"),
    ]
    row = rows_of(nodes)["job"]
    assert row.by_kind == {"task": 50 * MS, "http": 30 * MS, "sql": 20 * MS}
    assert spent_on(row) == "code 50 %, http 30 % (1), sql 20 % (1)"


def test_an_entry_inside_an_entry_is_a_call_of_it():
    """The outermost is the transaction."""
    nodes = [node(-1, "outer", [5 * MS], entry=True), node(0, "inner", [MS], entry=True)]
    assert list(rows_of(nodes)) == ["outer"]


def test_an_example_has_its_calls_in_order_with_their_depth(web):
    """Lanes other than the first are other threads and tasks; detached places are no level."""
    (example,) = web["GET /users/<id>"].examples
    assert (example.duration_ns, example.status, example.left_out) == (50 * MS, 200, 18)
    assert [(span.name, span.depth, span.lane) for span in example.spans] == [
        ("view", 1, 0),
        ("SELECT name", 2, 0),
        ("GET mail", 1, 1),
    ]


def test_findings_name_the_line_and_what_it_saves(web):
    """The wait for the pool, the loop of queries, the failing route: the worst first."""
    found = [
        (finding.kind, finding.severity, finding.transaction, finding.location)
        for finding in findings(list(web.values()), [], 0, "/srv/shop")
    ]
    assert found == [
        ("waiting", "high", "GET /users/<id>", ""),
        ("repetition", "high", "GET /users/<id>", "views.py:31"),
        ("errors", "high", "GET /boom", ""),
    ]
    loop = findings(list(web.values()), [], 0, "/srv/shop")[1]
    assert loop.title == "GET /users/<id> calls SELECT name 20 times in a row"
    assert loop.saving_ns == 190 * MS
    assert "10 of 10 requests" in loop.evidence
    assert "21 times at the most" in loop.evidence


def test_a_finding_keeps_its_name_when_lines_move(web):
    """The same thing in a later run has the same id; another call has another."""
    rows = list(web.values())
    before = {finding.id for finding in findings(rows, [], 0, "/srv/shop")}
    for child in rows[0].children:
        child.call_site = child.call_site.replace(":31", ":99")
    assert {finding.id for finding in findings(rows, [], 0, "/srv/shop")} == before
    assert len(before) == 3


@pytest.mark.parametrize(
    ("durations", "whole_ns", "kinds"),
    [
        ([MS] * 99 + [50 * MS], 60 * MS, ["outlier"]),
        ([MS] * 99 + [9 * MS], 60 * MS, []),
        ([20 * MS] * 100, 60 * MS, []),
        ([MS] * 10 + [50 * MS], 60 * MS, []),
        ([MS] * 99 + [50 * MS], S, []),
    ],
    ids=["slow once", "too short", "always slow", "too few", "of a slow request"],
)
def test_a_call_that_once_took_ten_times_as_long_is_told(durations, whole_ns, kinds):
    """Its slowest against its p95, from 10 ms and 20 calls on, and where a typical request takes no more than twice that."""
    entry = node(-1, "GET /", [whole_ns] * 100, children_ns=sum(durations), kind="request", entry=True)
    rows = transactions([entry, node(0, "SELECT", durations, kind="sql")], [], 1)
    assert [finding.kind for finding in findings(rows, [], 0, "")] == kinds


@pytest.mark.parametrize(("run_ns", "kinds"), [(4 * S, ["outlier"]), (40 * S, [])], ids=["much of the run", "nothing of the run"])
def test_a_slow_call_of_a_program_without_requests_has_to_matter_to_it(run_ns: int, kinds: list[str]):
    """A commit of 70 ms in 41 s, say, which is the disk's."""
    rows = transactions([node(-1, "COMMIT", [MS] * 99 + [72 * MS], kind="sql", sited=True, call_site="/a.py:1")], [], 1)
    assert [finding.kind for finding in findings(rows, [], 0, "", run_ns) if finding.kind == "outlier"] == kinds


def web_of(durations: list[int], call: Node, **more: Any) -> list[TransactionRow]:
    """Return the rows of one route with one call in it."""
    plain = {"children_ns": call.total_ns, "kind": "request", "entry": True}
    return transactions([node(-1, more.pop("name", "GET /"), durations, **{**plain, **more}), call], [], 1)


def query(durations: list[int], **more: Any) -> Node:
    return node(0, "SELECT", durations, kind="sql", call_site="/srv/a.py:1", sited=True, **more)


@pytest.mark.parametrize(
    ("rows", "run_ns", "found"),
    [
        (web_of([100 * MS] * 2, query([90 * MS] * 2)), 10_000 * MS, [("dominated", "high")]),
        (web_of([100 * MS] * 2, query([90 * MS] * 2)), 60_000 * MS, []),
        (web_of([100 * MS], query([90 * MS])), 1_000 * MS, [("dominated", "low")]),
        (web_of([100 * MS], query([90 * MS]), kind="task"), 1_000 * MS, [("dominated", "high")]),
        (web_of([100 * MS] * 2, node(0, "index.html", [90 * MS] * 2, kind="template")), 1_000 * MS, [("dominated", "medium")]),
        (web_of([100 * MS] * 2, node(0, "shop.quote", [90 * MS] * 2)), 1_000 * MS, [("dominated", "medium")]),
        (web_of([100 * MS] * 2, node(0, "view Books", [90 * MS] * 2)), 1_000 * MS, []),
        (web_of([100 * MS] * 2, node(0, "middleware Sessions", [90 * MS] * 2, kind="hook")), 1_000 * MS, []),
        (web_of([100 * MS] * 2, query([90 * MS] * 2), name="GET (no route)"), 1_000 * MS, []),
    ],
    ids=[
        "a slow query",
        "of a hundredth",
        "of the first request",
        "of a job",
        "template",
        "function",
        "view",
        "middleware",
        "no route",
    ],
)
def test_what_dominates_is_told_where_that_is_news(rows, run_ns, found):
    """A request is its view, the first one is all imports, and less than a hundredth of a run is worth nobody's time."""
    assert [(finding.kind, finding.severity) for finding in findings(rows, [], 0, "", run_ns)] == found


@pytest.mark.parametrize(
    ("wait_ns", "run_ns", "severity"),
    [(50 * MS, 1_000 * MS, "high"), (50 * MS, 90_000 * MS, ""), (4 * MS, 100 * MS, "")],
    ids=["of a small pool", "less than a hundredth of the run", "to be handed over"],
)
def test_a_wait_is_told_when_it_is_one_for_somebody(wait_ns, run_ns, severity):
    """An idle thread has the work within a millisecond; what a busy machine takes to wake it is no pool that is too small."""
    waits = node(0, "executor wait", [wait_ns] * 10, kind="queue", waits=True)
    rows = web_of([2 * wait_ns] * 10, waits)
    assert "".join(finding.severity for finding in findings(rows, [], 0, "", run_ns)) == severity


@pytest.mark.parametrize(
    ("kind", "wait_ns", "title"),
    [
        ("queue", 500 * MS, ""),
        ("sql", 500 * MS, "pool wait took 1.00 s, outside of transactions"),
        ("sql", 20 * MS, ""),
    ],
    ids=["jobs of a batch", "a pool", "little of the run"],
)
def test_outside_of_transactions_a_wait_is_held_against_the_run(kind, wait_ns, title):
    """It may be the only thing that was watched; and jobs that are handed in at once are there to wait."""
    rows = transactions([node(-1, "pool wait", [wait_ns] * 2, kind=kind, waits=True)], [], 1)
    assert "".join(finding.title for finding in findings(rows, [], 0, "", 2_000 * MS)) == title


@pytest.mark.parametrize(
    ("opening_ns", "kind", "titles"),
    [
        (950 * MS, "sql", []),
        (500 * MS, "sql", ["GET / waits 50 % of its time in pool wait"]),
        (0, "sql", ["GET / waits 100 % of its time in pool wait"]),
        (950 * MS, "task", ["GET / waits 100 % of its time in pool wait"]),
    ],
    ids=["a connection is opened", "and somebody has the others", "somebody has it", "the next batch is read"],
)
def test_what_is_done_within_the_wait_for_a_connection_is_no_wait(opening_ns, kind, titles):
    """To open a connection is nobody else's fault; whoever makes what a loop waits for may make it in the loop."""
    entry = node(-1, "GET /", [1_000 * MS], children_ns=1_000 * MS, kind="request", entry=True)
    waits = node(0, "pool wait", [1_000 * MS], children_ns=opening_ns, kind=kind, waits=True)
    nodes = [entry, waits, node(1, "connect", [opening_ns], kind="hook")]
    found = [finding for finding in findings(transactions(nodes, [], 1), [], 0, "", 1_000 * MS) if finding.kind == "waiting"]
    assert [finding.title for finding in found] == titles
    for finding in found:
        assert ("taken off" in finding.evidence) == (kind == "sql" and opening_ns > 0)
        assert finding.time_ns == (1_000 * MS if kind == "task" else 1_000 * MS - opening_ns)


def test_waits_side_by_side_are_not_told_as_a_share_of_the_time():
    """Four jobs may wait four times as long as the request that has handed them in."""
    beside = node(0, "(concurrent)", [], detached="concurrent")
    waits = node(1, "executor wait", [100 * MS] * 4, kind="queue", waits=True)
    entry = node(-1, "GET /", [100 * MS], kind="request", entry=True)
    (found,) = findings(transactions([entry, beside, waits], [], 1), [], 0, "", 1_000 * MS)
    assert found.title == "work of GET / waits 100 ms each time in executor wait"
    assert found.saving_ns == 100 * MS


def test_many_queries_in_a_row_stand_above_what_merely_takes_long():
    """Their own time is the smaller part of what an ORM takes for them: 40 of 2 % matter more than a template of 90 %."""
    per = {"transactions": 2, "most": 40, "repeated": 2, "repeated_calls": 80, "repeated_ns": 40 * MS, "most_repeated": 40}
    template = node(0, "list.html", [900 * MS] * 2, kind="template")
    entry = node(-1, "GET /", [1_000 * MS] * 2, children_ns=template.total_ns + 40 * MS, kind="request", entry=True)
    found = findings(transactions([entry, template, query([MS // 2] * 80, **per)], [], 1), [], 0, "", 3_000 * MS)
    assert [(finding.kind, finding.severity) for finding in found] == [("repetition", "medium"), ("dominated", "medium")]


def test_a_layer_around_repeated_calls_is_not_told_again():
    """Where SQLAlchemy's session asks 31 times, so does the driver below it, in another lane."""
    per = {"transactions": 1, "most": 31, "repeated": 1, "repeated_calls": 31, "repeated_ns": 31 * MS, "most_repeated": 31}
    layer = node(0, "Session.execute", [MS] * 31, kind="hook", **per)
    entry = node(-1, "GET /", [62 * MS], children_ns=62 * MS, kind="request", entry=True)
    found = findings(transactions([entry, layer, query([MS] * 31, **per)], [], 1), [], 0, "")
    assert [finding.call for finding in found if finding.kind == "repetition"] == ["SELECT"]


def test_what_takes_more_than_half_is_told():
    """By self time: what is only around it is not."""
    nodes = [
        node(-1, "GET /", [100 * MS], children_ns=98 * MS, kind="request", entry=True),
        node(0, "view", [98 * MS], children_ns=60 * MS),
        node(1, "GET api", [60 * MS], kind="http", call_site="/srv/a.py:1", sited=True),
    ]
    (finding,) = findings(transactions(nodes, [], 1), [], 0, "/srv")
    assert (finding.kind, finding.call, finding.location) == ("dominated", "GET api", "a.py:1")


@pytest.mark.parametrize(
    ("site", "project", "shown"),
    [
        ("/srv/shop/a.py:3", "/srv/shop", "a.py:3"),
        ("/usr/lib/b.py:3", "/srv/shop", "/usr/lib/b.py:3"),
        ("a.py:3", "/srv/shop", "a.py:3"),
        ("/srv/shop/a.py:3", "", "/srv/shop/a.py:3"),
        ("", "/srv/shop", ""),
    ],
)
def test_a_place_is_told_relative_to_the_project(site, project, shown):
    """Where it lies inside; elsewhere as it is."""
    assert location(site, project) == shown


@pytest.mark.parametrize(("children_ns", "kinds"), [(0, ["repetition"]), (70 * MS, [])], ids=["its own time", "its children's"])
def test_a_function_in_a_loop_is_told_when_it_takes_the_time_itself(children_ns, kinds):
    """What it calls is told by itself."""
    more = {"transactions": 1, "most": 8, "repeated": 1, "repeated_calls": 8, "repeated_ns": 80 * MS, "most_repeated": 8}
    nodes = [
        node(-1, "GET /", [200 * MS], children_ns=80 * MS, kind="request", entry=True),
        node(0, "quote", [10 * MS] * 8, children_ns=children_ns, **more),
    ]
    assert [finding.kind for finding in findings(transactions(nodes, [], 1), [], 0, "")] == kinds


@pytest.mark.parametrize(
    ("points", "title"),
    [
        ([(0, 100, 0), (1, 9, 8), (2, 4, 4), (3, 100, 1)], "GET api failed 12 times within 2.00 s"),
        ([(0, 100, 3), (1, 100, 4)], ""),
        ([(0, 9, 9), (1, 9, 9)], ""),
        ([(0, 100, 0), (1, 4, 4), (5, 100, 0)], ""),
    ],
    ids=["at one moment", "now and then", "always", "too few"],
)
def test_errors_that_come_at_one_moment_are_told(points, title):
    """Most calls of one stretch of time, where most of the run went well."""
    text = json.dumps([[at, calls, errors, calls * MS, [80, calls]] for at, calls, errors in points])
    row = CallSeries("GET api", "http", "requests:Session.send", text)
    assert [finding.title for finding in findings([], [row], 1_000 * MS, "")] == ([title] if title else [])
    row.name = "GET (no route)"  # scanners and typing errors come at one moment, too
    assert findings([], [row], 1_000 * MS, "") == []


def test_a_wait_is_no_repetition():
    """Ten jobs that were handed to an executor are no work that one call could do."""
    per = {"transactions": 2, "most": 10, "repeated": 2, "repeated_calls": 20, "repeated_ns": 200 * MS, "most_repeated": 10}
    nodes = [
        node(-1, "job", [S] * 2, children_ns=200 * MS, kind="task", entry=True),
        node(0, "executor wait", [10 * MS] * 20, kind="queue", waits=True, **per),
    ]
    assert [found.kind for found in findings(transactions(nodes, [], 1), [], 0, "", 2 * S)] == ["waiting"]


def test_what_a_client_s_call_is_made_of_is_not_told_again():
    """Nine sends are nine LPUSHes: one finding. The queries of a template are told beside the template."""
    per = {"transactions": 2, "most": 9, "repeated": 2, "repeated_calls": 18, "most_repeated": 9}
    site = {"sited": True, "call_site": "/srv/tasks.py:12"}
    nodes = [
        node(-1, "fan", [S] * 2, children_ns=S, kind="task", entry=True),
        node(0, "send add", [50 * MS] * 18, children_ns=450 * MS, kind="queue", repeated_ns=900 * MS, **per, **site),
        node(1, "redis LPUSH", [25 * MS] * 18, kind="cache", repeated_ns=450 * MS, **per, **site),
    ]
    found = findings(transactions(nodes, [], 1), [], 0, "", 2 * S)
    assert [finding.title for finding in found] == ["fan calls send add 9 times in a row"]
    nodes[1].kind = "template"
    titles = {finding.title for finding in findings(transactions(nodes, [], 1), [], 0, "", 2 * S)}
    assert "fan calls redis LPUSH 9 times in a row" in titles


def test_an_n_plus_one_saves_what_the_orm_does_around_it():
    """Where each of its calls was made for one query; what another query shares is split, and callbacks are no ORM."""
    per = {"transactions": 2, "most": 9, "repeated": 2, "repeated_calls": 18, "most_repeated": 9}
    target = "django.db.models.query:QuerySet._fetch_all"
    nodes = [
        node(-1, "GET /orders", [2 * S] * 2, children_ns=S, kind="request", entry=True),
        node(0, "load Customer", [50 * MS] * 18, children_ns=450 * MS, kind="hook", target=target, repeated_ns=900 * MS, **per),
        node(1, "SELECT ?", [20 * MS] * 18, kind="sql", repeated_ns=360 * MS, **per),
    ]
    (found,) = findings(transactions(nodes, [], 1), [], 0, "", 4 * S)
    assert (found.title, found.saving_ns) == ("GET /orders calls SELECT ? 9 times in a row", 800 * MS)
    assert "900 ms in the run, 540 ms of that in the ORM around the calls" in found.evidence
    nodes.append(node(1, "UPDATE ?", [5 * MS] * 18, kind="sql", repeated_ns=90 * MS, **per))
    savings = {found.call: found.time_ns for found in findings(transactions(nodes, [], 1), [], 0, "", 4 * S)}
    assert savings == {"SELECT ?": 720 * MS, "UPDATE ?": 180 * MS}
    nodes[1].target = "shop.signals:saved"
    savings = {found.call: found.time_ns for found in findings(transactions(nodes, [], 1), [], 0, "", 4 * S)}
    assert savings == {"SELECT ?": 360 * MS, "UPDATE ?": 90 * MS}


def test_a_part_that_fails_is_told_all_the_same():
    """A request that could not even be sent: there is no call, and somebody has to know."""
    nodes = [
        node(-1, "job", [S] * 9, children_ns=9 * MS, kind="task", entry=True),
        node(0, "GET host send", [MS] * 9, kind="http", part=True, errors=9),
    ]
    found = findings(transactions(nodes, [], 1), [], 0, "", 9 * S)
    assert [finding.title for finding in found] == ["GET host send fails 100 % of the time in job"]


def test_pages_that_a_script_renders_are_no_finding():
    """198 pages are what such a program is there for; a query from one line as often may be."""

    def titles(kind: str) -> list[str]:
        nodes = [node(-1, "page.html", [S] * 198, kind=kind, sited=True, call_site="/srv/glue.py:216")]
        return [finding.title for finding in findings(transactions(nodes, [], 1), [], 0, "", 200 * S)]

    assert (titles("template"), titles("sql")) == ([], ["page.html is called 198 times"])
