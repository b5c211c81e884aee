"""The call tree is cut into transactions, and what stands out is said in sentences."""

from __future__ import annotations

import json

import pytest
import runs
from runs import MS, node

from hookmon.collector.store import CallSeries, Example, Node
from hookmon.report.findings import findings, location
from hookmon.report.requests import spent_on
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
    child = next(each for each in web["GET /users/<id>"].children if each.call_site.endswith(":31"))
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
        (each.kind, each.severity, each.transaction, each.location) for each in findings(list(web.values()), [], 0, "/srv/shop")
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
    before = {each.id for each in findings(rows, [], 0, "/srv/shop")}
    for child in rows[0].children:
        child.call_site = child.call_site.replace(":31", ":99")
    assert {each.id for each in findings(rows, [], 0, "/srv/shop")} == before
    assert len(before) == 3


@pytest.mark.parametrize(
    ("durations", "kinds"),
    [
        ([MS] * 99 + [50 * MS], ["outlier"]),
        ([MS] * 99 + [9 * MS], []),
        ([20 * MS] * 100, []),
        ([MS] * 10 + [50 * MS], []),
    ],
    ids=["slow once", "too short", "always slow", "too few"],
)
def test_a_call_that_once_took_ten_times_as_long_is_told(durations, kinds):
    """Its slowest against its p95, from 10 ms and 20 calls on."""
    entry = node(-1, "GET /", [MS * 1_000] * 100, children_ns=sum(durations), kind="request", entry=True)
    rows = transactions([entry, node(0, "SELECT", durations, kind="sql")], [], 1)
    assert [each.kind for each in findings(rows, [], 0, "")] == kinds


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
    assert [each.kind for each in findings(transactions(nodes, [], 1), [], 0, "")] == kinds


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
    assert [each.title for each in findings([], [row], 1_000 * MS, "")] == ([title] if title else [])
