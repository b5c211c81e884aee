"""Layers above a library that a pack counts: one query by way of any of them is one, and what they do stands beside."""

from __future__ import annotations

import pytest

from hookmon.probe.naming.fingerprint import fingerprint

from .conftest import Compared

PEEWEE = """
    import peewee, sys
    database = peewee.SqliteDatabase(":memory:")
    class Item(peewee.Model):
        name = peewee.CharField()
        class Meta: database = database
    sent = []
    plain = database.execute_sql
    def execute_sql(sql, *arguments, **keywords):
        sent.append(sql)
        return plain(sql, *arguments, **keywords)
    database.execute_sql = execute_sql
    database.create_tables([Item])
    for n in range(3): Item.create(name=SECRET)
    print(Item.select().where(Item.name == SECRET).count(), [item.name == SECRET for item in Item.select()])
    Item.update(name="x").where(Item.id == 1).execute()
    print(len(sent))
"""
TORTOISE = """
    import asyncio
    from tortoise import Tortoise, fields
    from tortoise.models import Model
    class Item(Model):
        name = fields.CharField(max_length=99)
    async def main():
        await Tortoise.init(db_url="sqlite://:memory:", modules={"models": ["__main__"]})
        await Tortoise.generate_schemas()
        for n in range(3): await Item.create(name=SECRET)
        print(await Item.filter(name=SECRET).count(), len(await Item.all()))
        await Item.filter(id=1).update(name="x")
        await Tortoise.close_connections()
    asyncio.run(main())
"""
SQLMODEL = """
    from sqlmodel import Field, Session, SQLModel, create_engine, select
    class Item(SQLModel, table=True):
        id: int | None = Field(default=None, primary_key=True)
        name: str
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        for n in range(3):
            session.add(Item(name=SECRET))
            session.flush()
        print([item.name == SECRET for item in session.exec(select(Item).where(Item.name == SECRET))])
        session.commit()
"""
ORMS = {  # library: (program, {beginning of a statement: how many go to the database})
    "peewee": (PEEWEE, {"CREATE TABLE": 1, "INSERT INTO": 3, "SELECT": 2, "UPDATE": 1}),
    "tortoise": (TORTOISE, {"INSERT INTO": 3, "SELECT": 2, "UPDATE": 1}),  # its tables are made by a script
    "sqlmodel": (SQLMODEL, {"CREATE TABLE": 1, "INSERT INTO": 3, "SELECT": 1}),
}


@pytest.mark.parametrize("library", ORMS)
def test_a_query_by_way_of_an_orm_is_one_query(library: str, compared: Compared) -> None:
    """Whichever driver is below: sqlite3, aiosqlite, and SQLAlchemy between."""
    program, statements = ORMS[library]
    under = compared(program, needs=[library], env={})
    calls = under.calls("sql")
    found = {start: sum(count for name, count in calls.items() if name.startswith(start)) for start in statements}
    assert found == statements


DOGPILE = """
    from dogpile.cache import make_region
    region = make_region(name="goods").configure("dogpile.cache.memory", expiration_time=60)
    made = []
    def make():
        made.append(1)
        return SECRET
    for n in range(5): region.get_or_create(SECRET, make)
    region.set(SECRET, SECRET)
    print(region.get(SECRET) == SECRET, len(made), region.get_multi([SECRET, "other"])[0] == SECRET)
    region.delete(SECRET)
    def fails(): raise KeyError(SECRET)
    try: region.get_or_create("other", fails)
    except KeyError: print("no value")
"""
DISKCACHE = """
    import tempfile, diskcache
    with tempfile.TemporaryDirectory() as folder, diskcache.Cache(folder) as cache:
        for n in range(3): cache.set(SECRET, SECRET, tag=SECRET)
        print(cache.get(SECRET) == SECRET, cache["other" if "other" in cache else SECRET] == SECRET, cache.incr("n", 5))
        print(cache.pop(SECRET) == SECRET, cache.delete(SECRET), cache.add(SECRET, 1), cache.evict(SECRET))
        try: cache.incr("none", default=None)
        except KeyError: print("no value")
"""


def test_look_ups_in_regions_of_dogpile_are_counted(compared: Compared) -> None:
    """A value is made in one; a failure to make it is an error."""
    under = compared(DOGPILE, needs=["dogpile.cache"], env={})
    counts = {"get_or_create": 6, "set": 1, "get": 1, "get_multi": 1, "delete": 1}
    assert under.calls("function") == {f"dogpile {name}": count for name, count in counts.items()}
    assert under.errors("function") == {"dogpile get_or_create": 1}


def test_look_ups_in_diskcache_are_counted_beside_their_statements(compared: Compared) -> None:
    """The statements are SQLite's calls; the look-ups are none of these."""
    under = compared(DISKCACHE, needs=["diskcache"], env={})
    counts = {"set": 3, "get": 2, "incr": 2, "pop": 1, "delete": 1, "add": 1, "evict": 1}
    assert under.calls("function") == {f"diskcache {name}": count for name, count in counts.items()}
    assert under.errors("function") == {"diskcache incr": 1}
    assert any(name.startswith("SELECT") for name in under.calls("sql"))
    assert all(name == fingerprint(name, dialect="sqlite") for name in under.calls("sql") if name.startswith("SELECT"))
