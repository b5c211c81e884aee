"""What a service counted by name: the same sums in minutes as in hours."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.kept_services import MS, Keeper, fill

from hookmon.collector.counters import CallKey, Counters
from hookmon.core.errors import StoreError
from hookmon.services import names, reading
from hookmon.services.names import Names
from hookmon.services.store import ServiceStore

NOON = 1_795_953_600 // 3600 * 3600


def filled(folder: Path) -> ServiceStore:
    """Return a store with 90 minutes of a service, in two starts of which one follows the other."""
    store = ServiceStore(folder / "services.sqlite")

    def count(keeper: Keeper, at_s: float) -> None:
        keeper.count("GET /", 2, errors=1)
        keeper.count("GET /b", 1, 50 * MS)
        keeper.count("SELECT", 4, MS, kind="sql", inside="GET /")
        keeper.count("tick", 3, kind="function")

    for begin, end in ((0, 40), (40, 90)):
        fill(Keeper(store, "web", NOON + begin * 60), NOON + begin * 60, NOON + end * 60, count, end=True)
    return store


def sums(rows: list[Names]) -> dict[str, tuple[int, int, int]]:
    """Return calls, errors and time of each name over all rows."""
    found: dict[str, Counters] = {}
    for row in rows:
        for key, counters in row.counters.items():
            found[key.name] = Counters.sum_of([found[key.name], counters] if key.name in found else [counters])
    return {name: (of.calls, of.errors, of.total_ns) for name, of in found.items()}


def test_transactions_have_the_same_sums_in_minutes_as_in_hours(tmp_path: Path):
    """And they are those of the whole window."""
    store = filled(tmp_path)
    wanted = {"GET /": (180, 90, 180 * 10 * MS), "GET /b": (90, 0, 90 * 50 * MS)}
    for by_hour, length_s, most in ((False, 60, 90), (True, 3600, 2)):
        rows = names.by_transaction(store, "web", NOON, NOON + 5400, by_hour=by_hour)
        assert sums(rows) == wanted
        assert len(rows) == most
        assert {row.length_s for row in rows} == {length_s}
    window = reading.transactions(store, "web", NOON, NOON + 5400)
    assert {key.name: (of.calls, of.errors, of.total_ns) for key, of in window.items()} == wanted


def test_what_is_called_inside_a_transaction_is_apart_from_what_is_outside(tmp_path: Path):
    """None asks for what belongs to no transaction."""
    store = filled(tmp_path)
    for by_hour in (False, True):
        assert sums(names.inside(store, "web", "GET /", NOON, NOON + 5400, by_hour=by_hour)) == {"SELECT": (360, 0, 360 * MS)}
        assert sums(names.inside(store, "web", "GET /b", NOON, NOON + 5400, by_hour=by_hour)) == {}
        assert sums(names.inside(store, "web", None, NOON, NOON + 5400, by_hour=by_hour)) == {"tick": (270, 0, 270 * 10 * MS)}


def test_the_names_of_transactions_are_known(tmp_path: Path):
    """In the order of the alphabet."""
    assert names.transaction_names(filled(tmp_path), "web") == ["GET /", "GET /b"]


def test_percentiles_are_those_of_the_histogram(tmp_path: Path):
    """Of one minute as of an hour."""
    rows = names.by_transaction(filled(tmp_path), "web", NOON, NOON + 60)
    of = rows[0].counters[CallKey("GET /b", "request", "module:request")]
    assert (of.p50_ns, of.p95_ns, of.max_ns) == (50 * MS, 50 * MS, 50 * MS)


def test_a_service_that_is_not_there_is_an_error(tmp_path: Path):
    """With the one that was meant."""
    with pytest.raises(StoreError, match="did you mean web"):
        names.by_transaction(filled(tmp_path), "wbe", NOON, NOON + 60)


def test_all_who_read_in_one_look_see_the_same(tmp_path: Path):
    """Whatever is written meanwhile; the next look has it."""
    store = filled(tmp_path)
    with store.one_look():
        before = reading.services(store)
        Keeper(store, "other", NOON).keep(NOON + 60)
        assert reading.services(store) == before
    assert [row.name for row in reading.services(store)] == ["other", "web"]
