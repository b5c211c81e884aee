"""The rows of places in the store: found, made, or put together where there is no room.

In: the places of a start, numbered. Out: their ids. Within a transaction that writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from hookmon.services import limits
from hookmon.services.places import ENTRY, SITED, STATUS, WHOLE, Place
from hookmon.services.store import numbers

OTHER = "(other)"
"""The name of what found no room for a place of its own."""

_Key = tuple[int, str, str, str, str, int]  # the id above, name, kind, target, call site where it is SITED, flags


class _Rows:
    """All places of a service, as far as a transaction knows them."""

    def __init__(self, connection: sqlite3.Connection, service: int, hour: int) -> None:
        self._connection = connection
        self._service = service
        self._hour = hour
        self.left_out = 0
        self._ids: dict[_Key, int] = {}
        self._entries: dict[int, tuple[bool, int]] = {-1: (False, -1)}  # {id: (is a transaction, the transaction it is in or -1)}
        rows = connection.execute(
            "SELECT id, own, entry, parent, name, kind, target, site, flags FROM places WHERE service = ?", [service]
        )
        for number, own, entry, *place in rows:
            numbers((own, entry, place[0], place[-1]))
            self._ids[_key(Place(*place))] = number
            self._entries[number] = bool(own), entry

    def find(self, place: Place) -> int:
        """Return the id of a place, whose `parent` is an id; where there is no room, that of one it is counted with."""
        number = self._ids.get(_key(place))
        if number is not None:
            return number
        if len(self._ids) < limits.MOST_PLACES:
            return self._make(place)
        if place.flags & SITED:
            unsited = place._replace(site="", flags=place.flags & ~SITED)
            number = self._ids.get(_key(unsited))
            if number is not None:
                return number
            if len(self._ids) < limits.MOST_PLACES + limits.MOST_UNSITED:
                return self._make(unsited)
        elif len(self._ids) < limits.MOST_PLACES + limits.MOST_UNSITED:
            return self._make(place)
        self.left_out += 1
        is_own, entry = self._entries[place.parent]
        anchor = place.parent if is_own else entry
        kind = "request" if place.kind == STATUS else place.kind
        other = Place(anchor, OTHER, kind, "", "", place.flags & ENTRY if anchor < 0 else 0)
        return self._ids.get(_key(other)) or self._make(other)

    def _make(self, place: Place) -> int:
        is_own, entry = self._entries[place.parent]
        if is_own:
            entry = place.parent
        own = entry < 0 and bool(place.flags & ENTRY)
        number = self._connection.execute(
            "INSERT INTO places (service, parent, name, kind, target, site, flags, own, entry, seen)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._service, *place, own, entry, self._hour],
        ).lastrowid
        assert number is not None
        self._ids[_key(place)] = number
        self._entries[number] = own, entry
        return number


def _key(place: Place) -> _Key:
    return place if place.flags & SITED else place._replace(site="")


def place_ids(
    connection: sqlite3.Connection, service: int, places: Sequence[Place], hour: int, known: Sequence[int]
) -> list[int]:
    """Return the ids of places, each of which stands after the one above it; those of the first are `known`. ALL has 0."""
    ids = list(known)
    if len(ids) == len(places):
        return ids
    rows = _Rows(connection, service, hour)
    for place in places[len(ids) :]:
        if place.kind == WHOLE:
            ids.append(0)
        else:
            ids.append(rows.find(place._replace(parent=ids[place.parent] if place.parent >= 0 else -1)))
    # a start keeps the ids that it has found: none of them may go while it runs
    connection.executemany(
        "UPDATE places SET seen = ? WHERE id = ? AND seen < ?", [(hour, number, hour) for number in set(ids[len(known) :])]
    )
    if rows.left_out:
        connection.execute("UPDATE services SET places_left_out = max(places_left_out, ?) WHERE id = ?", [rows.left_out, service])
    return ids
