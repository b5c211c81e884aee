"""How much of a statement is kept, as hookmon.toml says it, on sqlite3, whose pack leaks nothing by default."""

from __future__ import annotations

import json
import random
from textwrap import dedent

import pytest
from support.odd_statements import statement

from hookmon.testing import run

from .conftest import ENGINE, SECRET, Compared

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
        "sqlite3 fetch": 2,
    }


DIALECTS = ("mysql", "postgresql", "sqlite")
EVERYWHERE = """
    import driver, http.client, json, os, subprocess, sys, urllib.request
    from pathlib import Path

    if "child" not in sys.argv:
        options = [f"--api-key={SECRET}", "--password", SECRET, f"amqp://bob:{SECRET}@localhost/", "-H", f"X-Token: {SECRET}"]
        subprocess.run([sys.executable, __file__, "child", *options], check=True, env=os.environ | {"DB_PASSWORD": SECRET})
    for dialect, statement in json.loads(Path("statements").read_text("utf-8")):
        driver.sql(statement)
        getattr(driver, dialect, len)(statement)
    for url in (f"http://{SECRET}:{SECRET}@127.0.0.1:9/{SECRET}?key={SECRET}", f"http://{SECRET}@localhost:9/"):
        try: urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": SECRET}))
        except OSError: pass
        try: http.client.HTTPConnection(url.split("/")[2]).request("GET", "/", headers={"Cookie": SECRET})
        except OSError: pass
    subprocess.run(["true", SECRET], check=True)
"""


@pytest.mark.parametrize("redact", ["literals", "all"])
def test_a_secret_is_found_nowhere(redact: str):
    """Planted in SQL of all dialects, URLs, headers, options of the program and of its child: in no shard, file or format."""
    statements = [statement(random.Random(number), SECRET)[:2] for number in range(400)]
    own = sum(dialect in DIALECTS for dialect, _ in statements)
    args = ["--token", SECRET, f"--dsn=host=db password={SECRET}", f"postgres://bob:{SECRET}@localhost/shop", f"API_KEY={SECRET}"]
    under = run(
        f"SECRET = {SECRET!r}\n{dedent(EVERYWHERE)}",
        files={
            "statements": json.dumps(statements),
            "driver.py": "".join(f"def {name}(statement): pass\n" for name in ("sql", *DIALECTS)),
        },
        packs=["http", "dns", "subprocess"],
        config=f'redact = "{redact}"\n'
        + "".join(
            f'[[watch]]\nmodule = "driver"\ncalls = ["{name}"]\nspan = "{{arg0|{name}}}"\nkind = "sql"\n'
            for name in ("sql", *DIALECTS)
        ),
        args=args,
        env=ENGINE,
    )
    assert (under.exit_code, under.stderr) == (0, "")
    assert sum(under.calls("sql").values()) == 2 * (400 + own)
    assert under.leaks(SECRET) == []
    words = ["--token", "***", "--dsn=host=db password=***", "postgres://***@localhost/shop", "API_KEY=***"]
    assert under.report["run"]["command"][1:] == (["app.py", *words] if redact == "literals" else ["app.py"])


def test_all_keeps_verb_and_tables(compared: Compared):
    """Statements on the same tables become one name."""
    under = compared(PROGRAM, needs=["sqlite3"], env={}, config='redact = "all"\n')
    assert under.calls("sql") == {
        "CREATE item": 1,
        "INSERT item": 1,
        "SELECT item": 2,
        "sqlite3 script": 1,
        "SELECT nothing": 1,
        "sqlite3 fetch": 2,
    }


def test_off_keeps_the_statement():
    """For those who want to see what their own machine runs."""
    program = "import sqlite3\nsqlite3.connect(':memory:').execute(\"SELECT  'a' -- why\")"
    assert run(program, packs=["sqlite3"], config='redact = "off"\n').calls() == {"SELECT  'a' -- why": 1}
