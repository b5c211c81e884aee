"""aiosqlite: a statement is one call in the task that awaits it, and not another one in the thread that runs it."""

from __future__ import annotations

import pytest

from .conftest import Compared

PROGRAM = """
    import asyncio, aiosqlite, sqlite3

    async def main():
        async with aiosqlite.connect(":memory:") as connection:
            connection.row_factory = sqlite3.Row
            statements = []
            await connection.set_trace_callback(statements.append)
            await connection.execute("CREATE TABLE item (n INTEGER, s TEXT)")
            for n in range(5):
                await connection.execute("INSERT INTO item VALUES (?, ?)", (n, SECRET))
            await connection.commit()
            async with connection.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2)") as cursor:
                print([row["n"] async for row in cursor])
            cursor = await connection.cursor()
            await cursor.executemany("UPDATE item SET s = ? WHERE n = ?", [(SECRET, n) for n in range(3)])
            await cursor.execute("SELECT count(*) FROM item WHERE s = :s", {"s": SECRET})
            print((await cursor.fetchone())[0])
            print(len(await connection.execute_fetchall("SELECT n FROM item WHERE n > ?", (1,))))
            print((await connection.execute_insert("INSERT INTO item VALUES (9, ?)", (SECRET,)))[0])
            await connection.executescript(f"DELETE FROM item WHERE s = '{SECRET}!'; SELECT 1;")
            try:
                await connection.execute("SELECT nothing FROM item WHERE s = ?", (SECRET,))
            except sqlite3.OperationalError as error:
                print(error)
            await connection.rollback()
            print(len(statements))
            return await asyncio.gather(*[connection.execute("SELECT ? AS gathered", (SECRET,)) for _ in range(20)])

    asyncio.run(main())
"""
CALLS = {
    "CREATE TABLE item (n INTEGER, s TEXT)": 1,
    "INSERT INTO item VALUES (?, …)": 6,
    "COMMIT": 1,
    "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
    "UPDATE item SET s = ? WHERE n = ?": 1,
    "SELECT count(*) FROM item WHERE s = ?": 1,
    "SELECT n FROM item WHERE n > ?": 1,
    "sqlite3 script": 1,
    "SELECT nothing FROM item WHERE s = ?": 1,
    "ROLLBACK": 1,
    "SELECT ? AS gathered": 20,
    "sqlite3 fetch": 3,  # two for the loop, which takes 64 rows at a time
}


def test_statements_are_as_many_as_were_awaited(compared: Compared):
    """With sqlite3's own pack on as well."""
    under = compared(PROGRAM, needs=["aiosqlite"], env={})
    assert under.calls("sql") == CALLS
    assert under.errors() == {"SELECT nothing FROM item WHERE s = ?": 1}


@pytest.mark.parametrize("off", ["sqlite3", "aiosqlite"])
def test_either_pack_counts_alone(off: str, compared: Compared):
    """Without aiosqlite's, sqlite3's sees the statements in the thread."""
    under = compared(PROGRAM, needs=["aiosqlite"], env={}, options=["--no-pack", off])
    beside = ("COMMIT", "ROLLBACK", "sqlite3 script", "sqlite3 fetch")
    statements = {name: count for name, count in under.calls("sql").items() if name not in beside}
    expected = {name: count for name, count in CALLS.items() if name in statements}
    if off == "aiosqlite":
        expected["SELECT last_insert_rowid()"] = 1  # of execute_insert
    assert statements == expected
    assert len(statements) >= 8


def test_a_connection_class_of_the_programs_own_stays(compared: Compared):
    """`factory=` is passed on as it is."""
    program = """
    import asyncio, aiosqlite, sqlite3

    class Mine(sqlite3.Connection):
        pass

    async def main():
        async with aiosqlite.connect(":memory:", factory=Mine) as connection:
            print(type(connection._conn).__name__)
            await connection.execute("SELECT 1")

    asyncio.run(main())
    """
    assert compared(program, needs=["aiosqlite"], env={}).stdout == "Mine\n"
