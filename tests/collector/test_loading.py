"""A run file may have been made by anybody, and left by a writer that was killed."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.users import ALICE, as_user, common, folder_of, open_python

from hookmon.collector.columns import columns_of
from hookmon.collector.loading import rows_to_keep
from hookmon.collector.store import BlindSpot, Example, Node, Run, RunFile
from hookmon.core.errors import RunFileError

__all__ = ["common"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_file(tmp_path: Path) -> RunFile:
    """A run file with two nodes."""
    found = RunFile(tmp_path / "run-0007.sqlite")
    nodes = [Node(-1, "a", "sql", "m:a"), Node(0, "b", "sql", "m:b")]
    found.save(Run(7, "", ["python"], "", "0.1.0", state="finished", nodes=nodes))
    return found


def execute(path: Path, *statements: str) -> None:
    """Change a run file."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


# what a killed writer leaves

KILLED_SAVE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 5")
connection.execute("PRAGMA synchronous = OFF")
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM nodes")
connection.execute("UPDATE run SET value = '\\"killed\\"' WHERE key = 'name'")
for number in range(5000):
    connection.execute("INSERT INTO nodes (parent, name) VALUES (?, ?)", [number - 1, "x" * 200])
os.kill(os.getpid(), 9)
"""


def leave_journal(run_file: RunFile) -> None:
    """Kill a writer after some of its pages are in the file."""
    subprocess.run([sys.executable, "-c", KILLED_SAVE, str(run_file.path)], check=False)
    assert Path(f"{run_file.path}-journal").stat().st_size > 512


@pytest.mark.process
def test_a_run_is_read_whose_writer_was_killed(run_file: RunFile):
    """As it was saved before; and reading writes nothing."""
    before = run_file.load()
    leave_journal(run_file)
    files = {path.name: path.read_bytes() for path in run_file.path.parent.iterdir()}
    assert run_file.load() == before
    assert run_file.head().name == ""
    assert {path.name: path.read_bytes() for path in run_file.path.parent.iterdir()} == files


@pytest.mark.process
def test_it_is_read_where_nothing_can_be_written(common: Path):
    """Not even root's rights are needed: a copy is read."""
    folder = folder_of(ALICE, common / "store")
    run_file = RunFile(folder / "run-0001.sqlite")
    run_file.save(Run(1, "kept", ["python"], "", "0.1.0", nodes=[Node(-1, "a", "sql", "m:a")]))
    leave_journal(run_file)
    for path in folder.iterdir():
        os.chown(path, ALICE, ALICE)
        path.chmod(0o400)
    folder.chmod(0o500)
    code = "import sys, pathlib, hookmon.collector.store as s; print(s.RunFile(pathlib.Path(sys.argv[1])).load().name)"
    env = {"PYTHONPATH": str(ROOT / "agent")}
    done = subprocess.run(
        [open_python(), "-c", code, str(run_file.path)], env=env, capture_output=True, text=True, **as_user(ALICE)
    )
    assert (done.stdout, done.stderr) == ("kept\n", "")


@pytest.mark.process
def test_the_next_writer_rolls_it_back(run_file: RunFile):
    """Its journal goes."""
    before = run_file.load()
    leave_journal(run_file)
    run_file.roll_back()
    assert not Path(f"{run_file.path}-journal").exists()
    assert run_file.load() == before


@pytest.mark.process
def test_a_run_goes_with_its_journal(run_file: RunFile):
    """Which would be rolled back into the next file of that name."""
    leave_journal(run_file)
    run_file.delete()
    assert list(run_file.path.parent.iterdir()) == []


def name_another_file(run_file: RunFile, victim: Path) -> None:
    """Let the journal name a file as its super-journal, which SQLite deletes after the roll-back (pager.c, pager_delsuper)."""
    name = str(victim).encode()
    tail = struct.pack(">I", 1) + name + struct.pack(">II", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7")
    with open(f"{run_file.path}-journal", "ab") as file:
        file.write(tail)


@pytest.mark.process
def test_a_journal_cannot_have_a_file_deleted(run_file: RunFile, tmp_path: Path):
    """It comes with the run file, from wherever that came."""
    leave_journal(run_file)
    victim = tmp_path / "thesis.txt"
    victim.write_text("work of years")
    name_another_file(run_file, victim)
    for act in (run_file.load, run_file.roll_back, lambda: run_file.rename("x"), lambda: run_file.save(Run(1, "", [], "", ""))):
        with pytest.raises(RunFileError, match="names another file"):
            act()
    assert victim.read_text() == "work of years"


# what is no table of ours

ALIEN = {
    "a view for a table": ("ALTER TABLE nodes RENAME TO other", "CREATE VIEW nodes AS SELECT * FROM other"),
    "a view for the values": ("ALTER TABLE run RENAME TO other", "CREATE VIEW run AS SELECT * FROM other"),
    "a view beside": ("CREATE VIEW other AS SELECT 1",),
    "a trigger": ("CREATE TRIGGER other AFTER INSERT ON nodes BEGIN DELETE FROM nodes; END",),
    "a computed column": ("ALTER TABLE nodes DROP COLUMN steps", "ALTER TABLE nodes ADD COLUMN steps AS (1)"),
    "a computed value": ("ALTER TABLE run RENAME TO other", "CREATE TABLE run (key, value AS (key))"),
    "tables without end": tuple(f"CREATE TABLE t{number} (a)" for number in range(101)),
}


@pytest.mark.parametrize("name", ALIEN)
def test_what_is_no_plain_table_is_refused(name: str, run_file: RunFile):
    """What it computes may have no end, and what it does to our writing may be anything; neither is begun."""
    execute(run_file.path, *ALIEN[name])
    content = run_file.path.read_bytes()
    with pytest.raises(RunFileError, match=r"not a (readable )?run file|computed") as refused:
        run_file.load()
    assert refused.tb is not None  # which holds the frames; the file is closed all the same
    assert run_file.path not in {Path(file.path) for file in psutil.Process().open_files()}
    if name not in ("a computed column", "a computed value"):
        for act in (lambda: run_file.rename("x"), lambda: run_file.save(Run(1, "", [], "", ""))):
            with pytest.raises(RunFileError):
                act()
    assert run_file.path.read_bytes() == content


def test_a_virtual_table_is_refused(run_file: RunFile):
    """Its module would run over what is in the file."""
    try:
        execute(run_file.path, "CREATE VIRTUAL TABLE words USING fts5(word)")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no fts5")
    with pytest.raises(RunFileError):
        run_file.load()


def test_a_file_with_another_kind_of_journal_is_refused(run_file: RunFile):
    """Reading it would make files beside it."""
    execute(run_file.path, "PRAGMA journal_mode = WAL")
    with pytest.raises(RunFileError, match="another kind"):
        run_file.load()
    assert os.listdir(run_file.path.parent) == [run_file.path.name]


def test_more_than_a_run_can_have_is_refused(run_file: RunFile):
    """By its rows."""
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20001) "
    execute(run_file.path, f"{rows} INSERT INTO blind_spots SELECT 'a', 'b' FROM n")
    with pytest.raises(RunFileError, match="more rows"):
        run_file.load()


def test_what_is_saved_can_be_loaded_however_much_it_is(run_file: RunFile):
    """What comes last is left out."""
    spots = [BlindSpot("lanes", str(number)) for number in range(20_001)]
    run_file.save(Run(1, "", [], "", "0.1.0", blind_spots=spots))
    assert run_file.load().blind_spots == spots[:-1]


def test_examples_of_places_that_are_left_out_are_left_out():
    """Or they would be of no place."""
    run = Run(1, "", [], "", "0.1.0", nodes=[Node(-1, "a", "sql", "m:a")] * 131_073)
    run.examples = [Example(0, 1, 1, 0, 0, 1, [(131_072, 0, 0, 1)]), Example(0, 1, 1, 0, 0, 1, [(131_071, 0, 0, 1)])]
    assert len(rows_to_keep(run, "nodes")) == 131_072
    assert rows_to_keep(run, "examples") == run.examples[1:]


# what is of another type than its field


def _example(**values: object) -> str:
    """Return a statement that adds an example with some values that are not as they should be."""
    row = {
        **dict.fromkeys(columns_of(Example), 1),
        "node": 0,
        "spans": "'[]'",
        "failed": "'[]'",
        "error": "''",
        "trace_id": "''",
        "span_id": "''",
        "parent_id": "''",
        **values,
    }
    return f"INSERT INTO examples VALUES ({', '.join(map(str, row.values()))})"


WRONG = {
    "text for a number": "UPDATE nodes SET steps = 'x'",
    "a real number": "UPDATE nodes SET calls = 1.5",
    "nothing": "UPDATE nodes SET total_ns = NULL",
    "bytes": "UPDATE nodes SET name = x'00ff'",
    "a number for a text": "UPDATE nodes SET name = 5",
    "its own parent": "UPDATE nodes SET parent = 1",
    "no such parent": "UPDATE nodes SET parent = -2",
    "a list of lists": f"UPDATE nodes SET buckets = '{'[' * 3_000}'",
    "no such bucket": "UPDATE nodes SET buckets = '{\"99999\": 1}'",
    "no list": "UPDATE run SET value = '5' WHERE key = 'command'",
    "a list of numbers": "UPDATE run SET value = '[5]' WHERE key = 'command'",
    "a large number": f"UPDATE run SET value = '{2**63}' WHERE key = 'duration_ns'",
    "a number of 5,000 digits": f"UPDATE run SET value = '{'9' * 5_000}' WHERE key = 'duration_ns'",
    "no number": "UPDATE run SET value = 'NaN' WHERE key = 'call_cost_ns'",
    "a watch without calls": "UPDATE run SET value = '[{\"id\": 1}]' WHERE key = 'plan'",
    "an example of no place": _example(node=9),
    "a span of no place": _example(spans="'[[9, 0, 0, 1]]'"),
    "a span of three": _example(spans="'[[0, 0, 0]]'"),
    "a failed span that is not there": _example(failed="'[0]'"),
    "a trace id that is none": _example(trace_id="'" + "g" * 32 + "'"),
    "a span id that is too short": _example(span_id="'00'"),
    "a status of no place": "INSERT INTO statuses VALUES (9, 200, 1, 0, 0, 0, 1, 1, 1, '{}')",
    "a list that is open": "UPDATE nodes SET buckets = '{},{}' WHERE rowid = 1",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_another_type_is_one_error(name: str, run_file: RunFile):
    """At the loading, so that nobody who shows a run has to doubt it."""
    execute(run_file.path, WRONG[name])
    with pytest.raises(RunFileError, match="not a readable run file"):
        run_file.load()


@pytest.mark.process
def test_a_damaged_file_cannot_be_imported(run_file: RunFile):
    """Nor exported again: `load` is the only way in."""
    execute(run_file.path, WRONG["text for a number"])
    from support.runs import hookmon

    done = hookmon(["runs", "import", str(run_file.path)], cwd=run_file.path.parent)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert not list((run_file.path.parent / ".hookmon").glob("*.sqlite"))
