"""The packs of PostgreSQL's drivers against a real server, whose own counts are the truth (pg_stat_statements)."""

from __future__ import annotations

from collections import Counter

import pytest
from support.servers import Postgres

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import SECRET, Compared

PSYCOPG = """
    import os, psycopg, uuid
    from psycopg import sql

    with psycopg.connect(os.environ["DSN"]) as connection:
        for _ in range(2): connection.rollback(); connection.commit()  # of an idle connection: nothing is sent
        connection.execute("DROP TABLE IF EXISTS item")
        connection.execute("CREATE TABLE item (n int, s text)")
        cursor = connection.cursor()
        for n in range(5):
            cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
        cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2, 3)")
        print(cursor.fetchall())
        cursor.executemany("INSERT INTO item VALUES (%(n)s, %(s)s)", [{"n": n, "s": SECRET} for n in range(7)])
        parts = {"n": sql.Identifier("n"), "item": sql.Identifier("item"), "s": sql.Literal(SECRET), "p": sql.Placeholder()}
        cursor.execute(sql.SQL("SELECT {n} FROM {item} WHERE s = {s} AND n = {p}").format(**parts), (1,))
        cursor.execute(b"SELECT count(*) FROM item")
        with cursor.copy("COPY item FROM STDIN") as copy:
            for n in range(10):
                copy.write_row((n, SECRET))
        with cursor.copy(f"COPY (SELECT n FROM item WHERE s = '{SECRET}') TO STDOUT") as copy:
            print(len(list(copy)))
        with connection.cursor("named") as server:
            server.execute("SELECT n FROM item WHERE s = %s ORDER BY n", (SECRET,))
            print(server.fetchone(), len(server.fetchmany(3)), len(server.fetchall()))
        try:
            with connection.transaction():
                cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
        except psycopg.Error as error:
            print(type(error).__name__)
        print(list(cursor.stream("SELECT n FROM item LIMIT 2")))
        with connection.pipeline():
            for n in range(4):
                connection.execute("UPDATE item SET s = %s WHERE n = %s", (SECRET, n))
        for made in (f"item_{uuid.uuid4().hex}", f"item_{uuid.uuid4().hex}"):  # as frameworks make names
            for statement in (
                f'SAVEPOINT "{made}"', f'ROLLBACK TO SAVEPOINT "{made}"', f'RELEASE SAVEPOINT "{made}"',
                f"CREATE TEMP TABLE {made} AS SELECT n FROM item", f"LISTEN {made}",
                f"DECLARE {made} CURSOR FOR SELECT n FROM item", f"FETCH 2 FROM {made}", f"CLOSE {made}",
                f"PREPARE {made} AS SELECT n FROM item", f"EXECUTE {made}", f"DEALLOCATE {made}",
            ):
                connection.execute(statement)
        cursor.execute('SELECT "n" FROM "item" WHERE "s" = %s AND "n" = 1', (SECRET,))
        cursor.execute('SELECT "s" FROM "item" WHERE "n" = 1')
    try:
        psycopg.connect(os.environ["DSN"], dbname="not there", password=SECRET)
    except psycopg.OperationalError as error:
        print(type(error).__name__)
"""

PSYCOPG_ASYNC = """
    import asyncio, os, psycopg

    async def main():
        async with await psycopg.AsyncConnection.connect(os.environ["DSN"]) as connection:
            for _ in range(2): await connection.rollback(); await connection.commit()
            await connection.execute("DROP TABLE IF EXISTS item")
            await connection.execute("CREATE TABLE item (n int, s text)")
            cursor = connection.cursor()
            for n in range(5):
                await cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
            await cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2, 3)")
            print(await cursor.fetchall())
            await cursor.executemany("INSERT INTO item VALUES (%(n)s, %(s)s)", [{"n": n, "s": SECRET} for n in range(7)])
            await cursor.execute(b"SELECT count(*) FROM item")
            async with cursor.copy("COPY item FROM STDIN") as copy:
                for n in range(10):
                    await copy.write_row((n, SECRET))
            async with cursor.copy(f"COPY (SELECT n FROM item WHERE s = '{SECRET}') TO STDOUT") as copy:
                print(len([block async for block in copy]))
            async with connection.cursor("named") as server:
                await server.execute("SELECT n FROM item WHERE s = %s ORDER BY n", (SECRET,))
                print(await server.fetchone(), len(await server.fetchmany(3)), len(await server.fetchall()))
            try:
                async with connection.transaction():
                    await cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
            except psycopg.Error as error:
                print(type(error).__name__)
            print([row async for row in cursor.stream("SELECT n FROM item LIMIT 2")])
            async with connection.pipeline():
                for n in range(4):
                    await connection.execute("UPDATE item SET s = %s WHERE n = %s", (SECRET, n))
        try:
            await psycopg.AsyncConnection.connect(os.environ["DSN"], dbname="not there", password=SECRET)
        except psycopg.OperationalError as error:
            print(type(error).__name__)

    asyncio.run(main())
"""

PSYCOPG2 = """
    import datetime, io, os, psycopg2, psycopg2.extras, psycopg2.extensions
    from psycopg2 import sql

    connection = psycopg2.connect(os.environ["DSN"])
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS item")
    cursor.execute("CREATE TABLE item (n int, s text, j jsonb)")
    for n in range(5):
        cursor.execute("INSERT INTO item VALUES (%s, %s, %s)", (n, SECRET, psycopg2.extras.Json({"a": SECRET})))
    cursor.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2, 3)")
    print(cursor.fetchall())
    cursor.executemany("UPDATE item SET s = %s WHERE n = %s", [(SECRET, n) for n in range(3)])
    parts = {"n": sql.Identifier("n"), "item": sql.Identifier("item"), "s": sql.Literal(SECRET), "p": sql.Placeholder()}
    cursor.execute(sql.SQL("SELECT {n} FROM {item} WHERE s = {s} AND n = {p}").format(**parts), (1,))
    psycopg2.extras.execute_values(cursor, "INSERT INTO item (n, s) VALUES %s", [(n, SECRET) for n in range(6)])
    cursor.copy_from(io.StringIO("".join(f"{n}\\t{SECRET}\\t{{}}\\n" for n in range(4))), "item")
    cursor.copy_expert(f"COPY (SELECT n FROM item WHERE s = '{SECRET}') TO STDOUT", io.StringIO())
    cursor.copy_to(io.StringIO(), "item")
    cursor.callproc("upper", (SECRET,))
    connection.commit()

    # what breaks on proxies
    psycopg2.extras.register_default_jsonb(cursor)
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, cursor)
    psycopg2.extensions.register_type(psycopg2.extensions.UNICODE, connection)
    print(psycopg2.extensions.quote_ident("a b", cursor), sql.SQL("{}").format(sql.Identifier("x")).as_string(cursor))
    print(isinstance(cursor, psycopg2.extensions.cursor), type(cursor).__name__, type(cursor).__module__, repr(cursor)[:15])
    for factory in (psycopg2.extras.DictCursor, psycopg2.extras.RealDictCursor, psycopg2.extras.NamedTupleCursor):
        with connection.cursor(cursor_factory=factory) as special:
            special.execute("SELECT 1 AS one, %s AS two", (SECRET,))
            print(type(special).__name__, type(special.fetchone()).__name__, special.query[:8])

    class Mine(psycopg2.extensions.cursor):
        def execute(self, query, arguments=None):
            print("mine")
            return super().execute(query, arguments)

    class Loud(psycopg2.extras.LoggingConnection):
        def filter(self, message, cursor):
            return message.replace(SECRET.encode(), b"?") if isinstance(message, bytes) else message.replace(SECRET, "?")

    with psycopg2.connect(os.environ["DSN"], cursor_factory=Mine) as own, own.cursor() as mine:
        mine.execute("SELECT %s AS mine", (SECRET,))
    loud = psycopg2.connect(os.environ["DSN"], connection_factory=Loud)
    output = io.StringIO()
    loud.initialize(output)
    logged = loud.cursor()
    logged.execute("SELECT %s AS loud", (SECRET,))
    print(type(logged).__name__, output.getvalue())
    with connection.cursor("named") as server:
        server.execute("SELECT n FROM item WHERE s = %s ORDER BY n", (SECRET,))
        print(server.fetchone(), len(server.fetchmany(3)), len(server.fetchall()))
    try:
        cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
    except psycopg2.Error as error:
        print(type(error).__name__)
    connection.rollback()
    for opened in (connection, own, loud):
        opened.close()
    try:
        psycopg2.connect(os.environ["DSN"], dbname="not there", password=SECRET)
    except psycopg2.OperationalError as error:
        print(type(error).__name__)
"""

ASYNCPG = """
    import asyncio, asyncpg, io, os

    async def main():
        connection = await asyncpg.connect(os.environ["DSN"])
        await connection.execute("DROP TABLE IF EXISTS item")
        await connection.execute("CREATE TABLE item (n int, s text)")
        for n in range(5):
            await connection.execute("INSERT INTO item VALUES ($1, $2)", n, SECRET)
        print(await connection.fetch(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2, 3)"))
        print(await connection.fetchrow("SELECT n FROM item WHERE s = $1 LIMIT 1", SECRET))
        print(await connection.fetchval("SELECT count(*) FROM item WHERE s = $1", SECRET))
        await connection.executemany("UPDATE item SET s = $1 WHERE n = $2", [(SECRET, n) for n in range(3)])
        statement = await connection.prepare("SELECT n FROM item WHERE s = $1 AND n = $2")
        for n in range(4):
            await statement.fetch(SECRET, n)
            await statement.fetchval(SECRET, n)
        await connection.copy_records_to_table("item", records=[(n, SECRET) for n in range(10)])
        await connection.copy_from_query("SELECT n FROM item WHERE s = $1", SECRET, output=io.BytesIO())
        await connection.copy_to_table("item", source=io.BytesIO(f"7\\t{SECRET}\\n".encode()))
        async with connection.transaction():
            rows = connection.cursor("SELECT n FROM item WHERE s = $1 ORDER BY n", SECRET, prefetch=100)
            print(len([row async for row in rows]))
            cursor = await connection.cursor("SELECT n FROM item WHERE s = $1 ORDER BY n DESC", SECRET)
            print(await cursor.fetchrow(), len(await cursor.fetch(3)))
        try:
            await connection.fetch("SELECT nothing FROM item WHERE s = $1", SECRET)
        except asyncpg.PostgresError as error:
            print(type(error).__name__)
        await connection.close()
        try:
            await asyncpg.connect(os.environ["DSN"], database="not there", password=SECRET)
        except asyncpg.PostgresError as error:
            print(type(error).__name__)

    asyncio.run(main())
"""

COMMON = {
    "DROP TABLE IF EXISTS item": 1,
    "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
}
PSYCOPG_CALLS = COMMON | {
    "CREATE TABLE item (n int, s text)": 1,
    "INSERT INTO item VALUES (?, …)": 6,
    "SELECT count(*) FROM item": 1,
    "COPY item FROM STDIN": 1,
    "COPY (SELECT n FROM item WHERE s = ?) TO STDOUT": 1,
    "SELECT n FROM item WHERE s = ? ORDER BY n": 1,
    "FETCH": 3,
    "SELECT nothing FROM item WHERE s = ?": 1,
    "SELECT n FROM item LIMIT ?": 1,
    "UPDATE item SET s = ? WHERE n = ?": 4,
    "COMMIT": 1,
    "psycopg transaction end": 1,
    "psycopg pipeline": 1,
    "psycopg connect": 2,
}
CASES = {  # program, libraries, calls by name, errors, where the server counts otherwise: {name: its count}
    "psycopg": (
        PSYCOPG,
        ("psycopg",),
        PSYCOPG_CALLS
        | dict.fromkeys(
            ("SAVEPOINT ?", "ROLLBACK TO SAVEPOINT ?", "RELEASE SAVEPOINT ?", "LISTEN item_?", "FETCH ? FROM ?", "CLOSE ?"), 2
        )
        | {
            "SELECT n FROM item WHERE s = ? AND n = ?": 1,
            "CREATE TEMP TABLE item_? AS SELECT n FROM item": 2,
            "DECLARE ? CURSOR FOR SELECT n FROM item": 2,
            "PREPARE ? AS SELECT n FROM item": 2,
            "EXECUTE ?": 2,
            "DEALLOCATE ?": 2,
            'SELECT "n" FROM "item" WHERE "s" = ? AND "n" = ?': 1,
            'SELECT "s" FROM "item" WHERE "n" = ?': 1,
        },
        {"SELECT nothing FROM item WHERE s = ?": 1, "psycopg connect": 1},
        {"INSERT INTO item VALUES (?, …)": 5 + 7},  # an execution for each set of parameters
    ),
    "psycopg, asyncio": (
        PSYCOPG_ASYNC,
        ("psycopg",),
        PSYCOPG_CALLS,
        {"SELECT nothing FROM item WHERE s = ?": 1, "psycopg connect": 1},
        {"INSERT INTO item VALUES (?, …)": 5 + 7},
    ),
    "psycopg2": (
        PSYCOPG2,
        ("psycopg2",),
        COMMON
        | {
            "CREATE TABLE item (n int, s text, j jsonb)": 1,
            "INSERT INTO item VALUES (?, …)": 5,
            "UPDATE item SET s = ? WHERE n = ?": 1,
            "SELECT n FROM item WHERE s = ? AND n = ?": 1,
            "INSERT INTO item (n, s) VALUES (?, …), …": 1,
            "COPY item FROM STDIN": 1,
            "COPY (SELECT n FROM item WHERE s = ?) TO STDOUT": 1,
            "COPY item TO STDOUT": 1,
            "CALL upper": 1,
            "SELECT ? AS one, ? AS two": 3,
            "SELECT ? AS mine": 1,
            "SELECT ? AS loud": 1,
            "SELECT n FROM item WHERE s = ? ORDER BY n": 1,
            "SELECT nothing FROM item WHERE s = ?": 1,
            "psycopg2 connect": 4,
        },
        {"SELECT nothing FROM item WHERE s = ?": 1, "psycopg2 connect": 1},
        {"UPDATE item SET s = ? WHERE n = ?": 3},
    ),
    "asyncpg": (
        ASYNCPG,
        ("asyncpg",),
        COMMON
        | {
            "CREATE TABLE item (n int, s text)": 1,
            "INSERT INTO item VALUES (?, …)": 5,
            "SELECT n FROM item WHERE s = ? LIMIT ?": 1,
            "SELECT count(*) FROM item WHERE s = ?": 1,
            "UPDATE item SET s = ? WHERE n = ?": 1,
            "SELECT n FROM item WHERE s = ? AND n = ?": 8,
            "COPY item FROM STDIN": 1,
            'COPY "item" FROM STDIN': 1,
            "COPY (SELECT n FROM item WHERE s = ?) TO STDOUT": 1,
            "SELECT n FROM item WHERE s = ? ORDER BY n": 1,
            "SELECT n FROM item WHERE s = ? ORDER BY n DESC": 1,
            "SELECT nothing FROM item WHERE s = ?": 1,
        },
        {"SELECT nothing FROM item WHERE s = ?": 1, "asyncpg connect": 1},
        {"UPDATE item SET s = ? WHERE n = ?": 3, 'COPY "item" FROM STDIN': 2},  # that of copy_records_to_table, too
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_statements_are_those_that_the_server_counted(name: str, postgres: Postgres, compared: Compared):
    """Every shape of a driver's API: as many calls as were made, as many statements as the server ran, no secret anywhere."""
    program, needs, calls, errors, otherwise = CASES[name]
    under = compared(program, needs=needs, env={"DSN": dsn(postgres)}, before=postgres.reset)
    found = under.calls("sql")
    assert {name: found.get(name) for name in calls} == calls
    assert under.errors() == errors
    server = count_statements(postgres)
    shared = {name: count for name, count in server.items() if "item" in name and name in calls}
    assert len(shared) > 5
    assert shared == {name: otherwise.get(name, calls[name]) for name in shared}


FAILING = """
    import asyncio, os, psycopg, traceback

    TABLE = "CREATE TEMP TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    TWICE = "INSERT INTO once VALUES (1), (1)"

    def told(error):
        print([(frame.filename.rpartition("/")[2], frame.name) for frame in traceback.extract_tb(error.__traceback__)[1:]])

    with psycopg.connect(os.environ["DSN"]) as connection:
        connection.execute(TABLE)
        connection.execute(TWICE)
        try: connection.commit()
        except psycopg.Error as error: told(error)

    async def main():
        async with await psycopg.AsyncConnection.connect(os.environ["DSN"]) as connection:
            await connection.execute(TABLE)
            await connection.execute(TWICE)
            try: await connection.commit()
            except psycopg.Error as error: told(error)

    asyncio.run(main())
"""


def test_a_commit_that_fails_leaves_no_line_of_ours(postgres: Postgres, compared: Compared):
    """In the traceback of psycopg's error, sync and asyncio."""
    under = compared(FAILING, needs=["psycopg"], env={"DSN": dsn(postgres)})
    assert "commit" in under.stdout
    assert under.errors() == {"COMMIT": 2}


def count_statements(postgres: Postgres) -> Counter[str]:
    """Return how often the server ran each statement that a client sent, by our own names."""
    server = Counter[str]()
    rows = postgres.execute("SELECT query, calls FROM pg_stat_statements WHERE toplevel")
    for statement, count in rows:
        statement = statement.replace("/*, ... */", ", $2")  # so it writes lists from PostgreSQL 18 on
        server[fingerprint(statement, dialect="postgresql")] += count
    return server


def dsn(postgres: Postgres) -> str:
    """Return the URL of the server with the secret for a password; the server trusts everybody."""
    return f"postgresql://postgres:{SECRET}@127.0.0.1:{postgres.port}/postgres"
