"""A small program of five kinds of work, the same every time: arithmetic, sorting, allocating, SQL, and waiting."""

from __future__ import annotations

import sqlite3
import sys
import time

connection = sqlite3.connect(":memory:")
connection.execute("create table t (a, b)")
connection.executemany("insert into t values (?, ?)", [(a, 2 * a) for a in range(1_000)])


def count() -> int:
    """Compute for microseconds."""
    return sum(range(200))


def order() -> list[int]:
    """Compute for half a millisecond."""
    return sorted(range(3_000), key=lambda number: -number)


def allocate() -> list[object]:
    """Ask for memory."""
    return [object() for _ in range(2_000)]


def query() -> int:
    """Let SQLite compute."""
    found: int = connection.execute("select sum(b) from t where a > 10").fetchone()[0]
    return found


def wait() -> None:
    """Have the kernel wake us."""
    time.sleep(0.0005)


def handle(counts: int) -> None:
    """Do some of everything."""
    for _ in range(counts):
        count()
    order()
    allocate()
    query()
    wait()


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        handle(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
