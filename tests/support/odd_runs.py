"""Changes run files at random and lets every verb look at them, in a process with a limit of memory.

    python odd_runs.py FOLDER FIRST COUNT

Each number is one file. What ends otherwise than by an answer or by an error of ours is printed: number, verb, traceback. Values
that might hurt SQLite itself are none among them: an object that is no plain table is a view of a table, not an endless one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import traceback
from pathlib import Path
from typing import Any

import click
from report.runs import node, process, run

from hookmon.cli._verbs import hookmon
from hookmon.collector.recover import sweep
from hookmon.collector.store import BlindSpot, CallSeries, Example, InFlight, Run, RunFile, Sample, Signal, Store, Watched
from hookmon.core.errors import HookmonError
from hookmon.report import FORMATS
from hookmon.report.check import FORMATS as CHECK_FORMATS
from hookmon.report.diff import FORMATS as DIFF_FORMATS

PATIENCE_S = 30  # for one verb; an honest file takes less than one
MEMORY_BYTES = 2 << 30

BUDGETS = """
[budget."*"]
p95 = "1s"
sql_per_request = 3
[budget."GET /orders"]
p95_vs_base = "10%"
"""

ODD: tuple[Any, ...] = (
    None, 0, -1, 1, 2, 7, 2**31, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, 9e999, "", "x", "0", "\0", "\x1b[31m", "ä" * 300, "=1+1",
    "::error::x", "[]", "{}", "[[]]", "[1]", '["a"]', '{"1": 1}', '{"x": 1}', '{"99999": 1}', '{"-1": 1}', '{"3": -5}', "null",
    "[null]", "[[1,2]]", '[["a",1]]', "[[0,0,0,0]]", "[[99,0,1,1]]", "[[0,-1,-1,-1]]", "NaN", "[NaN]", "[1e999]", "[" * 3_000,
    "9" * 5_000, "running", "finished", "recovered", b"", b"\xff\xfe", b"\0" * 50, "2025-03-04T05:06:07+00:00", "sql", "request",
)  # fmt: skip

JSON: tuple[Any, ...] = (
    None, True, 0, -1, 3, 2**63, -(2**70), 1.5, -1.5, float("nan"), float("inf"), "", "x", "running", "finished", [], [1], ["a"],
    [None], [[]], {}, {"a": 1}, [{}], [{"id": 1}], [{"table": 1, "key": "a", "value": 1, "origin": ""}],
    [{"table": "a", "key": "b", "value": [1], "origin": ""}],
    [{"id": 1, "module": "m", "calls": ["a"], "pack": "", "source": ""}],
    [{"id": 1, "module": "m", "calls": [1], "pack": "", "source": ""}],
    [{"id": 1, "module": "m", "calls": ["a"], "pack": "", "source": "", "until": 3, "entry_name": []}],
    [{"id": 1, "module": "__main__", "calls": ["*"], "pack": None, "source": "", "hook": 1}],
)  # fmt: skip


def honest(folder: Path) -> Path:
    """Make a run file with something in every table."""
    nodes = [
        node(-1, "GET /orders", [40_000_000 + at for at in range(60)], kind="request", target="shop.web:handle", entry=True),
        node(0, "redis GET", [90_000 + 400 * at for at in range(600)], call_site="shop/web.py:41", kind="cache", target="r:R.e"),
        node(0, "sqlite3 SELECT", [4_000_000] * 50, call_site="shop/web.py:52", kind="sql", target="sqlite3:Cursor.execute"),
        node(-1, "quote", [1_500, 640, 2_000, 9_000], target="shop.pricing:quote"),
    ]
    nodes[1].repeated, nodes[1].repeated_calls, nodes[1].most, nodes[1].transactions = 60, 600, 10, 60
    whole: Run = run(
        nodes=nodes,
        processes=[process(4711), process(4712, started_ns=5, calls=700)],
        examples=[Example(0, 5, 41_000_000, 200, 1, 4712, [(0, 0, 0, 41_000_000), (1, 0, 5, 90_000), (2, 1, 7, 4_000_000)])],
        signals=[Signal("gc pause", "s", "histogram", 0.25, 3, 0.01, 0.2, buckets={430: 2, 441: 1})],
        watched=[Watched("shop.pricing:quote", "active", source="--watch")],
        blind_spots=[BlindSpot("not watched", "process 4, sh, is no Python")],
        in_flight=[InFlight(4711, "MainThread", [("GET /orders", 31_400), ("redis GET", 31)], 31, killed=True)],
        samples=[Sample(at, 4711, at * 10, 1 << 20, 1, 5, 0, 0, 3) for at in range(0, 3_000_000_000, 1_000_000_000)],
        series=[CallSeries("GET /orders", "request", "shop.web:handle", "[[0,4,0,12,[3,4]],[2,4,1,12,[3,4]]]")],
        plan=[{"id": 1, "module": "shop.pricing", "calls": ["quote"], "pack": "", "source": "--watch"}],
        settings=[{"table": "collect", "key": "redact", "value": "literals", "origin": "default"}],
        interval_ns=250_000_000,
        still_running=["4712 python app.py"],
    )
    path = folder / "honest.sqlite"
    RunFile(path).save(whole)
    return path


def change(path: Path, dice: random.Random) -> None:
    """Change a run file in some ways that are drawn."""
    for _ in range(dice.randint(1, 4)):
        kind = dice.choice(("cell", "cell", "cell", "column", "value", "value", "schema", "bits", "cut"))
        if kind in ("bits", "cut"):
            content = bytearray(path.read_bytes())
            if kind == "cut":
                del content[dice.randrange(len(content) + 1) :]
            for _ in range(dice.choice((1, 1, 2, 8, 64)) if content else 0):
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            path.write_bytes(content)
            continue
        with (
            contextlib.suppress(sqlite3.Error, OverflowError, UnicodeError),
            contextlib.closing(sqlite3.connect(path)) as connection,
        ):
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = dice.choice(tables)
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            column = dice.choice(columns)
            if kind == "cell":
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", [dice.choice(ODD)])
            elif kind == "column":
                connection.execute(f"UPDATE {table} SET {column} = ?", [dice.choice(ODD)])
            elif kind == "value":
                keys = [key for (key,) in connection.execute("SELECT key FROM run")]
                text = json.dumps(dice.choice(JSON)) if dice.random() < 0.8 else dice.choice(ODD)
                connection.execute("UPDATE run SET value = ? WHERE key = ?", [text, dice.choice(keys)])
            else:
                connection.execute(
                    dice.choice(
                        (
                            f"DROP TABLE {table}",
                            f"DELETE FROM {table}",
                            f"ALTER TABLE {table} RENAME TO other",
                            f"ALTER TABLE {table} DROP COLUMN {column}",
                            f"ALTER TABLE {table} ADD COLUMN more",
                            f"ALTER TABLE {table} ADD COLUMN computed AS (1)",
                            f"CREATE VIEW seen AS SELECT * FROM {table}",
                            f"CREATE TRIGGER told AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END",
                            f"CREATE INDEX sorted ON {table} ({column})",
                            f"INSERT INTO {table} SELECT * FROM {table}",
                            f"PRAGMA user_version = {dice.randrange(9)}",
                            "PRAGMA application_id = 5",
                            "PRAGMA journal_mode = WAL",
                            "PRAGMA encoding = 'UTF-16'",
                            "INSERT INTO run VALUES ('surprise', '1')",
                        )
                    )
                )
            connection.commit()


def verbs(path: Path, good: Path, out: Path) -> list[list[str]]:
    """Return the command lines that look at a file; of `hookmon run`, its sweep is called by `look`."""
    lines = [["report", str(path), "--format", format, "--all", "-o", str(out)] for format in FORMATS]
    lines += [["diff", str(good), str(path), "--format", format, "-o", str(out)] for format in DIFF_FORMATS]
    lines += [["check", str(path), "--format", format, "--output", str(out)] for format in CHECK_FORMATS]
    lines += [["diff", str(path), str(good)], ["check", str(good), "--against", str(path)], ["check", str(path), "--update"]]
    lines += [["explain", "repeated", str(path)], ["open", str(path), "--no-browser"], ["top", str(path), "--plain"]]
    lines += [
        ["runs"],
        ["runs", "--json"],
        ["runs", "import", str(path)],
        ["report"],
        ["runs", "export", "last", str(out) + ".x"],
    ]
    lines += [["runs", "name", "1", "word"], ["report", "word"], ["runs", "remove", "last"]]
    return lines


class Late(BaseException):
    """A verb took too long."""


def late(*_: Any) -> None:
    """Say so."""
    raise Late


def look(path: Path, good: Path, number: int) -> int:
    """Let every verb look at a file; return how many ended as they should not."""
    bad = 0
    store = Path(".hookmon")
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(0o700)
    shutil.copy(path, store / "run-0001.sqlite")
    for line in [["sweep"], *verbs(path, good, Path("out"))]:
        Path("hookmon.toml").write_text(BUDGETS)
        Path("out.x").unlink(missing_ok=True)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                if line == ["sweep"]:
                    sweep(Store(store))
                else:
                    hookmon.main(args=line, prog_name="hookmon", standalone_mode=False)
        except (HookmonError, click.ClickException, click.exceptions.Exit):
            pass
        except BaseException:
            bad += 1
            sys.__stdout__.write(f"number {number}: hookmon {' '.join(line)}\n{traceback.format_exc()}\n")
            sys.__stdout__.flush()  # type: ignore[union-attr]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return bad


def main(folder: Path, first: int, count: int) -> None:
    """Look at the files of some numbers."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, late)
    os.chdir(folder)
    good = honest(folder)
    bad = look(good, good, -1)
    for number in range(first, first + count):
        path = folder / "odd.sqlite"
        shutil.copy(good, path)
        change(path, random.Random(number))
        bad += look(path, good, number)
    sys.__stdout__.write(f"{bad} of {count} files\n")  # type: ignore[union-attr]
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
