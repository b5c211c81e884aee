"""One row of minutes or hours: made, or added to. Within a transaction that writes."""

from __future__ import annotations

import sqlite3

from hookmon.core.record import Record
from hookmon.services.packing import pack, pack_one, unpack, unpack_one
from hookmon.services.places import Counts
from hookmon.services.store import numbers


class Growth(Record, frozen=True, slots=True):
    """What came since a start was written last: all transactions together, each of them by place, calls by place, CPU time."""

    whole: Counts
    own: dict[int, Counts]
    calls: dict[int, Counts]
    cpu_ns: int
    launcher_cpu_ns: int


def add_row(connection: sqlite3.Connection, table: str, key: dict[str, int], growth: Growth, sizes: tuple[int, int, int]) -> None:
    """Add to a row, or make it. `sizes` are memory, processes, and the launcher's memory: the most counts."""
    where = " AND ".join(f"{name} = ?" for name in key)
    row = connection.execute(
        f"SELECT whole, own, calls, cpu_ns, launcher_cpu_ns, rss_bytes, processes, launcher_rss_bytes FROM {table} WHERE {where}",
        [*key.values()],
    ).fetchone()
    whole, own, calls = Counts(), growth.own, growth.calls
    cpu_ns, launcher_ns = growth.cpu_ns, growth.launcher_cpu_ns
    if row is not None:
        numbers(row[3:])
        whole = _unpack_whole(row[0])
        own, calls = _sum(unpack_or_nothing(row[1]), own), _sum(unpack_or_nothing(row[2]), calls)
        cpu_ns, launcher_ns = cpu_ns + row[3], launcher_ns + row[4]
        sizes = (max(sizes[0], row[5]), max(sizes[1], row[6]), max(sizes[2], row[7]))
    whole.add(growth.whole)
    values = {
        **key,
        "whole": pack_one(whole),
        "own": pack(own),
        "calls": pack(calls),
        "cpu_ns": cpu_ns,
        "launcher_cpu_ns": launcher_ns,
        "rss_bytes": sizes[0],
        "processes": sizes[1],
        "launcher_rss_bytes": sizes[2],
    }
    connection.execute(
        f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
    )


def _sum(known: dict[int, Counts], more: dict[int, Counts]) -> dict[int, Counts]:
    for number, counts in more.items():
        known.setdefault(number, Counts()).add(counts)
    return {number: counts for number, counts in known.items() if not counts.is_nothing()}


def unpack_or_nothing(content: bytes | None) -> dict[int, Counts]:
    """Return packed counts, none where they cannot be read: a damaged page leaves the rest of the store as good as before."""
    try:
        return unpack(content)
    except ValueError:
        return {}


def _unpack_whole(content: str | None) -> Counts:
    try:
        return unpack_one(content)
    except ValueError:
        return Counts()
