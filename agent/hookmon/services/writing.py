"""Adds what a start has counted to the store: the minute, the hour, and what of it is there already, in one transaction.

In: states of one start, cumulative. Out: rows. A state is held against `totals`, what the store has of the start already, so the
sum of all that was written is the last state, exactly: after a restart of the writer, a lost lock, a recovery by somebody else.
"""

from __future__ import annotations

import json
import sqlite3

from hookmon.core.record import Record, field
from hookmon.services import limits
from hookmon.services.clock import hour_of
from hookmon.services.examples import ExampleText, add_examples
from hookmon.services.minute_rows import Growth, add_row, unpack_or_nothing
from hookmon.services.packing import pack
from hookmon.services.place_rows import place_ids
from hookmon.services.places import Counts, Place
from hookmon.services.reading import RUNNING
from hookmon.services.store import ServiceStore, numbers

_WHOLE = 0  # the id of places.ALL, which has no row


class About(Record, frozen=True, slots=True):
    """One `hookmon run` of a service."""

    service: str
    key: str  # the run's `run_key`
    run_file: str
    command: list[str]
    version: str
    project: str
    hookmon: str
    machine: str  # this start of this machine, and the namespace in which paths are meant
    started_s: float


class State(Record, slots=True):
    """What a start has counted and used until a moment.

    `minute` is the one that what is new belongs to. `end` is the state that the start is in from now on, "" while it runs.
    CPU time is -1 where it is not known: then none is added.
    """

    at_s: float
    minute: int
    places: list[Place]
    counts: list[Counts]
    cpu_ns: int = 0
    rss_bytes: int = 0
    processes: int = 0
    launcher_cpu_ns: int = 0
    launcher_rss_bytes: int = 0
    examples: list[ExampleText] = field(default_factory=list)
    end: str = ""
    exit_code: int | None = None
    pid: int = 0  # of the main process
    python: str = ""
    switched: str | None = None  # when it was off, as `off` has it; None: nobody can tell any more


class _Known(Record, frozen=True, slots=True):
    """What the store has of a start: how often that was written to, the ids of places by their numbers, the totals by id.

    `used` is CPU time, of processes and launcher. `counts` are those of the last state that was written, by number.
    """

    writes: int = -1
    ids: list[int] = field(default_factory=list)
    totals: dict[int, Counts] = field(default_factory=dict)
    used: tuple[int, int] = (0, 0)
    counts: list[Counts] = field(default_factory=list)
    is_of_another_store: bool = False


class StartWriter:
    """Writes the states of one start. For one thread at a time."""

    def __init__(self, store: ServiceStore, about: About) -> None:
        self._store = store
        self._about = about
        self._known = _Known()

    def write(self, state: State) -> None:
        """Add what is new in a state. Raises StoreError; then nothing of it is there, and the next state has it."""
        with self._store.writing() as connection:
            known = self._add(connection, state)
        self._known = known

    def _add(self, connection: sqlite3.Connection, state: State) -> _Known:
        """Add what is new; return what is known of the store then."""
        limits.make_room(connection)
        service, start, known = self._find_start(connection, state)
        ids = place_ids(connection, service, state.places, hour_of(state.minute), known.ids)
        # what another store had is not added again
        before = _sum_by_id(ids, known.counts) if known.is_of_another_store else known.totals
        now = _sum_by_id(ids, state.counts)
        grown = _growth(before, now)
        now_used = _or(state.cpu_ns, known.used[0]), _or(state.launcher_cpu_ns, known.used[1])
        used = now_used[0] - known.used[0], now_used[1] - known.used[1]
        if grown or any(used) or state.examples or not state.end:
            _add_minute(connection, service, start, state, grown, used)
        add_examples(connection, service, start, state.minute, state.examples)
        fresh = _Known(known.writes + 1, ids, now, now_used, state.counts)
        values = {
            "seen_s": state.at_s,
            "ended_s": state.at_s if state.end else None,
            "state": state.end or RUNNING,
            "writes": fresh.writes,
            "cpu_ns": now_used[0],
            "launcher_cpu_ns": now_used[1],
            "totals": pack(now),
            "exit_code": state.exit_code,
            "pid": state.pid,
            "python": state.python,
        }
        if state.switched is not None:
            values["switched"] = state.switched
        setting = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"UPDATE starts SET {setting} WHERE id = ?", [*values.values(), start])
        limits.trim(connection, service, state.at_s)
        return fresh

    def _find_start(self, connection: sqlite3.Connection, state: State) -> tuple[int, int, _Known]:
        """Return the ids of service and start, which are made where there are none, and what the store has of the start."""
        about, known = self._about, self._known
        row = connection.execute(
            "SELECT service, id, writes, cpu_ns, launcher_cpu_ns, totals FROM starts WHERE key = ?", [about.key]
        ).fetchone()
        if row is not None:
            *known_numbers, totals = row
            service, start, writes, cpu_ns, launcher_ns = numbers(tuple(known_numbers))
            if writes != known.writes and totals is None:  # somebody has said that it ended, long ago
                known = _Known(writes, [], {}, known.used, known.counts, is_of_another_store=True)
            elif writes != known.writes:  # somebody else has written, or this process begins where another one was killed
                known = _Known(writes, [], unpack_or_nothing(totals), (cpu_ns, launcher_ns))
            return service, start, known
        connection.execute("INSERT OR IGNORE INTO services (name) VALUES (?)", [about.service])
        (service,) = connection.execute("SELECT id FROM services WHERE name = ?", [about.service]).fetchone()
        values = {
            "service": service,
            "key": about.key,
            "run_file": about.run_file,
            "command": json.dumps(about.command),
            "version": about.version,
            "project": about.project,
            "hookmon": about.hookmon,
            "machine": about.machine,
            "started_s": about.started_s,
            "seen_s": state.at_s,
            "state": RUNNING,
        }
        start = connection.execute(
            f"INSERT INTO starts ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", [*values.values()]
        ).lastrowid
        known = _Known(0, [], {}, known.used, known.counts, is_of_another_store=known.writes >= 0)
        return service, int(start or 0), known


def _add_minute(
    connection: sqlite3.Connection, service: int, start: int, state: State, grown: dict[int, Counts], used: tuple[int, int]
) -> None:
    """Add to the minute and to the hour."""
    owned = {at for (at,) in connection.execute("SELECT id FROM places WHERE service = ? AND own = 1", [service])}
    growth = Growth(
        grown.get(_WHOLE) or Counts(),
        {at: grown[at] for at in grown if at in owned},
        {at: grown[at] for at in grown if at not in owned and at != _WHOLE},
        *used,
    )
    hour = hour_of(state.minute)
    sizes = (state.rss_bytes, state.processes, state.launcher_rss_bytes)
    add_row(connection, "minutes", {"service": service, "minute": state.minute, "start": start}, growth, sizes)
    at_once = connection.execute(
        "SELECT sum(rss_bytes), sum(processes), sum(launcher_rss_bytes) FROM minutes WHERE service = ? AND minute = ?",
        [service, state.minute],
    ).fetchone()
    add_row(connection, "hours", {"service": service, "hour": hour}, growth, at_once)
    seen = [(hour, place, hour) for place in (*growth.own, *growth.calls)]
    connection.executemany("UPDATE places SET seen = ? WHERE id = ? AND seen < ?", seen)


def _or(amount_ns: int, known_ns: int) -> int:
    return amount_ns if amount_ns >= 0 else known_ns


def _sum_by_id(ids: list[int], counts: list[Counts]) -> dict[int, Counts]:
    """Return counts by the ids of their places, of which several may have the same."""
    found: dict[int, Counts] = {}
    added: set[int] = set()  # of which the counts are ours to change
    for number, own in zip(ids, counts, strict=False):
        known = found.get(number)
        if known is None:
            if not own.is_nothing():
                found[number] = own
            continue
        if number not in added:
            found[number] = Counts()
            found[number].add(known)
            added.add(number)
        found[number].add(own)
    return found


def _growth(before: dict[int, Counts], now: dict[int, Counts]) -> dict[int, Counts]:
    """Return what came at each place; less than nothing where calls have moved on to another one."""
    nothing = Counts()
    grown = {}
    for number in now.keys() | before.keys():
        new, old = now.get(number, nothing), before.get(number, nothing)
        if new.sums != old.sums or new.buckets != old.buckets:
            grown[number] = new.since(old)
    return grown
