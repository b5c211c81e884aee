"""The packs of MySQL's other drivers against a real MariaDB, whose log of statements is the truth."""

from __future__ import annotations

from collections import Counter

import pytest
from support.servers import MariaDb

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import Compared

CONNECTOR = """
    import os, mysql.connector as driver
    where = dict(host="127.0.0.1", port=int(os.environ["PORT"]), user="shop", database="shop", use_pure=PURE)
    connection = driver.connect(password=SECRET, **where)
    cursor = connection.cursor(buffered=True)
    cursor.execute("DROP TABLE IF EXISTS item")
    cursor.execute("CREATE TABLE item (n int, s varchar(100))")
    for n in range(5): cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
    connection.commit()
    cursor.execute(f'SELECT n FROM item WHERE s = "{SECRET}" AND n IN (1, 2, 3) /* {SECRET} */')
    print(cursor.fetchall())
    cursor.executemany("UPDATE item SET s = %(s)s WHERE n = %(n)s", [{"n": n, "s": SECRET} for n in range(3)])
    with connection.cursor(dictionary=True) as by_name:
        by_name.execute("SELECT count(*) AS items FROM item")
        print(by_name.fetchall())
    prepared = connection.cursor(prepared=True)
    for n in range(2):
        prepared.execute("SELECT s FROM item WHERE n = %s", (n,))
        print(len(prepared.fetchall()))
    try: cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
    except driver.Error as error: print(type(error).__name__)
    connection.rollback()
    connection.start_transaction()
    connection.rollback()
    connection.ping()
    connection.close()
    try: driver.connect(password=SECRET + "!", **where)
    except driver.Error as error: print(error.errno)
"""
AIOMYSQL = """
    import asyncio, os, aiomysql as driver, logging, warnings
    logging.disable(), warnings.simplefilter("ignore")  # of a table that is not there to be dropped
    where = dict(host="127.0.0.1", port=int(os.environ["PORT"]), user="shop", db="shop")
    async def main():
        connection = await driver.connect(password=SECRET, **where)
        cursor = await connection.cursor()
        await cursor.execute("DROP TABLE IF EXISTS item")
        await cursor.execute("CREATE TABLE item (n int, s varchar(100))")
        for n in range(5): await cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
        await connection.commit()
        await cursor.execute(f'SELECT n FROM item WHERE s = "{SECRET}" AND n IN (1, 2, 3) /* {SECRET} */')
        print(await cursor.fetchall())
        await cursor.executemany("UPDATE item SET s = %(s)s WHERE n = %(n)s", [{"n": n, "s": SECRET} for n in range(3)])
        async with connection.cursor(driver.DictCursor) as by_name:
            await by_name.execute("SELECT count(*) AS items FROM item")
            print(await by_name.fetchall())
        async with connection.cursor(driver.SSCursor) as streaming:
            for n in range(2):
                await streaming.execute("SELECT s FROM item WHERE n = %s", (n,))
                print(len(await streaming.fetchall()))
        try: await cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
        except Exception as error: print(type(error).__name__)
        await connection.rollback()
        await connection.begin()
        await connection.rollback()
        await connection.ping()
        connection.close()
        try: await driver.connect(password=SECRET + "!", **where)
        except driver.OperationalError as error: print(error.args[0])
        async with driver.create_pool(minsize=1, maxsize=1, password=SECRET, **where) as pool:
            async def look():
                async with pool.acquire() as connection, connection.cursor() as cursor:
                    await cursor.execute("SELECT count(*) AS items FROM item")
            await asyncio.gather(look(), look(), look())
    asyncio.run(main())
"""
ASYNCMY = (
    AIOMYSQL.replace("aiomysql", "asyncmy").replace("driver.DictCursor", "DictCursor").replace("driver.SSCursor", "SSCursor")
)
ASYNCMY = ASYNCMY.replace("await connection.cursor()", "connection.cursor()").replace(
    "    where =", "    from asyncmy.cursors import DictCursor, SSCursor\n    import asyncmy.errors\n    where =", 1
)
ASYNCMY = ASYNCMY.replace("driver.OperationalError", "driver.errors.OperationalError").replace(" -> None", "")
CALLS = {
    "DROP TABLE IF EXISTS item": 1,
    "CREATE TABLE item (n int, s varchar(?))": 1,
    "INSERT INTO item VALUES (?, …)": 5,
    "COMMIT": 1,
    "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
    "UPDATE item SET s = ? WHERE n = ?": 1,
    "SELECT count(*) AS items FROM item": 1,
    "SELECT s FROM item WHERE n = ?": 2,
    "SELECT nothing FROM item WHERE s = ?": 1,
    "ROLLBACK": 2,
}
"""What each of the programs does, besides what is the driver's own."""
POOLED = CALLS | {"BEGIN": 1, "SELECT count(*) AS items FROM item": 4}


@pytest.mark.parametrize("pure", [True, False], ids=["in Python", "over libmysqlclient"])
def test_statements_of_connector_python_are_those_that_the_server_logged(pure: bool, mariadb: MariaDb, compared: Compared):
    """Prepared ones too, of which the log has nothing under this name; what it sets for a session is its own."""
    needs = ["mysql.connector", *([] if pure else ["_mysql_connector"])]
    program = CONNECTOR.replace("PURE", str(pure))
    under = compared(program, needs=needs, env={"PORT": str(mariadb.port)}, before=mariadb.reset)
    calls = under.calls("sql")
    assert (calls.pop("mysql connect"), calls.pop("mysql ping")) == (2, 1)
    sessions = {name: calls.pop(name) for name in list(calls) if name.upper().startswith("SET ")}
    assert calls == CALLS | {"START TRANSACTION": 1}
    assert under.errors() == {"SELECT nothing FROM item WHERE s = ?": 1, "mysql connect": 1}
    check(calls | sessions, mariadb, {"SELECT s FROM item WHERE n = ?"})


@pytest.mark.parametrize(("module", "program"), [("aiomysql", AIOMYSQL), ("asyncmy", ASYNCMY)])
def test_statements_of_asyncio_are_those_that_the_server_logged(module: str, program: str, mariadb: MariaDb, compared: Compared):
    """asyncmy sends what executemany gets one by one, through the connection, which is what is seen of it."""
    under = compared(program, needs=[module], env={"PORT": str(mariadb.port)}, before=mariadb.reset)
    calls = under.calls("sql")
    logged = mariadb.execute("SELECT count(*) FROM mysql.general_log WHERE command_type = 'Connect' AND argument LIKE 'shop@%'")
    assert (calls.pop(f"{module} connect"), calls.pop(f"{module} ping")) == (int(logged[0]), 1)
    assert calls.pop("aiomysql pool wait", 0) == (2 if module == "aiomysql" else 0)
    sessions = {name: calls.pop(name) for name in list(calls) if name.upper().startswith("SET ")}
    many = {"UPDATE item SET s = ? WHERE n = ?": 3} if module == "asyncmy" else {}
    assert calls == POOLED | many
    assert under.errors() == {"SELECT nothing FROM item WHERE s = ?": 1, f"{module} connect": 1}
    check(calls, mariadb, set(sessions))


def check(calls: dict[str, int], mariadb: MariaDb, unlogged: set[str]) -> None:
    """Compare with the server's log; executemany of an UPDATE is one call of three statements."""
    words = {"commit": "COMMIT", "rollback": "ROLLBACK"}  # as libmysqlclient writes them
    server = Counter(fingerprint(words.get(statement, statement)) for statement in mariadb.statements())
    expected = calls | {"UPDATE item SET s = ? WHERE n = ?": 3}
    assert {name: count for name, count in expected.items() if name not in unlogged} == {
        name: server[name] for name in expected if name not in unlogged
    }
