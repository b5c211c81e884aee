"""Layers above a library that a pack counts: one query by way of any of them is one, and what they do stands beside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.stubs import Answer, HttpStub, MongoStub

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


MOTOR = """
    import asyncio, os
    from motor.motor_asyncio import AsyncIOMotorClient
    async def main():
        client = AsyncIOMotorClient(os.environ["URL"], directConnection=True)
        for n in range(3): await client.shop.goods.insert_one({"name": SECRET})
        print(await client.shop.goods.find_one({"name": SECRET}))
        client.close()
    asyncio.run(main())
"""


@pytest.fixture
def mongodb() -> Iterator[MongoStub]:
    """A stub that has counted nothing yet."""
    pytest.importorskip("bson")
    stub = MongoStub()
    yield stub
    stub.stop()


def test_calls_of_motor_are_those_of_pymongo_below_it(mongodb: MongoStub, compared: Compared) -> None:
    """It asks pymongo in threads: one command is one call."""
    url = f"mongodb://127.0.0.1:{mongodb.port}/"
    under = compared(MOTOR, needs=["motor"], env={"URL": url}, before=mongodb.commands.clear)
    assert under.calls("cache") == {"Collection.insert_one goods": 3, "Collection.find_one goods": 1}
    assert sum(mongodb.commands.values()) == 4


S3FS = """
    import os, s3fs
    where = dict(endpoint_url=os.environ["URL"], client_kwargs={"region_name": "eu-west-1"})
    files = s3fs.S3FileSystem(key=SECRET, secret=SECRET, **where)
    for n in range(3): files.pipe_file(f"bucket-1/{SECRET}-{n}", SECRET.encode())
    print(files.cat_file("bucket-1/tea"))
"""


def test_calls_of_s3fs_are_those_of_aiobotocore_below_it(compared: Compared) -> None:
    """By operation, with the request of aiohttp in each."""

    def answer(method: str, path: str, body: bytes) -> Answer:
        return 200, {"Content-Type": "application/xml", "ETag": '"1"'}, b"tea" if method == "GET" else b""

    stub = HttpStub(answer)
    try:
        under = compared(S3FS, needs=["s3fs"], env={"URL": stub.url}, before=stub.reset)
    finally:
        stub.stop()
    calls = {name: count for name, count in under.calls("http").items() if not name.endswith(("pool wait", " connect", " body"))}
    assert calls == {"aws s3 PutObject": 3, "aws s3 HeadObject": 1, "aws s3 GetObject": 1}
    assert stub.total() == 5


MILVUS = """
    import logging, os, tempfile
    logging.disable()
    from pymilvus import MilvusClient
    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(os.path.join(folder, "goods.db"))
        client.create_collection("goods", dimension=2)
        for n in range(3): print(client.insert("goods", [{"id": n, "vector": [0.5, n], "name": SECRET}])["insert_count"])
        print(len(client.search("goods", [[0.5, 0.5]], limit=1, filter=f'name == "{SECRET}"')[0]))
        print(len(client.query(collection_name="goods", filter=f'name == "{SECRET}"')))
        try: client.query("missing", filter="id == 1")
        except Exception as error: print(type(error).__name__)
        client.close()
"""


def test_calls_of_milvus_have_those_of_grpc_in_them(compared: Compared) -> None:
    """Against its own engine, milvus-lite, which speaks gRPC to the library: one call is one line."""
    under = compared(MILVUS, needs=["pymilvus", "milvus_lite"], env={})
    calls = {name: count for name, count in under.calls("rpc").items() if name.startswith("milvus ")}
    assert calls == {"milvus create_collection goods": 1, "milvus insert goods": 3, "milvus search goods": 1} | {
        "milvus query goods": 1,
        "milvus query missing": 1,
    }
    assert {name for name in under.errors("rpc") if name.startswith("milvus")} == {"milvus query missing"}
    assert not [name for name in under.calls("rpc") if "Insert" in name or "Search" in name or name.endswith("/Query")]
