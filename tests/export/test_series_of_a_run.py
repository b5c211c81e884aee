"""Rows of snapshots: names and attributes, a bounded number of series, and counts that never fall."""

from __future__ import annotations

from itertools import pairwise
from time import monotonic_ns

import pytest

from hookmon.collector.counters import CallKey, Counters, Totals
from hookmon.collector.feed import LiveProcess, Snapshot
from hookmon.collector.metrics import Signal
from hookmon.config.exports import systems
from hookmon.config.packs import read_packs
from hookmon.core.histogram import bucket_of
from hookmon.export import names
from hookmon.export.classic import bounds_of, cumulative
from hookmon.export.metrics import Metrics
from hookmon.export.rows import OVERFLOW, Resource, Row, Spread

RESOURCE = Resource((("service.instance.id", "i"), ("service.name", "s")), 1_000)
SYSTEMS = systems(read_packs([]))
MS = 1_000_000


def counters(*durations_ns: int, errors: int = 0) -> Counters:
    """Return the counters of calls."""
    buckets: dict[int, int] = {}
    for duration_ns in durations_ns:
        buckets[bucket_of(duration_ns)] = buckets.get(bucket_of(duration_ns), 0) + 1
    whole = sum(durations_ns)
    least, most = min(durations_ns, default=0), max(durations_ns, default=0)
    found = Counters(len(durations_ns), errors, whole, whole, least, most, histograms=[buckets])
    found.spent_ns, found.spent_calls = whole, len(durations_ns)
    return found


def snapshot(
    calls: dict[tuple[str, str, str], Counters] | None = None,
    transactions: dict[tuple[str, str, str], Counters] | None = None,
    **more: object,
) -> Snapshot:
    """Return a snapshot of now."""
    totals = Totals(
        {CallKey(*key): found for key, found in (calls or {}).items()},
        Counters(),
        {CallKey(*key): found for key, found in (transactions or {}).items()},
    )
    return Snapshot(monotonic_ns(), totals, **more)  # type: ignore[arg-type]


def export(metrics: Metrics, found: Snapshot) -> list[Row]:
    """Return the rows of a state that is confirmed by being read twice."""
    metrics.export(found)
    return metrics.export(found).rows


def row_of(rows: list[Row], name: str, **attributes: object) -> Row:
    """Return the only row of an instrument with these attributes; dots are underscores."""
    found = [
        row
        for row in rows
        if row.instrument.name == name
        and all(dict(row.attributes).get(key.replace("_", ".")) == value for key, value in attributes.items())
    ]
    assert len(found) == 1, (name, attributes, [(row.instrument.name, row.attributes) for row in rows])
    return found[0]


TRANSACTIONS = {
    ("GET /users/<id>", "request"): ("http.server.request.duration", {"http.request.method": "GET", "http.route": "/users/<id>"}),
    ("POST (no route)", "request"): ("http.server.request.duration", {"http.request.method": "POST"}),
    ("OTHER (no route)", "request"): ("http.server.request.duration", {"http.request.method": "_OTHER"}),
    ("PROPFIND /dav", "request"): ("http.server.request.duration", {"http.request.method": "_OTHER", "http.route": "/dav"}),
    ("WEBSOCKET /chat", "request"): (
        "hookmon.transaction.duration",
        {"hookmon.transaction.name": "WEBSOCKET /chat", "hookmon.transaction.kind": "request"},
    ),
    ("shop.tasks.pay", "task"): (
        "hookmon.transaction.duration",
        {"hookmon.transaction.name": "shop.tasks.pay", "hookmon.transaction.kind": "task"},
    ),
    ("(other)", "request"): ("http.server.request.duration", {"otel.metric.overflow": True}),
}


STATUSES = {
    0: {},
    200: {"http.response.status_code": 200},
    404: {"http.response.status_code": 404},
    503: {"http.response.status_code": 503, "error.type": "503"},
    5: {"http.response.status_code": "5xx", "error.type": "5xx"},
    2: {"http.response.status_code": "2xx"},
}


@pytest.mark.parametrize("status", STATUSES)
def test_requests_have_their_status(status: int):
    """From 500 on it is an error; that of a class is no number."""
    _, attributes = names.name_transaction(CallKey("GET /a", "request", "m:f"), status)
    assert dict(attributes) == {"http.request.method": "GET", "http.route": "/a", **STATUSES[status]}


def test_requests_are_told_apart_by_status_while_there_is_room():
    """Three quarters of the budget are for statuses, then they are counted by class; each request is counted once."""
    metrics = Metrics(RESOURCE, {}, histograms=8)
    found = snapshot()
    for at in range(10):
        key = CallKey(f"GET /{at}", "request", "m:f")
        found.totals.by_transaction[key] = counters(MS, MS, MS, 9 * MS)  # the last one has no status yet
        found.totals.by_status |= {(key, 200): counters(MS), (key, 404): counters(MS, MS)}
    for _ in range(2):
        rows = [row for row in export(metrics, found) if row.instrument == names.SERVER]
        spreads = [(dict(row.attributes), row.spread.count) for row in rows if row.spread]
        assert sum(count for _, count in spreads) == 30
        assert sum(type(attributes.get("http.response.status_code")) is int for attributes, _ in spreads) == 6
        assert [attributes for attributes, _ in spreads].count(dict(OVERFLOW)) == 1
        assert len(rows) == 9


@pytest.mark.parametrize(("name", "kind"), TRANSACTIONS)
def test_transactions_have_the_names_of_the_conventions(name: str, kind: str):
    """Requests by method and route; no route is no attribute."""
    instrument, attributes = names.name_transaction(CallKey(name, kind, "m:f"))
    assert (instrument.name, dict(attributes)) == TRANSACTIONS[name, kind]


HTTP, DB, CALL = "http.client.request.duration", "db.client.operation.duration", "hookmon.call.duration"
CALLS: dict[tuple[str, str, str], tuple[str | None, dict[str, object]]] = {
    ("GET api.shop.com", "http", "requests.sessions:Session.send"): (
        HTTP,
        {"http.request.method": "GET", "server.address": "api.shop.com"},
    ),
    ("POST 127.0.0.1:8080", "http", "httpx:Client.send"): (
        HTTP,
        {"http.request.method": "POST", "server.address": "127.0.0.1", "server.port": 8080},
    ),
    ("PUT [::1]:*", "http", "httpx:Client.send"): (HTTP, {"http.request.method": "PUT", "server.address": "::1"}),
    ("urlopen shop.com", "http", "urllib.request:OpenerDirector.open"): (
        HTTP,
        {"http.request.method": "_OTHER", "server.address": "shop.com"},
    ),
    ("http body", "http", "httpx:Response.iter_raw"): (CALL, {"hookmon.call.name": "http body", "hookmon.call.kind": "http"}),
    ("SELECT cents FROM product WHERE sku = ?", "sql", "sqlite3.dbapi2:Cursor.execute"): (
        DB,
        {"db.system.name": "sqlite", "db.operation.name": "SELECT", "db.collection.name": "product"},
    ),
    ("insert into shop.sale values (?, …)", "sql", "psycopg:Cursor.execute"): (
        DB,
        {"db.system.name": "postgresql", "db.operation.name": "INSERT", "db.collection.name": "shop.sale"},
    ),
    ("SELECT a FROM b JOIN c ON d", "sql", "pymysql.cursors:Cursor.execute"): (
        DB,
        {"db.system.name": "mysql", "db.operation.name": "SELECT"},
    ),
    ('CREATE TABLE IF NOT EXISTS "stock" (…)', "sql", "sqlite3.dbapi2:Cursor.execute"): (
        DB,
        {"db.system.name": "sqlite", "db.operation.name": "CREATE", "db.collection.name": "stock"},
    ),
    ("COMMIT", "sql", "asyncpg.connection:Connection.x"): (DB, {"db.system.name": "postgresql", "db.operation.name": "COMMIT"}),
    ("SELECT 1", "sql", "acme:Cursor.execute"): (DB, {"db.system.name": "other_sql", "db.operation.name": "SELECT"}),
    ("psycopg connect", "sql", "psycopg.connection:Connection.connect"): (
        CALL,
        {"hookmon.call.name": "psycopg connect", "hookmon.call.kind": "sql"},
    ),
    ("strange 'statement' of somebody", "sql", "acme:run"): (CALL, {"hookmon.call.name": "strange", "hookmon.call.kind": "sql"}),
    ("redis GET", "cache", "redis.client:Redis.execute_command"): (DB, {"db.system.name": "redis", "db.operation.name": "GET"}),
    ("redis pool wait", "cache", "redis.connection:B.get_connection"): (
        CALL,
        {"hookmon.call.name": "redis pool wait", "hookmon.call.kind": "cache"},
    ),
    ("find users", "cache", "pymongo.collection:Collection.find"): (
        DB,
        {"db.system.name": "mongodb", "db.operation.name": "find", "db.collection.name": "users"},
    ),
    ("send mail", "queue", "celery:Task.apply_async"): (CALL, {"hookmon.call.name": "send mail", "hookmon.call.kind": "queue"}),
    ("quote", "function", "shop:quote"): (None, {"hookmon.call.name": "quote", "hookmon.call.kind": "function"}),
}


@pytest.mark.parametrize("key", CALLS, ids=lambda key: key[0][:20])
def test_calls_have_the_names_of_the_conventions(key: tuple[str, str, str]):
    """Never the text of a statement; functions have no histogram."""
    instrument, attributes = names.name_call(CallKey(*key), SYSTEMS)
    assert (instrument.name if instrument else None, dict(attributes)) == CALLS[key]


def test_statements_of_one_table_are_one_series():
    """Their counts, sums and extremes are added up."""
    calls = {
        (f"SELECT {column} FROM product", "sql", "sqlite3.dbapi2:Cursor.execute"): counters(MS, at * MS)
        for at, column in enumerate("abc", 2)
    }
    rows = export(Metrics(RESOURCE, SYSTEMS), snapshot(calls))
    spread = row_of(rows, DB, db_collection_name="product").spread
    assert spread is not None
    assert (spread.count, sum(spread.buckets.values())) == (6, 6)
    assert (spread.sum, spread.min, spread.max) == (pytest.approx(0.012), 0.001, 0.004)
    assert row_of(rows, "hookmon.call.count", db_collection_name="product").value == 6


def test_an_index_is_opentelemetrys():
    """A second exactly is the upper bound of bucket -1."""
    one = {("job", "task", "m:f"): counters(10**9, 10**9 + 1)}
    spread = row_of(export(Metrics(RESOURCE, {}), snapshot(transactions=one)), "hookmon.transaction.duration").spread
    assert spread is not None
    assert spread.buckets == {-1: 1, 0: 1}


def test_counts_never_fall():
    """What shrinks for a moment keeps its largest value, and each bucket its own."""
    metrics = Metrics(RESOURCE, {})
    key = ("job", "task", "m:f")
    export(metrics, snapshot({key: counters(MS, 2 * MS, errors=2)}, {key: counters(MS, 2 * MS)}))
    rows = export(metrics, snapshot({key: counters(5 * MS, errors=1)}, {key: counters(5 * MS)}))
    spread = row_of(rows, "hookmon.transaction.duration").spread
    assert spread is not None
    assert (spread.count, sum(spread.buckets.values()), spread.min, spread.max) == (3, 3, 0.001, 0.005)
    assert spread.sum == pytest.approx(0.005)
    assert row_of(rows, "hookmon.call.count").value == 2
    assert row_of(rows, "hookmon.call.errors").value == 2


def test_a_call_that_was_read_twice_while_it_moved_is_not_exported():
    """Not even for a moment: a backend would keep it. What both snapshots have is exported, with the moment of the first."""
    metrics = Metrics(RESOURCE, {})
    job, redis = ("job", "task", "m:f"), ("redis GET", "cache", "m:g")
    true = {job: counters(MS, MS), redis: counters(2 * MS)}
    torn = {job: counters(MS, MS), redis: counters(2 * MS, 3 * MS, 2 * MS)}
    more = {job: counters(MS, MS, MS), redis: counters(2 * MS, 2 * MS)}
    found = []
    for calls in (true, torn, true, more, more):
        rows = metrics.export(snapshot(calls, {job: calls[job]})).rows
        counts = [row.value for row in rows if row.instrument.name == "hookmon.call.count"]
        spreads = [row.spread.count for row in rows if row.spread]
        found.append((counts, spreads))
    assert found == [([], []), ([2, 1], [2, 1]), ([2, 1], [2, 1]), ([2, 1], [2, 1]), ([3, 2], [3, 2])]
    first, second = snapshot(more), snapshot(more)
    metrics.export(first)
    second.at_ns = first.at_ns + 10**9
    at_ns = metrics.export(second).at_ns
    assert metrics.export(snapshot(more, ended=True)).at_ns > at_ns


def test_the_last_state_is_exported_as_it_is():
    """It is final: a short run has no other one."""
    job = {("job", "task", "m:f"): counters(MS, MS)}
    rows = Metrics(RESOURCE, {}).export(snapshot(job, job, ended=True)).rows
    assert row_of(rows, "hookmon.call.count").value == 2


def test_beyond_the_budget_there_is_one_row_for_the_rest():
    """The first ones keep their rows for good; nothing is lost, and the rest has the attribute that says so."""
    metrics = Metrics(RESOURCE, {}, histograms=3, counters=9)
    first = {(f"job {at}", "task", "m:f"): counters(MS) for at in range(3)}
    more = first | {(f"job {at}", "task", "m:f"): counters(MS, MS) for at in range(3, 40)}
    export(metrics, snapshot(first, first))
    rows = export(metrics, snapshot(more, more))
    durations = [row for row in rows if row.instrument.name == "hookmon.transaction.duration"]
    assert len(durations) == 4
    assert sum(row.spread.count for row in durations if row.spread) == 3 + 2 * 37
    (rest,) = [row for row in durations if row.attributes == OVERFLOW]
    assert rest.spread is not None
    assert rest.spread.count == 74
    assert sum(row.value for row in rows if row.instrument.name == "hookmon.call.count") == 3 + 2 * 37
    assert {dict(row.attributes).get("hookmon.transaction.name") for row in durations} == {"job 0", "job 1", "job 2", None}


def test_calls_that_were_not_timed_are_counted_and_not_in_the_histogram():
    """Whose count has to be the sum of its buckets; its sum is that of what was timed."""
    found = counters(MS, MS)
    found.calls, found.untimed, found.spent_ns, found.spent_calls = 128, 126, 128 * MS, 128
    rows = export(Metrics(RESOURCE, {}), snapshot({("f", "rpc", "m:f"): found}))
    spread = row_of(rows, CALL).spread
    assert spread is not None
    assert (spread.count, spread.sum) == (2, pytest.approx(0.002))
    assert row_of(rows, "hookmon.call.count").value == 128


def test_values_are_cut_and_clean():
    """No control characters, no halves of characters, at most 1,000 bytes."""
    _, attributes = names.name_transaction(CallKey("a\nb\0\x1b[1m\udc80" + "ü" * 500, "task", "m:f"))
    value = dict(attributes)["hookmon.transaction.name"]
    assert isinstance(value, str)
    assert value.isprintable()
    assert len(value.encode()) <= 1_000


def test_a_process_that_is_gone_is_told_once():
    """So that its memory does not stand for minutes where it is shown."""
    metrics = Metrics(RESOURCE, {})
    processes = [LiveProcess(pid, [], "3.13", pid * 10**9, 5, 1) for pid in (7, 8)]
    assert row_of(export(metrics, snapshot(processes=processes)), "process.cpu.time", process_pid=7).value == 7
    rows = export(metrics, snapshot(processes=processes[1:]))
    assert [row.is_over for row in rows if dict(row.attributes).get("process.pid") == 7] == [True] * 3
    assert not any(row.is_over for row in export(metrics, snapshot(processes=processes[1:])))
    metrics.export(snapshot(processes=processes))
    ended = metrics.export(snapshot(ended=True)).rows
    assert {dict(row.attributes)["process.pid"] for row in ended if row.is_over} == {7, 8}


def test_of_very_many_processes_the_rest_is_added_up():
    """64 have rows of their own."""
    processes = [LiveProcess(pid, [], "3.13", 10**9, 5, 1) for pid in range(1, 101)]
    rows = [row for row in export(Metrics(RESOURCE, {}), snapshot(processes=processes)) if row.instrument.unit == "By"]
    assert (len(rows), sum(row.value for row in rows)) == (65, 500)


def test_signals_are_rows_without_their_places():
    """Those of one name are added up; a path is no attribute."""
    half = {bucket_of(5 * 10**8): 1}
    blocked = "loop blocked by f at /srv/app/app.py"
    signals = [Signal(f"{blocked}:{line}", "s", "histogram", 0.5, 1, 0.5, 0.5, buckets=half) for line in (1, 2)]
    signals += [Signal("rows", "1", "histogram", 16.0, 1, 16, 16, buckets={64: 1}), Signal("sent", "By", "counter", 7.0, 2, 0, 0)]
    rows = export(Metrics(RESOURCE, {}), snapshot(signals=signals))
    pause = row_of(rows, "hookmon.signal.duration", hookmon_signal_name="loop blocked by f").spread
    amount = row_of(rows, "hookmon.signal.amount").spread
    assert pause is not None
    assert amount is not None
    assert (pause.count, pause.sum, pause.buckets) == (2, 1.0, {-17: 2})
    assert amount.buckets == {63: 1}  # (2**(63/16), 16]
    assert row_of(rows, "hookmon.signal.total").value == 7
    assert "/srv/app" not in str(rows)


def test_moments_rise_whatever_the_clock_does():
    """A backend refuses two states of one moment, and whole requests with them."""
    metrics = Metrics(RESOURCE, {})
    later, earlier = snapshot(), snapshot()
    earlier.at_ns = later.at_ns - 10**9
    moments = [metrics.export(one).at_ns for one in (later, later, earlier)]
    assert moments == sorted(set(moments))
    assert all(after - before >= MS for before, after in pairwise(moments))


def test_classic_buckets_share_out_the_one_that_a_bound_lies_in():
    """And are monotone, end at most at the count, and grow with it."""
    bounds = bounds_of(names.SERVER)
    before = [0] * len(bounds)
    for count in range(50):
        spread = Spread({-123: count, -60: 2 * count, -16: count, 400: count}, 5 * count, 1.0, 0.0, 9.0)
        found = cumulative(spread, bounds)
        assert found == sorted(found)
        assert all(now >= then for now, then in zip(found, before, strict=True))
        assert found[-1] <= spread.count
        before = found
    assert cumulative(Spread({-1: 3, 0: 4}, 7, 1.0, 0.5, 1.04), (0.5, 1.0, 2.0)) == [0, 3, 7]
