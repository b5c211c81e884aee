"""Where a repeated call comes from: the line of the program's own code, however the call gets from there to the library."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import ENGINES
from support.interpreters import new_virtualenv, site_packages
from support.runs import hookmon_run, watch, write

pytestmark = pytest.mark.usefixtures("warm_launcher")

LIBRARY = """
    class Rows:
        def __init__(self, db): self.db = db
        def ask(self): return self.db.execute("select a from t where a = ?", (1,)).fetchall()
        def __len__(self): return len(self.ask())
        def __iter__(self): return iter(self.ask())
        def __get__(self, owner, kind=None): return self.ask()

    source = "def fetch(rows):\\n    return rows.ask()"
    made = {}
    exec(compile(source, "<lib generated>", "exec"), made)
    exec(compile(source.replace("fetch", "fetch_too"), "<string>", "exec"), made)

    def sweep(rows):
        for _ in range(6): rows.ask()
"""

PROGRAM = """
    import sqlite3
    from lib import Rows, made, sweep

    db = sqlite3.connect(":memory:")
    db.execute("create table t(a)")
    rows = Rows(db)

    class Owner:
        lazy = rows

    def one():
        for _ in range(6): len(rows)
        for _ in range(6): iter(rows)
        for _ in range(6): Owner().lazy
        for _ in range(6): made["fetch"](rows)
        for _ in range(6): made["fetch_too"](rows)

    def two():
        for _ in range(6): len(rows)
        for _ in range(6): iter(rows)
        for _ in range(6): Owner().lazy
        for _ in range(6): made["fetch"](rows)
        for _ in range(6): made["fetch_too"](rows)
"""

SCRIPT = """
    import sys
    sys.path.insert(0, ".")
    import lib, shop
    for _ in range(2):
        shop.one()
        shop.two()
    lib.sweep(shop.rows)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_repetition_names_its_own_line_through_slots_generated_code_and_scripts(tmp_path: Path, engine: str) -> None:
    """`len()` and descriptors call from C, which has frames in 3.12; generated code and pip's scripts are nobody's own."""
    python = new_virtualenv(tmp_path / "venv")
    write(site_packages(python), {"lib.py": LIBRARY})
    write(tmp_path, {"venv/bin/serve": SCRIPT, "app/shop.py": PROGRAM})
    entries = watch("shop", "one", "two", kind="request", entry=True) + watch("lib", "sweep", kind="request", entry=True)
    env = {"HOOKMON_ENGINE": engine}
    script = f"../venv/bin/{python.with_name('serve').name}"  # by the way that people type
    report = hookmon_run([str(python), script], cwd=tmp_path / "app", config=entries, env=env).report
    assert report["run"]["engine"] == engine
    found = sorted((row["transaction"], row["location"]) for row in report["findings"] if row["kind"] == "repetition")
    expected = [("one", f"shop.py:{line}") for line in range(13, 18)] + [("two", f"shop.py:{line}") for line in range(20, 25)]
    library = f"{site_packages(python)}/lib.py:4"
    assert found == sorted([*expected, ("sweep", library)])
