"""What the store knows of services: names, starts, curves, and the counts of a window.

In: a ServiceStore, the name of a service, moments in seconds since 1970. Out: plain values. Nothing is written. What of the
running minute is not in the store yet, `windows` adds. A piece of the store that cannot be read is left out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from hookmon.collector.columns import check
from hookmon.collector.counters import CallKey, Counters
from hookmon.core.errors import StoreError
from hookmon.core.record import Record, field
from hookmon.services.clock import HOUR_S, MINUTE_S, MINUTES, hour_of, minute_of
from hookmon.services.courses import Piece
from hookmon.services.packing import unpack, unpack_one, unpack_some
from hookmon.services.places import Counts, Place, is_sound
from hookmon.services.store import ServiceStore

TYPE_CHECKING = False  # type checkers read it as true
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

RUNNING, ENDED, RECOVERED, LOST = "running", "ended", "recovered", "lost"
"""States of a start. A start that says it is running may have a launcher that was killed: see `recovery`."""

_CHECKED = ("id", "key", "command", "version", "project", "state", "exit_code", "pid", "python", "hookmon", "machine")
_NUMBERS = frozenset(("cpu_ns", "rss_bytes", "processes", "launcher_cpu_ns", "launcher_rss_bytes"))
_NO_COUNTS: dict[int, Counts] = {}
_FINE_S = 6 * HOUR_S
"""Windows up to so long are added up from minutes, as far as there are any; of longer ones whole hours are taken."""


class Service(Record, slots=True):
    """One service. `first_s` and `last_s` are the first and the last moment that is known of it."""

    name: str
    starts: int
    running: int  # starts that have not ended, as far as they have said
    first_s: float
    last_s: float
    limits: list[str]  # what was dropped or put together for want of room, a sentence each


class Start(Record, slots=True):
    """One `hookmon run` of a service: a mark in its history. `ended_s` is None while it runs, or where nobody saw the end."""

    id: int
    key: str  # the run's `run_key`
    run_file: Path
    command: list[str]
    version: str  # as the configuration says it, "" where it says none
    project: str
    started_s: float
    ended_s: float | None
    seen_s: float  # when it was last added to
    state: str
    exit_code: int | None  # of its command, -N for signal N
    pid: int  # of its main process, 0 where it is not known
    python: str
    hookmon: str
    machine: str
    switched: str  # when it was off, as `off` has it


class Point(Record, slots=True):
    """What was counted in one minute or hour, `length_s` seconds from `at_s` on."""

    at_s: int
    length_s: int
    counters: Counters


class Usage(Record, slots=True):
    """What a service used in one minute or hour. Sizes are those at the end of the minute; of an hour, the most of any minute."""

    at_s: int
    length_s: int
    cpu_ns: int  # of its processes, in that time
    rss_bytes: int
    processes: int
    launcher_cpu_ns: int
    launcher_rss_bytes: int


class Stretch(Record, slots=True):
    """What the store has of a window: counts by the ids of places, for all starts together.

    `since_s` and `until_s` are where it begins and ends really: at whole minutes, or at whole hours where there are no minutes.
    """

    since_s: int
    until_s: int
    counts: dict[int, Counts] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)  # `parent` is an id; those with counts, and those above
    cpu_ns: dict[int, int] = field(default_factory=dict)  # by start, 0 for hours
    rss_bytes: dict[int, int] = field(default_factory=dict)  # the same, the most
    calls: dict[int, int] = field(default_factory=dict)  # of transactions, by start
    launcher_cpu_ns: int = 0
    processes: int = 0  # the most at one time
    totals: dict[int, dict[int, Counts]] = field(default_factory=dict)  # by start: what is in the store of those that go on
    used_ns: dict[int, int] = field(default_factory=dict)  # CPU time of these, the same
    limits: list[str] = field(default_factory=list)  # what was dropped of the service
    pieces: list[Piece] = field(default_factory=list)  # the same, by minute and start, or by hour


def services(store: ServiceStore) -> list[Service]:
    """Return all services, by name. Raises StoreError."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT name, count(starts.id), coalesce(sum(state = ?), 0), coalesce(min(started_s), 0), coalesce(max(seen_s), 0),"
            " minutes_from, hours_from, places_left_out, coalesce(sum(state = ?), 0)"
            " FROM services LEFT JOIN starts ON starts.service = services.id GROUP BY services.id ORDER BY name",
            [RUNNING, LOST],
        ).fetchall()
    return [
        Service(name, count, running, first_s, last_s, _limits(minutes_from, hours_from, left_out, lost))
        for name, count, running, first_s, last_s, minutes_from, hours_from, left_out, lost in rows
    ]


def starts(store: ServiceStore, service: str, since_s: float = 0, until_s: float = float("inf")) -> list[Start]:
    """Return the starts that lived in a window, the oldest first. Raises StoreError, also where there is no such service."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT id, key, run_file, command, version, project, started_s, ended_s, seen_s, state, exit_code, pid, python,"
            " hookmon, machine, switched FROM starts"
            " WHERE service = ? AND started_s < ? AND (ended_s IS NULL OR ended_s >= ?) ORDER BY started_s, id",
            [id_of(connection, service), min(until_s, 2**62), since_s],
        ).fetchall()
    return [start for row in rows if (start := _start_of(row)) is not None]


def _start_of(row: tuple[Any, ...]) -> Start | None:
    """Return a start, None where its row is damaged."""
    number, key, run_file, command, *rest = row
    try:
        start = Start(number, key, Path(run_file), json.loads(command), *rest)
        check(Start, {name: getattr(start, name) for name in _CHECKED} | {"seen_s": float(start.seen_s)})
        return start if isinstance(start.started_s, float) and isinstance(start.ended_s, float | None) else None
    except (ValueError, TypeError, RecursionError):
        return None


def transactions(store: ServiceStore, service: str, since_s: float, until_s: float) -> dict[CallKey, Counters]:
    """Return what was counted of each transaction in a window, by whole hours where it is longer. Raises as `starts`."""
    found: dict[CallKey, Counts] = {}
    with store.reading() as connection:
        number = id_of(connection, service)
        keys = own_places(connection, number)
        hours, minutes = pieces(connection, number, since_s, until_s)
        for _, _, _, content in rows_of(connection, "own", number, hours, minutes):
            for place, counts in read_piece(unpack, content, _NO_COUNTS).items():
                if place in keys:
                    found.setdefault(keys[place], Counts()).add(counts)
    return {key: counts.counters() for key, counts in found.items()}


def curve(
    store: ServiceStore,
    service: str,
    since_s: float,
    until_s: float,
    *,
    transaction: CallKey | str | None = None,
    by_hour: bool = False,
) -> list[Point]:
    """Return what was counted in each minute, or hour, of a window: of all transactions together, or of one.

    A transaction is meant by its key, or by its name, whatever its kind and target are. Where the minutes were dropped already,
    and where `by_hour` is set, a point is an hour. There is no point where the service did not run, and one without calls where
    it had none. Raises as `starts`.
    """
    found: dict[tuple[int, int], Counts] = {}
    with store.reading() as connection:
        number = id_of(connection, service)
        numbers: set[int] = set()
        if transaction is not None:
            own = own_places(connection, number)
            numbers = {place for place, key in own.items() if transaction in (key, key.name)}
        hours, minutes = pieces(connection, number, since_s, until_s, hours_only=by_hour, minutes_only=not by_hour)
        column = "whole" if transaction is None else "own"
        for _, at_s, length_s, content in rows_of(connection, column, number, hours, minutes):
            counts = found.setdefault((at_s, length_s), Counts())
            if transaction is None:
                counts.add(read_piece(unpack_one, content, Counts()))
            else:
                for more in read_piece(lambda packed: unpack_some(packed, numbers), content, _NO_COUNTS).values():
                    counts.add(more)
    return [Point(at_s, length_s, counts.counters()) for (at_s, length_s), counts in sorted(found.items())]


def usage(store: ServiceStore, service: str, since_s: float, until_s: float, *, by_hour: bool = False) -> list[Usage]:
    """Return what the service used in each minute, or hour, as `curve` has them. Raises as `starts`."""
    found: dict[tuple[int, int], Usage] = {}
    columns = "cpu_ns, rss_bytes, processes, launcher_cpu_ns, launcher_rss_bytes"
    with store.reading() as connection:
        number = id_of(connection, service)
        hours, minutes = pieces(connection, number, since_s, until_s, hours_only=by_hour, minutes_only=not by_hour)
        for _, at_s, length_s, *values in rows_of(connection, columns, number, hours, minutes):
            row = found.setdefault((at_s, length_s), Usage(at_s, length_s, 0, 0, 0, 0, 0))
            row.cpu_ns += values[0]
            row.rss_bytes += values[1]
            row.processes += values[2]
            row.launcher_cpu_ns += values[3]
            row.launcher_rss_bytes += values[4]
    return [found[key] for key in sorted(found)]


def stretch(store: ServiceStore, service: str, since_s: float, until_s: float) -> Stretch:
    """Return all that the store has of a window: what `windows.window` makes a Run of. Raises as `starts`."""
    with store.reading() as connection:
        number = id_of(connection, service)
        hours, minutes = pieces(connection, number, since_s, until_s)
        bounds = [(at * HOUR_S, (at + 1) * HOUR_S) for at in hours] + [(at * MINUTE_S, (at + 1) * MINUTE_S) for at in minutes]
        whole = Stretch(min((at for at, _ in bounds), default=int(since_s)), max((at for _, at in bounds), default=int(until_s)))
        columns = "own, calls, whole, cpu_ns, rss_bytes, processes, launcher_cpu_ns"
        at_once: dict[int, int] = {}
        for start, at_s, length_s, own, calls, of_all, cpu_ns, rss_bytes, processes, launcher_ns in rows_of(
            connection, columns, number, hours, minutes
        ):
            found = read_piece(unpack, own, _NO_COUNTS) | read_piece(unpack, calls, _NO_COUNTS)
            for place, counts in found.items():
                whole.counts.setdefault(place, Counts()).add(counts)
            whole.pieces.append(Piece(at_s, length_s, start, found, cpu_ns, rss_bytes, processes))
            whole.cpu_ns[start] = whole.cpu_ns.get(start, 0) + cpu_ns
            whole.rss_bytes[start] = max(whole.rss_bytes.get(start, 0), rss_bytes)
            whole.calls[start] = whole.calls.get(start, 0) + read_piece(unpack_one, of_all, Counts()).sums[0]
            whole.launcher_cpu_ns += launcher_ns
            at_once[at_s] = at_once.get(at_s, 0) + processes
        whole.processes = max(at_once.values(), default=0)
        dropped = "SELECT minutes_from, hours_from, places_left_out FROM services WHERE id = ?"
        minutes_from, hours_from, left_out = connection.execute(dropped, [number]).fetchone()
        (lost,) = connection.execute(
            "SELECT count(*) FROM starts WHERE service = ? AND state = ? AND seen_s BETWEEN ? AND ?",
            [number, LOST, since_s, until_s],
        ).fetchone()
        whole.limits = _limits(
            minutes_from if since_s < minutes_from * MINUTE_S else 0,
            hours_from if since_s < hours_from * HOUR_S else 0,
            left_out,
            lost,
        )
        for start, totals, cpu_ns in connection.execute(
            "SELECT id, totals, cpu_ns FROM starts WHERE service = ? AND state = ?", [number, RUNNING]
        ):
            whole.totals[start] = read_piece(unpack, totals, _NO_COUNTS)
            whole.used_ns[start] = cpu_ns
        whole.places = places_of(connection, number, {*whole.counts, *(at for own in whole.totals.values() for at in own)})
    return whole


def id_of(connection: sqlite3.Connection, service: str) -> int:
    """Return the id of a service. Raises StoreError with the names there are."""
    row = connection.execute("SELECT id FROM services WHERE name = ?", [service]).fetchone()
    if row is None:
        names = [name for (name,) in connection.execute("SELECT name FROM services ORDER BY name")]
        near = get_close_matches(service, names, n=1)
        known = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names[:20])}" if names else ""
        raise StoreError(f"there is no service {service}{known}", code="no-such-service")
    return int(row[0])


def pieces(
    connection: sqlite3.Connection,
    service: int,
    since_s: float,
    until_s: float,
    *,
    hours_only: bool = False,
    minutes_only: bool = False,
) -> tuple[range, Iterable[int]]:
    """Return (hours, minutes) that a window is made of. The minutes are two ranges at most: before the hours, and after them."""
    first, end = minute_of(since_s), -int(-min(until_s, 2**40) // MINUTE_S)
    (fine_from,) = connection.execute("SELECT minutes_from FROM services WHERE id = ?", [service]).fetchone()
    if hours_only:
        return range(hour_of(first), hour_of(end - 1) + 1), range(0)
    fine = max(first, min(end, fine_from))  # from here on there are minutes
    if fine > first and fine % MINUTES:
        fine += MINUTES - fine % MINUTES  # the hour in which they begin is there as a whole
    if minutes_only or (end - fine) * MINUTE_S <= _FINE_S:
        return range(hour_of(first), hour_of(min(fine, end) - 1) + 1) if fine > first else range(0), range(fine, end)
    from_hour, to_hour = -(-fine // MINUTES), end // MINUTES
    hours = range(hour_of(first) if fine > first else from_hour, to_hour)
    return hours, (*range(fine, min(end, from_hour * MINUTES)), *range(max(fine, to_hour * MINUTES), end))


def rows_of(
    connection: sqlite3.Connection, columns: str, service: int, hours: range, minutes: Iterable[int]
) -> Iterator[tuple[Any, ...]]:
    """Yield (start, at_s, length_s, columns …) of each row of a window; the start is 0 for hours, which are of all together."""
    numeric = [at for at, name in enumerate(columns.split(", ")) if name in _NUMBERS]
    query = f"SELECT hour, 0, {columns} FROM hours WHERE service = ? AND hour BETWEEN ? AND ?"
    ranges = [(query, HOUR_S, hours[0], hours[-1])] if hours else []
    query = f"SELECT minute, start, {columns} FROM minutes WHERE service = ? AND minute BETWEEN ? AND ?"
    ranges += [(query, MINUTE_S, first, last) for first, last in _ranges(minutes)]
    for query, length_s, first, last in ranges:
        for at, start, *values in connection.execute(query, [service, first, last]):
            for column in numeric:
                if type(values[column]) is not int:
                    values[column] = 0  # damaged
            yield start, at * length_s, length_s, *values


def _ranges(minutes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each row of minutes without a gap."""
    first = last = None
    for minute in minutes:
        if last is None or minute != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = minute
        last = minute
    if first is not None and last is not None:
        yield first, last


def own_places(connection: sqlite3.Connection, service: int) -> dict[int, CallKey]:
    """Return the places that are transactions."""
    rows = connection.execute("SELECT id, name, kind, target FROM places WHERE service = ? AND own = 1", [service])
    return {number: CallKey(*key) for number, *key in rows if all(isinstance(text, str) for text in key)}


def places_of(connection: sqlite3.Connection, service: int, wanted: Iterable[int]) -> dict[int, Place]:
    """Return places and all above them, each after the one above it."""
    rows = connection.execute(
        "SELECT id, parent, name, kind, target, site, flags FROM places WHERE service = ? ORDER BY id", [service]
    )
    known = {number: place for number, *row in rows if is_sound(place := Place(*row))}
    found: set[int] = set()
    for number in wanted:
        while number in known and number not in found:
            found.add(number)
            number = known[number].parent
    return {number: known[number] for number in sorted(found)}


def read_piece(reader: Callable[[Any], T], content: Any, nothing: T) -> T:
    """Return what a reader makes of a piece of the store, nothing where it cannot be read."""
    try:
        return reader(content)
    except (ValueError, TypeError):
        return nothing


def _limits(minutes_from: int, hours_from: int, places_left_out: int, lost: int) -> list[str]:
    """Return what a service has lost, as sentences: to the limits, and with starts of which nothing is left."""
    found = []
    if minutes_from:
        found.append(f"minutes before {_wall(minutes_from * MINUTE_S)} were dropped: before that there are hours")
    if hours_from:
        found.append(f"hours before {_wall(hours_from * HOUR_S)} were dropped")
    if places_left_out:
        found.append(f"{places_left_out} names and lines found no room; they are counted together as (other)")
    if lost:
        starts = "1 start" if lost == 1 else f"{lost} starts"
        found.append(f"of {starts} the last minute is lost: killed, and run file or run folder were gone before anybody looked")
    return found


def _wall(at_s: int) -> str:
    return datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M")
