"""How much of a service is kept, and what goes when that is reached.

In: the connection of a transaction that writes. Out: rows deleted, and the moment noted from which on all is there.
"""

from __future__ import annotations

import sqlite3

from hookmon.services.clock import DAY_S, HOUR_S, MINUTES

MINUTES_S = 2 * DAY_S
HOURS_S = 60 * DAY_S
LARGEST_BYTES = 256 * 1024 * 1024
"""Of the whole store: then the service with the most to keep loses its oldest minutes, and at last its oldest hours."""

MOST_PLACES = 10_000
"""Of a service. Then lines are no longer told apart, and what has a new name is counted as (other)."""

MOST_UNSITED = 2_000
"""Places beyond MOST_PLACES that have no line of their own."""

MOST_EXAMPLES = 3
"""Of a transaction and ten minutes: the slowest two and the first that failed, or the slowest three."""

ALL_EXAMPLES = 2_000
"""Of a service."""

MOST_STARTS = 10_000
"""Of a service: one that fails and is started again each second has as many in three hours."""

_SPARE_TOTALS = 20  # of starts that have ended: whoever says so may be wrong about the last ones

_TRIM_EVERY_S = HOUR_S
_TRUSTED_S = 3 * HOUR_S
_STEP = 6 * MINUTES  # minutes that are dropped at once where there is no room
_HOUR_STEP = 24
_VACUUM_PAGES = 2_000  # eight megabytes an hour: nobody waits for it


def trim(connection: sqlite3.Connection, service: int, now_s: float) -> None:
    """Drop what is too old or too much, once an hour.

    A clock that has jumped ahead is not believed at once: what is old by it goes when it has said so for an hour.
    """
    (trimmed_s,) = connection.execute("SELECT trimmed_s FROM services WHERE id = ?", [service]).fetchone()
    if trimmed_s <= now_s < trimmed_s + _TRIM_EVERY_S:
        return
    connection.execute("UPDATE services SET trimmed_s = ? WHERE id = ?", [now_s, service])
    if not trimmed_s <= now_s <= trimmed_s + _TRUSTED_S:
        return
    first_minute = int((now_s - MINUTES_S) // HOUR_S) * MINUTES  # a whole hour: the rest of it is in its row
    first_hour = int((now_s - HOURS_S) // HOUR_S)
    _drop_minutes(connection, service, first_minute)
    _drop_hours(connection, service, first_hour)
    connection.execute(
        "DELETE FROM examples WHERE service = ? AND (minute < ? OR id NOT IN"
        " (SELECT id FROM examples WHERE service = ? ORDER BY minute DESC, id DESC LIMIT ?))",
        [service, first_minute, service, ALL_EXAMPLES],
    )
    ended = "service = ? AND ended_s IS NOT NULL"
    last = f"SELECT id FROM starts WHERE {ended} ORDER BY id DESC LIMIT ?"
    connection.execute(f"UPDATE starts SET totals = NULL WHERE {ended} AND id NOT IN ({last})", [service, service, _SPARE_TOTALS])
    connection.execute(
        f"DELETE FROM starts WHERE {ended} AND (seen_s < ? OR id NOT IN ({last}))",
        [service, now_s - HOURS_S, service, MOST_STARTS],
    )
    _drop_places(connection, service, first_hour)
    connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()


def make_room(connection: sqlite3.Connection) -> None:
    """Drop what is oldest where the store has become too large."""
    while _used_bytes(connection) > LARGEST_BYTES and _drop_oldest(connection):
        pass


def _drop_minutes(connection: sqlite3.Connection, service: int, first: int) -> int:
    deleted = connection.execute("DELETE FROM minutes WHERE service = ? AND minute < ?", [service, first]).rowcount
    if deleted:
        connection.execute("UPDATE services SET minutes_from = max(minutes_from, ?) WHERE id = ?", [first, service])
    return deleted


def _drop_hours(connection: sqlite3.Connection, service: int, first: int) -> int:
    deleted = connection.execute("DELETE FROM hours WHERE service = ? AND hour < ?", [service, first]).rowcount
    if deleted:
        connection.execute("UPDATE services SET hours_from = max(hours_from, ?) WHERE id = ?", [first, service])
    return deleted


def _drop_places(connection: sqlite3.Connection, service: int, first_hour: int) -> None:
    """Forget places that no row refers to: those not seen since, of which no start that goes on has counted anything."""
    (goes_on,) = connection.execute(
        "SELECT min(started_s) FROM starts WHERE service = ? AND ended_s IS NULL", [service]
    ).fetchone()
    oldest = first_hour if goes_on is None else min(first_hour, int(goes_on // HOUR_S))
    connection.execute(
        "DELETE FROM places WHERE service = ? AND seen < ? AND id NOT IN (SELECT parent FROM places WHERE service = ?)"
        " AND id NOT IN (SELECT entry FROM places WHERE service = ?)",
        [service, oldest, service, service],
    )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _drop_oldest(connection: sqlite3.Connection) -> bool:
    """Drop the oldest of the service with the most to keep; say whether there was anything."""
    for table, at, step, drop in (
        ("minutes", "minute", _STEP, _drop_minutes),
        ("hours", "hour", _HOUR_STEP, _drop_hours),
    ):
        row = connection.execute(
            f"SELECT service, min({at}), max({at}) FROM {table} GROUP BY service"
            f" ORDER BY sum(length(own) + length(calls)) DESC LIMIT 1"
        ).fetchone()
        if row is not None and row[2] - row[1] >= step:
            first = row[1] + step
            return drop(connection, row[0], first - first % MINUTES if table == "minutes" else first) > 0
    return False
