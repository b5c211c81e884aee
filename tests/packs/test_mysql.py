"""The packs of MySQL's drivers against a real MariaDB, whose log of statements is the truth."""

from __future__ import annotations

from collections import Counter

import pytest
from support.servers import MariaDb

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import Compared

PROGRAM = """
    import os, {module} as driver
    from {module}.cursors import SSCursor, DictCursor

    where = dict(host="127.0.0.1", port=int(os.environ["PORT"]), user="shop", database="shop")
    connection = driver.connect(password=SECRET, **where)
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS item")
    cursor.execute("CREATE TABLE item (n int, s varchar(100))")
    for n in range(5):
        cursor.execute("INSERT INTO item VALUES (%s, %s)", (n, SECRET))
    connection.commit()
    cursor.execute(f'SELECT n FROM item WHERE s = "{{SECRET}}" AND n IN (1, 2, 3)')
    print(cursor.fetchall())
    cursor.execute(f"SELECT s = '{{SECRET}}' FROM `item` /* {{SECRET}} */ LIMIT 1 -- {{SECRET}}")
    print(cursor.fetchall())
    cursor.executemany("INSERT INTO item (n, s) VALUES (%s, %s)", [(n, SECRET) for n in range(7)])
    cursor.executemany("UPDATE item SET s = %(s)s WHERE n = %(n)s", [{{"n": n, "s": SECRET}} for n in range(3)])
    cursor.execute("DROP PROCEDURE IF EXISTS twice")
    cursor.execute("CREATE PROCEDURE twice(IN s varchar(100)) SELECT 1 AS one")
    cursor.callproc("twice", (SECRET,))
    print(cursor.fetchall())
    cursor.nextset()
    with connection.cursor(SSCursor) as streaming:
        streaming.execute("SELECT n FROM item WHERE s = %s ORDER BY n", (SECRET,))
        print(streaming.fetchone(), len(streaming.fetchall()))
    with connection.cursor(DictCursor) as by_name:
        by_name.execute("SELECT count(*) AS items FROM item")
        print(by_name.fetchall())
    try:
        cursor.execute("SELECT nothing FROM item WHERE s = %s", (SECRET,))
    except driver.Error as error:
        print(type(error).__name__)
    connection.rollback()
    connection.begin()
    for on in (True, True, False): connection.autocommit(on)
    connection.query("SELECT 42 AS plain")
    print((connection.store_result() if hasattr(connection, "store_result") else connection._result) is None)
    connection.ping()
    connection.select_db("shop")
    connection.close()
    try:
        driver.connect(password=SECRET + "!", **where)
    except driver.OperationalError as error:
        print(error.args[0])
"""


@pytest.mark.parametrize(("module", "connect"), [("pymysql", "pymysql connect"), ("MySQLdb", "mysqlclient connect")])
def test_statements_are_those_that_the_server_logged(module: str, connect: str, mariadb: MariaDb, compared: Compared):
    """Every shape of a driver's API: as many calls as were made, as many statements as the server got, no secret anywhere."""
    env = {"PORT": str(mariadb.port)}
    under = compared(PROGRAM.format(module=module), needs=[module], env=env, before=mariadb.reset)
    calls = {
        "DROP TABLE IF EXISTS item": 1,
        "CREATE TABLE item (n int, s varchar(?))": 1,
        "INSERT INTO item VALUES (?, …)": 5,
        "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
        "SELECT s = ? FROM `item` LIMIT ?": 1,
        "INSERT INTO item (n, s) VALUES (?, …)": 1,
        "UPDATE item SET s = ? WHERE n = ?": 1,
        "DROP PROCEDURE IF EXISTS twice": 1,
        "CREATE PROCEDURE twice(IN s varchar(?)) SELECT ? AS one": 1,
        "CALL twice": 1,
        "SELECT n FROM item WHERE s = ? ORDER BY n": 1,
        "SELECT count(*) AS items FROM item": 1,
        "SELECT nothing FROM item WHERE s = ?": 1,
        "COMMIT": 1,
        "ROLLBACK": 1,
        "BEGIN": 1,
        "SET AUTOCOMMIT": 3,  # the first is that of the connection's opening
        "SELECT ? AS plain": 1,
        "USE": 1,
        connect.replace("connect", "ping"): 1,
        connect: 2,
    }
    assert under.calls("sql") == calls
    assert under.errors() == {"SELECT nothing FROM item WHERE s = ?": 1, connect: 1}
    server = Counter(fingerprint(statement) for statement in mariadb.statements())
    shared = {name: count for name, count in server.items() if name in calls}
    assert len(shared) > 8
    otherwise = {
        "UPDATE item SET s = ? WHERE n = ?": 3,  # one for each set of parameters
        "INSERT INTO item (n, s) VALUES (?, …)": 0,  # one of many rows
    }
    assert shared == {name: otherwise.get(name, calls[name]) for name in shared}
    assert server["INSERT INTO item (n, s) VALUES (?, …), …"] == 1
