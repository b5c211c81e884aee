"""sqlite3, whose types are C: connections and cursors are what they are without us, and each statement is counted once."""

from __future__ import annotations

from .hooked import Both, both

__all__ = ["both"]

PROGRAM = """
import os, sqlite3, traceback

def told(error):
    frames = traceback.extract_tb(error.__traceback__)
    if os.environ.get("HOOKMON_ENGINE") == "pure":
        frames = [frame for frame in frames if "/hookmon/probe/" not in frame.filename]
    return type(error).__name__, str(error), [frame.name for frame in frames]

connection = sqlite3.connect(":memory:")
print(type(connection), type(connection.cursor()), type(connection.execute("SELECT 1")))
for name in ("execute", "executemany", "executescript", "cursor"):
    for owner in (sqlite3.Connection, sqlite3.Cursor):
        method = getattr(owner, name, None)
        if method is not None:
            print(name, method.__name__, method.__qualname__, method.__doc__)
connection.executescript("CREATE TABLE ware (size); INSERT INTO ware VALUES (3)")
again = connection.executemany("INSERT INTO ware VALUES (?)", [(n,) for n in range(4)])
print(again.execute("SELECT count(*) FROM ware").fetchone())
print(connection.execute("SELECT size FROM ware WHERE size > ?", (2,)).fetchall())
for arguments in (("SELEC 1",), (), ("SELECT ?", (1, 2)), ("SELECT ?", (1,), 3), ("SELECT 1",) * 12):
    try:
        connection.execute(*arguments)
    except Exception as error:
        print(*told(error))
try:
    connection.execute(sql="SELECT 1")
except TypeError as error:
    print(*told(error))

class Own(sqlite3.Connection):
    def cursor(self, *args):
        raise AssertionError("as of C's own, execute asks no cursor() of a subclass")
own = sqlite3.connect(":memory:", factory=Own)
print(own.execute("SELECT 5").fetchone(), type(own).__mro__[1].__name__)
own.commit(); own.rollback()
own.execute("CREATE TABLE ware (size)")
with own: own.execute("INSERT INTO ware VALUES (1)")
with own: own.execute("SELECT 6").fetchmany()
try:
    with own:
        own.execute("INSERT INTO ware VALUES (2)")
        raise LookupError
except LookupError: pass
own.execute("INSERT INTO ware VALUES (3)")
own.commit()
print([size for size, in own.execute("SELECT size FROM ware")])
connection.row_factory = sqlite3.Row
print(tuple(connection.execute("SELECT 7 AS seven").fetchone().keys()))
connection.close()
try:
    connection.execute("SELECT 'late'")
except sqlite3.ProgrammingError as error:
    print(*told(error))
try:
    connection.commit()
except sqlite3.ProgrammingError as error:
    print(type(error).__name__, error)
"""


def test_connections_and_cursors_are_as_without_us(both: Both) -> None:
    """Types, texts, errors; with the compiled engine no frame of ours is in a traceback."""
    found = both(PROGRAM, "sqlite3")
    calls = found.calls("sql")
    assert calls["INSERT INTO ware VALUES (?)"] == 1 + 3
    assert calls["sqlite3 script"] == 1
    assert calls["SELECT count(*) FROM ware"] == calls["SELECT size FROM ware WHERE size > ?"] == 1
    assert found.errors("sql")["SELEC ?"] == 1


def test_the_work_of_fetching_and_ends_of_transactions_have_rows(both: Both) -> None:
    """Fetching is a part of a statement and no call more; what is committed where nothing is open is none."""
    found = both(PROGRAM, "sqlite3")
    calls = found.calls("sql")
    assert (calls["COMMIT"], calls["ROLLBACK"], calls["sqlite3 fetch"]) == (2, 1, 5)
    (main,) = found.report["transactions"]
    assert {child["name"] for child in main["children"] if child["part"]} == {"sqlite3 fetch"}
