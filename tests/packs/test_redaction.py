"""How much of a statement is kept, as hookmon.toml says it, on sqlite3, whose pack leaks nothing by default."""

from __future__ import annotations

from hookmon.testing import run

from .conftest import Compared

PROGRAM = """
    import sqlite3
    connection = sqlite3.connect(f"file:{SECRET}?mode=memory", uri=True)
    connection.execute("CREATE TABLE item (n INTEGER, s TEXT)")
    connection.executemany("INSERT INTO item VALUES (?, ?)", [(n, SECRET) for n in range(3)])
    print(connection.execute(f"SELECT n FROM item WHERE s = '{SECRET}' AND n IN (1, 2) -- {SECRET}").fetchall())
    print(connection.execute("SELECT count(*) FROM item WHERE s = :s", {"s": SECRET}).fetchall())
    connection.executescript(f"DELETE FROM item WHERE s = '{SECRET}';")
    try:
        connection.execute(f"SELECT '{SECRET}' FROM nothing")
    except sqlite3.OperationalError as error:
        print(error)
    connection.close()
"""


def test_by_default_no_literal_is_kept(compared: Compared):
    """Neither values, nor literals, nor comments, nor the name of the database."""
    under = compared(PROGRAM, needs=["sqlite3"], env={})
    assert under.calls("sql") == {
        "CREATE TABLE item (n INTEGER, s TEXT)": 1,
        "INSERT INTO item VALUES (?, …)": 1,
        "SELECT n FROM item WHERE s = ? AND n IN (?, …)": 1,
        "SELECT count(*) FROM item WHERE s = ?": 1,
        "sqlite3 script": 1,
        "SELECT ? FROM nothing": 1,
    }


def test_all_keeps_verb_and_tables(compared: Compared):
    """Statements on the same tables become one name."""
    under = compared(PROGRAM, needs=["sqlite3"], env={}, config='redact = "all"\n')
    assert under.calls("sql") == {
        "CREATE item": 1,
        "INSERT item": 1,
        "SELECT item": 2,
        "sqlite3 script": 1,
        "SELECT nothing": 1,
    }


def test_off_keeps_the_statement():
    """For those who want to see what their own machine runs."""
    program = "import sqlite3\nsqlite3.connect(':memory:').execute(\"SELECT  'a' -- why\")"
    assert run(program, packs=["sqlite3"], config='redact = "off"\n').calls() == {"SELECT  'a' -- why": 1}
