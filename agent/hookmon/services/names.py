"""What a service counted by name, hour by hour or minute by minute: what days over each other are made of.

In: a ServiceStore, the name of a service, moments in seconds since 1970. Out: Counters by CallKey. Nothing is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.record import Record
from hookmon.services.packing import unpack_some
from hookmon.services.places import PART, STATUS, SUMS, Counts
from hookmon.services.reading import id_of, own_places, pieces, read_piece, rows_of
from hookmon.services.store import ServiceStore

_TOTAL = SUMS.index("total_ns")
_NEEDED = SUMS.index("untimed") + 1
_NOTHING: dict[int, Counts] = {}


class Names(Record, slots=True):
    """What was counted in one minute or hour, `length_s` seconds from `at_s` on, of all starts together.

    Counters have calls, errors, times and the histogram, and nothing of coroutines.
    """

    at_s: int
    length_s: int
    counters: dict[CallKey, Counters]


def by_transaction(store: ServiceStore, service: str, since_s: float, until_s: float, *, by_hour: bool = False) -> list[Names]:
    """Return what was counted of each transaction, as `reading.curve` does of all together. Raises as `reading.starts`."""
    return _by_name(store, service, since_s, until_s, "own", _own, by_hour)


def inside(
    store: ServiceStore, service: str, transaction: str | None, since_s: float, until_s: float, *, by_hour: bool = False
) -> list[Names]:
    """Return what was called within transactions of a name, or outside all where that is None. Raises as `reading.starts`.

    What runs beside them or after them is in it. Calls that others are made of, as the rows of a statement, are not.
    """
    return _by_name(
        store, service, since_s, until_s, "calls", lambda connection, number: _inner(connection, number, transaction), by_hour
    )


def transaction_names(store: ServiceStore, service: str) -> list[str]:
    """Return the names of all transactions that are known of a service, in the order of the alphabet. Raises as `inside`."""
    with store.reading() as connection:
        return sorted({key.name for key in own_places(connection, id_of(connection, service)).values()})


def _own(connection: sqlite3.Connection, service: int) -> dict[int, tuple[CallKey, bool]]:
    return {number: (key, True) for number, key in own_places(connection, service).items()}


def _inner(connection: sqlite3.Connection, service: int, transaction: str | None) -> dict[int, tuple[CallKey, bool]]:
    """Return the keys of places, and whether each is outermost: a recursion counts once in the time of its name."""
    own = {number for number, key in own_places(connection, service).items() if key.name == transaction}
    found: dict[int, tuple[CallKey, bool]] = {}
    for number, parent, entry, name, kind, target, flags in connection.execute(
        "SELECT id, parent, entry, name, kind, target, flags FROM places WHERE service = ? AND own = 0 ORDER BY id", [service]
    ):
        is_wanted = entry in own if transaction is not None else entry < 0
        if is_wanted and kind != STATUS and not flags & PART:
            above = found.get(parent)
            is_inner = above is not None and (above[0].name, above[0].target) == (name, target)
            found[number] = CallKey(name, kind, target), not is_inner
    return found


def _by_name(
    store: ServiceStore,
    service: str,
    since_s: float,
    until_s: float,
    column: str,
    keys_of: Callable[[sqlite3.Connection, int], dict[int, tuple[CallKey, bool]]],
    by_hour: bool,
) -> list[Names]:
    found: dict[tuple[int, int], dict[CallKey, Counts]] = {}
    with store.reading() as connection:
        number = id_of(connection, service)
        keys = keys_of(connection, number)
        hours, minutes = pieces(connection, number, since_s, until_s, hours_only=by_hour, minutes_only=not by_hour)
        for _, at_s, length_s, content in rows_of(connection, column, number, hours, minutes):
            names = found.setdefault((at_s, length_s), {})
            for place, counts in read_piece(lambda packed: unpack_some(packed, keys.keys()), content, _NOTHING).items():
                key, is_outermost = keys[place]
                if not is_outermost:
                    counts.sums[_TOTAL] = 0
                if key in names:
                    names[key].add(counts)
                else:
                    names[key] = counts
    return [
        Names(at_s, length_s, {key: _counters(counts) for key, counts in names.items()})
        for (at_s, length_s), names in sorted(found.items())
    ]


def _counters(counts: Counts) -> Counters:
    """Return what days show of counts: thousands are read for a screen."""
    sums, buckets = counts.sums[:_NEEDED], counts.buckets
    if min(sums) < 0 or min(buckets.values(), default=0) < 0:  # calls have moved on to another name
        sums = [max(0, number) for number in sums]
        buckets = {bucket: number for bucket, number in buckets.items() if number > 0}
    calls, errors, total_ns, self_ns, untimed = sums
    return Counters(calls, errors, total_ns, self_ns, counts.min_ns, counts.peaks[0], untimed=untimed, histograms=[buckets])
