"""The shipped packs against the truth: a server's own count, SQLite's own trace."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from support.runs import PYTHON, Report, Result, bare_run, commands, hookmon_run, write
from support.servers import Valkey

pytestmark = pytest.mark.usefixtures("warm_launcher")


def of_kind(report: Report, kind: str, what: str = "calls") -> dict[str, int]:
    """Return {name: calls} of one kind, or another figure of it, without those that have none."""
    found: Counter[str] = Counter()
    for row in report["calls"]:
        if row["kind"] == kind:
            found[re.sub(r":\d+$", "", row["name"])] += row[what]  # less the port of this time
    return {name: count for name, count in found.items() if count}


def statements_of(report: Report) -> dict[str, int]:
    """Return {statement: calls}, without what the program did not execute by itself: the rows, the ends of transactions."""
    beside = ("sqlite3 fetch", "COMMIT", "ROLLBACK")
    return {name: count for name, count in of_kind(report, "sql").items() if name not in beside}


def both(program: str, folder: Path, **env: str) -> tuple[Result, Result]:
    """Run a program bare and under hookmon; what it prints is the same."""
    write(folder, {"app.py": program})
    environment: dict[str, str | None] = dict(env)
    bare = bare_run([PYTHON, "app.py"], cwd=folder, env=environment)
    under = hookmon_run([PYTHON, "app.py"], cwd=folder, env=environment)
    assert bare.exit_code == 0, bare.stderr
    assert under.seen == bare.seen
    return bare, under


# Redis and Valkey

REDIS_SHAPES = {  # program, the server's commands that pass through execute_command, pipelines
    "plain, strings as commands, errors": (
        """
        client.set("a", 1); client.get("a"); client.execute_command("GET a"); client.execute_command("get", "a")
        client.hset("h", mapping={"x": 1}); client.hgetall("h")
        for call in (lambda: client.lpush("a", 1), lambda: client.execute_command("NONSENSE")):
            try:
                call()
            except redis.ResponseError as error:
                print(type(error).__name__)
        """,
        {"set": 1, "get": 3, "hset": 1, "hgetall": 1, "lpush": 1},
        0,
    ),
    "pipelines": (
        """
        for transaction in (True, False):
            with client.pipeline(transaction=transaction) as pipeline:
                pipeline.set("a", 1).incr("a").get("a")
                print(pipeline.execute())
        with client.pipeline() as pipeline:
            print(pipeline.execute())  # an empty one sends nothing
        """,
        {},
        3,
    ),
    "WATCH and MULTI": (
        """
        def add(pipeline):
            value = int(pipeline.get("a") or 0)
            pipeline.multi()
            pipeline.set("a", value + 1)
        print(client.transaction(add, "a"))
        with client.pipeline() as pipeline:
            pipeline.watch("a")
            client.set("a", 7)
            pipeline.multi()
            pipeline.incr("a")
            try:
                pipeline.execute()
            except redis.WatchError:
                print("changed meanwhile")
        """,
        {"watch": 2, "get": 1, "set": 1},
        2,
    ),
    "publish and subscribe": (
        """
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe("news")
        while subscriber.get_message(timeout=1) is None and not subscriber.subscribed: pass
        for number in range(3):
            client.publish("news", number)
        got = []
        while len(got) < 3:
            message = subscriber.get_message(timeout=1)
            if message: got.append(message["data"])
        print(got)
        subscriber.close()
        """,
        {"subscribe": 1, "publish": 3},
        0,
    ),
    "scripts, scans, blocking": (
        """
        script = client.register_script("return redis.call('GET', KEYS[1])")
        client.set("a", 5)
        print(script(keys=["a"]), script(keys=["a"]))
        client.rpush("l", 1, 2)
        print(client.blpop("l", timeout=1), len(list(client.scan_iter(count=1000))))
        """,
        None,
        0,
    ),
}


@pytest.mark.parametrize("library", ["redis", "valkey"])
@pytest.mark.parametrize(("program", "expected", "pipelines"), REDIS_SHAPES.values(), ids=REDIS_SHAPES)
def test_every_shape_of_client_is_counted(
    program: str, expected: dict[str, int] | None, pipelines: int, library: str, valkey: Valkey, tmp_path: Path
) -> None:
    """Commands, pipelines, transactions and subscriptions of the synchronous client: as many as were made."""
    pytest.importorskip(library)
    head = f"import os, {library} as redis\nclient = redis.from_url(os.environ['REDIS_URL'], decode_responses=True)\n"
    lines = [line[8:] for line in program.strip("\n").splitlines()]
    write(tmp_path, {"app.py": head + "\n".join(lines) + "\nclient.close()\n"})
    env: dict[str, str | None] = {"REDIS_URL": valkey.url}
    bare = bare_run([PYTHON, "app.py"], cwd=tmp_path, env=env)
    valkey.reset()
    under = hookmon_run([PYTHON, "app.py"], cwd=tmp_path, env=env)
    assert (bare.exit_code, under.seen) == (0, bare.seen)
    server = valkey.commands()
    found = commands(under.report)
    found.pop("nonsense", None)
    if expected is None:  # all of them pass through execute_command
        assert found == {name.partition("|")[0]: count for name, count in server.items() if name != "get"} | (
            {"get": found["get"]} if "get" in found else {}
        )
    else:
        assert found == expected
        if not pipelines:
            assert found == {name: server[name] for name in found}
    assert of_kind(under.report, "cache").get(f"{library} pipeline", 0) == pipelines


ASYNC_REDIS = """
    import asyncio, os, {library}.asyncio as redis

    async def main():
        client = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
        await client.set("a", 1)
        for transaction in (True, False):
            async with client.pipeline(transaction=transaction) as pipeline:
                print(await pipeline.set("a", 1).incr("a").execute())
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        await subscriber.subscribe("news")
        reader = asyncio.create_task(anext(aiter(subscriber.listen())))
        await asyncio.sleep(0.05)
        await client.publish("news", "x")
        print((await reader)["data"])
        await subscriber.aclose()
        slow = asyncio.create_task(client.blpop("nothing", timeout=0))
        await asyncio.sleep(0.05)
        slow.cancel()
        try:
            await slow
        except asyncio.CancelledError:
            print("cancelled")
        try:
            await client.lpush("a", 1)
        except redis.ResponseError as error:
            print(type(error).__name__)
        await client.aclose()

    asyncio.run(main())
"""


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_every_shape_of_asyncio_client_is_counted(library: str, valkey: Valkey, tmp_path: Path) -> None:
    """Pipelines, subscriptions, a cancelled and a failed command of the asyncio client: as many as were made."""
    pytest.importorskip(library)
    _, under = both(ASYNC_REDIS.format(library=library), tmp_path, REDIS_URL=valkey.url)
    assert commands(under.report) == {"set": 1, "subscribe": 1, "publish": 1, "blpop": 1, "lpush": 1}
    assert of_kind(under.report, "cache")[f"{library} pipeline"] == 2
    assert of_kind(under.report, "cache", "errors") == {f"{library} LPUSH": 1}  # cancelled is not failed


@pytest.mark.parametrize("library", ["redis", "valkey"])
def test_a_cluster_client_fails_as_it_does(library: str, valkey: Valkey, tmp_path: Path) -> None:
    """The constructor of a cluster client, before a server that is no cluster, raises what it raises without us."""
    pytest.importorskip(library)
    name = library.title() + "Cluster"
    program = f"""
    import asyncio, os, {library}.cluster, {library}.asyncio.cluster

    async def later():
        try:
            await {library}.asyncio.cluster.{name}.from_url(os.environ["REDIS_URL"])
        except Exception as error:
            print(type(error), str(error)[:40])

    try:
        {library}.cluster.{name}.from_url(os.environ["REDIS_URL"])
    except Exception as error:
        print(type(error), str(error)[:40])
    asyncio.run(later())
    """
    bare, under = both(program, tmp_path, REDIS_URL=valkey.url)
    assert len(bare.stdout.splitlines()) == 2
    assert of_kind(under.report, "cache")


# sqlite3

SQLITE_PARTS = {  # program, calls of the API that work on statements
    "connection and cursor": (
        """
        connection.execute("CREATE TABLE t (n INTEGER, s TEXT)")
        cursor = connection.cursor()
        for n in range(20): cursor.execute("INSERT INTO t VALUES (?, ?)", (n, f"text {n}"))
        cursor.executemany("INSERT INTO t VALUES (?, 'x')", [(n,) for n in range(30)])
        connection.executemany("DELETE FROM t WHERE n = ?", [(n,) for n in range(5)])
        print(connection.execute("SELECT count(*) FROM t").fetchone(), cursor.execute("SELECT n FROM t LIMIT 2").fetchall())
        """,
        25,
    ),
    "scripts": (
        """
        connection.executescript("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);")
        connection.cursor().executescript("DELETE FROM t; VACUUM;")
        """,
        2,
    ),
    "factories of its own": (
        """
        class Loud(sqlite3.Cursor):
            def execute(self, sql, *args):
                print("loud", sql)
                return super().execute(sql, *args)

        class Mine(sqlite3.Connection):
            def cursor(self, factory=Loud):
                print("asked for a cursor")
                return super().cursor(factory)

        mine = sqlite3.connect(":memory:", factory=Mine)
        mine.set_trace_callback(trace)
        print(type(mine.execute("SELECT 1")).__name__)
        for arguments in ((), (1,), ("SELECT 1", (), 3)):
            try:
                connection.execute(*arguments)
            except TypeError as error:
                print(error)
        mine.cursor().execute("SELECT 2")
        mine.cursor(sqlite3.Cursor).execute("SELECT 3")
        connection.cursor(Loud).execute("SELECT 4")
        Mine(":memory:").cursor().execute("SELECT 5")
        print(type(mine.cursor()).__name__, type(mine).__mro__[1] is sqlite3.Connection)
        mine.close()
        """,
        8,
    ),
    "context managers, row_factory, errors": (
        """
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE t (n INTEGER UNIQUE)")
        with connection:
            connection.execute("INSERT INTO t VALUES (1)")
        try:
            with connection:
                connection.execute("INSERT INTO t VALUES (2)")
                connection.execute("INSERT INTO t VALUES (1)")
        except sqlite3.IntegrityError as error:
            print(error)
        row = connection.execute("SELECT n AS number FROM t").fetchone()
        print(row["number"], row.keys())
        """,
        5,
    ),
    "Django's way": (
        """
        from sqlite3 import dbapi2 as Database

        class SQLiteCursorWrapper(Database.Cursor):
            def execute(self, query, params=None):
                if params is None:
                    return super().execute(query)
                return super().execute(query.replace("%s", "?"), params)

            def executemany(self, query, param_list):
                return super().executemany(query.replace("%s", "?"), param_list)

        django = Database.connect(":memory:", check_same_thread=False)
        django.set_trace_callback(trace)
        cursor = django.cursor(factory=SQLiteCursorWrapper)
        cursor.execute("CREATE TABLE t (n INTEGER)")
        cursor.execute("INSERT INTO t VALUES (%s)", (1,))
        cursor.executemany("INSERT INTO t VALUES (%s)", [(2,), (3,)])
        print(cursor.execute("SELECT n FROM t").fetchall())
        django.close()
        """,
        4,
    ),
    "dump, backup, blobs, functions": (
        """
        connection.execute("CREATE TABLE t (n BLOB)")
        connection.execute("INSERT INTO t VALUES (zeroblob(4))")
        connection.commit()
        with sqlite3.connect(":memory:") as other:
            connection.backup(other)
            print(other.execute("SELECT count(*) FROM t").fetchone())
        other.close()
        with connection.blobopen("t", "n", 1) as blob: blob.write(b"abcd")
        connection.create_function("twice", 1, lambda n: 2 * n)
        print(connection.execute("SELECT twice(21)").fetchone(), len(connection.serialize()) > 100)
        """,
        4,
    ),
}


@pytest.mark.parametrize(("program", "expected"), SQLITE_PARTS.values(), ids=SQLITE_PARTS)
def test_statements_are_as_many_as_the_program_ran(program: str, expected: int, tmp_path: Path) -> None:
    """Every call that runs statements is counted once; SQLite's own trace shows the same statements with and without us."""
    head = "import sqlite3\nstatements = []\n\ndef trace(statement):\n    statements.append(statement)\n\n"
    head += "connection = sqlite3.connect(':memory:')\nconnection.set_trace_callback(trace)\n"
    body = "\n".join(line[8:] for line in program.strip("\n").splitlines())
    _, under = both(head + body + "\nprint(*statements, sep='\\n')\nconnection.close()\n", tmp_path)
    assert sum(statements_of(under.report).values()) == expected, of_kind(under.report, "sql")


def test_a_dump_is_the_same_and_its_statements_are_counted(tmp_path: Path) -> None:
    """`iterdump`, which works through a cursor, gives the same text and counts what it runs."""
    program = """
    import sqlite3
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); CREATE INDEX i ON t (n);")
    print(*connection.iterdump(), sep="\\\\n")
    connection.close()
    """
    bare, under = both(program, tmp_path)
    assert "INSERT INTO" in bare.stdout
    assert sum(of_kind(under.report, "sql").values()) > 1


def test_sqlalchemy_statements_equal_its_own_count(tmp_path: Path) -> None:
    """Through SQLAlchemy every statement that its events tell of is counted."""
    pytest.importorskip("sqlalchemy")
    program = """
    import sqlalchemy as sa
    from sqlalchemy import event, orm

    class Base(orm.DeclarativeBase): pass

    class Item(Base):
        __tablename__ = "item"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    engine = sa.create_engine("sqlite://")
    executed = []
    event.listen(engine, "before_cursor_execute", lambda *args: executed.append(args[2]))
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Item(name=f"item {n}") for n in range(5)])
        session.commit()
        for n in range(7):
            session.scalars(sa.select(Item).where(Item.id == n)).all()
    print(len(executed))
    engine.dispose()
    """
    bare, under = both(program, tmp_path)
    found = statements_of(under.report)
    own = {name: count for name, count in found.items() if not name.startswith(("PRAGMA", "SELECT ?", "select"))}
    executed = int(bare.stdout)
    pragmas = sum(count for name, count in found.items() if name.startswith("PRAGMA"))
    assert executed - pragmas <= sum(own.values()) <= executed
    assert max(found.values()) == 7


def test_django_queries_equal_its_own_count(tmp_path: Path) -> None:
    """Through Django's sqlite3 backend every query that its log tells of is counted."""
    pytest.importorskip("django")
    program = """
    import django
    from django.conf import settings
    settings.configure(DEBUG=True, DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    django.setup()
    from django.db import connection, models, reset_queries

    class Item(models.Model):
        name = models.CharField(max_length=10)
        class Meta:
            app_label = "shop"

    with connection.schema_editor() as editor:
        editor.create_model(Item)
    reset_queries()
    for n in range(9):
        Item.objects.create(name=f"item {n}")
    print(list(Item.objects.filter(name="item 3").values_list("id", flat=True)), Item.objects.count())
    print(len(connection.queries))
    """
    bare, under = both(program, tmp_path)
    found = {name: count for name, count in of_kind(under.report, "sql").items() if "shop_item" in name and "CREATE" not in name}
    assert sum(found.values()) == int(bare.stdout.split()[-1]) == 11
