"""What is written of a start is what it has counted, whoever writes, and whatever came between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from support.moved_services import (
    BEGINNING_S,
    Moved,
    MovedStart,
    Program,
    Sums,
    add_to,
    store_in,
    sums_of,
    sums_of_hours,
    sums_of_minutes,
)

from hookmon.core.errors import StoreError
from hookmon.core.record import replace
from hookmon.services import limits, reading
from hookmon.services.clock import DAY_S, HOUR_S, MINUTE_S
from hookmon.services.place_rows import OTHER
from hookmon.services.places import Places
from hookmon.services.store import ServiceStore
from hookmon.services.writing import About, StartWriter, State


def about(service: str = "web", key: str = "k") -> About:
    """Return a start."""
    return About(service, key, "/none/run-0001.sqlite", ["python"], "", "/none", "test", "", BEGINNING_S)


class Source:
    """A program, and the states of a start of it."""

    def __init__(self, names: int = 3, calls: int = 2, seed: int = 1) -> None:
        self.program = Program(names, calls, seed)
        self.places = Places()

    def state(self, at_s: float, **more: object) -> State:
        """Work, and return the state then."""
        self.program.work()
        counts = self.places.count([(self.program.nodes, ())])
        return State(at_s, int(at_s // MINUTE_S), list(self.places.rows), counts, **more)  # type: ignore[arg-type]


def test_minutes_and_hours_are_the_same_sums(tmp_path: Path):
    """Over an end of an hour, with two states in one minute."""
    store, source = store_in(tmp_path), Source()
    writer = StartWriter(store, about())
    for number in range(90):
        writer.write(source.state(BEGINNING_S + 30 * number, cpu_ns=number * 10**9))
    assert sums_of_minutes(store, "web") == sums_of_hours(store, "web") == sums_of(source.program.nodes)
    used = reading.usage(store, "web", BEGINNING_S - 60, BEGINNING_S + DAY_S)
    assert sum(row.cpu_ns for row in used) == 89 * 10**9
    assert len(used) in (45, 46)


def test_a_new_writer_goes_on_where_another_one_was(tmp_path: Path):
    """It knows nothing, and the store says what is there; the old one does the same when it comes back."""
    store, source = store_in(tmp_path), Source()
    writers = [StartWriter(store, about()) for _ in range(3)]
    for number in range(30):
        writers[number * 7 % 3].write(source.state(BEGINNING_S + 60 * number))
    assert sums_of_hours(store, "web") == sums_of(source.program.nodes)
    assert reading.services(store)[0].starts == 1


def test_calls_that_move_to_another_name_are_counted_once(tmp_path: Path):
    """A transaction gets its name when others have looked already."""
    store, source = store_in(tmp_path), Source(names=2, calls=1)
    writer = StartWriter(store, about())
    writer.write(source.state(BEGINNING_S))
    early, late = source.program.nodes[0], source.program.nodes[2]
    late.calls, early.calls = late.calls + early.calls, 0
    late.total_ns, early.total_ns = late.total_ns + early.total_ns, 0
    late.self_ns, early.self_ns = late.self_ns + early.self_ns, 0
    for bucket, calls in early.buckets.items():
        late.buckets[bucket] = late.buckets.get(bucket, 0) + calls
    early.buckets, early.errors = {}, 0
    counts = source.places.count([(source.program.nodes, ())])
    later = BEGINNING_S + 60
    writer.write(State(later, int(later // MINUTE_S), list(source.places.rows), counts))
    expected = {name: sums for name, sums in sums_of(source.program.nodes).items() if any(sums)}
    assert {name: sums for name, sums in sums_of_hours(store, "web").items() if any(sums)} == expected
    in_window = reading.transactions(store, "web", BEGINNING_S, later + 60)
    assert {key.name: row.calls for key, row in in_window.items() if row.calls} == {late.name: late.calls}


def test_a_store_that_is_gone_is_begun_anew(tmp_path: Path):
    """What the old one had is not added to the new one at once: it would all be of one minute."""
    store, source = store_in(tmp_path), Source()
    writer = StartWriter(store, about())
    writer.write(source.state(BEGINNING_S))
    before = sums_of(source.program.nodes)
    for path in tmp_path.iterdir():
        path.unlink()
    writer.write(source.state(BEGINNING_S + 60))
    found = sums_of_hours(store, "web")
    for name, sums in found.items():
        add_to(before, {name: sums})
    assert before == sums_of(source.program.nodes)


def test_what_could_not_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing of it is there by halves."""
    store, source = store_in(tmp_path), Source()
    writer = StartWriter(store, about())
    writer.write(source.state(BEGINNING_S))
    monkeypatch.setattr("hookmon.services.store._BUSY_S", 0.01)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            writer.write(source.state(BEGINNING_S + 60))
    writer.write(source.state(BEGINNING_S + 120))
    assert sums_of_hours(store, "web") == sums_of(source.program.nodes)


def test_fifty_services_live_in_one_store(tmp_path: Path):
    """Each has its own names, and counts for itself."""
    store = store_in(tmp_path)
    sources = {f"service-{number}": Source(names=4, seed=number) for number in range(50)}
    writers = {name: StartWriter(store, about(name, name)) for name in sources}
    for minute in range(3):
        for name, source in sources.items():
            writers[name].write(source.state(BEGINNING_S + 60 * minute))
    for name, source in sources.items():
        assert sums_of_hours(store, name) == sums_of(source.program.nodes)
    assert [service.name for service in reading.services(store)] == sorted(sources)
    with pytest.raises(StoreError, match="did you mean service-4"):
        reading.starts(store, "service-4x")


def test_names_without_room_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """First lines are no longer told apart, then names; the sums stay, and it is told."""
    monkeypatch.setattr(limits, "MOST_PLACES", 20)
    monkeypatch.setattr(limits, "MOST_UNSITED", 5)
    store, source = store_in(tmp_path), Source(names=30, calls=3)
    writer = StartWriter(store, about())
    for number in range(3):
        writer.write(source.state(BEGINNING_S + 60 * number))
    found, expected = sums_of_hours(store, "web"), sums_of(source.program.nodes)
    whole: list[Sums] = [{}, {}]
    for sums, by_name in zip(whole, (found, expected), strict=True):
        for values in by_name.values():
            add_to(sums, {"": values})
    assert whole[0] == whole[1]
    assert found[OTHER][0] > 0
    with store.reading() as connection:
        assert connection.execute("SELECT count(*) FROM places").fetchone()[0] <= 25 + 2 * 30
    assert "found no room" in reading.services(store)[0].limits[0]
    again = StartWriter(store, about())
    again.write(source.state(BEGINNING_S + 240))
    both: Sums = {}
    for values in sums_of_hours(store, "web").values():
        add_to(both, {"": values})
    assert both[""] == [sum(column) for column in zip(*sums_of(source.program.nodes).values(), strict=True)]


@pytest.mark.parametrize("seconds", [-HOUR_S, -90, 3 * HOUR_S, 400 * DAY_S], ids=["back", "back a little", "asleep", "far ahead"])
def test_a_clock_that_jumps_loses_nothing(tmp_path: Path, seconds: float):
    """What is counted twice in an hour of the wall is added to it; what lies far ahead drops nothing."""
    store, clock, program = store_in(tmp_path), Moved(), Program(3, 2, seed=4)
    start = MovedStart(store, "web", clock, program)
    for number in range(20):
        clock.pass_time(60)
        program.work()
        if number == 10:
            clock.jump(seconds)
        if number == 15:
            clock.jump(-seconds)
        start.look()
    assert start.end() == sums_of_hours(store, "web") == sums_of_minutes(store, "web")


def test_a_late_look_finds_its_minute(tmp_path: Path):
    """A busy launcher that looks some seconds late, and one in the middle of the next minute."""
    store, clock, program = store_in(tmp_path), Moved(1_800_000_000.0), Program(1, 0, seed=4)
    start = MovedStart(store, "web", clock, program)
    for passed in (60, 67, 55):
        clock.pass_time(passed)
        program.work(1.0)
        start.look()
    points = reading.curve(store, "web", 1_800_000_000, 1_800_000_300)
    assert [(point.at_s - 1_800_000_000, bool(point.counters.calls)) for point in points] == [(0, True), (60, True), (120, True)]


def test_windows_of_minutes_and_hours_fit_together(tmp_path: Path):
    """Where the minutes were dropped, hours stand for them; in a long window they stand for whole hours."""
    store, clock, program = store_in(tmp_path), Moved(1_800_000_000.0), Program(3, 1, seed=4)
    start = MovedStart(store, "web", clock, program)
    for _ in range(4 * 48):
        clock.pass_time(30 * 60)
        program.work()
        start.look()
    expected = start.end()
    calls = sum(sums[0] for name, sums in expected.items() if name.startswith("GET"))
    end = clock.now_s() + 60
    points = reading.curve(store, "web", 1_800_000_000 - 60, end)
    assert {point.length_s for point in points} == {MINUTE_S, HOUR_S}
    assert sum(point.counters.calls for point in points) == calls
    assert all(one.at_s + one.length_s <= other.at_s for one, other in pairwise(points))
    rows = reading.transactions(store, "web", 1_800_000_000 - 60, end)
    assert sum(row.calls for row in rows.values()) == calls
    halves = [reading.transactions(store, "web", *bounds) for bounds in ((0, end - 4 * HOUR_S), (end - 4 * HOUR_S, end))]
    assert 0 < sum(row.calls for row in halves[1].values()) < calls
    assert reading.stretch(store, "web", end - HOUR_S, end).limits == []  # that minutes of before are gone concerns it not
    whole = reading.stretch(store, "web", 0, end)
    assert "minutes before" in whole.limits[0]
    assert sum(counts.sums[0] for number, counts in whole.counts.items() if whole.places[number].kind == "request") == calls


def test_the_size_of_a_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The service that keeps the most loses its oldest minutes; the hours stay, and it is told."""
    monkeypatch.setattr(limits, "LARGEST_BYTES", 250_000)
    store, source, small = store_in(tmp_path), Source(names=20, calls=4), Source(names=1, calls=1)
    writers = StartWriter(store, about()), StartWriter(store, about("small", "s"))
    for number in range(80):
        writers[0].write(source.state(BEGINNING_S + 600 * number))
        writers[1].write(small.state(BEGINNING_S + 600 * number))
    assert sums_of_hours(store, "web") == sums_of(source.program.nodes)
    assert store.path.stat().st_size < 600_000
    with store.reading() as connection:
        counts = dict(
            connection.execute("SELECT name, count(*) FROM minutes JOIN services ON services.id = service GROUP BY name")
        )
    assert counts["small"] == 80
    assert counts["web"] < 80
    assert [bool(service.limits) for service in reading.services(store)] == [False, True]


def test_a_full_store_makes_room_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that is full is no damage; what could not be written is written when there is room again."""
    monkeypatch.setattr("hookmon.services.store._LARGEST_BYTES", 200_000)
    store, source = store_in(tmp_path), Source(names=20, calls=4)
    writer = StartWriter(store, about())
    failed = 0
    for number in range(60):
        try:
            writer.write(source.state(BEGINNING_S + 600 * number))
        except StoreError as error:
            assert "full" in str(error)  # noqa: PT017  # of some of them only
            failed += 1
    assert failed
    monkeypatch.setattr(limits, "LARGEST_BYTES", 150_000)
    for number in range(60, 70):
        writer.write(source.state(BEGINNING_S + 600 * number))
    assert sums_of_hours(store, "web") == sums_of(source.program.nodes)
    assert not list(tmp_path.glob("*.damaged-*"))


def test_a_service_that_fails_again_and_again_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its starts and what the store has of each of them; and one that was taken for ended goes on where it was."""
    monkeypatch.setattr(limits, "MOST_STARTS", 50)
    store, first = store_in(tmp_path), Source(seed=99)
    old = StartWriter(store, about(key="old"))
    old.write(first.state(BEGINNING_S))
    with store.writing() as connection:
        connection.execute("UPDATE starts SET state = ?, ended_s = seen_s", [reading.LOST])
    expected: Sums = {}
    for number in range(150):
        source = Source(seed=number)
        at_s = BEGINNING_S + 60 * number
        StartWriter(store, about(key=str(number))).write(source.state(at_s, end=reading.ENDED))
        add_to(expected, sums_of(source.program.nodes))
    with store.reading() as connection:
        kept, totals = connection.execute("SELECT count(*), count(totals) FROM starts").fetchone()
    assert (kept < 50 + 70, totals < 20 + 70) == (True, True)
    old.write(first.state(BEGINNING_S + 9_100))
    add_to(expected, sums_of(first.program.nodes))
    found = sums_of_hours(store, "web")
    assert {name: sums[0] for name, sums in found.items()} == {name: sums[0] for name, sums in expected.items()}


def test_a_place_stays_while_a_start_that_knows_it_runs(tmp_path: Path):
    """It was called by an earlier start, and is called again by one that has run for longer than hours are kept."""
    store, source = store_in(tmp_path), Source(names=2, calls=0)
    writer = StartWriter(store, about(key="early"))
    writer.write(source.state(BEGINNING_S, end=reading.ENDED))
    begun_s = BEGINNING_S + 50 * DAY_S
    later = Source(names=2, calls=0)
    quiet = later.program.nodes[0]
    writer = StartWriter(store, replace(about(key="late"), started_s=begun_s))
    for hour in range(0, 40 * 24, 24):
        state = later.state(begun_s + hour * HOUR_S)
        quiet.calls, quiet.errors, quiet.total_ns, quiet.self_ns, quiet.buckets = 0, 0, 0, 0, {}
        state.counts = later.places.count([(later.program.nodes, ())])
        writer.write(state)
        StartWriter(store, about(key=f"between {hour}")).write(  # whose trimming must leave it
            State(begun_s + hour * HOUR_S + 3_600, int((begun_s + hour * HOUR_S + 3_600) // 60), [], [], end=reading.ENDED)
        )
    end_s = begun_s + 41 * DAY_S
    quiet.calls, quiet.total_ns, quiet.self_ns, quiet.buckets = 3, 30, 30, {100: 3}
    counts = later.places.count([(later.program.nodes, ())])
    writer.write(State(end_s, int(end_s // 60), list(later.places.rows), counts, end=reading.ENDED))
    found = reading.transactions(store, "web", end_s - 60, end_s + 60)
    assert [(key.name, row.calls) for key, row in found.items()] == [(quiet.name, 3)]


def test_an_empty_place_has_an_empty_store(tmp_path: Path):
    """Whoever looks makes nothing."""
    store = ServiceStore(tmp_path / "none" / "services.sqlite")
    assert reading.services(store) == []
    with pytest.raises(StoreError, match="there is no service web"):
        reading.starts(store, "web")
    assert not store.path.parent.exists()
