"""The packs of databases that are no server of the tests: DuckDB's own log, a real ClickHouse where there is one, and stubs."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.servers import Postgres, _free_port, wait_for_port
from support.stubs import Answer, BoltStub, HttpStub, json_answer

from .conftest import ENGINE, Compared
from .hooked import version_of


def queries(calls: dict[str, int]) -> dict[str, int]:
    """Leave out the fetching of rows, which is a part of a query."""
    return {name: count for name, count in calls.items() if not name.endswith(" fetch")}


DUCKDB = """
    import duckdb
    database = duckdb.connect()
    if hasattr(duckdb, "version_info") or duckdb.__version__ >= "1.3": database.execute("CALL enable_logging('QueryLog')")
    database.execute("CREATE TABLE item (n int, s varchar)")
    database.execute("INSERT INTO item VALUES (1, 'a'), (2, 'b')")
    database.executemany("INSERT INTO item VALUES (?, ?)", [[3, SECRET], [4, SECRET]])
    print(database.execute("SELECT n FROM item WHERE s = $s", {"s": SECRET}).fetchall())
    big = database.sql(f"SELECT n FROM item WHERE n > 2 AND s = '{SECRET}'")
    print(database.sql("SELECT count(*) FROM big").fetchall())  # the variable of this name
    print(database.execute("SELECT max(n) FROM big").fetchone())
    database.begin()
    database.sql("CREATE TABLE other AS SELECT * FROM item")
    database.commit()
    try: database.execute(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
    except duckdb.Error as error: print(type(error).__name__)
    print(duckdb.execute("SELECT 1").fetchall())
"""


def test_statements_of_duckdb_are_counted(compared: Compared):
    """A variable is still found as a table: the pure engine, with which it would not be, leaves execute() alone."""
    if ENGINE.get("HOOKMON_ENGINE") == "pure":
        pytest.skip("the pure engine does not watch what looks at the variables of its caller")
    under = compared(DUCKDB, needs=["duckdb"], env={})
    calls = queries(under.calls("sql"))
    calls.pop("CALL enable_logging(?)", None)
    assert (calls.pop("duckdb connect"), under.errors("sql")) == (1, {"SELECT nothing FROM item WHERE s = ?": 1})
    relations = {name: calls.pop(name) for name in list(calls) if name.startswith("WITH ") or "FROM big" in name or ">" in name}
    assert sum(relations.values()) == (
        2 if version_of("duckdb") >= (2, 0) else 3
    )  # before 2.0 a query that is asked for alone, too
    assert calls == {
        "CREATE TABLE item (n int, s varchar)": 1,
        "INSERT INTO item VALUES (?, …), …": 1,
        "INSERT INTO item VALUES (?, …)": 1,
        "SELECT n FROM item WHERE s = $s": 1,
        "BEGIN": 1,
        "CREATE TABLE other AS SELECT * FROM item": 1,
        "COMMIT": 1,
        "SELECT nothing FROM item WHERE s = ?": 1,
        "SELECT ?": 1,
    }


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The ports of a ClickHouse server that logs each statement: its own protocol's, and that of HTTP."""
    program = shutil.which("clickhouse-server") or shutil.which("clickhouse-server", path="/usr/sbin")
    if program is None:
        pytest.skip("ClickHouse is not on this machine (apt-get install clickhouse-server)")
    native, http = _free_port(), _free_port()
    (tmp_path / "users.xml").write_text(
        "<yandex><profiles><default><log_queries>1</log_queries></default></profiles><quotas><default/></quotas><users><default>"
        "<password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>"
    )
    log = "<database>system</database><table>query_log</table><flush_interval_milliseconds>100</flush_interval_milliseconds>"
    (tmp_path / "config.xml").write_text(
        f"<yandex><logger><level>none</level></logger><listen_host>127.0.0.1</listen_host><tcp_port>{native}</tcp_port>"
        f"<http_port>{http}</http_port><path>{tmp_path}/data/</path><tmp_path>{tmp_path}/tmp/</tmp_path><users_config>users.xml</users_config>"
        f"<default_profile>default</default_profile><default_database>default</default_database><mark_cache_size>9999999</mark_cache_size>"
        f"<query_log>{log}</query_log></yandex>"
    )
    process = subprocess.Popen(
        [program, f"--config-file={tmp_path}/config.xml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for_port(native, process)
    yield native, http
    process.terminate()
    process.wait()


CLICKHOUSE = """
    import os
    from clickhouse_driver import Client, dbapi
    client = Client("127.0.0.1", port=int(os.environ["PORT"]))
    client.execute("DROP TABLE IF EXISTS item")
    client.execute("CREATE TABLE item (n Int32, s String) ENGINE = Memory")
    for n in range(3): print(client.execute("INSERT INTO item (n, s) VALUES", [(n, SECRET), (n, "x")]))
    print(client.execute("SELECT n FROM item WHERE s = %(s)s AND n IN (1, 2)", {"s": SECRET}))
    print(len(list(client.execute_iter("SELECT n FROM item"))))
    client.execute(f"INSERT INTO item FORMAT TSV\\n7\\t{SECRET}") if os.environ.get("TSV") else None
    cursor = dbapi.connect(f"clickhouse://127.0.0.1:{os.environ['PORT']}").cursor()
    cursor.execute("SELECT count(*) FROM item")
    print(cursor.fetchall())
    try: client.execute(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
    except Exception as error: print(type(error).__name__)
"""


def test_statements_of_clickhouse_are_those_that_the_server_logged(clickhouse: tuple[int, int], compared: Compared):
    """A query_log of a real server; what its DB API sends goes the same way, and counts once."""
    native, http = clickhouse
    began = time.time()

    def remember() -> None:
        nonlocal began
        time.sleep(1.5)  # its log tells times by the second
        began = time.time()

    under = compared(CLICKHOUSE, needs=["clickhouse_driver"], env={"PORT": str(native)}, before=remember)
    calls = under.calls("sql")
    assert calls.pop("clickhouse connect") == 2
    assert calls == {
        "DROP TABLE IF EXISTS item": 1,
        "CREATE TABLE item (n Int32, s String) ENGINE = Memory": 1,
        "INSERT INTO item (n, s) VALUES": 3,
        "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
        "SELECT n FROM item": 1,
        "SELECT count(*) FROM item": 1,
        "SELECT nothing FROM item WHERE s = ?": 1,
    }
    assert under.errors("sql") == {"SELECT nothing FROM item WHERE s = ?": 1}
    question = (
        f"SELECT count() FROM system.query_log WHERE type != 2 AND query NOT LIKE '%query_log%' AND event_time >= {int(began)}"
    )
    assert _ask_until(http, question, str(sum(calls.values())))


def _ask_until(port: int, question: str, wanted: str) -> bool:
    """Ask ClickHouse over HTTP until it answers what is wanted: its log is written now and then."""
    from urllib.request import urlopen

    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", question.encode()) as answer:
                if answer.read().decode().strip() == wanted:
                    return True
        except OSError:  # before the first statement there is no log
            pass
        time.sleep(0.2)
    return False


OVER_HTTP = {
    "clickhouse_connect": """
        import asyncio, os, clickhouse_connect
        where = dict(host="127.0.0.1", port=int(os.environ["URL"].rpartition(":")[2]))
        client = clickhouse_connect.get_client(**where)
        client.command("CREATE TABLE item (n Int32, s String) ENGINE = Memory")
        for n in range(3): print(client.query("SELECT n FROM item WHERE s = {s:String}", parameters={"s": SECRET}).result_rows)
        print(client.query("SELECT n FROM item WHERE s = %(s)s AND n = 7", parameters={"s": SECRET}).result_rows)
        client.raw_insert("item", ["n", "s"], f"7\\t{SECRET}", fmt="TSV")
        try: client.command(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
        except Exception as error: print(type(error).__name__)
        """,
    "trino": """
        import os, trino
        port = int(os.environ["URL"].rpartition(":")[2])
        connection = trino.dbapi.connect(host="127.0.0.1", port=port, user=SECRET, catalog="shop")
        cursor = connection.cursor()
        for n in range(3): print(cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}'").fetchall())
        cursor.execute("SELECT n FROM item WHERE n IN (1, 2)")
        print(cursor.fetchone())
        try: cursor.execute(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
        except trino.exceptions.TrinoUserError as error: print(error.error_name)
        """,
    "snowflake": """
        import os, logging, warnings; warnings.simplefilter("ignore"); import snowflake.connector as driver
        logging.disable()
        port = int(os.environ["URL"].rpartition(":")[2])
        where = dict(account="shop", host="127.0.0.1", port=port, protocol="http", user=SECRET, password=SECRET)
        connection = driver.connect(**where, session_parameters={"CLIENT_TELEMETRY_ENABLED": False}, login_timeout=20)
        cursor = connection.cursor()
        for n in range(3): print(cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}'").fetchall())
        print(cursor.execute("SELECT n FROM item WHERE n = %s", (7,)).fetchone())
        try: cursor.execute(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
        except driver.errors.ProgrammingError as error: print(error.errno)
        connection.close()
        """,
    "bigquery": """
        import os
        from google.api_core.exceptions import BadRequest
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery
        options = {"api_endpoint": os.environ["URL"]}
        client = bigquery.Client(project="shop", credentials=AnonymousCredentials(), client_options=options)
        for n in range(3): print([row.n for row in client.query(f"SELECT n FROM item WHERE s = '{SECRET}'").result()])
        try: client.query(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
        except BadRequest as error: print(error.code)
        print(len(list(client.list_datasets())))
        """,
}
HTTP_CALLS = {  # library: (what is imported, statements, calls of HTTP that are no statement's)
    "clickhouse_connect": (
        "clickhouse_connect",
        {
            "CREATE TABLE item (n Int32, s String) ENGINE = Memory": 1,
            "SELECT n FROM item WHERE s = {s:String}": 3,
            "SELECT n FROM item WHERE s = ? AND n = ?": 1,
            "INSERT INTO item": 1,
            "SELECT nothing FROM item WHERE s = ?": 1,
        },
        {},
    ),
    "trino": (
        "trino",
        {
            "SELECT n FROM item WHERE s = ?": 3,
            "SELECT n FROM item WHERE n IN (?, …)": 1,
            "SELECT nothing FROM item WHERE s = ?": 1,
        },
        {},
    ),
    "snowflake": (
        "snowflake.connector",
        {"SELECT n FROM item WHERE s = ?": 3, "SELECT n FROM item WHERE n = ?": 1, "SELECT nothing FROM item WHERE s = ?": 1},
        {},
    ),
    "bigquery": (
        "google.cloud.bigquery",
        {"SELECT n FROM item WHERE s = ?": 3, "SELECT nothing FROM item WHERE s = ?": 1},
        {"GET 127.0.0.1:* projects": 1},
    ),
}


def answer(method: str, path: str, body: bytes) -> Answer:
    """Answer as ClickHouse, Trino, Snowflake or BigQuery would, as far as their clients look."""
    fails = b"nothing" in body
    if path == "/v1/statement":
        failure = {"errorCode": 1, "errorName": "COLUMN_NOT_FOUND", "errorType": "USER_ERROR", "message": "no"}
        more = (
            {"error": failure}
            if fails
            else {
                "columns": [{"name": "n", "type": "integer", "typeSignature": {"rawType": "integer", "arguments": []}}],
                "data": [[7]],
            }
        )
        return json_answer({"id": "1", "infoUri": "http://x/", "stats": {"state": "FAILED" if fails else "FINISHED"}} | more)
    if path.startswith("/session/v1/login-request"):
        data = {"token": "t", "masterToken": "m", "validityInSeconds": 3600, "parameters": [], "sessionInfo": {}, "sessionId": 1}
        return json_answer({"success": True, "data": data | {"masterValidityInSeconds": 14400}, "code": None, "message": None})
    if path.startswith("/queries/v1/query-request"):
        column = {"name": "N", "type": "fixed", "nullable": True, "scale": 0, "precision": 9, "length": None, "byteLength": None}
        data = {"rowtype": [column], "rowset": [["7"]], "total": 1, "returned": 1, "queryId": "q", "parameters": []}
        data |= {"queryResultFormat": "json", "statementTypeId": 4096, "sqlState": "00000"}
        return json_answer(
            {"success": not fails, "code": "000904" if fails else None, "message": "no" if fails else None, "data": data}
        )
    if path.startswith("/bigquery/"):
        return _bigquery(path, body, fails)
    if path == "/":  # ClickHouse
        if fails:
            return 404, {"X-ClickHouse-Exception-Code": "47"}, b"Code: 47. DB::Exception: no"
        return 200, {"Content-Type": "text/plain"}, b"24.8.1.1\tUTC\n" if b"version()" in body else b""
    return json_answer({"success": True, "data": {}, "code": None, "message": None})


def _bigquery(path: str, body: bytes, fails: bool) -> Answer:
    if fails:
        return json_answer(
            {"error": {"code": 400, "message": "no", "errors": [{"reason": "invalidQuery", "message": "no"}]}}, 400
        )
    job = {
        "jobReference": {"projectId": "shop", "jobId": "j", "location": "EU"},
        "status": {"state": "DONE"},
        "statistics": {"query": {"statementType": "SELECT"}},
    }
    table = {"projectId": "shop", "datasetId": "d", "tableId": "t"}
    schema = {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]}
    if path.endswith("/jobs"):
        asked = json.loads(body)["configuration"]["query"]
        return json_answer(job | {"configuration": {"query": asked | {"destinationTable": table}, "jobType": "QUERY"}})
    if path.endswith("/datasets"):
        return json_answer({"datasets": []})
    rows = {"rows": [{"f": [{"v": "7"}]}], "totalRows": "1", "jobComplete": True, "schema": schema}
    return json_answer(
        rows
        | {"jobReference": job["jobReference"], "configuration": {"query": {"destinationTable": table}}}
        | {"status": {"state": "DONE"}}
    )


@pytest.fixture
def sql_api() -> Iterator[HttpStub]:
    """A server that has counted nothing yet."""
    stub = HttpStub(answer)
    yield stub
    stub.stop()


@pytest.mark.parametrize("library", OVER_HTTP)
def test_a_statement_that_goes_by_http_is_one_statement(library: str, sql_api: HttpStub, compared: Compared) -> None:
    """And its requests are no calls of their own, whatever speaks HTTP for it."""
    module, statements, requests = HTTP_CALLS[library]
    under = compared(OVER_HTTP[library], needs=[module], env={"URL": sql_api.url}, before=sql_api.reset)
    calls = under.calls("sql")
    assert {name: calls.pop(name, 0) for name in statements} == statements
    assert under.errors("sql") == {"SELECT nothing FROM item WHERE s = ?": 1}
    http = {name: count for name, count in under.calls("http").items() if not name.endswith(("pool wait", " connect", " body"))}
    assert http == requests
    assert sql_api.total() >= sum(statements.values())


NEO4J = """
    import asyncio, os
    from neo4j import AsyncGraphDatabase, GraphDatabase
    from neo4j.exceptions import ClientError
    where = dict(uri=os.environ["URL"], auth=(SECRET, SECRET))
    with GraphDatabase.driver(**where) as driver:
        with driver.session(database="shop") as session:
            for n in range(3): print(session.run("MATCH (p:Person {name: $name}) RETURN p", name=SECRET).single()[0])
            print(session.execute_read(lambda t: t.run(f"MATCH (p) WHERE p.name = '{SECRET}' RETURN p LIMIT 7").data()))
            with session.begin_transaction() as transaction:
                transaction.run("CREATE (p:Person {name: $name})", name=SECRET)
                transaction.rollback()
            try: session.run(f"MATCH (p) WHERE p.nothing = '{SECRET}' RETURN p").consume()
            except ClientError as error: print(error.code)
    async def main():
        async with AsyncGraphDatabase.driver(**where) as driver, driver.session(database="shop") as session:
            for n in range(2):
                result = await session.run("MATCH (p:Person {name: $name}) RETURN p", name=SECRET)
                print((await result.single())[0])
    asyncio.run(main())
"""


def test_statements_of_neo4j_are_those_that_reach_a_stub_of_bolt(compared: Compared):
    """Those of sessions and of transactions, and how these end; never what is asked for."""
    stub = BoltStub()
    try:
        url = f"bolt://127.0.0.1:{stub.port}"
        under = compared(NEO4J, needs=["neo4j"], env={"URL": url}, before=stub.statements.clear)
    finally:
        stub.stop()
    calls = queries(under.calls("sql"))
    assert calls == {
        "MATCH (p:Person {name: $name}) RETURN p": 5,
        "MATCH (p) WHERE p.name = ? RETURN p LIMIT ?": 1,
        "CREATE (p:Person {name: $name})": 1,
        "MATCH (p) WHERE p.nothing = ? RETURN p": 1,
        "COMMIT": 1,
        "ROLLBACK": 1,
    }
    begins = stub.statements.pop("BEGIN")
    assert (begins, sum(stub.statements.values())) == (2, sum(calls.values()))


REDSHIFT = """
    import os, redshift_connector as driver, warnings
    warnings.simplefilter("ignore")  # before 2.1, of each transaction that it begins
    where = dict(host="127.0.0.1", port=int(os.environ["PORT"]), database="postgres", user="postgres", ssl=False)
    connection = driver.connect(password=SECRET, **where)
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE item (n int, s text)")
    for n in range(3): cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
    cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2)")
    print(cursor.fetchall())
    connection.commit()
    try: cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
    except driver.Error as error: print(type(error).__name__)
    connection.rollback()
    connection.close()
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server whose protocol is that of Redshift."""
    server = Postgres()
    yield server
    server.stop()


class RedshiftGreeting(socketserver.StreamRequestHandler):
    """Passes a connection on to PostgreSQL, with a greeting that has none of the parameters that only Redshift knows."""

    port = 0

    def handle(self) -> None:
        size, version = struct.unpack(">II", self.rfile.read(8))
        words = self.rfile.read(size - 8).split(b"\0")
        known = [(name, value) for name, value in zip(words[::2], words[1::2], strict=False) if name in (b"user", b"database")]
        greeting = b"".join(name + b"\0" + value + b"\0" for name, value in known) + b"\0"
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            server.sendall(struct.pack(">II", len(greeting) + 8, version) + greeting)
            back = threading.Thread(target=self.carry, args=(server.recv, self.connection.sendall))
            back.start()
            self.carry(self.rfile.read1, server.sendall)
            server.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def carry(receive: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
        """Carry bytes one way until either side has enough."""
        with contextlib.suppress(OSError):
            while data := receive(65536):
                send(data)


def test_statements_of_redshift_are_those_that_postgresql_counted(postgres: Postgres, compared: Compared):
    """Redshift's driver speaks to PostgreSQL, too, but for its greeting; PostgreSQL's own counts are the truth."""
    handler = type("Handler", (RedshiftGreeting,), {"port": postgres.port})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, args=(0.01,)).start()
        env = {"PORT": str(proxy.server_address[1])}
        under = compared(REDSHIFT, needs=["redshift_connector"], env=env, before=postgres.reset)
        proxy.shutdown()
    calls = under.calls("sql")
    assert calls.pop("redshift connect") == 1
    assert calls == {
        "CREATE TEMPORARY TABLE item (n int, s text)": 1,
        "INSERT INTO item VALUES (?, …)": 3,
        "COMMIT": 1,
        "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
        "SELECT nothing FROM item WHERE s = ?": 1,
        "ROLLBACK": 1,
    }
    server = postgres.statements()
    assert sum(count for text, count in server.items() if text.startswith("INSERT INTO item")) == 3
    assert sum(count for text, count in server.items() if text.startswith("SELECT n FROM item")) == 1


ORACLE = """
    import asyncio, oracledb
    sent = []
    class OldOperations:  # before release 26; one for each connection, all of whose statements run one after the other
        fetch_vars, bind_vars, statement = None, (), ""
        def __init__(self, asynchronous=False): self.asynchronous = asynchronous
        def _prepare_for_execute(self, owner, statement, *what): self.statement = statement
        def _prepare_for_executemany(self, owner, statement, parameters):
            self.statement = statement
            return len(parameters)
        async def answer_later(self): pass
        def execute(self, *what):
            sent.append("execute")
            if "nothing" in self.statement: raise oracledb.DatabaseError("no")
            return self.answer_later() if self.asynchronous else None
        def executemany(self, *what): return self.execute()
        def commit(self):
            sent.append("commit")
            return self.answer_later() if self.asynchronous else None
        def rollback(self): sent.append("rollback")
        def create_cursor_impl(self, scrollable): return self
        def close(self, in_del=False): pass
    class Operations:
        def __init__(self, asynchronous=False): pass
        def process_sync_operation(self, owner, name, args, keywords):
            sent.append(name)
            if "nothing" in str(args): raise oracledb.DatabaseError("no")
        async def process_async_operation(self, *what): return self.process_sync_operation(*what)
        def create_cursor_impl(self, scrollable): return self
        def close(self, in_del=False): pass
    def connected(kind):
        connection = kind.__new__(kind)
        operations = Operations if int(oracledb.__version__.split(".")[0]) >= 26 else OldOperations
        connection._impl, connection._pool = operations(kind is oracledb.AsyncConnection), None
        return connection
    connection = connected(oracledb.Connection)
    cursor = connection.cursor()
    for n in range(3): cursor.execute("INSERT INTO item VALUES (:1, :2)", [n, SECRET])
    cursor.executemany("INSERT INTO item VALUES (:1, :2)", [[n, SECRET] for n in range(3)])
    cursor.execute(f"SELECT n FROM item WHERE s = q'[{SECRET}]' AND n = 7")
    cursor.callproc("restock", [SECRET])
    connection.commit()
    try: cursor.execute(f"SELECT nothing FROM item WHERE s = '{SECRET}'")
    except oracledb.DatabaseError as error: print(error)
    connection.rollback()
    async def main():
        connection = connected(oracledb.AsyncConnection)
        cursor = connection.cursor()
        for n in range(2): await cursor.execute(statement="SELECT n FROM item WHERE s = :s", parameters={"s": SECRET})
        await connection.commit()
    asyncio.run(main())
    print(sent)
    try: oracledb.connect(user="shop", password=SECRET, dsn="127.0.0.1:1/shop")
    except oracledb.Error as error: print(type(error).__name__)
"""


def test_statements_of_oracledb_are_those_that_its_protocol_is_asked_for(compared: Compared):
    """There is no server: a stub stands for what the library has in C. A connection that nobody answers is a real one."""
    under = compared(ORACLE, needs=["oracledb"], env={})
    assert under.calls("sql") == {
        "INSERT INTO item VALUES (?, …)": 4,
        "SELECT n FROM item WHERE s = ? AND n = ?": 1,
        "CALL restock": 1,
        "COMMIT": 2,
        "SELECT nothing FROM item WHERE s = ?": 1,
        "ROLLBACK": 1,
        "SELECT n FROM item WHERE s = ?": 2,
        "oracledb connect": 1,
    }
    assert under.errors("sql") == {"SELECT nothing FROM item WHERE s = ?": 1, "oracledb connect": 1}
