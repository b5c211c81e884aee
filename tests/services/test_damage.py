"""A store that something has gone wrong with: one kind of error, whatever it is, and nothing that stops anybody."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from support.moved_services import BEGINNING_S, Moved, MovedStart, Program, store_in, sums_of, sums_of_hours

from hookmon.core.errors import StoreError
from hookmon.services import reading
from hookmon.services.recovery import settle
from hookmon.services.store import ServiceStore
from hookmon.services.windows import window

END_S = BEGINNING_S + 7_200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two starts of a service, one of which was killed."""
    store, clock = store_in(tmp_path_factory.mktemp("whole")), Moved()
    for seed in range(2):
        start = MovedStart(store, "web", clock, program := Program(10, 3, seed))
        for _ in range(20):
            clock.pass_time(60)
            program.work()
            start.look()
        if seed:
            start.kill()
        else:
            start.end()
    return store.path


LOOKS: list[Callable[[ServiceStore], object]] = [
    reading.services,
    lambda store: reading.starts(store, "web"),
    lambda store: reading.curve(store, "web", BEGINNING_S, END_S, transaction="GET /page/1"),
    lambda store: reading.curve(store, "web", BEGINNING_S, END_S, by_hour=True),
    lambda store: reading.usage(store, "web", BEGINNING_S, END_S),
    lambda store: reading.transactions(store, "web", BEGINNING_S, END_S),
    lambda store: window(store, "web", BEGINNING_S, END_S, clock=Moved(END_S)),
]


@pytest.mark.parametrize("seed", range(80))
def test_whatever_is_damaged_is_one_error(whole: Path, tmp_path: Path, seed: int):
    """Who reads gets what can be read, or a StoreError; who writes goes on, in this store or in a new one."""
    rng = Random(seed)
    path = tmp_path / "services.sqlite"
    content = bytearray(whole.read_bytes())
    for _ in range(rng.choice([1, 5, 200])):
        content[rng.randrange(100 if seed % 4 == 0 else len(content))] = rng.randrange(256)
    path.write_bytes(bytes(content[: rng.randrange(len(content))] if seed % 5 == 0 else content))
    told: list[str] = []
    store = ServiceStore(path, told.append)
    for look in LOOKS:
        with suppress(StoreError):
            look(store)
    with suppress(StoreError):
        settle(store, END_S)
    clock, program = Moved(END_S), Program(2, 1, seed)
    start = MovedStart(store, "other", clock, program, waits=False)
    program.work(1.0)
    clock.pass_time(60)
    line = start.finish()
    is_other = line and any(word in line for word in ("version", "not a store"))
    if not is_other:
        assert line == "" or path.with_name("services.sqlite.damaged-1").exists(), line
        with suppress(StoreError):
            assert "other" in {service.name for service in reading.services(store)} or line
    assert len(told) <= 2


@pytest.mark.parametrize("kind", ["foreign", "newer"])
def test_what_is_not_ours_is_left_as_it_is(tmp_path: Path, kind: str):
    """Another application's database, and the store of a newer hookmon."""
    store = store_in(tmp_path)
    with closing(sqlite3.connect(store.path)) as connection:
        if kind == "foreign":
            connection.execute("CREATE TABLE accounts (name)")
    if kind == "newer":
        store.path.unlink()
        with store.writing() as connection:
            connection.execute("PRAGMA user_version = 2")
    before = store.path.read_bytes()
    with pytest.raises(StoreError), store.writing():
        pass
    with pytest.raises(StoreError):
        reading.services(store)
    assert store.path.read_bytes() == before
    assert not list(tmp_path.glob("*.damaged-*"))


def test_damaged_stores_are_kept_up_to_a_number(tmp_path: Path):
    """The last of them is written over: damage that comes again and again fills no disk."""
    store = store_in(tmp_path)
    for number in range(12):
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{store.path}{end}").unlink()
        store.path.write_bytes(b"%d nothing of SQLite" % number * 500)
        with store.writing():
            pass
    assert len(list(tmp_path.glob("*.damaged-*"))) == 9


def test_a_piece_that_cannot_be_read_is_left_out(whole: Path, tmp_path: Path):
    """The rest of the store is as good as before, and is written to."""
    shutil.copy(whole, tmp_path / "services.sqlite")
    store = ServiceStore(tmp_path / "services.sqlite")
    before = reading.curve(store, "web", BEGINNING_S, END_S)
    with store.writing() as connection:
        connection.execute(
            "UPDATE minutes SET whole = 'x', own = x'00', calls = x'00' WHERE minute = (SELECT min(minute) FROM minutes)"
        )
        connection.execute("UPDATE starts SET totals = x'00'")
    after = reading.curve(store, "web", BEGINNING_S, END_S)
    assert [point.counters for point in after[1:]] == [point.counters for point in before[1:]]
    assert after[0].counters.calls == 0
    clock, program = Moved(END_S), Program(2, 1, 1)
    start = MovedStart(store, "other", clock, program)
    program.work()
    assert start.end() == sums_of(program.nodes) == sums_of_hours(store, "other")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "CREATE TRIGGER t AFTER INSERT ON minutes BEGIN DELETE FROM hours; END",
        "ALTER TABLE hours ADD COLUMN more AS (hex(zeroblob(1000000)))",
        "DROP TABLE examples",
    ],
    ids=["view", "trigger", "computed", "missing"],
)
def test_a_store_with_other_tables_is_not_used(whole: Path, tmp_path: Path, statement: str):
    """It may lie in a project that somebody sent: nobody looks into it, and who writes begins a new one."""
    shutil.copy(whole, tmp_path / "services.sqlite")
    with closing(sqlite3.connect(tmp_path / "services.sqlite")) as connection:
        connection.execute(statement)
    store = ServiceStore(tmp_path / "services.sqlite")
    for look in LOOKS:
        with pytest.raises(StoreError, match="its tables are not those of a store"):
            look(store)
    with store.writing():
        pass
    assert reading.services(store) == []
    assert len(list(tmp_path.glob("*.damaged-1"))) == 1


@pytest.mark.parametrize("value", ["x'ff'", "NULL", "'text'"])
def test_a_value_of_another_type_is_left_out(whole: Path, tmp_path: Path, value: str):
    """Whatever column it stands in."""
    columns = {
        "starts": ("command", "run_file", "started_s", "ended_s", "seen_s", "totals", "pid", "version", "exit_code"),
        "places": ("parent", "name", "kind", "target", "site", "flags"),
        "minutes": ("whole", "own", "calls", "cpu_ns", "rss_bytes", "processes", "launcher_cpu_ns"),
        "hours": ("whole", "own", "calls", "cpu_ns"),
        "examples": ("name", "kind", "duration_ns", "is_failed", "body"),
    }
    for table, names in columns.items():
        for name in names:
            shutil.copy(whole, tmp_path / "services.sqlite")
            store = ServiceStore(tmp_path / "services.sqlite")
            with store.writing() as connection, suppress(sqlite3.IntegrityError):
                connection.execute(f"UPDATE {table} SET {name} = {value} WHERE rowid % 2")
            for look in LOOKS:
                with suppress(StoreError):
                    look(store)
